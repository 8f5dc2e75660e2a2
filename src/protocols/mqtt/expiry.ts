/** How long a session outlives its connection: MQTT 5 sections 3.1.2.11.2 and 3.14.2.2.2. */
import type { Clock } from '../../clock.js';
import type { Connect, Disconnect } from './packets.js';

/** Seconds that one timer takes at most. */
const TIMER_S = 2_000_000;

/** Seconds that CONNECT asks for; in 3.1.1 that is 0 or for ever. */
export function expiryOf({ version, clean, sessionExpiryS }: Connect): number {
  if (version === 5) return sessionExpiryS ?? 0;
  return clean ? 0 : Number.POSITIVE_INFINITY;
}

/**
 * Seconds that hold after DISCONNECT. Null: a protocol error, as a session that was to end with its connection stays so
 * [MQTT-3.14.2-2].
 */
export function expiryAfter(expiryS: number, { sessionExpiryS }: Disconnect): number | null {
  if (sessionExpiryS === null) return expiryS;
  return expiryS === 0 && sessionExpiryS > 0 ? null : sessionExpiryS;
}

/** Calls `task` after as many seconds as the standard allows, which are more than a timer's. Answers how to cancel. */
export function later(clock: Clock, seconds: number, task: () => void): () => void {
  let cancel: () => void = () => undefined;
  const wait = (rest: number) => {
    cancel = rest > TIMER_S ? clock.after(TIMER_S * 1000, () => wait(rest - TIMER_S)) : clock.after(rest * 1000, task);
  };
  wait(seconds);
  return () => cancel();
}
