/** The nodes of a cluster as this one sees them; nothing on a single node. */
import { count, duration, fill, h, table } from './dom.js';
import { NODE_PLOTS, Plots } from './plots.js';

const STATES = { up: ['tag good', 'up'], leaving: ['tag warn', 'leaving'], lost: ['tag bad', 'lost'] };

const TOTALS = [
  ['Endpoints in the replica', 'replicaEndpoints'],
  ['Items sent', 'itemsSent'],
  ['Items received', 'itemsReceived'],
  ['Items too large', 'itemsTooLarge'],
  ['Items refused', 'itemsRefused'],
  ['Frames sent', 'framesSent'],
  ['Frames repeated', 'framesRepeated'],
  ['Frames dropped', 'framesDropped'],
  ['Characters sent', 'charactersSent'],
];

function tag([look, text]) {
  return h('span', { class: look }, text);
}

function nodeTable({ name, incarnation, connected, endpoints, nodes }) {
  const started = (since) => h('td', { class: 'number quiet optional' }, String(since));
  const own = h(
    'tr',
    {},
    h('td', {}, name, h('span', { class: 'quiet' }, ' (this)')),
    h('td', {}, tag(connected ? ['tag good', 'on NATS'] : ['tag bad', 'no NATS'])),
    h('td', { class: 'number' }, count(endpoints)),
    h('td', {}),
    h('td', { class: 'optional' }),
    started(incarnation),
  );
  const others = nodes.map((node) =>
    h(
      'tr',
      {},
      h('td', {}, node.name),
      h('td', {}, tag(STATES[node.state])),
      h('td', { class: 'number' }, count(node.endpoints)),
      h('td', { class: 'number' }, `${duration(node.heardMs)} ago`),
      h('td', { class: 'number optional' }, count(node.backlog)),
      started(node.incarnation),
    ),
  );
  const number = (text, optional = false) => ({ text, number: true, optional });
  const heads = [{ text: 'Node' }, { text: 'State' }, number('Online'), number('Heard'), number('Backlog', true)];
  return table([...heads, number('Incarnation', true)], [own, ...others]);
}

function totalList(totals) {
  return h(
    'dl',
    { class: 'totals' },
    ...TOTALS.map(([text, name]) => h('div', {}, h('dt', {}, text), h('dd', {}, count(totals[name] ?? 0)))),
  );
}

export class NodesView {
  #plots = null;

  constructor(section, onPoint) {
    this.section = section;
    this.onPoint = onPoint;
    this.nodes = section.querySelector('#node-table');
    this.totals = section.querySelector('#node-totals');
  }

  /** Without `cluster` there is one node. */
  show(cluster) {
    this.section.hidden = !cluster;
    if (!cluster) return;
    this.#plots ??= new Plots(NODE_PLOTS, this.section.querySelector('#node-plots'), this.onPoint);
    fill(this.nodes, cluster, nodeTable(cluster));
    fill(this.totals, cluster.totals, totalList(cluster.totals));
  }

  build() {
    this.#plots?.build();
  }

  draw(times, column, range) {
    this.#plots?.draw(times, column, range);
  }
}
