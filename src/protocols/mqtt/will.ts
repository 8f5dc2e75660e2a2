/**
 * A session's will: of its connection first, then, when that is lost, waiting for its delay. Published once at most, and
 * then gone [MQTT-3.1.2-10]. MQTT 5 sections 3.1.2.5 and 3.1.3.2.2.
 */
import type { Clock } from '../../clock.js';
import { later } from './expiry.js';
import type { Will } from './packets.js';

export class SessionWill {
  #will: Will | null = null;
  /** The will whose connection is lost and whose delay is not over; null: there is none. */
  #pending: Will | null = null;
  #cancel: (() => void) | null = null;

  constructor(
    private readonly clock: Clock,
    private readonly publish: (will: Will) => void,
  ) {}

  /** A connection begins, with a will or without one. */
  connected(will: Will | null): void {
    this.#will = will;
  }

  /** The connection will end in order [MQTT-3.14.4-3]: nothing is published. */
  discard(): void {
    this.#will = null;
  }

  /**
   * The connection is lost: the will is published when its delay is over or the session ends, whichever is first
   * [MQTT-3.1.2-8]. `onDue` is called when a delay is over, and is to call `publishPending`.
   */
  lost(expiryS: number, onDue: () => void = () => this.publishPending()): void {
    if (!this.#will) return;
    this.#pending = this.#will;
    this.#will = null;
    const delayS = Math.min(this.#pending.delayS, expiryS);
    if (delayS === 0) this.publishPending();
    else this.#cancel = later(this.clock, delayS, onDue);
  }

  /** The session goes on before the delay is over: nothing is published [MQTT-3.1.3-9]. */
  resumed(): void {
    this.#cancel?.();
    this.#cancel = null;
    this.#pending = null;
  }

  /** The delay is over, or the session ends. */
  publishPending(): void {
    const will = this.#pending;
    this.resumed();
    if (will) this.publish(will);
  }
}
