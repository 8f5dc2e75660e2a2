/**
 * What is changed at run time and holds on all nodes: the directory of domains and the audit log. On a single node the store
 * keeps it; in a cluster every node has all of it and tells what it changes.
 */
import type { Clock } from '../clock.js';
import { HybridClock } from '../cluster/hybrid-clock.js';
import type { SharedItems } from '../cluster/node.js';
import type { Item, Taken } from '../cluster/peer.js';
import { count, stamp, text } from '../cluster/validators.js';
import type { Surroundings } from '../config-domain.js';
import type { Store } from '../store/store.js';
import { Audit, type AuditEntry } from './audit.js';
import { Directory } from './directory.js';
import type { Change, Register } from './registers.js';

/** Items: a change of a domain's registers, an entry of the audit log. */
const CHANGE = 'dc';
const AUDIT = 'da';
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
  const { at, who, address, what, domain, detail } = value as Partial<AuditEntry>;
  const isText = [who, address, what, domain].every((one) => text(one, ''));
  return count(at, '') && isText && Array.isArray(detail) && detail.length <= LONGEST_DETAIL;
}

export class SharedState implements SharedItems {
  readonly directory: Directory;
  readonly audit: Audit;
  /** Tells an item to all other nodes. */
  broadcast: (item: string) => void = () => undefined;

  constructor({ clock, store }: Surrounding, isCluster: boolean, surroundings: () => Surroundings) {
    const tell = (change: Change): void => this.broadcast(changeItem(change));
    this.directory = new Directory({
      store,
      stamps: new HybridClock(clock),
      tell: isCluster ? tell : null,
      surroundings,
    });
    this.audit = new Audit(store, (entry) => this.broadcast(JSON.stringify([AUDIT, entry])));
  }

  *items(): Iterable<string> {
    for (const change of this.directory.snapshot()) yield changeItem(change);
  }

  take([kind, ...fields]: Item): Taken {
    if (kind === AUDIT) {
      const [entry] = fields;
      if (!isAudit(entry)) return 'malformed';
      this.audit.take(entry);
      return 'taken';
    }
    if (kind !== CHANGE) return 'unknown';
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
