/** How much of a domain's history single clients fill with what they send themselves: nobody must push all others out of it. */
import { BoundedMap } from '../bounded-map.js';
import type { Clock } from '../clock.js';
import type { Address } from './address.js';

const DAY_MS = 24 * 60 * 60 * 1000;
/** The fraction of `historyBytes` for one endpoint in a day, and how many endpoints are counted, the latest. */
const SHARE = 1 / 100;
const SENDERS = 10_000;

export class HistoryShares {
  /** Bytes that clients have sent, by their endpoints, on the day (since the epoch) for which they count. */
  readonly #sent = new BoundedMap<Address, number>(() => SENDERS);
  #day = 0;

  constructor(private readonly clock: Pick<Clock, 'now'>) {}

  /** Takes the bytes of a message from its sender's share; false where the share has no room for it. `historyBytes` 0: no limit. */
  take(sender: Address, bytes: number, historyBytes: number): boolean {
    const day = Math.floor(this.clock.now() / DAY_MS);
    if (day !== this.#day) this.#sent.clear();
    this.#day = day;
    const sent = (this.#sent.get(sender) ?? 0) + bytes;
    if (historyBytes > 0 && sent > historyBytes * SHARE) return false;
    this.#sent.set(sender, sent);
    return true;
  }
}
