/**
 * Ids of messages: 26 characters of `A-Za-z0-9`, unique, sortable by time and not to be guessed ahead. PROTOCOL.md section
 * 11. The first ten are the time in milliseconds, the next two count within one millisecond, and the others are random: 70 bits.
 */
import { randomFillSync } from 'node:crypto';

/** Crockford's base 32: its order is that of ASCII. */
const DIGITS = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';
const TIME_DIGITS = 10;
const RANDOM_DIGITS = 14;
const MOST_IN_A_MILLISECOND = 32 * 32 - 1;

/** Random bytes are cheap by the thousand only. */
const pool = Buffer.allocUnsafe(RANDOM_DIGITS * 256);
let used = pool.length;
let lastMs = 0;
let timeText = '';
let count = 0;

function timeDigits(ms: number): string {
  let text = '';
  for (let rest = ms, i = 0; i < TIME_DIGITS; i++, rest = Math.floor(rest / 32)) text = DIGITS[rest % 32] + text;
  return text;
}

/** A new id. `nowMs` is milliseconds since the epoch; where it falls back, the last time counts on. */
export function newMessageId(nowMs: number = Date.now()): string {
  if (nowMs > lastMs) {
    lastMs = nowMs;
    timeText = timeDigits(nowMs);
    count = 0;
  } else if (count < MOST_IN_A_MILLISECOND) {
    count += 1;
  }
  if (used === pool.length) {
    randomFillSync(pool);
    used = 0;
  }
  let text = timeText + DIGITS[count >> 5] + DIGITS[count & 31];
  for (const end = used + RANDOM_DIGITS; used < end; used++) text += DIGITS[(pool[used] as number) & 31];
  return text;
}
