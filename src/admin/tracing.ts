/** Switches tracing on for one endpoint, and off again by itself. One at a time: the next one takes its place. */
import type { Address } from '../actors/address.js';
import type { Domain } from '../actors/domain.js';
import { roomsOf } from '../actors/endpoint-record.js';
import { type Hop, Trace } from '../actors/trace.js';
import type { Clock } from '../clock.js';

const MINUTE_MS = 60_000;
export const LONGEST_MINUTES = 60;

export interface TraceView {
  /** Whether hops are still recorded. */
  readonly active: boolean;
  readonly domain: string;
  /** The endpoint's short id. */
  readonly id: string;
  readonly startedAt: number;
  /** When it ends, or has ended: milliseconds since the epoch. */
  readonly until: number;
  /** All hops before this moment are known. */
  readonly now: number;
  readonly hops: readonly Hop[];
}

interface Current {
  readonly domain: Domain;
  readonly trace: Trace;
  readonly startedAt: number;
  until: number;
}

export class Tracing {
  #current: Current | null = null;
  #cancel: () => void = () => undefined;

  constructor(private readonly clock: Clock) {}

  start(domain: Domain, endpoint: Address, minutes: number): void {
    this.stop();
    const rooms = () => {
      const record = domain.tracker.records.get(endpoint);
      return record ? roomsOf(record) : [];
    };
    const trace = new Trace(endpoint, domain.everyone, rooms);
    domain.trace = trace;
    const startedAt = this.clock.now();
    this.#current = { domain, trace, startedAt, until: startedAt + minutes * MINUTE_MS };
    this.#cancel = this.clock.after(minutes * MINUTE_MS, () => this.stop());
  }

  /** Ends the trace. What it has recorded can still be read. */
  stop(): void {
    this.#cancel();
    const current = this.#current;
    if (!current || current.domain.trace !== current.trace) return;
    current.domain.trace = null;
    current.until = Math.min(current.until, this.clock.now());
  }

  /** The hops after `seq`; null where nothing was ever traced. */
  view(seq: number): TraceView | null {
    if (!this.#current) return null;
    const { domain, trace, startedAt, until } = this.#current;
    return {
      active: domain.trace === trace,
      domain: domain.name,
      id: domain.shortId(trace.endpoint),
      startedAt,
      until,
      now: Date.now(),
      hops: trace.after(seq),
    };
  }
}
