/** One domain: live plots, usage by day, keys, limits, refusals, webhooks, who is online; and forms that change them. */

import { ask, errorsOf, secretsOf, showErrors } from './asking.js';
import { byId, bytes, clock, count, endpointLink, fill, h, rate, table } from './dom.js';
import { Repeat } from './lists.js';
import { Plots } from './plots.js';

const EVERY_MS = 2000;
const KEPT = 300;
const DAY_MS = 86_400_000;
const PLOTS = [
  {
    title: 'Online',
    format: count,
    series: [
      ['endpoints', 'endpoints', 'blue'],
      ['connections', 'connections', 'teal'],
    ],
  },
  {
    title: 'Messages',
    unit: 'per second',
    format: rate,
    series: [
      ['in', 'in', 'teal'],
      ['out', 'out', 'blue'],
    ],
  },
  {
    title: 'Drops and refusals',
    unit: 'per second',
    format: rate,
    series: [
      ['dropped', 'dropped', 'red'],
      ['refused', 'refused', 'amber'],
    ],
  },
];
/** Settings that forms change: how each is shown, and read back. */
const FIELDS = [
  ['origins', 'Origins, one a line', 'list', true],
  ['webhook', 'Webhook of services', 'text', true],
  ['services', 'Services', 'json', true],
  ['events', 'Events', 'json', true],
  ['history', 'History', 'json', true],
  ['offline', 'Keep messages for those offline', 'flag', false],
  ['carbons', "A sender's other clients get its messages", 'flag', false],
  ['clientCalls', 'Clients may call', 'flag', false],
  ['clientSend', 'Ways clients may send, one a line', 'list', false],
  ['clientJoin', 'Rooms clients may join, one a line', 'list', false],
];

function textOf(value, kind) {
  if (value === null || value === undefined) return '';
  if (kind === 'list') return value.join('\n');
  return kind === 'json' ? JSON.stringify(value, null, 2) : String(value);
}

/** The value that a field stands for; throws where it is no JSON. */
function typedIn(input, kind) {
  if (kind === 'flag') return input.checked;
  const text = input.value.trim();
  if (kind === 'list')
    return text
      .split('\n')
      .map((line) => line.trim())
      .filter((line) => line !== '');
  if (text === '') return null;
  return kind === 'json' ? JSON.parse(text) : text;
}

export class DomainView {
  #name = '';
  #samples = [];
  #before = null;
  #plots = null;
  #mayAll = true;
  #repeat = new Repeat(EVERY_MS, () => this.#take());

  /** An owner changes less. */
  set owner(isOwner) {
    this.#mayAll = !isOwner;
  }

  run(isWanted, query) {
    const name = query.get('domain') ?? '';
    if (isWanted && name !== this.#name) this.#open(name);
    this.#repeat.run(isWanted && this.#name !== '');
  }

  #open(name) {
    this.#name = name;
    this.#samples = [];
    this.#before = null;
    byId('domain-name').textContent = name;
    byId('domain-source').textContent = '';
    for (const id of ['domain-forms', 'domain-once', 'domain-keys', 'domain-usage']) byId(id).replaceChildren();
    for (const id of ['domain-limits', 'domain-state', 'domain-bans']) {
      byId(id).replaceChildren();
      delete byId(id).dataset.key;
    }
    this.#found(true);
    this.#plots ??= new Plots(PLOTS, byId('domain-plots'), () => undefined);
    void this.#showSettings().catch(() => undefined);
    void this.#showUsage().catch(() => undefined);
  }

  /** Shows the domain's page if the domain exists (`isThere`), and otherwise only a line that says that it does not. */
  #found(isThere) {
    byId('domain-body').hidden = !isThere;
    byId('domain-missing').hidden = isThere;
  }

  get #path() {
    return `api/domains/${encodeURIComponent(this.#name)}`;
  }

  build() {
    this.#plots?.build();
  }

  async #take() {
    const { ok, body: state } = await ask(`${this.#path}/state`);
    this.#found(ok);
    if (!ok) return;
    const at = Date.now() / 1000;
    const total = Object.values(state.refused).reduce((sum, n) => sum + n, 0);
    const before = this.#before ?? { at: at - 1, state, total };
    const since = Math.max(0.1, at - before.at);
    const per = (name) => Math.max(0, state[name] - before.state[name]) / since;
    this.#samples.push({
      at,
      endpoints: state.endpoints,
      connections: state.connections,
      in: per('accepted'),
      out: per('sent'),
      dropped: per('dropped'),
      refused: (total - before.total) / since,
    });
    if (this.#samples.length > KEPT) this.#samples.shift();
    this.#before = { at, state, total };
    const times = this.#samples.map((sample) => sample.at);
    this.#plots.draw(times, (field) => this.#samples.map((sample) => sample[field]), [Math.min(times[0], at - 60), at]);
    this.#showState(state);
    return this.#showBans();
  }

  #showState({ limits, refused, webhooks, online, byTransport, rooms, queued }) {
    const connected = Object.entries(byTransport).filter(([, n]) => n > 0);
    const facts = [
      ['Rooms', count(rooms)],
      ['Waiting', count(queued)],
      ...connected.map(([name, n]) => [name, count(n)]),
    ];
    fill(
      byId('domain-state'),
      [facts, refused, webhooks, online],
      h('dl', { class: 'totals' }, ...facts.flatMap(([name, value]) => [h('dt', {}, name), h('dd', {}, value)])),
      h('h3', {}, 'Refused since the start'),
      h(
        'p',
        { class: 'quiet' },
        Object.entries(refused)
          .map(([name, n]) => `${name} ${count(n)}`)
          .join(', ') || 'Nothing.',
      ),
      h('h3', {}, 'Webhooks'),
      h('p', { class: 'quiet' }, webhooks.map(({ service, url }) => `${service} to ${url}`).join(', ') || 'None.'),
      h('h3', {}, 'Online'),
      h(
        'p',
        { class: 'links' },
        ...online.map((id) => endpointLink(this.#name, id)),
        online.length === 0 ? h('span', { class: 'quiet' }, 'Nobody.') : null,
      ),
    );
    const rows = Object.entries(limits).filter(
      ([, { limit, used, refused: n }]) => limit > 0 && (used !== null || n > 0),
    );
    const shown = (name, n) => (name.includes('bytes') || name.endsWith('Bytes') ? bytes(n) : count(n));
    fill(
      byId('domain-limits'),
      rows,
      table(
        [
          { text: 'Limit' },
          { text: 'Used', number: true },
          { text: 'Of', number: true },
          { text: '', optional: true },
          { text: 'Refused', number: true },
        ],
        rows.map(([name, { limit, used, refused: n }]) => {
          const fillOf = used ? h('span', { class: 'meter-fill' }) : null;
          if (fillOf) fillOf.style.width = `${Math.min(100, (100 * used) / limit)}%`;
          return h(
            'tr',
            {},
            h('td', {}, name),
            h('td', { class: 'number' }, used === null ? '' : shown(name, used)),
            h('td', { class: 'number' }, shown(name, limit)),
            h('td', { class: 'meter optional' }, fillOf),
            h('td', { class: 'number' }, n > 0 ? count(n) : ''),
          );
        }),
      ),
    );
  }

  async #showBans() {
    const { ok, body } = await ask(`${this.#path}/ban`);
    if (!ok) return;
    const rows = body.bans.map((ban) => {
      const kind = ['address', 'id', 'clientId'].find((name) => ban[name] !== undefined);
      const lift = () => ask(`${this.#path}/ban`, 'DELETE', { [kind]: ban[kind] });
      return h(
        'tr',
        {},
        h('td', {}, `${kind} ${ban[kind]}`),
        h('td', { class: 'quiet break' }, ban.reason),
        h('td', { class: 'time' }, `until ${new Date(ban.until).toLocaleString()}`),
        h('td', {}, h('button', { type: 'button', onclick: lift }, 'Lift')),
      );
    });
    fill(
      byId('domain-bans'),
      body.bans,
      rows.length > 0
        ? table([{ text: 'Banned' }, { text: 'Why' }, { text: '' }, { text: '' }], rows)
        : h('p', { class: 'quiet' }, 'Nobody is banned.'),
    );
  }

  async #showUsage() {
    const from = Date.now() - 30 * DAY_MS;
    const { ok, body } = await ask(`${this.#path}/usage?step=day&from=${Math.round(from)}`);
    if (!ok) return;
    const rows = body.usage
      .reverse()
      .map((day) =>
        h(
          'tr',
          {},
          h('td', { class: 'time' }, new Date(day.from).toISOString().slice(0, 10)),
          ...['users', 'peakOnline', 'messagesIn', 'messagesOut', 'restCalls'].map((name) =>
            h('td', { class: 'number' }, count(day[name])),
          ),
          h('td', { class: 'number optional' }, day.connectionHours.toFixed(1)),
        ),
      );
    const heads = ['Users', 'Peak', 'In', 'Out', 'Calls'].map((text) => ({ text, number: true }));
    const link = h('a', { class: 'link', href: `${this.#path}/usage?format=csv` }, 'CSV, by hour');
    byId('domain-usage').replaceChildren(
      rows.length > 0
        ? table([{ text: 'Day' }, ...heads, { text: 'Hours', number: true, optional: true }], rows)
        : h('p', { class: 'quiet' }, 'Nothing yet.'),
      link,
    );
  }

  async #showSettings() {
    const { ok, body: settings } = await ask(this.#path);
    if (!ok) return;
    const isFixed = settings.source === 'file';
    byId('domain-source').textContent = isFixed ? 'kept in the configuration file: change it there' : '';
    this.#showKeys(settings, isFixed);
    const fields = FIELDS.filter(([name, , , isOwners]) => name in settings && (this.#mayAll || isOwners));
    const inputs = fields.map(([name, label, kind]) => {
      const text = textOf(settings[name], kind);
      const input =
        kind === 'flag'
          ? h('input', { type: 'checkbox', name, checked: settings[name], disabled: isFixed })
          : kind === 'text'
            ? h('input', { name, value: text, disabled: isFixed })
            : h('textarea', {
                name,
                rows: Math.min(8, text.split('\n').length + 1),
                disabled: isFixed,
                spellcheck: 'false',
              });
      if (input.tagName === 'TEXTAREA') input.value = text;
      return { name, kind, input, label: h('label', { class: kind === 'flag' ? 'flag' : 'field' }, label, input) };
    });
    const limits = this.#mayAll
      ? h('textarea', { name: 'limits', rows: 4, disabled: isFixed, spellcheck: 'false' })
      : null;
    if (limits) {
      limits.value = textOf(settings.limits, 'json');
      inputs.push({
        name: 'limits',
        kind: 'json',
        input: limits,
        label: h('label', { class: 'field' }, 'Limits over those of the server', limits),
      });
    }
    const form = h(
      'form',
      { class: 'settings' },
      ...inputs.map(({ label }) => label),
      isFixed ? null : h('button', { type: 'submit', class: 'primary' }, 'Save'),
    );
    form.addEventListener('submit', (event) => void this.#save(event, form, inputs, settings));
    byId('domain-forms').replaceChildren(form);
  }

  async #save(event, form, inputs, before) {
    event.preventDefault();
    const changed = {};
    try {
      for (const { name, kind, input } of inputs) {
        const value = typedIn(input, kind);
        if (JSON.stringify(value) === JSON.stringify(before[name])) continue;
        changed[name] = value;
        // An entry that is gone from the text is taken away.
        if (['limits', 'services'].includes(name))
          for (const key of Object.keys(before[name])) changed[name] = { [key]: null, ...changed[name] };
      }
    } catch {
      return showErrors(form, ['this is no JSON: look at braces, quotes and commas']);
    }
    const answer = await ask(this.#path, 'PATCH', changed);
    if (!answer.ok) return showErrors(form, errorsOf(answer));
    showErrors(form, []);
    await this.#showSettings();
    byId('domain-forms').prepend(h('p', { class: 'quiet', role: 'status' }, `Saved at ${clock(Date.now())}.`));
  }

  #showKeys({ keys }, isFixed) {
    const act = async (path, method) => {
      const answer = await ask(path, method);
      if (answer.body.apikey) this.#showOnce(answer.body);
      else if (!answer.ok)
        byId('domain-once').replaceChildren(h('p', { class: 'problem' }, errorsOf(answer).join(' ')));
      await this.#showSettings();
    };
    const rows = keys.map(({ fingerprint, added }) =>
      h(
        'tr',
        {},
        h('td', { class: 'mono' }, fingerprint),
        h('td', { class: 'quiet' }, added ? `since ${new Date(added).toLocaleString()}` : ''),
        h(
          'td',
          {},
          isFixed
            ? null
            : h(
                'button',
                {
                  type: 'button',
                  disabled: keys.length === 1,
                  onclick: () => act(`${this.#path}/keys/${fingerprint}`, 'DELETE'),
                },
                'Take away',
              ),
        ),
      ),
    );
    const add = isFixed
      ? null
      : h('button', { type: 'button', onclick: () => act(`${this.#path}/keys`, 'POST') }, 'Add a key');
    byId('domain-keys').replaceChildren(
      table([{ text: 'Fingerprint' }, { text: '' }, { text: '' }], rows),
      ...(add ? [add] : []),
    );
  }

  #showOnce(made) {
    byId('domain-once').replaceChildren(secretsOf(made));
  }
}
