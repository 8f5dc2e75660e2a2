/** One endpoint or room: what it is now, what went wrong with it, and what happens to its packets. */
import { age, api, byId, bytes, count, endpointLink, fill, growOlder, h, table } from './dom.js';
import { errorTable, missingNote, Repeat } from './lists.js';
import { TraceView } from './trace.js';

const SHOW_TAGS = { available: 'tag good', chat: 'tag good', invisible: 'tag', unavailable: 'tag' };

function chips(domain, { total, ids }, empty) {
  if (total === 0) return h('div', { class: 'quiet' }, empty);
  const rest = total - ids.length;
  return h(
    'div',
    { class: 'chips' },
    ...ids.map((id) => endpointLink(domain, id, { look: 'chip' })),
    rest > 0 ? h('span', { class: 'quiet' }, `and ${count(rest)} more`) : null,
  );
}

/** Short ids of rooms are bare: here they need their prefix. */
function roomIds({ total, ids }) {
  return { total, ids: ids.map((id) => (id.startsWith('gid:') ? id : `gid:${id}`)) };
}

function card(title, note, content, isWide = false) {
  const head = h('div', { class: 'card-head' }, h('h3', {}, title), h('span', { class: 'quiet' }, note));
  return h('div', { class: isWide ? 'card wide' : 'card' }, head, content);
}

/** `node`: of the server that answers; null where it is none of a cluster, or several. */
function clientTable(clients, node) {
  if (clients.length === 0) return h('div', { class: 'empty' }, 'None: whoever it was has gone, and the grace runs.');
  const isPlaced = clients.some((client) => client.node ?? node);
  const rows = clients.map(({ name, transport, via, address, queuedPackets, queuedBytes, ...client }) =>
    h(
      'tr',
      {},
      h('td', { class: 'mono' }, name),
      isPlaced ? h('td', {}, client.node ?? node) : null,
      h(
        'td',
        {},
        h(
          'span',
          { class: transport ? 'tag good' : 'tag warn' },
          transport ?? (client.awaySince ? 'away' : 'not connected'),
        ),
        via ? ` via ${via}` : null,
        ...(address === null ? [] : [' from ', h('span', { class: 'mono' }, address)]),
        ...(client.position === null ? [] : [' at ', h('span', { class: 'mono' }, client.position)]),
      ),
      h('td', { class: 'quiet when' }, 'for ', age(client.connectedAt ?? client.detachedAt)),
      h(
        'td',
        { class: 'quiet optional' },
        ...(client.seenAt === null ? ['not known here'] : [age(client.seenAt), ' ago']),
      ),
      h(
        'td',
        { class: 'number' },
        ...(client.unconfirmed === 0
          ? ['']
          : [count(client.unconfirmed), h('span', { class: 'quiet' }, ', for ', age(client.unconfirmedSince))]),
      ),
      h('td', { class: 'number' }, count(queuedPackets - client.unconfirmed)),
      h('td', { class: 'number optional' }, queuedBytes === 0 ? '' : bytes(queuedBytes)),
    ),
  );
  const heads = [{ text: 'Client' }, isPlaced ? { text: 'Node' } : null, { text: 'Transport' }];
  heads.push({ text: 'Since' }, { text: 'Last seen', optional: true });
  heads.push(
    { text: 'Not confirmed', number: true },
    { text: 'Waiting', number: true },
    { text: '', number: true, optional: true },
  );
  return table(
    heads.filter((head) => head !== null),
    rows,
  );
}

/** Clients that are no more, and why. */
function endedTable(ended, node) {
  const isPlaced = ended.some((client) => client.node ?? node);
  const rows = ended.map((client) =>
    h(
      'tr',
      {},
      h('td', { class: 'mono' }, client.name),
      isPlaced ? h('td', {}, client.node ?? node) : null,
      h('td', {}, client.reason),
      h('td', { class: 'quiet when' }, age(client.at), ' ago'),
    ),
  );
  const heads = [{ text: 'Client' }, isPlaced ? { text: 'Node' } : null, { text: 'Why' }, { text: 'When' }];
  return table(
    heads.filter((head) => head !== null),
    rows,
  );
}

function person({ domain, id, kind, nodes, endpoint, members }, onTrace) {
  const isThere = endpoint?.online || members !== null;
  const isAway = endpoint?.clients.some((client) => client.awaySince !== null);
  const isElsewhere = !endpoint?.online && !isAway && nodes.length > 0;
  const place = isElsewhere ? 'on another node' : isAway ? 'away' : 'offline';
  const tags = endpoint?.online
    ? [h('span', { class: SHOW_TAGS[endpoint.show] ?? 'tag warn' }, endpoint.show)]
    : [
        h(
          'span',
          { class: isThere || isElsewhere ? 'tag good' : 'tag' },
          kind === 'room' ? (isThere ? 'room' : 'no members') : place,
        ),
      ];
  return h(
    'div',
    { class: 'person' },
    h('h2', {}, endpoint?.nick || id),
    ...tags,
    h('span', { class: 'quiet' }, `${id} at ${domain}${endpoint?.status ? ` · ${endpoint.status}` : ''}`),
    h('span', { class: 'spring' }),
    kind === 'endpoint' ? h('button', { type: 'button', onclick: onTrace }, 'Trace for 5 minutes') : null,
  );
}

/** Nodes that it is on as well, whose clients are not in the list. */
function elsewhere({ node, nodes, endpoint }) {
  const shown = new Set(endpoint?.clients.map((client) => client.node ?? node));
  const others = nodes.filter((name) => name !== node && !shown.has(name));
  return others.length > 0 ? h('p', { class: 'quiet' }, `On ${others.join(', ')} ${endpoint ? 'too' : ''}.`) : null;
}

function facts(found) {
  const { domain, node, endpoint, members, errors } = found;
  const cards = [];
  if (endpoint) {
    const waiting = endpoint.unseen > 0 ? `${count(endpoint.unseen)} messages wait for whichever comes next` : '';
    cards.push(card('Clients', waiting, h('div', { class: 'scroll' }, clientTable(endpoint.clients, node)), true));
    if (endpoint.ended.length > 0) {
      cards.push(card('Ended lately', '', h('div', { class: 'scroll' }, endedTable(endpoint.ended, node)), true));
    }
    cards.push(
      card('Buddies', `${count(endpoint.buddies.total)}, both ways`, chips(domain, endpoint.buddies, 'None.')),
      card('Rooms', count(endpoint.rooms.total), chips(domain, roomIds(endpoint.rooms), 'None.')),
    );
  }
  if (members) cards.push(card('Members', count(members.total), chips(domain, members, 'None.'), true));
  cards.push(card('Went wrong lately', '', h('div', { class: 'scroll' }, errorTable(errors)), true));
  return h('div', { class: 'facts' }, ...cards);
}

export class EndpointView {
  #domain = '';
  #id = '';
  #trace = new TraceView(byId('trace'));
  #repeat = new Repeat(2000, () => this.#ask());
  #form = byId('search');

  constructor() {
    this.#form.addEventListener('submit', (event) => {
      event.preventDefault();
      const { domain, id } = Object.fromEntries(new FormData(this.#form));
      location.hash = `endpoint?${new URLSearchParams({ domain: domain.trim(), id: id.trim() })}`;
    });
  }

  run(isWanted, query) {
    this.#domain = query.get('domain') ?? this.#domain;
    this.#id = query.get('id') ?? this.#id;
    this.#trace.run(isWanted);
    this.#repeat.run(isWanted && this.#id !== '');
    if (!isWanted) return;
    if (this.#domain) this.#form.elements.domain.value = this.#domain;
    this.#form.elements.id.value = this.#id;
    this.#knownDomains().catch(() => undefined);
    if (this.#id === '') fill(byId('endpoint'), '', h('p', { class: 'quiet' }, HINT));
  }

  async #knownDomains() {
    const { domains } = await api('api/domains?limit=200');
    byId('known-domains').replaceChildren(...domains.map(({ domain }) => h('option', { value: domain })));
    const field = this.#form.elements.domain;
    if (field.value === '' && domains[0]) field.value = domains[0].domain;
  }

  async #ask() {
    const query = new URLSearchParams({ domain: this.#domain, id: this.#id });
    const parent = byId('endpoint');
    try {
      const found = await api(`api/endpoint?${query}`);
      const onTrace = () => this.#trace.start(this.#domain, this.#id);
      fill(parent, found, person(found, onTrace), missingNote(found.notCounted), elsewhere(found), facts(found));
      growOlder(parent);
    } catch (error) {
      fill(parent, error.message, h('p', { class: 'problem' }, error.message));
    }
  }
}

const HINT =
  'Shows the clients of an endpoint, how and from where they are connected, what waits for them, which ended and why, buddies, rooms, and what went wrong. A trace records each hop of its packets for some minutes: who they are from and to, never what they say.';
