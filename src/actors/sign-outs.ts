/**
 * Who has been signed out by OFFLINE by name: signed tokens of that name that were issued before are refused, for as long
 * as such a token can live, and a ticket that ended so answers `stopped` for a while to a client that keeps a position.
 * PROTOCOL.md section 16. Names outlive a restart where there is a store; all nodes know them.
 */
import { BoundedMap } from '../bounded-map.js';
import type { Clock } from '../clock.js';
import type { DomainMetrics } from '../metrics.js';
import { seldom } from '../seldom.js';
import { part } from '../store/keys.js';
import type { Store, Table } from '../store/store.js';
import type { Address } from './address.js';
import { hashOf } from './tickets.js';

/** How long a token can live, and how far the site's clock may be off. */
const TOKEN_MS = (24 * 60 + 1) * 60_000;
/** Of each domain. */
const NAMES = 100_000;
const TICKETS = 10_000;

export type SignedOut = readonly [Address, at: number];

export class SignOuts {
  /** When each name was signed out last, in milliseconds since the epoch; the one signed out first comes first. */
  readonly #names = new Map<Address, number>();
  /** Until when tickets that ended so are known, by the hash of their tokens. */
  readonly #tickets = new BoundedMap<string, number>(() => TICKETS);
  readonly #table: Table<SignedOut> | null;
  readonly #part: string;

  constructor(
    private readonly owner: { readonly name: string; readonly metrics: Pick<DomainMetrics, 'signOutsForgotten'> },
    private readonly clock: Pick<Clock, 'now'>,
    /** How long a ticket that ended so answers `stopped`: `resume.keepMs`. */
    private readonly keepMs: number,
    store: Store | null,
  ) {
    this.#table = store?.table('signOuts') ?? null;
    this.#part = part(owner.name);
    const kept = [...(this.#table?.entries(this.#part) ?? [])].map(([, value]) => value);
    for (const [address, at] of kept.sort((a, b) => a[1] - b[1])) this.#names.set(address, at);
    this.#expire();
  }

  /** A name is signed out now, or was on another node. False: that is known already. */
  add(address: Address, at: number): boolean {
    if ((this.#names.get(address) ?? 0) >= at) return false;
    this.#names.delete(address);
    this.#names.set(address, at);
    this.#table?.put(this.#key(address), [address, at]);
    this.#expire();
    return true;
  }

  /** Whether a token of a name is refused that was issued at this time, in milliseconds since the epoch. */
  refuses(address: Address, issuedAt: number): boolean {
    return issuedAt <= (this.#names.get(address) ?? Number.NEGATIVE_INFINITY);
  }

  entries(): Iterable<SignedOut> {
    return this.#names.entries();
  }

  /** A client has been signed out: remembers its ticket, by the hash of its token. */
  end(hash: string): void {
    this.#tickets.set(hash, this.clock.now() + this.keepMs);
  }

  /** Whether the ticket of a token has ended so, a moment ago. */
  hasEnded(token: string): boolean {
    if (this.#tickets.size === 0) return false;
    const hash = hashOf(token);
    const until = this.#tickets.get(hash);
    if (until === undefined) return false;
    if (until > this.clock.now()) return true;
    this.#tickets.delete(hash);
    return false;
  }

  #expire(): void {
    const oldest = this.clock.now() - TOKEN_MS;
    for (const [address, at] of this.#names) {
      const isFull = this.#names.size > NAMES;
      if (at > oldest && !isFull) return;
      this.#names.delete(address);
      this.#table?.remove(this.#key(address));
      if (at > oldest) this.#forgotten();
    }
  }

  /** So many have been signed out within a day that the first of them is not known any more. */
  #forgotten(): void {
    this.owner.metrics.signOutsForgotten += 1;
    const what = { event: 'sign-out forgotten', domain: this.owner.name, limit: NAMES };
    seldom.warn(`sign-outs ${this.owner.name}`, what, 'too many names are signed out: tokens of the first hold again');
  }

  #key(address: Address) {
    return [this.#part, part(address)] as const;
  }
}
