/** The live plots: what each shows, and how they are drawn together, with one cursor for all. */
import { bytes, clock, count, duration, h, percent, rate } from './dom.js';

/**
 * Series are drawn in their order; those of a stacked plot on top of each other. `scale: 'log'` is for latencies, which
 * span decades.
 */
export const PLOTS = [
  {
    title: 'Connections',
    format: count,
    stacked: true,
    series: [
      ['WebSocket', 'websocket', 'blue'],
      ['polls', 'polls', 'teal'],
      ['server-sent events', 'events', 'ink-3'],
      ['MQTT', 'mqtt', 'violet'],
      ['MQTT over WS', 'mqttws', 'amber'],
    ],
  },
  {
    title: 'Online',
    format: count,
    series: [
      ['endpoints', 'online', 'blue'],
      ['rooms', 'rooms', 'violet'],
    ],
  },
  {
    title: 'Packets',
    unit: 'per second',
    format: rate,
    series: [
      ['in', 'acceptedRate', 'teal'],
      ['out', 'sentRate', 'blue'],
    ],
  },
  {
    title: 'Delivery',
    unit: 'accepted to handed over',
    format: duration,
    scale: 'log',
    series: [
      ['median', 'deliveryP50', 'blue'],
      ['99%', 'deliveryP99', 'amber'],
    ],
  },
  {
    title: 'Drops and refusals',
    unit: 'per second',
    format: rate,
    series: [
      ['dropped', 'droppedRate', 'red'],
      ['nobody there', 'absentRate', 'blue'],
      ['refused', 'refusedRate', 'amber'],
    ],
  },
  {
    title: 'REST calls',
    unit: 'per second',
    format: rate,
    series: [['calls', 'requestRate', 'blue']],
    aside: ['99% in', 'requestP99', duration],
  },
  {
    title: 'Event loop lag',
    format: duration,
    scale: 'log',
    series: [
      ['99%', 'lagP99', 'violet'],
      ['longest', 'lagMax', 'amber'],
    ],
  },
  {
    title: 'Memory',
    format: bytes,
    series: [
      ['resident', 'rssBytes', 'violet'],
      ['heap', 'heapBytes', 'teal'],
    ],
  },
  {
    title: 'Waiting',
    format: count,
    series: [
      ['packets in queues', 'queued', 'blue'],
      ['in mailboxes, 99%', 'mailboxP99', 'amber'],
    ],
  },
];

export const NODE_PLOTS = [
  {
    title: 'Between nodes',
    unit: 'items per second',
    format: rate,
    series: [
      ['received', 'nodeReceivedRate', 'teal'],
      ['sent', 'nodeSentRate', 'blue'],
    ],
  },
];

const HEIGHT = 168;
const LOWEST_MS = 0.01;
/** Pixels at the left where the name of a time would meet that of a value. */
const EDGE = 30;
const BYTE_STEPS = Array.from({ length: 24 }, (_, i) => 1024 ** 2 * 2 ** i);

function color(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

/** Rounds up to a number that reads well on an axis. */
function ceiling(value) {
  if (value <= 4) return 4;
  const magnitude = 10 ** Math.floor(Math.log10(value));
  return [1, 1.5, 2, 3, 4, 5, 6, 8, 10].map((n) => n * magnitude).find((n) => n >= value);
}

function scales({ scale, format }) {
  if (scale === 'log') {
    // A lowest value that is no power of ten is one from which uPlot finds no way up.
    const range = (_, low, high) => [low !== null && low < 0.1 ? LOWEST_MS : 0.1, Math.max(10, (high ?? 1) * 1.5)];
    return { x: { time: true }, y: { distr: 3, log: 10, range } };
  }
  const least = format === bytes ? 64 * 1024 ** 2 : 4;
  const top = (high) => (format === bytes ? Math.ceil((high * 1.1) / least) * least : ceiling(high * 1.08));
  return { x: { time: true }, y: { range: (_, __, high) => [0, Math.max(least, top(high ?? 0))] } };
}

function axes({ format, scale }) {
  const stroke = color('ink-3');
  const grid = { stroke: color('grid'), width: 1 };
  const common = { stroke, font: '11px system-ui, sans-serif', ticks: { show: false } };
  const isLog = scale === 'log';
  const times = (plot, splits) =>
    splits.map((second) =>
      plot.valToPos(second, 'x') < EDGE ? '' : clock(second * 1000).slice(0, splits[1] - splits[0] < 60 ? 8 : 5),
    );
  return [
    { ...common, grid: { show: false }, space: 56, gap: 5, size: 26, values: times },
    {
      ...common,
      grid: isLog ? { ...grid, filter: (_, splits) => decades(splits) } : grid,
      size: 60,
      gap: 6,
      space: 30,
      ...(isLog ? { filter: (_, splits) => decades(splits) } : {}),
      ...(format === bytes ? { incrs: BYTE_STEPS } : {}),
      values: (_, splits) => splits.map((value) => (value === null ? '' : format(value))),
    },
  ];
}

/** Only whole powers of ten are named and have a line. */
function decades(splits) {
  return splits.map((value) => (Math.abs(Math.log10(value) - Math.round(Math.log10(value))) < 1e-6 ? value : null));
}

/** What lies under each series of a stacked plot is added to it. */
function stack(columns) {
  const sums = new Float64Array(columns[0]?.length ?? 0);
  return columns.map((column) => column.map((value, i) => (sums[i] += value)));
}

class Plot {
  #plot = null;
  #values = [];
  #figures;

  constructor(spec, parent, onPoint) {
    this.spec = spec;
    this.onPoint = onPoint;
    this.#figures = spec.series.map(() => h('b'));
    const legend = spec.series.map(([label, , name], i) => {
      const dot = h('i');
      dot.style.background = `var(--${name})`;
      return h('span', {}, dot, `${label} `, this.#figures[i]);
    });
    this.aside = spec.aside ? h('b') : null;
    if (this.aside) legend.push(h('span', {}, `${spec.aside[0]} `, this.aside));
    this.canvas = h('div', { class: 'canvas' });
    const title = h('h3', {}, spec.title, spec.unit ? h('span', { class: 'unit' }, spec.unit) : null);
    const head = h('div', { class: 'plot-head' }, title, h('div', { class: 'legend' }, ...legend));
    parent.append(h('article', { class: 'card plot', 'aria-label': spec.title }, head, this.canvas));
  }

  /** Makes it anew: colours and sizes are read when it is made. */
  build() {
    const { spec } = this;
    this.#plot?.destroy();
    const series = spec.series.map(([label, , name]) => {
      const stroke = color(name);
      const fill = spec.stacked ? `${stroke}40` : spec.series.length === 1 ? `${stroke}1f` : undefined;
      return { label, stroke, width: 1.75, fill, points: { show: false }, spanGaps: false };
    });
    const bands = spec.stacked ? series.slice(1).map((_, i) => ({ series: [i + 2, i + 1] })) : [];
    const options = {
      width: this.canvas.clientWidth,
      height: HEIGHT,
      padding: [8, 10, 0, 0],
      legend: { show: false },
      cursor: { sync: { key: 'all', setSeries: false }, points: { size: 6 }, drag: { x: false, y: false } },
      scales: scales(spec),
      axes: axes(spec),
      series: [{}, ...series],
      bands,
      hooks: { setCursor: [(plot) => this.#point(plot.cursor.idx)] },
    };
    this.#plot = new uPlot(options, [[], ...spec.series.map(() => [])], this.canvas);
  }

  resize() {
    const width = this.canvas.clientWidth;
    if (this.#plot && width > 0 && width !== this.#plot.width) this.#plot.setSize({ width, height: HEIGHT });
  }

  /** `column` answers the values of one field; `range` is the first and the last second shown. */
  draw(times, column, range) {
    const { spec } = this;
    this.#values = spec.series.map(([, field]) => column(field));
    this.asideValues = spec.aside ? column(spec.aside[1]) : null;
    const lines = spec.stacked ? stack(this.#values) : this.#values;
    const drawn =
      spec.scale === 'log' ? lines.map((line) => line.map((value) => (value < LOWEST_MS ? null : value))) : lines;
    this.#plot.batch(() => {
      this.#plot.setData([times, ...drawn], false);
      this.#plot.setScale('x', { min: range[0], max: range[1] });
    });
    this.#show(this.#plot.cursor.idx);
  }

  #point(index) {
    this.onPoint(index === null || index === undefined ? null : this.#plot.data[0][index]);
    this.#show(index);
  }

  /** The figures of the legend: under the cursor, else the latest. */
  #show(index) {
    const at = (values) => values[index ?? values.length - 1];
    for (const [i, values] of this.#values.entries()) {
      const value = at(values);
      this.#figures[i].textContent = value === undefined || value === null ? '' : this.spec.format(value);
    }
    if (this.aside) this.aside.textContent = this.spec.aside[2](at(this.asideValues ?? []) ?? 0);
  }
}

export class Plots {
  #plots = [];

  /** `onPoint` is told the second under the cursor, or null. */
  constructor(specs, parent, onPoint) {
    this.#plots = specs.map((spec) => new Plot(spec, parent, onPoint));
    new ResizeObserver(() => {
      for (const plot of this.#plots) plot.resize();
    }).observe(parent);
    this.build();
  }

  build() {
    for (const plot of this.#plots) plot.build();
  }

  draw(times, column, range) {
    for (const plot of this.#plots) plot.draw(times, column, range);
  }
}

const [connections] = PLOTS;

const TILES = [
  ['Endpoints online', 'online', count],
  ['Connections', connections.series.map(([, field]) => field), count],
  ['Packets in', 'acceptedRate', rate, '/s'],
  ['Packets out', 'sentRate', rate, '/s'],
  ['Delivery, 99%', 'deliveryP99', duration, '', [1000, 5000]],
  ['Dropped', 'droppedRate', rate, '/s', [1, 50]],
  ['Loop lag, 99%', 'lagP99', duration, '', [50, 250]],
  ['CPU, of a core', 'cpu', percent, '', [0.8, 0.95]],
];

export class Tiles {
  #tiles;

  constructor(parent) {
    this.#tiles = TILES.map(([label, , , unit]) => {
      const value = h('span');
      const tile = h(
        'div',
        { class: 'card tile' },
        h('div', { class: 'label' }, label),
        h('div', { class: 'value' }, value, unit ? h('small', {}, unit) : null),
      );
      parent.append(tile);
      return { tile, value };
    });
  }

  /** `latest` answers the newest value of a field. */
  draw(latest) {
    for (const [i, [, field, format, , levels]] of TILES.entries()) {
      const value = Array.isArray(field) ? field.reduce((sum, name) => sum + latest(name), 0) : latest(field);
      const { tile, value: text } = this.#tiles[i];
      text.textContent = format(value);
      tile.dataset.level = levels && value >= levels[1] ? 'bad' : levels && value >= levels[0] ? 'warn' : '';
    }
  }
}
