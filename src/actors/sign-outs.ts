/**
 * Names that were signed out by an OFFLINE by name: signed tokens of such a name that were issued earlier are refused, for as long
 * as a token can live, and a ticket that a sign-out has ended answers `stopped` for a while to a client that keeps a position.
 * PROTOCOL.md section 16. Names and tickets outlive a restart where there is a store; all nodes know both.
 */
import type { Clock } from '../clock.js';
import type { DomainMetrics } from '../metrics.js';
import { seldom } from '../seldom.js';
import { part } from '../store/keys.js';
import type { Store, Table } from '../store/store.js';
import type { Address } from './address.js';
import { hashOf } from './tickets.js';

/** How long a token can live, and how far the site's clock may be off. */
const TOKEN_MS = (24 * 60 + 1) * 60_000;
/** How many names, and how many tickets, each domain remembers at most. */
const NAMES = 100_000;
const TICKETS = 10_000;
/** A ticket that ended longer ago than this is not restored at a restart. */
const OLDEST_TICKET_MS = 24 * 60 * 60_000;

export type SignedOut = readonly [Address, at: number];
/** A ticket that a sign-out has ended, by the hash of its token, and for how many milliseconds more it is remembered. */
export type EndedTicket = readonly [hash: string, ms: number];

export class SignOuts {
  /** When each name was signed out last, in milliseconds since the epoch; the one signed out first comes first. */
  readonly #names = new Map<Address, number>();
  /** Until when each ticket that a sign-out ended is remembered, by the hash of its token; the one that ended first comes first. */
  readonly #tickets = new Map<string, number>();
  readonly #ended: Table<number> | null;
  readonly #table: Table<SignedOut> | null;
  readonly #part: string;
  /** Whether no other node writes to the store. */
  readonly #isAlone: boolean;

  constructor(
    private readonly owner: { readonly name: string; readonly metrics: Pick<DomainMetrics, 'signOutsForgotten'> },
    private readonly clock: Pick<Clock, 'now'>,
    /** How long a ticket that a sign-out ended answers `stopped`, in milliseconds: `resume.keepMs`. */
    private readonly keepMs: number,
    store: Store | null,
  ) {
    this.#table = store?.table('signOuts') ?? null;
    this.#part = part(owner.name);
    this.#isAlone = store?.node === null;
    const kept = [...(this.#table?.entries(this.#part) ?? [])].map(([, value]) => value);
    for (const [address, at] of kept.sort((a, b) => a[1] - b[1])) this.#names.set(address, at);
    this.#expire();
    this.#ended = store?.table('signedOutTickets') ?? null;
    this.#restoreTickets();
  }

  /** Notes that a name was signed out at `at`, in ms since the epoch; another node writes its own sign-outs. False: already known. */
  add(address: Address, at: number, isHere = true): boolean {
    if ((this.#names.get(address) ?? 0) >= at) return false;
    this.#names.delete(address);
    this.#names.set(address, at);
    if (isHere || this.#isAlone) this.#table?.put(this.#key(address), [address, at]);
    this.#expire();
    return true;
  }

  /** Whether a token of a name is refused that was issued at this time, in milliseconds since the epoch. */
  refuses(address: Address, issuedAt: number): boolean {
    return issuedAt <= (this.last(address) ?? Number.NEGATIVE_INFINITY);
  }

  /** When a name was signed out last, in milliseconds since the epoch; undefined: not within a day. */
  last(address: Address): number | undefined {
    return this.#names.get(address);
  }

  entries(): Iterable<SignedOut> {
    return this.#names.entries();
  }

  /** Clients have been signed out: remembers their tickets, by the hashes of their tokens. Answers them as other nodes are told. */
  end(hashes: readonly string[]): readonly EndedTicket[] {
    const now = this.clock.now();
    for (const hash of hashes) {
      this.#tickets.delete(hash);
      this.#tickets.set(hash, now + this.keepMs);
      this.#ended?.put([this.#part, hash], now);
    }
    this.#expireTickets(now);
    return hashes.map((hash) => [hash, this.keepMs]);
  }

  /** Another node tells of tickets that a sign-out has ended. */
  heard(tickets: readonly EndedTicket[]): void {
    const now = this.clock.now();
    for (const [hash, ms] of tickets)
      if (!this.#tickets.has(hash)) this.#tickets.set(hash, now + Math.min(ms, this.keepMs));
    this.#expireTickets(now);
  }

  /** All tickets that are remembered, for a node that has come. */
  ended(): readonly EndedTicket[] {
    const now = this.clock.now();
    this.#expireTickets(now);
    return [...this.#tickets].map(([hash, until]) => [hash, Math.max(0, until - now)]);
  }

  /** Whether a sign-out has ended the ticket of a token less than `keepMs` ago. */
  hasEnded(token: string): boolean {
    if (this.#tickets.size === 0) return false;
    const hash = hashOf(token);
    const until = this.#tickets.get(hash);
    if (until === undefined) return false;
    if (until > this.clock.now()) return true;
    this.#forgetTicket(hash);
    return false;
  }

  /** Reads ended tickets from the store. Each is remembered for `keepMs` from the start of the server, as all times of clients are. */
  #restoreTickets(): void {
    const now = this.clock.now();
    const kept = [...(this.#ended?.entries(this.#part) ?? [])].sort(([, a], [, b]) => a - b);
    for (const [[, hash], at] of kept) {
      if (at <= now - OLDEST_TICKET_MS) this.#forgetTicket(String(hash));
      else this.#tickets.set(String(hash), now + this.keepMs);
    }
  }

  #expireTickets(now: number): void {
    for (const [hash, until] of this.#tickets) {
      if (until > now && this.#tickets.size <= TICKETS) return;
      this.#forgetTicket(hash);
    }
  }

  #forgetTicket(hash: string): void {
    this.#tickets.delete(hash);
    this.#ended?.remove([this.#part, hash]);
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
