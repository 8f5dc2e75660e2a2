/** Typing notices: at most one every 3 s for each receiver, and `paused` by itself 5 s after the last key. */
import type { Clock } from './wire.js';

const AGAIN_MS = 3_000;
const PAUSED_MS = 5_000;

export class Typing {
  readonly #receivers = new Map<string, { sentAt: number; cancel: () => void }>();

  constructor(
    private readonly clock: Clock,
    private readonly send: (to: string, show: 'typing' | 'paused') => void,
  ) {}

  /** The user has pressed a key in what is meant for `to`. */
  typed(to: string): void {
    const now = this.clock.now();
    const before = this.#receivers.get(to);
    before?.cancel();
    const isDue = !before || now - before.sentAt >= AGAIN_MS;
    const cancel = this.clock.after(PAUSED_MS, () => {
      this.#receivers.delete(to);
      this.send(to, 'paused');
    });
    this.#receivers.set(to, { sentAt: isDue ? now : before.sentAt, cancel });
    if (isDue) this.send(to, 'typing');
  }

  /** A message has gone to `to`: no notice is needed. */
  sent(to: string): void {
    this.#receivers.get(to)?.cancel();
    this.#receivers.delete(to);
  }

  close(): void {
    for (const { cancel } of this.#receivers.values()) cancel();
    this.#receivers.clear();
  }
}
