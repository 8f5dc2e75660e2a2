/** What a server that ends waits for: that its connections have closed, and that no client writes to it any more. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Runtime } from '../actors/domain.js';

const FAREWELL_MS = 5000;
/** After so many ms without a call none is expected: by then every client has read that its last answer was the last one. */
const SILENCE_MS = 300;
/** How long, in ms, clients are waited for that go on writing all the same. */
const LINGER_MS = 3000;

/** Waits until all WebSockets, long polls and event streams are closed, at most `FAREWELL_MS` from when the server began to end. */
export async function farewell({ metrics, clock }: Pick<Runtime, 'metrics' | 'clock'>, spentMs = 0): Promise<void> {
  const deadline = clock.now() + FAREWELL_MS - spentMs;
  const { connections } = metrics;
  while (connections.websocket + connections.jsonp + connections.events > 0 && clock.now() < deadline) await nextTurn();
  await nextTurn();
}

/**
 * Waits until no call has come for `SILENCE_MS`, at most `LINGER_MS`. HTTP has no way to end a connection to which the client may
 * write at any time: a call that is under way when the connection closes is lost. So each answer says that it is the last one on its
 * connection, and calls that come all the same are answered too.
 */
export async function silence({ metrics, clock }: Pick<Runtime, 'metrics' | 'clock'>): Promise<void> {
  const deadline = clock.now() + LINGER_MS;
  for (let seen = -1; seen !== metrics.refused.unavailable && clock.now() < deadline; ) {
    seen = metrics.refused.unavailable;
    await new Promise<void>((resolve) => clock.after(SILENCE_MS, resolve));
  }
}
