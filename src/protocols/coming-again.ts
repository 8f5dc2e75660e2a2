/** When clients that are refused may come again: those who are refused in one moment do not come back in one. */
import type { ReplyError } from '../errors.js';

/** How many are told to come within a second: what any server takes at once (as in staggered-close.ts). */
const PER_SECOND = 1000;
/** How much later than the first of them one is told to come at most; then it begins anew. */
const LATEST_MS = 60_000;

export class ComingAgain {
  /** When the one who was told so last is to come, in milliseconds, by the seconds that a refusal names: few differ. */
  readonly #last = new Map<number, number>();

  constructor(private readonly now: () => number) {}

  /** A refusal as a client is told it: where it may come again the body says when, since a JSONP script or a WebSocket shows no headers. */
  told(error: ReplyError): ReplyError {
    return error.retryAfterS === undefined ? error : { ...this.spread(error), saysWhen: true };
  }

  /** The same for a page that calls as a site does, and reads the header. */
  spread(error: ReplyError): ReplyError {
    const { retryAfterS } = error;
    return retryAfterS === undefined ? error : { ...error, retryAfterS: this.inS(retryAfterS) };
  }

  /** In how many seconds a client is to come that is not to come before so many. */
  inS(leastS: number): number {
    const earliest = this.now() + leastS * 1000;
    const next = Math.max((this.#last.get(leastS) ?? 0) + 1000 / PER_SECOND, earliest);
    const at = next > earliest + LATEST_MS ? earliest : next;
    this.#last.set(leastS, at);
    return leastS + Math.floor((at - earliest) / 1000);
  }
}
