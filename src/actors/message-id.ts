/**
 * Ids of messages: 26 characters of `A-Za-z0-9`, unique, sortable by time and not to be guessed ahead. PROTOCOL.md section
 * 11. The first ten are the time in milliseconds, the next two count within one millisecond, and the others are random: 70 bits.
 */
import { randomFillSync } from 'node:crypto';

/** Crockford's base 32: its order is that of ASCII. */
const DIGITS = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';
/** Every two of them, in order. */
const PAIRS = Array.from({ length: 32 * 32 }, (_, i) => `${DIGITS[i >> 5]}${DIGITS[i & 31]}`);
const TIME_DIGITS = 10;
const RANDOM_PAIRS = 7;
const MOST_IN_A_MILLISECOND = PAIRS.length - 1;

/** Random numbers are cheap by the thousand only. */
const pool = new Uint16Array(RANDOM_PAIRS * 256);
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
  let text = timeText + PAIRS[count];
  for (const end = used + RANDOM_PAIRS; used < end; used++) text += PAIRS[(pool[used] as number) % PAIRS.length];
  return text;
}
