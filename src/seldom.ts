/**
 * Log lines that somebody outside can cause as often as they like: each is written once, and then once a minute at most,
 * with how many were left out since. Bounded in keys, and in lines of all keys together: who has many addresses or names
 * fills no disk either.
 */
import { BoundedMap } from './bounded-map.js';
import { log } from './log.js';

const PAUSE_MS = 60_000;
/** The most lines a minute, of all keys together. */
const LINES = 100;
const KEYS = 10_000;

type Fields = Readonly<Record<string, unknown>>;

interface Said {
  at: number;
  leftOut: number;
}

export class Seldom {
  readonly #said = new BoundedMap<string, Said>(() => KEYS);
  #minute = Number.NEGATIVE_INFINITY;
  #lines = 0;
  #leftOut = 0;

  constructor(
    private readonly now: () => number = () => performance.now(),
    private readonly line = (level: 'warn' | 'info', fields: Fields, message: string): void =>
      log[level](fields, message),
  ) {}

  /** Writes a line unless its key has been said within the minute. `more` is how many like it were left out since. */
  warn(key: string, fields: Fields, message: string): void {
    this.#write('warn', key, fields, message);
  }

  info(key: string, fields: Fields, message: string): void {
    this.#write('info', key, fields, message);
  }

  #write(level: 'warn' | 'info', key: string, fields: Fields, message: string): void {
    const more = this.#due(key);
    if (more !== null) this.line(level, more > 0 ? { ...fields, more } : fields, message);
  }

  /** How many were left out since the last; null: this one is left out as well. */
  #due(key: string): number | null {
    const now = this.now();
    const said = this.#said.get(key);
    if (said && now - said.at < PAUSE_MS) {
      said.leftOut += 1;
      return null;
    }
    if (!this.#mayWrite(now)) return null;
    this.#said.set(key, { at: now, leftOut: 0 });
    return said?.leftOut ?? 0;
  }

  #mayWrite(now: number): boolean {
    if (now - this.#minute >= PAUSE_MS) {
      const left = { event: 'lines left out', lines: this.#leftOut };
      if (this.#leftOut > 0) this.line('warn', left, 'more complaints came than the log takes in a minute');
      this.#minute = now;
      this.#lines = 0;
      this.#leftOut = 0;
    }
    if (this.#lines < LINES) {
      this.#lines += 1;
      return true;
    }
    this.#leftOut += 1;
    return false;
  }
}

/** The one that writes to the log of this process. */
export const seldom = new Seldom();
