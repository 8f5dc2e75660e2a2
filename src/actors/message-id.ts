/**
 * Ids of messages: 26 characters of `A-Za-z0-9`, unique, sortable by time and not to be guessed ahead. PROTOCOL.md section
 * 11. The first ten are the time in milliseconds, the next two count within one millisecond, and the others are random: 70 bits.
 */
import { randomFillSync } from 'node:crypto';

/** Crockford's base 32: its order is that of ASCII. */
const DIGITS = Buffer.from('0123456789ABCDEFGHJKMNPQRSTVWXYZ');
const TIME_DIGITS = 10;
/** How many digits of the time are written each time, as those before them seldom change, and how many ms these count. */
const LOW_DIGITS = 4;
const LOW_MS = 32 ** LOW_DIGITS;
const COUNT_DIGITS = 2;
const LENGTH = 26;
const MOST_IN_A_MILLISECOND = 32 ** COUNT_DIGITS - 1;

/** Random numbers are cheap by the thousand only. */
const pool = Buffer.alloc(4096);
let used = pool.length;
let lastMs = 0;
let lastHigh = -1;
let count = 0;

/** The id made last, as bytes. Ids that were put together of texts would be kept as their many parts by V8. */
const id = Buffer.alloc(LENGTH);

/** Writes a number of less than 32 bits as so many digits that end before `end`. */
function write(value: number, digits: number, end: number): void {
  for (let rest = value, at = end - 1; at >= end - digits; rest >>>= 5, at--) id[at] = DIGITS[rest & 31] as number;
}

/** Writes the time; its first six digits change every 17 minutes. */
function writeTime(ms: number): void {
  const high = Math.floor(ms / LOW_MS);
  if (high !== lastHigh) write(high, TIME_DIGITS - LOW_DIGITS, TIME_DIGITS - LOW_DIGITS);
  write(ms - high * LOW_MS, LOW_DIGITS, TIME_DIGITS);
  lastHigh = high;
}

/** A new id. `nowMs` is milliseconds since the epoch; where it falls back, the last time counts on. */
export function newMessageId(nowMs: number = Date.now()): string {
  if (nowMs > lastMs) {
    lastMs = nowMs;
    writeTime(nowMs);
    count = 0;
  } else if (count < MOST_IN_A_MILLISECOND) {
    count += 1;
  }
  write(count, COUNT_DIGITS, TIME_DIGITS + COUNT_DIGITS);
  if (used + LENGTH > pool.length) {
    randomFillSync(pool);
    used = 0;
  }
  // Counted in a variable of the function's own, since V8 writes one of the module to memory each time.
  let next = used;
  for (let at = TIME_DIGITS + COUNT_DIGITS; at < LENGTH; at++) id[at] = DIGITS[(pool[next++] as number) & 31] as number;
  used = next;
  return id.toString('latin1');
}
