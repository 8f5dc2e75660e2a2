import { setImmediate as nextTurn } from 'node:timers/promises';
import { HANG_MS } from './hang.js';

const LOOK_MS = 20;
/** What is long in coming is looked for less often: a look may cost a process under test as much as the work it has to do. */
const LOOKS_PER_WAIT = 20;

/**
 * Looks again and again until there is what a test waits for, anything but false, null or undefined, and answers that. What
 * does not come within `boundMs` is named by the error.
 */
export async function until<T>(
  what: string | (() => string),
  look: () => T | Promise<T>,
  boundMs = HANG_MS,
): Promise<NonNullable<Exclude<T, false>>> {
  const start = Date.now();
  for (;;) {
    const found = await look();
    if (found !== false && found !== null && found !== undefined) return found as NonNullable<Exclude<T, false>>;
    const waitedMs = Date.now() - start;
    if (waitedMs > boundMs) throw new Error(`not within ${boundMs} ms: ${typeof what === 'string' ? what : what()}`);
    await new Promise((resolve) => setTimeout(resolve, Math.max(LOOK_MS, waitedMs / LOOKS_PER_WAIT)));
  }
}

/** Lets turns of the event loop pass until something is so that happens in this process. What does not come is named by the error. */
export async function turnsUntil(what: string, isSo: () => boolean): Promise<void> {
  const deadline = Date.now() + HANG_MS;
  while (!isSo()) {
    if (Date.now() > deadline) throw new Error(`not within ${HANG_MS} ms: ${what}`);
    await nextTurn();
  }
}

/** Lets a server settle again and again as long as a condition holds. One that does not end is named by the error. */
export async function settledWhile(
  server: { settled(): Promise<void> },
  isStill: () => boolean | Promise<boolean>,
): Promise<void> {
  const deadline = Date.now() + HANG_MS;
  while (await isStill()) {
    if (Date.now() > deadline) throw new Error(`still so after ${HANG_MS} ms: ${isStill}`);
    await server.settled();
  }
}
