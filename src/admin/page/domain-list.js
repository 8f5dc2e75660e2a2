/** The domains that are served: search, pages, and a form for a further one. */
import { ask, errorsOf, secretsOf, showErrors } from './asking.js';
import { byId, count, fill, h, rate, table } from './dom.js';
import { Repeat } from './lists.js';

export class DomainList {
  #after = '';
  #earlier = [];
  #repeat = new Repeat(5000, () => this.#show());

  constructor() {
    byId('domain-search').addEventListener('input', () => this.#first());
    byId('domain-next').addEventListener('click', () => this.#go(byId('domain-next').dataset.after));
    byId('domain-back').addEventListener('click', () => this.#back());
    byId('domain-add').addEventListener('submit', (event) => void this.#add(event));
  }

  run(isWanted) {
    this.#repeat.run(isWanted);
  }

  #first() {
    this.#after = '';
    this.#earlier = [];
    void this.#show();
  }

  #go(after) {
    this.#earlier.push(this.#after);
    this.#after = after;
    void this.#show();
  }

  #back() {
    this.#after = this.#earlier.pop() ?? '';
    void this.#show();
  }

  async #show() {
    const query = new URLSearchParams({ search: byId('domain-search').value, after: this.#after, limit: '25' });
    const { ok, body } = await ask(`api/domains?${query}`);
    if (!ok) return;
    byId('domain-next').hidden = body.next === null;
    byId('domain-next').dataset.after = body.next ?? '';
    byId('domain-back').hidden = this.#earlier.length === 0;
    const rows = body.domains.map(({ domain, source, endpoints, connections, messagesPerSecond, refused }) =>
      h(
        'tr',
        {},
        h(
          'td',
          { class: 'break' },
          h('a', { class: 'link', href: `#domain?${new URLSearchParams({ domain })}` }, domain),
        ),
        h('td', { class: 'quiet optional' }, source),
        h('td', { class: 'number' }, count(endpoints)),
        h('td', { class: 'number optional' }, count(connections)),
        h('td', { class: 'number' }, rate(messagesPerSecond)),
        h('td', { class: 'number optional' }, count(refused)),
      ),
    );
    const number = (text, optional = false) => ({ text, number: true, optional });
    const heads = [
      { text: 'Domain' },
      { text: 'Kept in', optional: true },
      number('Online'),
      number('Connected', true),
      number('Messages/s'),
      number('Refused', true),
    ];
    fill(
      byId('domains'),
      body,
      rows.length > 0 ? table(heads, rows) : h('div', { class: 'empty' }, 'No domain has such a name.'),
    );
  }

  async #add(event) {
    event.preventDefault();
    const form = byId('domain-add');
    const name = form.elements.domain.value.trim();
    const { body } = await ask(`api/domains?${new URLSearchParams({ search: name, limit: '1000' })}`);
    const isThere = body.domains?.some(({ domain }) => domain === name);
    const made = isThere
      ? { ok: false, body: { message: 'there is a domain of this name' } }
      : await ask(`api/domains/${encodeURIComponent(name)}`, 'PUT', {});
    showErrors(form, made.ok ? [] : errorsOf(made));
    if (!made.ok) return;
    form.reset();
    const page = h('a', { class: 'link', href: `#domain?${new URLSearchParams({ domain: name })}` }, 'its page');
    byId('domain-made').replaceChildren(
      secretsOf(made.body),
      h('p', { class: 'quiet next' }, 'Who is online and what is sent is on ', page, ', from its first message on.'),
    );
    this.#first();
  }
}
