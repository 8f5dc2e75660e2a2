/** What a server that ends waits for: that its connections have gone, and that nobody writes to it any more. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Runtime } from '../actors/domain.js';

const FAREWELL_MS = 5000;
/** Nothing more comes: who has had an answer knows by then that it was the last one. */
const SILENCE_MS = 300;
/** For clients that write on all the same. */
const LINGER_MS = 3000;

/** Waits until the connections have gone, but not for ever. */
export async function farewell({ metrics, clock }: Pick<Runtime, 'metrics' | 'clock'>): Promise<void> {
  const deadline = clock.now() + FAREWELL_MS;
  const { connections } = metrics;
  while (connections.websocket + connections.jsonp + connections.events > 0 && clock.now() < deadline) await nextTurn();
  await nextTurn();
}

/**
 * Waits until no call has come for a while, but not for ever. HTTP has no way to end a connection that its client may write to at
 * any time: a call that is under way when it closes is lost, so each answer says that it is the last one, and what comes meanwhile
 * is answered too.
 */
export async function silence({ metrics, clock }: Pick<Runtime, 'metrics' | 'clock'>): Promise<void> {
  const deadline = clock.now() + LINGER_MS;
  for (let seen = -1; seen !== metrics.refused.unavailable && clock.now() < deadline; ) {
    seen = metrics.refused.unavailable;
    await new Promise<void>((resolve) => clock.after(SILENCE_MS, resolve));
  }
}
