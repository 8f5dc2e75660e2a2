/**
 * What each domain has used, hour by hour, for thirteen months: read every few seconds from counters that exist anyway, and
 * the different users of an hour. With a data folder the hours are kept there, without one the last two days in memory. In the
 * store of a cluster each node has hours of its own, written once a minute; the hours of all nodes are added up.
 */

import { part } from '../store/keys.js';
import type { Key, Store, Table } from '../store/store.js';
import { Distinct } from './distinct.js';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
/** Thirteen months. */
const KEPT_MS = 396 * DAY_MS;
/** Hours of a domain that are kept in memory where there is no store. */
const IN_MEMORY = 48;
/** How often, in ms, a node writes its present hour to the store of a cluster. */
const WRITE_MS = 60_000;

/** Counters of a domain that only grow, since the start of the process. */
export interface Totals {
  readonly messagesIn: number;
  readonly messagesOut: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly restCalls: number;
}

/** One hour of a domain. */
interface Hour extends Totals {
  readonly peakOnline: number;
  readonly connectionHours: number;
  /** Registers of the different users. */
  readonly users: Uint8Array;
}

/** An hour or a day of a domain, as the API answers it. */
export interface UsageRow extends Totals {
  /** Milliseconds since the epoch. */
  readonly from: number;
  readonly peakOnline: number;
  readonly users: number;
  readonly connectionHours: number;
}

export type Step = 'hour' | 'day';

const NAMES = ['messagesIn', 'messagesOut', 'bytesIn', 'bytesOut', 'restCalls'] as const satisfies (keyof Totals)[];
const NOTHING: Totals = { messagesIn: 0, messagesOut: 0, bytesIn: 0, bytesOut: 0, restCalls: 0 };

/** The present hour of one domain. */
class Present {
  readonly users: Distinct;
  #totals: Totals;
  peakOnline: number;
  connectionHours: number;

  constructor(
    readonly from: number,
    kept: Hour | undefined,
  ) {
    this.users = new Distinct(kept?.users);
    this.#totals = kept ?? NOTHING;
    this.peakOnline = kept?.peakOnline ?? 0;
    this.connectionHours = kept?.connectionHours ?? 0;
  }

  add(before: Totals, now: Totals): void {
    const sums = NAMES.map((name) => [name, this.#totals[name] + Math.max(0, now[name] - before[name])] as const);
    this.#totals = Object.fromEntries(sums) as unknown as Totals;
  }

  get hour(): Hour {
    const { peakOnline, connectionHours, users } = this;
    const { messagesIn, messagesOut, bytesIn, bytesOut, restCalls } = this.#totals;
    const totals = { messagesIn, messagesOut, bytesIn, bytesOut, restCalls };
    return { ...totals, peakOnline, connectionHours, users: Buffer.from(users.registers) };
  }
}

interface Followed {
  present: Present;
  totals: Totals;
  /** When the domain was sampled last, in milliseconds since the epoch. */
  at: number;
  /** When the present hour was last written to the store, in milliseconds since the epoch. */
  writtenAt: number;
  /** Whether the present hour has changed since it was last written. */
  isOwed: boolean;
}

export class Usage {
  readonly #followed = new Map<string, Followed>();
  readonly #table: Table<Hour> | null;
  /** This node's name, which is part of its keys in the store of a cluster; empty where there is no cluster's store. */
  readonly #node: string;
  /** Without a store: hours by domain. */
  readonly #memory = new Map<string, Map<number, Hour>>();

  constructor(store: Store | null) {
    this.#table = store?.table('usage') ?? null;
    this.#node = store?.node ?? '';
  }

  /** Whether this node's store has the hours of all nodes, so that the other nodes need not be asked. */
  get isOfAll(): boolean {
    return this.#node !== '';
  }

  /** Somebody comes online. */
  came(domain: string, endpoint: string, now: number): void {
    this.#follow(domain, now).present.users.add(endpoint);
  }

  /** What a domain has now; where nothing has changed nothing is written. Answers whether an hour has begun. */
  sample(domain: string, totals: Totals, online: number, connections: number, now: number): boolean {
    const before = this.#followed.get(domain)?.present;
    const followed = this.#follow(domain, now);
    const { present } = followed;
    const hours = (connections * Math.max(0, now - followed.at)) / HOUR_MS;
    followed.at = now;
    const isIdle = online === 0 && connections === 0 && NAMES.every((name) => totals[name] === followed.totals[name]);
    const isNewHour = before !== undefined && before !== present;
    if (isIdle) return isNewHour;
    present.add(followed.totals, totals);
    present.peakOnline = Math.max(present.peakOnline, online);
    present.connectionHours += hours;
    followed.totals = totals;
    followed.isOwed = true;
    if (this.#node === '' || now >= followed.writtenAt + WRITE_MS) this.#write(domain, followed, now);
    return isNewHour;
  }

  /** The server ends: a node of a cluster writes the changes of its present hours to the store. */
  close(now: number): void {
    if (this.#node !== '') for (const [domain, followed] of this.#followed) this.#write(domain, followed, now);
  }

  #write(domain: string, followed: Followed, now: number): void {
    if (!followed.isOwed) return;
    followed.isOwed = false;
    followed.writtenAt = now;
    this.#keep(domain, followed.present);
  }

  /** The hours or days that begin in a time, the earliest first, with the registers of their users. */
  counted(domain: string, from: number, to: number, step: Step): { row: UsageRow; users: string }[] {
    const width = step === 'day' ? DAY_MS : HOUR_MS;
    const rows = new Map<number, { row: UsageRow; users: Distinct }>();
    for (const [at, hour] of this.#hours(domain, from - (from % width))) {
      if (at >= to) continue;
      const start = at - (at % width);
      const known = rows.get(start);
      const users = known?.users ?? new Distinct();
      users.merge(hour.users);
      const { users: _, ...numbers } = hour;
      rows.set(start, { users, row: addRows(known?.row, { ...numbers, from: start, users: 0 }) });
    }
    return [...rows.values()].map(({ row, users }) => ({
      row,
      users: Buffer.from(users.registers).toString('base64'),
    }));
  }

  forget(domain: string): void {
    this.#followed.delete(domain);
    this.#memory.delete(domain);
  }

  #follow(domain: string, now: number): Followed {
    const from = now - (now % HOUR_MS);
    let followed = this.#followed.get(domain);
    if (!followed) {
      const present = new Present(from, this.#table?.get(this.#key(domain, from)));
      followed = { present, totals: NOTHING, at: now, writtenAt: now, isOwed: false };
      this.#followed.set(domain, followed);
    } else if (followed.present.from !== from) {
      this.#keep(domain, followed.present);
      followed.present = new Present(from, undefined);
      this.#expire(domain, now);
    }
    return followed;
  }

  #key(domain: string, from: number): Key {
    return this.#node === '' ? [part(domain), from] : [part(domain), from, this.#node];
  }

  #keep(domain: string, { from, hour }: Present): void {
    if (this.#table) return this.#table.put(this.#key(domain, from), hour);
    let hours = this.#memory.get(domain);
    if (!hours) {
      hours = new Map();
      this.#memory.set(domain, hours);
    }
    hours.set(from, hour);
    if (hours.size > IN_MEMORY) hours.delete(hours.keys().next().value as number);
  }

  #expire(domain: string, now: number): void {
    const first = part(domain);
    for (const [key] of this.#table?.entries(first) ?? []) {
      if (Number(key[1]) >= now - KEPT_MS) return;
      this.#table?.remove(key);
    }
  }

  *#hours(domain: string, from: number): Iterable<readonly [number, Hour]> {
    const stored = this.#table?.entries([part(domain)], { from }) ?? [];
    const { present, isOwed = false } = this.#followed.get(domain) ?? {};
    const owed = this.#node !== '' && isOwed ? present : undefined;
    for (const [[, at, node], hour] of stored) {
      if (!owed || at !== owed.from || node !== this.#node) yield [Number(at), hour];
    }
    if (owed && owed.from >= from) yield [owed.from, owed.hour];
    for (const [at, hour] of this.#memory.get(domain) ?? []) if (at >= from) yield [at, hour];
  }
}

export function addRows(a: UsageRow | undefined, b: UsageRow): UsageRow {
  if (!a) return b;
  const totals = Object.fromEntries(NAMES.map((name) => [name, a[name] + b[name]])) as unknown as Totals;
  const peakOnline = Math.max(a.peakOnline, b.peakOnline);
  return { ...totals, from: a.from, peakOnline, users: 0, connectionHours: a.connectionHours + b.connectionHours };
}
