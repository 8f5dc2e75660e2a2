/** The trace of one endpoint: each hop of its packets as it happens, without what they say. */
import { age, api, clock, duration, fill, growOlder, h, span } from './dom.js';
import { missingNote, Repeat } from './lists.js';

const KEPT = 1000;
const SHOWN = 200;
const TAGS = {
  sent: 'tag good',
  confirmed: 'tag good',
  dropped: 'tag bad',
  returned: 'tag warn',
  waiting: 'tag warn',
  kept: 'tag warn',
};
/** What these say is in the line already, unless nobody was found. */
const PLAIN = new Set(['accepted', 'resolved']);

/** One hop, with how long after the first one it came; the node that saw it, where that is another than before. */
function step({ hop, detail, at, node }, startedAt, nodeBefore) {
  const later = at - startedAt;
  const said = PLAIN.has(hop) && detail !== 'nobody' ? '' : detail;
  const note = [said, later > 0 ? `+${duration(later)}` : ''].filter((text) => text !== '').join(', ');
  return h(
    'li',
    {},
    node && node !== nodeBefore ? h('span', { class: 'node' }, node) : null,
    h('span', { class: TAGS[hop] ?? 'tag' }, hop),
    note ? h('span', { class: 'quiet' }, ` ${note}`) : null,
  );
}

/** The clients that a packet has been sent to and that have not said that they have it, with when that was. */
function openHops(hops) {
  const open = new Map();
  for (const { hop, detail, at } of hops) {
    const [client] = detail.split(/ by |, /);
    if (hop === 'sent' && !detail.endsWith(' by webhook')) open.set(client, at);
    else if (hop === 'confirmed' || hop === 'returned') open.delete(client);
    else if (hop === 'dropped') open.clear();
  }
  return [...open];
}

function notConfirmed(client, at, isAlone) {
  return h(
    'li',
    {},
    h('span', { class: 'tag warn' }, 'not confirmed'),
    h('span', { class: 'quiet' }, ` ${isAlone ? '' : `by ${client}, `}`, age(at), ' ago'),
  );
}

/** A packet and its hops in order; or what happened to a client. */
function line(hops, isActive) {
  const [{ at, packet, kind, from, to }] = hops;
  const open = isActive ? openHops(hops) : [];
  const what = packet === 0 ? [] : [h('b', {}, kind), ` ${from} → ${to}`];
  return h(
    'div',
    { class: 'trace-line' },
    h('span', { class: 'time' }, clock(at, true)),
    h('div', { class: 'trace-what' }, ...what),
    h(
      'ol',
      { class: 'steps' },
      ...hops.map((hop, i) => step(hop, at, hops[i - 1]?.node)),
      ...open.map(([client, sentAt]) => notConfirmed(client, sentAt, open.length === 1)),
    ),
  );
}

/** The newest first. */
function lines(hops, isActive) {
  const groups = new Map();
  for (const hop of hops) {
    const key = hop.packet === 0 ? `event ${hop.seq}` : `${hop.origin ?? ''} ${hop.packet}`;
    const group = groups.get(key) ?? [];
    groups.set(key, group);
    group.push(hop);
  }
  return [...groups.values()].sort((a, b) => b[0].seq - a[0].seq).map((group) => line(group, isActive));
}

export class TraceView {
  #hops = [];
  #seq = 0;
  #name = '';
  #repeat = new Repeat(1000, () => this.#ask());

  constructor(parent) {
    this.parent = parent;
  }

  run(isWanted) {
    this.#repeat.run(isWanted);
  }

  async start(domain, id) {
    await api(`api/trace?${new URLSearchParams({ domain, id, minutes: '5' })}`, 'POST');
    await this.#ask();
  }

  async #stop() {
    await api('api/trace', 'DELETE');
    await this.#ask();
  }

  async #ask() {
    const { trace, notCounted } = await api(`api/trace?after=${this.#seq}`);
    if (!trace) return;
    const name = `${trace.domain} ${trace.id} ${trace.startedAt}`;
    if (name !== this.#name) {
      const isLate = this.#seq > 0;
      [this.#name, this.#hops, this.#seq] = [name, [], 0];
      if (isLate) return this.#ask();
    }
    this.#hops = [...this.#hops, ...trace.hops].slice(-KEPT);
    this.#seq = this.#hops.at(-1)?.seq ?? 0;
    this.#draw(trace, notCounted);
  }

  #draw({ active, domain, id, until }, notCounted) {
    const rest = active ? `for another ${span(until - Date.now())}` : 'ended';
    const stop = active ? h('button', { type: 'button', onclick: () => this.#stop() }, 'Stop') : null;
    const head = h(
      'div',
      { class: 'person' },
      h('h3', {}, `Trace of ${id} at ${domain}`),
      h('span', { class: active ? 'tag good' : 'tag' }, rest),
      h('span', { class: 'spring' }),
      stop,
    );
    const shown = lines(this.#hops, active).slice(0, SHOWN);
    const nothing = h('div', { class: 'empty' }, 'Nothing yet: the next packet from or to it is shown here.');
    const missing = missingNote(notCounted);
    const content = h('div', { class: 'trace' }, ...(shown.length === 0 ? [nothing] : shown));
    const card = h('div', { class: 'card' }, head, missing, content);
    fill(this.parent, [this.#seq, rest, id, notCounted], card);
    growOlder(this.parent);
  }
}
