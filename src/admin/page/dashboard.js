/** The dashboard: takes the stream of samples, and shows the view that the address names. */
import { api, byId, clock, h, span } from './dom.js';
import { DomainView } from './domain.js';
import { DomainList } from './domain-list.js';
import { EndpointView } from './endpoint.js';
import { ErrorList, SizeLists } from './lists.js';
import { NodesView } from './nodes.js';
import { PLOTS, Plots, Tiles } from './plots.js';
import { showVerdict } from './verdict.js';
import { WebhookList } from './webhooks.js';
import { showWorkers } from './workers.js';

const KEPT = 900;
const SHORTEST = 60;
const RANGES = [
  ['1 min', 60],
  ['5 min', 300],
  ['15 min', 900],
];
const THEMES = ['auto', 'light', 'dark'];
const THEME_ICONS = { auto: '◐', light: '☀', dark: '☾' };

/** Samples as columns: a list of values for each field. */
class Columns {
  #columns = new Map();

  reset(fields, samples) {
    this.fields = fields;
    this.#columns = new Map(fields.map((field, i) => [field, samples.map((sample) => sample[i])]));
  }

  add(sample) {
    for (const [i, field] of this.fields.entries()) {
      const column = this.#columns.get(field);
      column.push(sample[i]);
      if (column.length > KEPT) column.shift();
    }
  }

  get(field, count) {
    return (this.#columns.get(field) ?? []).slice(-count);
  }

  latest(field) {
    return this.#columns.get(field)?.at(-1) ?? 0;
  }
}

const columns = new Columns();
const dark = matchMedia('(prefers-color-scheme: dark)');
let seconds = 300;
let view = 'overview';
let plots;
let nodes;
let tiles;

function stored(name, fallback) {
  try {
    return localStorage.getItem(name) ?? fallback;
  } catch {
    return fallback;
  }
}

function store(name, value) {
  try {
    localStorage.setItem(name, value);
  } catch {
    // A browser that keeps nothing shows the same, once.
  }
}

function applyTheme() {
  const theme = stored('nextalk-theme', 'auto');
  const shown = theme === 'auto' ? (dark.matches ? 'dark' : 'light') : theme;
  document.documentElement.dataset.theme = shown;
  byId('theme').textContent = THEME_ICONS[theme];
  byId('theme').title = `Theme: ${theme}`;
  plots?.build();
  nodes?.build();
  domain?.build();
  draw();
}

function nextTheme() {
  const theme = stored('nextalk-theme', 'auto');
  store('nextalk-theme', THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length]);
  applyTheme();
}

function draw() {
  if (!plots || document.hidden || view !== 'overview') return;
  tiles.draw((field) => columns.latest(field));
  const times = columns.get('at', seconds).map((at) => at / 1000);
  const last = times.at(-1) ?? Date.now() / 1000;
  // A server that has just started fills the width all the same.
  const shown = Math.min(seconds, Math.max(SHORTEST, last - (times[0] ?? last)));
  const column = (field) => columns.get(field, seconds);
  plots.draw(times, column, [last - shown, last]);
  nodes.draw(times, column, [last - shown, last]);
}

function status(state, text) {
  const pill = byId('status');
  pill.dataset.state = state;
  pill.textContent = text;
}

/** Of a server with workers: how many of them count. */
function showReadiness(ready, workers, conditions) {
  const well = workers?.filter(({ state }) => state === 'ready').length ?? 0;
  if (ready) status('live', 'live');
  else
    status(
      'warn',
      workers
        ? `${well} of ${workers.length} workers ready`
        : conditions.some(({ name }) => name === 'draining')
          ? 'draining'
          : 'not ready',
    );
}

function showNode(node) {
  const { version, runtime, startedAt, ready, cluster, workers } = node;
  showVerdict(byId('verdict'), node, (field) => columns.get(field, SHORTEST));
  byId('node').textContent = `${version} on ${runtime}, up ${span(Date.now() - startedAt)}`;
  showReadiness(ready, workers, node.conditions);
  showWorkers(byId('workers'), workers);
  nodes.show(cluster);
}

function listen() {
  const stream = new EventSource('api/stream');
  stream.addEventListener('history', ({ data }) => {
    const { fields, samples, node } = JSON.parse(data);
    columns.reset(fields, samples);
    showNode(node);
    draw();
  });
  stream.onmessage = ({ data }) => {
    const { sample, node } = JSON.parse(data);
    columns.add(sample);
    showNode(node);
    draw();
  };
  stream.onerror = async () => {
    status('bad', 'not connected');
    if (stream.readyState !== EventSource.CLOSED) return;
    const answer = await fetch('api/stats').catch(() => null);
    if (answer?.status === 401) location.assign('login');
    else setTimeout(listen, 3000);
  };
}

function showRanges() {
  const buttons = RANGES.map(([text, value]) =>
    h(
      'button',
      {
        type: 'button',
        'aria-pressed': String(value === seconds),
        onclick: () => {
          seconds = value;
          store('nextalk-range', value);
          showRanges();
          draw();
        },
      },
      text,
    ),
  );
  byId('ranges').replaceChildren(...buttons);
}

const errors = new ErrorList(byId('errors'));
const sizes = new SizeLists();
const webhooks = new WebhookList();
const endpoint = new EndpointView();
const domains = new DomainList();
const domain = new DomainView();
/** Owners see their own domains, and no numbers of the whole server. */
let isOwner = false;

/** `#endpoint?domain=…&id=…` */
function route() {
  const [name, query = ''] = location.hash.slice(1).split('?');
  const known = ['overview', 'rooms', 'domain', 'webhooks', 'endpoint'].filter((one) => !isOwner || one !== 'overview');
  view = known.includes(name) ? name : known[0];
  for (const link of document.querySelectorAll('.tabs a')) {
    if (link.hash === `#${view === 'domain' ? 'rooms' : view}`) link.setAttribute('aria-current', 'page');
    else link.removeAttribute('aria-current');
  }
  for (const section of document.querySelectorAll('.view')) section.hidden = section.id !== `view-${view}`;
  errors.run(view === 'overview');
  sizes.run(view === 'rooms');
  webhooks.run(view === 'webhooks');
  domains.run(view === 'rooms');
  domain.run(view === 'domain', new URLSearchParams(query));
  endpoint.run(view === 'endpoint', new URLSearchParams(query));
  draw();
}

seconds = Number(stored('nextalk-range', seconds)) || seconds;
applyTheme();
tiles = new Tiles(byId('tiles'));
const onPoint = (second) => {
  byId('point').textContent = second === null ? '' : `at ${clock(second * 1000)}`;
};
plots = new Plots(PLOTS, byId('plots'), onPoint);
nodes = new NodesView(byId('nodes'), onPoint);
showRanges();
byId('theme').addEventListener('click', nextTheme);
dark.addEventListener('change', applyTheme);
addEventListener('hashchange', route);
document.addEventListener('visibilitychange', draw);
api('api/session')
  .then(({ loggedIn, domains: own }) => {
    byId('logout').hidden = !loggedIn;
    isOwner = own !== null;
    domain.owner = isOwner;
    document.querySelector('.tabs a[href="#overview"]').hidden = isOwner;
    byId('domain-further').hidden = isOwner;
    if (isOwner) status('live', own.length === 1 ? own[0] : `${own.length} domains`);
    else listen();
    route();
  })
  .catch(() => {
    route();
    listen();
  });
