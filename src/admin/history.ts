/**
 * The last minutes, second by second: what the dashboard draws. Every second one sample is taken of what the server has
 * counted; a page that opens gets all there are, then each new one. Bounded: the oldest sample goes.
 */
import { type IntervalHistogram, monitorEventLoopDelay } from 'node:perf_hooks';
import type { Histogram, Metrics } from '../metrics.js';

const SAMPLE_MS = 1000;
const KEPT = 900;
const LAG_SAMPLES = 60;
/** Also what the monitor adds to every lag that it measures. */
const LAG_RESOLUTION_MS = 20;

/**
 * One second. `at` is in milliseconds since the epoch, rates are for each second, latencies and lags in milliseconds (0
 * where there was nothing to measure), and `cpu` is a share of a core.
 */
export const SAMPLE_FIELDS = [
  'at',
  'websocket',
  'polls',
  'mqtt',
  'mqttws',
  'online',
  'clients',
  'rooms',
  'acceptedRate',
  'sentRate',
  'droppedRate',
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

export interface Lag {
  readonly meanMs: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

/** Counts of a histogram since the last time, and their quantiles. */
class Difference {
  #before: Float64Array;

  constructor(private readonly histograms: () => readonly Histogram[]) {
    this.#before = this.#counts();
  }

  #counts(): Float64Array {
    const [first, ...others] = this.histograms();
    const sum = Float64Array.from(first?.counts ?? []);
    for (const { counts } of others) for (let i = 0; i < sum.length; i++) sum[i] = (sum[i] ?? 0) + (counts[i] ?? 0);
    return sum;
  }

  /** Forgets what it had; answers the quantiles asked for, each within its bucket by interpolation. */
  quantiles(...wanted: readonly number[]): number[] {
    const now = this.#counts();
    const counts = now.map((count, i) => count - (this.#before[i] ?? 0));
    this.#before = now;
    const [histogram] = this.histograms();
    const total = counts.reduce((sum, count) => sum + count, 0);
    return wanted.map((quantile) => (histogram && total > 0 ? quantileOf(histogram, counts, quantile * total) : 0));
  }
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

interface Totals {
  readonly accepted: number;
  readonly sent: number;
  readonly dropped: number;
  readonly refused: number;
  readonly requests: number;
  readonly nodeSent: number;
  readonly nodeReceived: number;
  readonly cpuUs: number;
  readonly atMs: number;
}

function sum(numbers: Readonly<Record<string, number>>): number {
  let total = 0;
  for (const value of Object.values(numbers)) total += value;
  return total;
}

function totalsOf(metrics: Metrics): Totals {
  let requests = 0;
  for (const { answers } of metrics.routes.values()) for (const count of answers.values()) requests += count;
  const { user, system } = process.cpuUsage();
  return {
    accepted: metrics.total((domain) => sum(domain.accepted)),
    sent: metrics.total((domain) => sum(domain.sent)),
    dropped: metrics.total((domain) => sum(domain.dropped)),
    refused: sum(metrics.refused),
    requests,
    nodeSent: metrics.cluster.itemsSent,
    nodeReceived: metrics.cluster.itemsReceived,
    cpuUs: user + system,
    atMs: performance.now(),
  };
}

export class History {
  readonly samples: Sample[] = [];
  /** Called with each new sample. */
  readonly watchers = new Set<(sample: Sample) => void>();
  readonly #lag: IntervalHistogram = monitorEventLoopDelay({ resolution: LAG_RESOLUTION_MS });
  readonly #delivery: Difference;
  readonly #requests: Difference;
  readonly #mailbox: Difference;
  readonly #timer: NodeJS.Timeout;
  #totals: Totals;

  constructor(private readonly metrics: Metrics) {
    this.#delivery = new Difference(() => [metrics.delivery]);
    this.#requests = new Difference(() => [...metrics.routes.values()].map(({ duration }) => duration));
    this.#mailbox = new Difference(() => [metrics.mailbox]);
    this.#totals = totalsOf(metrics);
    this.#lag.enable();
    this.#timer = setInterval(() => this.#take(), SAMPLE_MS);
    this.#timer.unref();
  }

  /** Of the last minute. */
  lag(): Lag {
    const samples = this.samples.slice(-LAG_SAMPLES);
    return {
      meanMs: samples.reduce((mean, { lagMean }) => mean + lagMean / samples.length, 0),
      p99Ms: Math.max(0, ...samples.map(({ lagP99 }) => lagP99)),
      maxMs: Math.max(0, ...samples.map(({ lagMax }) => lagMax)),
    };
  }

  close(): void {
    clearInterval(this.#timer);
    this.#lag.disable();
    this.watchers.clear();
  }

  #take(): void {
    const sample = this.#sample();
    this.samples.push(sample);
    if (this.samples.length > KEPT) this.samples.shift();
    for (const watcher of this.watchers) watcher(sample);
  }

  #sample(): Sample {
    const { metrics } = this;
    const { connections } = metrics;
    const before = this.#totals;
    const now = totalsOf(metrics);
    this.#totals = now;
    const seconds = (now.atMs - before.atMs) / 1000;
    const [deliveryP50 = 0, deliveryP99 = 0] = this.#delivery.quantiles(0.5, 0.99);
    const [requestP99 = 0] = this.#requests.quantiles(0.99);
    const [mailboxP99 = 0] = this.#mailbox.quantiles(0.99);
    return {
      at: Date.now(),
      websocket: connections.websocket,
      polls: connections.jsonp,
      mqtt: connections.mqtt,
      mqttws: connections.mqttws,
      online: metrics.total((domain) => domain.endpointsOnline),
      clients: metrics.total((domain) => domain.clients),
      rooms: metrics.total((domain) => domain.rooms),
      acceptedRate: (now.accepted - before.accepted) / seconds,
      sentRate: (now.sent - before.sent) / seconds,
      droppedRate: (now.dropped - before.dropped) / seconds,
      refusedRate: (now.refused - before.refused) / seconds,
      requestRate: (now.requests - before.requests) / seconds,
      deliveryP50,
      deliveryP99,
      requestP99,
      queued: metrics.total((domain) => domain.queuedPackets),
      mailboxP99,
      rssBytes: process.memoryUsage.rss(),
      heapBytes: process.memoryUsage().heapUsed,
      ...this.#lags(),
      cpu: (now.cpuUs - before.cpuUs) / (seconds * 1_000_000),
      crashes: metrics.crashes,
      nodeSentRate: (now.nodeSent - before.nodeSent) / seconds,
      nodeReceivedRate: (now.nodeReceived - before.nodeReceived) / seconds,
    };
  }

  /** The monitor measures its own interval with each lag. */
  #lags(): Pick<Sample, 'lagMean' | 'lagP99' | 'lagMax'> {
    const monitor = this.#lag;
    const lagOf = (ns: number): number => (Number.isFinite(ns) ? Math.max(0, ns / 1e6 - LAG_RESOLUTION_MS) : 0);
    const lags = { lagMean: lagOf(monitor.mean), lagP99: lagOf(monitor.percentile(99)), lagMax: lagOf(monitor.max) };
    monitor.reset();
    return lags;
  }
}
