import type { Address } from '../actors/address.js';
import type { Domain } from '../actors/domain.js';
import type { Passed } from '../actors/moving.js';

/**
 * How many packets or publications, and how many bytes of them, are kept for one endpoint or session while another node is asked to
 * take it over; further ones are dropped, and counted. What has no bytes is kept in each case.
 */
const MOST = 10_000;
const MOST_BYTES = 4 * 1024 * 1024;

/**
 * What comes for an endpoint or session that is offered to a node. It waits here until that node has said that it has taken the endpoint or
 * session: what is given to the node before may be lost with it, or comes twice where the node refuses.
 */
export class Passing<T> {
  #items: T[] = [];
  #bytes = 0;
  #isTaken = false;

  constructor(private readonly pass: (item: T) => void) {}

  /** What waits: where the node refuses the endpoint or session, that goes on with these. */
  get items(): readonly T[] {
    return this.#items;
  }

  /** False where too many wait, and this one is dropped. */
  take(item: T, bytes: number): boolean {
    if (this.#isTaken) {
      this.pass(item);
      return true;
    }
    if (bytes > 0 && (this.#items.length >= MOST || this.#bytes + bytes > MOST_BYTES)) return false;
    this.#items.push(item);
    this.#bytes += bytes;
    return true;
  }

  /** The node has taken the endpoint or session: what waits goes there, and so does what comes from now on. */
  taken(): void {
    const waiting = this.#items;
    this.#items = [];
    this.#isTaken = true;
    for (const item of waiting) this.pass(item);
  }
}

/** Has what comes for an endpoint wait; what is too much is dropped, and who asks what becomes of it is to send it again. */
export function passed(
  passing: Passing<Passed>,
  domain: Pick<Domain, 'drop'>,
  address: Address,
): (one: Passed) => void {
  return (one) => {
    if (one.kind === 'confirmedElsewhere') passing.take(one, one.names.join().length);
    else if (one.kind !== 'deliver') {
      // What waits has been said once, and does not become more so.
      if (!passing.items.some(({ kind }) => kind === one.kind)) passing.take(one, 0);
    } else if (!passing.take(one, one.packet.bytes)) {
      domain.drop(one.packet, 'queueOverflow', address);
      one.packet.receipt?.report('unknown');
    }
  };
}
