/** Tells senders what was read: to one person at most every second, to a room seldom, because all of its members hear of it. */
import type { Timer } from './timer.js';

const READ_MS = 1_000;
const READ_ROOM_MS = 15_000;

export class ReadMarks {
  readonly #waiting = new Map<string, { id: string; cancel: () => void }>();

  constructor(
    private readonly timer: Timer,
    private readonly tell: (to: string, id: string) => void,
  ) {}

  /** The user has read what `to` wrote, up to this message. */
  read(to: string, id: string): void {
    const waiting = this.#waiting.get(to);
    if (waiting) {
      waiting.id = id;
      return;
    }
    this.tell(to, id);
    const entry = { id, cancel: (): void => undefined };
    entry.cancel = this.timer.after(to.startsWith('gid:') ? READ_ROOM_MS : READ_MS, () => {
      this.#waiting.delete(to);
      if (entry.id !== id) this.read(to, entry.id);
    });
    this.#waiting.set(to, entry);
  }

  close(): void {
    for (const { cancel } of this.#waiting.values()) cancel();
    this.#waiting.clear();
  }
}
