/**
 * What a process measures, second by second: numbers that add up, so that the workers of a server can be shown as one.
 * Two measurements in a row make a sample.
 */
import { type IntervalHistogram, monitorEventLoopDelay } from 'node:perf_hooks';
import { type Histogram, type Metrics, newDurations, newMailboxes, sum } from '../metrics.js';

/** The interval of the monitor, which it adds to every lag that it measures. */
const LAG_RESOLUTION_MS = 20;

/** Open connections, a field for each kind; a webhook's are the server's own. */
export const CONNECTION_FIELDS = ['websocket', 'polls', 'events', 'mqtt', 'mqttws'] as const;

/**
 * One second. `at` is in milliseconds since the epoch, rates are for each second, latencies and lags in milliseconds (0
 * where there was nothing to measure), and `cpu` is a share of a core.
 */
export const SAMPLE_FIELDS = [
  'at',
  ...CONNECTION_FIELDS,
  'online',
  'clients',
  'rooms',
  'acceptedRate',
  'sentRate',
  'droppedRate',
  'absentRate',
  'refusedRate',
  'requestRate',
  'deliveryP50',
  'deliveryP99',
  'requestP99',
  'queued',
  'mailboxP99',
  'rssBytes',
  'heapBytes',
  'lagMean',
  'lagP99',
  'lagMax',
  'cpu',
  'crashes',
  'nodeSentRate',
  'nodeReceivedRate',
] as const;

export type Sample = Readonly<Record<(typeof SAMPLE_FIELDS)[number], number>>;

/** Numbers of what there is now. */
interface Gauges {
  readonly websocket: number;
  readonly polls: number;
  readonly events: number;
  readonly mqtt: number;
  readonly mqttws: number;
  readonly online: number;
  /** Endpoints that count at another worker. */
  readonly shared: number;
  readonly clients: number;
  readonly rooms: number;
  readonly queued: number;
  readonly rssBytes: number;
  readonly heapBytes: number;
}

/** Numbers of what has happened since the start. */
interface Totals {
  readonly accepted: number;
  readonly sent: number;
  /** Packets dropped, those of `absent` left out. */
  readonly dropped: number;
  /** Packets dropped because their receiver was not online. */
  readonly absent: number;
  readonly refused: number;
  readonly requests: number;
  readonly nodeSent: number;
  readonly nodeReceived: number;
  readonly crashes: number;
  readonly cpuUs: number;
}

/** Lags of the event loop since the measurement before, in milliseconds. */
interface Lags {
  readonly lagMean: number;
  readonly lagP99: number;
  readonly lagMax: number;
}

export interface Measures {
  /** Milliseconds of the process's own clock. */
  readonly atMs: number;
  readonly gauges: Gauges;
  readonly totals: Totals;
  readonly lags: Lags;
  /** How many values fell in which bucket, since the start. */
  readonly delivery: Float64Array;
  readonly requests: Float64Array;
  readonly mailbox: Float64Array;
}

/** Two measurements of one process. */
export interface Interval {
  readonly before: Measures;
  readonly now: Measures;
}

const durations = newDurations();
const mailboxes = newMailboxes();

function addUp(all: Iterable<Float64Array>, { counts }: Histogram): Float64Array {
  const total = new Float64Array(counts.length);
  for (const one of all) for (let i = 0; i < total.length; i++) total[i] = (total[i] ?? 0) + (one[i] ?? 0);
  return total;
}

function gaugesOf(metrics: Metrics): Gauges {
  const { connections } = metrics;
  const { rss, heapUsed } = process.memoryUsage();
  return {
    websocket: connections.websocket,
    polls: connections.jsonp,
    events: connections.events,
    mqtt: connections.mqtt,
    mqttws: connections.mqttws,
    online: metrics.total((domain) => domain.endpointsOnline),
    shared: metrics.total((domain) => domain.endpointsShared),
    clients: metrics.total((domain) => domain.clients),
    rooms: metrics.total((domain) => domain.rooms),
    queued: metrics.total((domain) => domain.queuedPackets),
    rssBytes: rss,
    heapBytes: heapUsed,
  };
}

function totalsOf(metrics: Metrics): Totals {
  let requests = 0;
  for (const { answers } of metrics.routes.values()) for (const count of answers.values()) requests += count;
  const { user, system } = process.cpuUsage();
  return {
    accepted: metrics.total((domain) => sum(domain.accepted)),
    sent: metrics.total((domain) => sum(domain.sent)),
    dropped: metrics.total((domain) => sum(domain.dropped) - domain.dropped.offline),
    absent: metrics.total((domain) => domain.dropped.offline),
    refused: sum(metrics.refused),
    requests,
    nodeSent: metrics.cluster.itemsSent,
    nodeReceived: metrics.cluster.itemsReceived,
    crashes: metrics.crashes,
    cpuUs: user + system,
  };
}

/** Measures one process. */
export class Meter {
  readonly #monitor: IntervalHistogram = monitorEventLoopDelay({ resolution: LAG_RESOLUTION_MS });
  #latest: Measures;

  constructor(private readonly metrics: Metrics) {
    this.#monitor.enable();
    this.#latest = this.#measure();
  }

  get latest(): Measures {
    return this.#latest;
  }

  /** The sample of the time since the last call. */
  sample(): Sample {
    const before = this.#latest;
    this.#latest = this.#measure();
    return sampleOf([{ before, now: this.#latest }]);
  }

  close(): void {
    this.#monitor.disable();
  }

  #measure(): Measures {
    const { metrics } = this;
    const routes = Array.from(metrics.routes.values(), ({ duration }) => duration.counts);
    return {
      atMs: performance.now(),
      gauges: gaugesOf(metrics),
      totals: totalsOf(metrics),
      lags: this.#lags(),
      delivery: metrics.delivery.counts.slice(),
      requests: addUp(routes, durations),
      mailbox: metrics.mailbox.counts.slice(),
    };
  }

  /** The monitor measures its own interval with each lag. */
  #lags(): Lags {
    const monitor = this.#monitor;
    const lagOf = (ns: number): number => (Number.isFinite(ns) ? Math.max(0, ns / 1e6 - LAG_RESOLUTION_MS) : 0);
    const lags = { lagMean: lagOf(monitor.mean), lagP99: lagOf(monitor.percentile(99)), lagMax: lagOf(monitor.max) };
    monitor.reset();
    return lags;
  }
}

/** Processes together: what they have adds up; of lag, CPU and what all of them know, the highest stands for all. */
export function sampleOf(all: readonly Interval[]): Sample {
  const now = (read: (gauges: Gauges) => number): number => all.reduce((total, { now }) => total + read(now.gauges), 0);
  const rate = (read: (totals: Totals) => number): number =>
    all.reduce((total, interval) => total + rateOf(interval, read), 0);
  const highest = (read: (interval: Interval) => number): number => Math.max(0, ...all.map(read));
  const [deliveryP50 = 0, deliveryP99 = 0] = quantiles(all, ({ delivery }) => delivery, durations, [0.5, 0.99]);
  const [requestP99 = 0] = quantiles(all, ({ requests }) => requests, durations, [0.99]);
  const [mailboxP99 = 0] = quantiles(all, ({ mailbox }) => mailbox, mailboxes, [0.99]);
  return {
    at: Date.now(),
    websocket: now(({ websocket }) => websocket),
    polls: now(({ polls }) => polls),
    events: now(({ events }) => events),
    mqtt: now(({ mqtt }) => mqtt),
    mqttws: now(({ mqttws }) => mqttws),
    online: now(({ online, shared }) => online - shared),
    clients: now(({ clients }) => clients),
    rooms: highest(({ now }) => now.gauges.rooms),
    acceptedRate: rate(({ accepted }) => accepted),
    sentRate: rate(({ sent }) => sent),
    droppedRate: rate(({ dropped }) => dropped),
    absentRate: rate(({ absent }) => absent),
    refusedRate: rate(({ refused }) => refused),
    requestRate: rate(({ requests }) => requests),
    deliveryP50,
    deliveryP99,
    requestP99,
    queued: now(({ queued }) => queued),
    mailboxP99,
    rssBytes: now(({ rssBytes }) => rssBytes),
    heapBytes: now(({ heapBytes }) => heapBytes),
    lagMean: highest(({ now }) => now.lags.lagMean),
    lagP99: highest(({ now }) => now.lags.lagP99),
    lagMax: highest(({ now }) => now.lags.lagMax),
    cpu: highest((interval) => rateOf(interval, ({ cpuUs }) => cpuUs) / 1_000_000),
    crashes: all.reduce((total, { now }) => total + now.totals.crashes, 0),
    nodeSentRate: rate(({ nodeSent }) => nodeSent),
    nodeReceivedRate: rate(({ nodeReceived }) => nodeReceived),
  };
}

/** The difference of a total between two measurements, for each second. */
function rateOf({ before, now }: Interval, read: (totals: Totals) => number): number {
  const seconds = (now.atMs - before.atMs) / 1000;
  return seconds > 0 ? (read(now.totals) - read(before.totals)) / seconds : 0;
}

/** Quantiles of the values that came between two measurements, interpolated within their buckets. */
function quantiles(
  all: readonly Interval[],
  read: (measures: Measures) => Float64Array,
  histogram: Histogram,
  wanted: readonly number[],
): number[] {
  const before = addUp(
    all.map(({ before }) => read(before)),
    histogram,
  );
  const counts = addUp(
    all.map(({ now }) => read(now)),
    histogram,
  ).map((count, i) => count - (before[i] ?? 0));
  const total = counts.reduce((sum, count) => sum + count, 0);
  return wanted.map((quantile) => (total > 0 ? quantileOf(histogram, counts, quantile * total) : 0));
}

function quantileOf(histogram: Histogram, counts: Float64Array, rank: number): number {
  let below = 0;
  for (const [i, count] of counts.entries()) {
    if (count > 0 && below + count >= rank) {
      const lower = i === 0 ? 0 : histogram.bound(i - 1);
      const upper = i === counts.length - 1 ? lower : histogram.bound(i);
      return lower + ((upper - lower) * (rank - below)) / count;
    }
    below += count;
  }
  return 0;
}
