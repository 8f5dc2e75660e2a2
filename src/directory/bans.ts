/**
 * Who is kept out of a domain, and until when: network addresses, endpoints, and clients by their names. Every node has all
 * bans and the later word on one counts; a store keeps them. Bounded, and each ends by itself.
 */
import type { Store, Table } from '../store/store.js';

export const MOST_BANS = 10_000;
export const LONGEST_MINUTES = 366 * 24 * 60;
const TABLE_PART = 'ban';
/** The later word on a ban that was lifted is remembered for this long, in ms, so that a node that was away does not bring it back. */
const REMEMBER_MS = 24 * 60 * 60 * 1000;
const SWEEP_MS = 60_000;

export const BAN_KINDS = ['address', 'id', 'clientId'] as const;
export type BanKind = (typeof BAN_KINDS)[number];

/** The latest word on one ban. */
export interface Ban {
  readonly domain: string;
  readonly kind: BanKind;
  readonly value: string;
  readonly stamp: number;
  /** Milliseconds since the epoch; 0: it was lifted. */
  readonly until: number;
  readonly since: number;
  readonly reason: string;
  /** Name of whoever set it. */
  readonly by: string;
}

/** Whoever wants to come in, as far as that is known. */
export interface Stranger {
  /** Network address; null: not known, or not that of a client. */
  readonly address?: string | null;
  /** Short id. */
  readonly id?: string;
  /** Name of the client, or MQTT client identifier. */
  readonly clientId?: string;
}

/** The bans of one domain. */
export class DomainBans {
  readonly #bans = new Map<string, Ban>();
  #sweptAt = Number.NEGATIVE_INFINITY;

  constructor(private readonly now: () => number) {}

  get size(): number {
    return this.#bans.size;
  }

  /** The ban that keeps somebody out; null: none does. */
  find(stranger: Stranger): Ban | null {
    if (this.#bans.size === 0) return null;
    for (const kind of BAN_KINDS) {
      const value = stranger[kind];
      const ban = value ? this.#bans.get(`${kind}:${value}`) : undefined;
      if (ban && ban.until > this.now()) return ban;
    }
    return null;
  }

  /** The bans that are in force, the latest first. */
  list(): Ban[] {
    const now = this.now();
    return [...this.#bans.values()].filter(({ until }) => until > now).sort((a, b) => b.since - a.since);
  }

  all(): Iterable<Ban> {
    return this.#bans.values();
  }

  /** Takes the later word; answers whether this was it. */
  take(ban: Ban): boolean {
    const name = `${ban.kind}:${ban.value}`;
    const known = this.#bans.get(name);
    if (known && known.stamp >= ban.stamp) return false;
    this.#bans.set(name, ban);
    return true;
  }

  /** Whether it may be set: it is there already, or fewer hold than may. */
  hasRoom({ kind, value }: Pick<Ban, 'kind' | 'value'>): boolean {
    if (this.#bans.size < MOST_BANS || this.#bans.has(`${kind}:${value}`)) return true;
    const now = this.now();
    return [...this.#bans.values()].some(({ until }) => until <= now);
  }

  /** Forgets what ended a day ago, and where there are as many as may be, also what ended first. */
  sweep(): Ban[] {
    const now = this.now();
    if (this.#bans.size < MOST_BANS && now < this.#sweptAt + SWEEP_MS) return [];
    this.#sweptAt = now;
    const ended = [...this.#bans.values()].filter(({ until }) => until <= now).sort((a, b) => a.stamp - b.stamp);
    const surplus = this.#bans.size - MOST_BANS + 1;
    const over = ended.filter(({ stamp }, at) => at < surplus || stamp / 1024 + REMEMBER_MS < now);
    for (const { kind, value } of over) this.#bans.delete(`${kind}:${value}`);
    return over;
  }
}

export class Bans {
  /** Called with each ban that begins here or is told by another node. */
  begins: (ban: Ban) => void = () => undefined;
  readonly #domains = new Map<string, DomainBans>();
  readonly #table: Table<Ban> | null;

  constructor(
    store: Store | null,
    private readonly now: () => number,
    private readonly tell: (ban: Ban) => void,
  ) {
    this.#table = store?.table('bans') ?? null;
    for (const [, ban] of this.#table?.entries(TABLE_PART) ?? []) this.of(ban.domain).take(ban);
  }

  of(domain: string): DomainBans {
    let found = this.#domains.get(domain);
    if (!found) {
      found = new DomainBans(this.now);
      this.#domains.set(domain, found);
    }
    return found;
  }

  /** A ban is set or lifted here. */
  set(ban: Ban): void {
    this.take(ban);
    this.tell(ban);
  }

  take(ban: Ban): void {
    const bans = this.of(ban.domain);
    for (const { kind, value } of bans.sweep()) this.#table?.remove([TABLE_PART, ban.domain, kind, value]);
    if (!bans.hasRoom(ban)) return;
    if (!bans.take(ban)) return;
    this.#table?.put([TABLE_PART, ban.domain, ban.kind, ban.value], ban);
    if (ban.until > this.now()) this.begins(ban);
  }

  /** The domain is removed, and its bans go with it. */
  forget(domain: string): void {
    for (const { kind, value } of this.#domains.get(domain)?.all() ?? []) {
      this.#table?.remove([TABLE_PART, domain, kind, value]);
    }
    this.#domains.delete(domain);
  }

  *all(): Iterable<Ban> {
    for (const bans of this.#domains.values()) yield* bans.all();
  }
}
