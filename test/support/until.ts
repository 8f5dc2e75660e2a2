import { HANG_MS } from './hang.js';

const LOOK_MS = 20;

/**
 * Looks again and again until there is what a test waits for, anything but false, null or undefined, and answers that. What
 * does not come within `boundMs` is named by the error.
 */
export async function until<T>(
  what: string | (() => string),
  look: () => T | Promise<T>,
  boundMs = HANG_MS,
): Promise<NonNullable<Exclude<T, false>>> {
  const deadline = Date.now() + boundMs;
  for (;;) {
    const found = await look();
    if (found !== false && found !== null && found !== undefined) return found as NonNullable<Exclude<T, false>>;
    if (Date.now() > deadline) throw new Error(`not within ${boundMs} ms: ${typeof what === 'string' ? what : what()}`);
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
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
