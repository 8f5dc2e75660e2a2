/**
 * What is changed at run time and holds on all nodes: the directory of domains and the audit log. On a single node the store
 * keeps it; in a cluster every node has all of it and tells what it changes.
 */
import type { SharedQuotas } from '../actors/quotas.js';
import type { Clock } from '../clock.js';
import { HybridClock } from '../cluster/hybrid-clock.js';
import type { SharedItems } from '../cluster/node.js';
import type { Item, Taken } from '../cluster/peer.js';
import { count, stamp, text } from '../cluster/validators.js';
import type { Surroundings } from '../config-domain.js';
import type { Store } from '../store/store.js';
import { Audit, type AuditEntry } from './audit.js';
import { BAN_KINDS, type Ban, type BanKind, Bans, type DomainBans } from './bans.js';
import { Directory } from './directory.js';
import { type Load, Loads } from './loads.js';
import type { Change, Register } from './registers.js';

/** Items: a change of a domain's registers, an entry of the audit log. */
const CHANGE = 'dc';
const AUDIT = 'da';
/** A ban; what a node has of a limit; clients that are to end. */
const BAN = 'db';
const LOAD = 'dl';
const KICK = 'dk';
const LONGEST_DETAIL = 1000;

interface Surrounding {
  readonly clock: Clock;
  readonly store: Store | null;
}

function isRegister(value: unknown): value is readonly [string, Register] {
  if (!Array.isArray(value) || !text(value[0], '') || typeof value[1] !== 'object' || value[1] === null) return false;
  const register = value[1] as Partial<Register>;
  return stamp(register.stamp, '') && stamp(register.born, '') && typeof register.value === 'object';
}

function isAudit(value: unknown): value is AuditEntry {
  if (typeof value !== 'object' || value === null) return false;
  const { at, who, address, what, domain, detail, id = '' } = value as Partial<AuditEntry>;
  const isText = [who, address, what, domain, id].every((one) => text(one, ''));
  return count(at, '') && isText && Array.isArray(detail) && detail.length <= LONGEST_DETAIL;
}

function isBan(value: unknown): value is Ban {
  if (typeof value !== 'object' || value === null) return false;
  const { domain, kind, value: who, stamp: at, until, since, reason, by } = value as Partial<Ban>;
  const isText = [domain, who, reason, by].every((one) => text(one, ''));
  return (
    isText && (BAN_KINDS as readonly unknown[]).includes(kind) && stamp(at, '') && count(until, '') && count(since, '')
  );
}

export class SharedState implements SharedItems, SharedQuotas {
  readonly directory: Directory;
  readonly audit: Audit;
  readonly bans: Bans;
  readonly loads: Loads;
  readonly stamps: HybridClock;
  /** Called where clients are to end, here or as another node has told. */
  kicked: (domain: string, kind: BanKind, value: string) => void = () => undefined;
  /** Makes a domain that another node tells of. */
  wake: (domain: string) => void = () => undefined;
  /** Tells an item to all other nodes. */
  broadcast: (item: string) => void = () => undefined;

  constructor({ clock, store }: Surrounding, isCluster: boolean, surroundings: () => Surroundings) {
    this.stamps = new HybridClock(clock);
    const now = (): number => clock.now();
    this.loads = new Loads(now);
    this.bans = new Bans(store, now, (ban) => this.broadcast(JSON.stringify([BAN, ban])));
    const tell = (change: Change): void => this.broadcast(changeItem(change));
    this.directory = new Directory({
      store,
      stamps: this.stamps,
      tell: isCluster ? tell : null,
      surroundings,
    });
    this.audit = new Audit(store, (entry) => this.broadcast(JSON.stringify([AUDIT, entry])));
  }

  bansOf(domain: string): DomainBans {
    return this.bans.of(domain);
  }

  others(domain: string): Load {
    return this.loads.others(domain);
  }

  /** Ends clients on all nodes. */
  kick(domain: string, kind: BanKind, value: string): void {
    this.kicked(domain, kind, value);
    this.broadcast(JSON.stringify([KICK, domain, kind, value]));
  }

  /** Says what this node has of the limits of the whole cluster. */
  sayLoad(node: string, domain: string, { connections, messages }: Load): void {
    this.broadcast(JSON.stringify([LOAD, node, domain, connections, messages]));
  }

  *items(): Iterable<string> {
    for (const change of this.directory.snapshot()) yield changeItem(change);
    for (const ban of this.bans.all()) yield JSON.stringify([BAN, ban]);
  }

  take([kind, ...fields]: Item): Taken {
    switch (kind) {
      case CHANGE:
        return this.#takeChange(fields);
      case AUDIT:
        return this.#takeOne(fields[0], isAudit, (entry) => this.audit.take(entry));
      case BAN:
        return this.#takeOne(fields[0], isBan, (ban) => this.#takeBan(ban));
      case KICK:
        return this.#takeKick(fields);
      case LOAD:
        return this.#takeLoad(fields);
      default:
        return 'unknown';
    }
  }

  #takeOne<T>(value: unknown, is: (value: unknown) => value is T, take: (value: T) => void): Taken {
    if (!is(value)) return 'malformed';
    take(value);
    return 'taken';
  }

  #takeBan(ban: Ban): void {
    this.stamps.heard(ban.stamp);
    this.bans.take(ban);
  }

  #takeKick([domain, kind, value]: readonly unknown[]): Taken {
    if (!text(domain, '') || !text(value, '') || !(BAN_KINDS as readonly unknown[]).includes(kind)) return 'malformed';
    this.kicked(domain as string, kind as BanKind, value as string);
    return 'taken';
  }

  #takeLoad([node, domain, connections, messages]: readonly unknown[]): Taken {
    if (!text(node, '') || !text(domain, '') || !count(connections, '') || !count(messages, '')) return 'malformed';
    const load = { connections: connections as number, messages: messages as number };
    this.loads.take(node as string, domain as string, load);
    return 'taken';
  }

  #takeChange(fields: readonly unknown[]): Taken {
    const [domain, removed, registers] = fields;
    if (!text(domain, '') || !stamp(removed, '') || !Array.isArray(registers) || !registers.every(isRegister)) {
      return 'malformed';
    }
    this.directory.take({ domain: domain as string, removed: removed as number, registers });
    return 'taken';
  }
}

function changeItem({ domain, removed, registers }: Change): string {
  return JSON.stringify([CHANGE, domain, removed, registers]);
}
