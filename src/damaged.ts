/** Records of a store that cannot be read: each costs itself alone, and the log says so. */
import { seldom } from './seldom.js';

let count = 0;

/** How many there were since the process started. */
export function damagedRecords(): number {
  return count;
}

/** `kind`: what the record is of, in one word. */
export function damaged(kind: string, key: string): null {
  count += 1;
  const what = { event: 'record damaged', kind, key };
  seldom.warn(`record damaged ${kind}`, what, 'a record in the store cannot be read, and is left out');
  return null;
}
