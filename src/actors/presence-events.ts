/**
 * Who comes and goes, told to the site once, whichever nodes see it. A change is told by the node whose own part of the
 * endpoint makes it; where two nodes bring an endpoint online at the same time, by that of the older part, and where
 * nobody could know that theirs was the last part to go, or the node of the last part is lost, by one node for all.
 */
import type { Address } from './address.js';
import type { Domain } from './domain.js';
import { type Change, type EndpointRecord, isOnline, primaryOf } from './endpoint-record.js';
import { lookup } from './lists.js';
import type { SiteEvents } from './site-events.js';

type Addresses = readonly Address[];

export class PresenceEvents {
  /** Events of endpoints that have to follow their `online` event, held while it is not known yet which node tells that one. */
  readonly #behind = new Map<Address, (() => void)[]>();

  constructor(
    private readonly domain: Domain,
    private readonly events: SiteEvents,
  ) {}

  /** An endpoint has come, gone, or changed rooms. */
  moved(record: EndpointRecord, wasOnline: boolean, before: Addresses, after: Addresses, change: Change): void {
    const { cause = 'here', since } = change;
    const isNow = isOnline(record);
    if (wasOnline !== isNow) {
      if (isNow) this.#cameOnline(record, cause);
      else this.#wentOffline(record, cause, since);
    } else if (isNow && before !== after && cause === 'here') this.#movedRooms(record, before, after);
  }

  /** Another node has told the site that an endpoint is offline, though it has come online here meanwhile. */
  contradicted(record: EndpointRecord): void {
    if (isOnline(record) && primaryOf(record) === null) this.#tell(record, () => this.events.about('online', record));
  }

  /** The last member that was online has left a room. */
  roomEmpty(room: Address): void {
    if (!this.events.wants('roomEmpty') || !this.domain.cluster.isFirst()) return;
    this.events.raise('roomEmpty', { room: this.domain.shortId(room) });
  }

  #cameOnline(record: EndpointRecord, cause: Change['cause']): void {
    if (cause === 'lost' && this.domain.cluster.isFirst()) return this.events.about('online', record);
    if (cause !== 'here' || !this.events.wants('online')) return;
    const { address, nick, show } = record;
    const behind: (() => void)[] = [];
    this.#behind.set(address, behind);
    // Waits until all nodes know: another node that has brought the endpoint online as well has announced that by then.
    this.domain.cluster.settled(() => {
      if (primaryOf(record) === null || !isOnline(record)) this.events.about('online', { address, nick, show });
      if (this.#behind.get(address) === behind) this.#behind.delete(address);
      for (const tell of behind) tell();
    });
  }

  #wentOffline(record: EndpointRecord, cause: Change['cause'], since = this.domain.runtime.clock.now()): void {
    const isOurs = cause === 'here' || (cause !== 'there' && this.domain.cluster.isFirst());
    if (!isOurs) return;
    const { address, nick, show } = record;
    this.#tell(record, () => this.events.about('offline', { address, nick, show }, { since }));
  }

  #movedRooms(record: EndpointRecord, before: Addresses, after: Addresses): void {
    const [was, is] = [lookup(before), lookup(after)];
    for (const room of before) if (!is(room)) this.#inRoom('leave', record, room);
    for (const room of after) if (!was(room)) this.#inRoom('join', record, room);
  }

  #inRoom(kind: 'join' | 'leave', record: EndpointRecord, room: Address): void {
    const { address, nick, show } = record;
    this.#tell(record, () => this.events.about(kind, { address, nick, show }, { room: this.domain.shortId(room) }));
  }

  #tell({ address }: EndpointRecord, tell: () => void): void {
    const behind = this.#behind.get(address);
    if (behind) behind.push(tell);
    else tell();
  }
}
