/** The nodes of a cluster as this server sees them; nothing on a single node. */
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
  ['Messages gone on', 'goneOn'],
  ['Messages in doubt', 'inDoubt'],
  ['Characters sent', 'charactersSent'],
];

function tag([look, text]) {
  return h('span', { class: look }, text);
}

/** Of the node that answers, or of a worker of the server that does: how it stands with NATS. */
function natsTag(connected) {
  return tag(connected ? ['tag good', 'on NATS'] : ['tag bad', 'no NATS']);
}

function row(name, note, state, { endpoints, heardMs, backlog, incarnation }) {
  return h(
    'tr',
    {},
    h('td', {}, name, note ? h('span', { class: 'quiet' }, ` (${note})`) : null),
    h('td', {}, state),
    h('td', { class: 'number' }, count(endpoints)),
    h('td', { class: 'number' }, heardMs === undefined ? '' : `${duration(heardMs)} ago`),
    h('td', { class: 'number optional' }, backlog === undefined ? '' : count(backlog)),
    h('td', { class: 'number quiet optional' }, String(incarnation)),
  );
}

/** `name` is null where several workers answer: they are among the nodes. */
function nodeTable({ name, incarnation, connected, endpoints, nodes }) {
  const own = name === null ? [] : [row(name, 'this', natsTag(connected), { endpoints, incarnation })];
  const others = nodes.map((node) => {
    const isHere = node.worker && node.connected !== null;
    return row(node.name, node.worker ? 'here' : '', isHere ? natsTag(node.connected) : tag(STATES[node.state]), node);
  });
  const number = (text, optional = false) => ({ text, number: true, optional });
  const heads = [{ text: 'Node' }, { text: 'State' }, number('Online'), number('Heard'), number('Backlog', true)];
  return table([...heads, number('Incarnation', true)], [...own, ...others]);
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
