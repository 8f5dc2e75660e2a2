/** The ways to load a rig: so many in flight, or so many a second. */
import type { Fanout } from './rigs/fanout.js';
import type { Pairs } from './rigs/pairs.js';
import { Histogram } from './statistics.js';

/** Without a delivery for this long, something was lost and the run has failed. */
const stallMs = 5000;

/** Watches that a count grows; `failed` rejects when it does not. */
function watch(count: () => number, failed: (error: Error) => void): NodeJS.Timeout {
  let last = -1;
  return setInterval(() => {
    if (count() === last) failed(new Error(`stalled after ${last} deliveries`));
    last = count();
  }, stallMs);
}

/** Most messages in flight at once, a power of two. */
const ring = 64;

/**
 * Fan-out with a fixed number of messages in flight: the next is sent when all receivers have got an earlier one.
 * That is told by counting for each receiver: its n-th message is the n-th that was sent, since order holds.
 */
export class FanoutLoop {
  readonly #receivers: number;
  readonly #got: Int32Array;
  readonly #missing = new Int32Array(ring);
  #fanout: Fanout | undefined;
  #sent = 0;
  #complete = 0;
  #untilMs = 0;
  #done: () => void = () => {};
  delivered = 0;

  constructor(receivers: number) {
    this.#receivers = receivers;
    this.#got = new Int32Array(receivers);
  }

  readonly onDelivered = (receiver: number, count: number): void => {
    this.delivered += count;
    for (let i = 0; i < count; i += 1) {
      const message = this.#got[receiver] ?? 0;
      this.#got[receiver] = message + 1;
      const left = (this.#missing[message % ring] ?? 0) - 1;
      this.#missing[message % ring] = left;
      if (left === 0) this.#completed();
    }
  };

  /** Sends for `ms`, then waits for what is under way. Answers the number of deliveries. */
  async run(fanout: Fanout, inFlight: number, ms: number): Promise<number> {
    const before = this.delivered;
    let watcher: NodeJS.Timeout | undefined;
    this.#fanout = fanout;
    this.#untilMs = performance.now() + ms;
    await new Promise<void>((resolve, reject) => {
      this.#done = resolve;
      watcher = watch(() => this.delivered, reject);
      for (let i = 0; i < inFlight; i += 1) this.#next();
    }).finally(() => clearInterval(watcher));
    return this.delivered - before;
  }

  #next(): void {
    this.#missing[this.#sent % ring] = this.#receivers;
    this.#sent += 1;
    this.#fanout?.publish();
  }

  #completed(): void {
    this.#complete += 1;
    if (performance.now() < this.#untilMs) this.#next();
    else if (this.#complete === this.#sent) this.#done();
  }
}

/** Pairs with a fixed number in flight for each: a sender goes on when its receiver has got an earlier message. */
export class PairLoop {
  readonly #pairs: number;
  /** When each message in flight was sent, a ring for each pair. */
  readonly #sentAt: Float64Array;
  readonly #sent: Int32Array;
  readonly #got: Int32Array;
  #rig: Pairs | undefined;
  #underWay = 0;
  #untilMs = 0;
  #done: () => void = () => {};
  delivered = 0;
  readonly latency = new Histogram();

  constructor(pairs: number) {
    this.#pairs = pairs;
    this.#sentAt = new Float64Array(pairs * ring);
    this.#sent = new Int32Array(pairs);
    this.#got = new Int32Array(pairs);
  }

  readonly onDelivered = (pair: number, count: number): void => {
    const now = performance.now();
    this.delivered += count;
    this.#underWay -= count;
    for (let i = 0; i < count; i += 1) {
      const message = this.#got[pair] ?? 0;
      this.#got[pair] = message + 1;
      this.latency.record(now - (this.#sentAt[pair * ring + (message % ring)] ?? now));
    }
    if (now < this.#untilMs) this.#send(pair, count, now);
    else if (this.#underWay === 0) this.#done();
  };

  /** Keeps `inFlight` messages of every pair under way for `ms`; answers the number of deliveries. */
  async run(rig: Pairs, inFlight: number, ms: number): Promise<number> {
    const before = this.delivered;
    const start = performance.now();
    this.#untilMs = start + ms;
    await this.#drained(rig, () => {
      for (let pair = 0; pair < this.#pairs; pair += 1) this.#send(pair, inFlight, performance.now());
    });
    return this.delivered - before;
  }

  /**
   * Offers `rate` messages a second for `ms`, whatever the server does; latency counts from when a message was due.
   * Answers by how many milliseconds the generator itself was late, at the 99th percentile.
   */
  async offer(rig: Pairs, rate: number, ms: number): Promise<number> {
    const lateness = new Histogram();
    const start = performance.now();
    const total = Math.round((rate * ms) / 1000);
    this.#untilMs = 0;
    let next = 0;
    await this.#drained(rig, () => {
      const tick = (): void => {
        const now = performance.now();
        while (next < total && start + (next * 1000) / rate <= now) {
          const due = start + (next * 1000) / rate;
          lateness.record(now - due);
          this.#send(next % this.#pairs, 1, due);
          next += 1;
        }
        if (next < total) setImmediate(tick);
      };
      // Holds the count above zero until the last one is sent.
      this.#underWay += 1;
      tick();
      const wait = setInterval(() => {
        if (next < total) return;
        clearInterval(wait);
        this.#underWay -= 1;
        if (this.#underWay === 0) this.#done();
      }, 5);
    });
    return lateness.quantile(0.99);
  }

  async #drained(rig: Pairs, begin: () => void): Promise<void> {
    let watcher: NodeJS.Timeout | undefined;
    this.#rig = rig;
    await new Promise<void>((resolve, reject) => {
      this.#done = resolve;
      watcher = watch(() => this.delivered, reject);
      begin();
    }).finally(() => clearInterval(watcher));
  }

  #send(pair: number, count: number, at: number): void {
    for (let i = 0; i < count; i += 1) {
      const message = this.#sent[pair] ?? 0;
      this.#sent[pair] = message + 1;
      this.#sentAt[pair * ring + (message % ring)] = at;
    }
    this.#underWay += count;
    this.#rig?.send(pair, count);
  }
}
