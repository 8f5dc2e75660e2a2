/**
 * Lets this node's clients hear of what changes in the tracker. Each node tells its own, whichever node the change is
 * from: a change, a node that dies and one that comes back are told in the same way, nobody hears of one twice, and what
 * a client believes is what the server answers. PROTOCOL.md section 4.
 */
import { type Address, shortId } from './address.js';
import { hasMembersHere, presenceTo, toRoomHere } from './dispatch.js';
import type { Domain } from './domain.js';
import type { Change, EndpointRecord } from './endpoint-record.js';
import { Packet, type PresenceType } from './packet.js';
import type { PresenceListener } from './tracker.js';

type Addresses = readonly Address[];

export class PresenceFanout implements PresenceListener {
  #isSilent = false;
  /** Whether other nodes are to tell nobody either of what changes now. */
  isSilentEverywhere = false;

  constructor(private readonly domain: Domain) {}

  /** Runs `change` without telling anybody of the presences that it changes; `isEverywhere`: also on other nodes. */
  silently(change: () => void, isEverywhere = false): void {
    this.#isSilent = true;
    this.isSilentEverywhere = isEverywhere;
    try {
      change();
    } finally {
      this.#isSilent = false;
      this.isSilentEverywhere = false;
    }
  }

  /** Sends an endpoint's presence to the endpoints that list it and to those that it lists, once to each. */
  changed(record: EndpointRecord, type: 'online' | 'offline' | 'show'): void {
    if (this.#isSilent) return;
    const { domain } = this;
    const { address, nick } = record;
    const from = shortId(domain.name, address);
    const show = type === 'offline' ? 'unavailable' : record.show;
    const status = type === 'offline' ? '' : record.status;
    for (const hearer of this.#hearers(record)) {
      const to = shortId(domain.name, hearer.address);
      domain.metrics.accepted.presence += 1;
      const fields = { from, to, nick, type, show, status };
      presenceTo(domain, hearer, new Packet('presence', fields, hearer.address, address));
    }
  }

  /** One packet for all members of this node, and for those here who watch the room by MQTT. */
  inRoom(record: EndpointRecord, room: Address, type: PresenceType, nick: string | null): void {
    const { domain } = this;
    if (this.#isSilent) return;
    if (!hasMembersHere(domain, room) && domain.table.size === 0) return;
    const to = shortId(domain.name, room);
    const from = shortId(domain.name, record.address);
    const show = type === 'grpoffline' ? 'unavailable' : record.show;
    domain.metrics.accepted.presence += 1;
    const fields = { from, to, nick: nick ?? record.nick, type, show, status: to };
    toRoomHere(domain, new Packet('presence', fields, room, record.address));
  }

  moved(record: EndpointRecord, wasOnline: boolean, before: Addresses, after: Addresses, change: Change): void {
    const { events } = this.domain;
    if (events !== null && !this.#isSilent) events.presence.moved(record, wasOnline, before, after, change);
  }

  contradicted(record: EndpointRecord): void {
    this.domain.events?.presence.contradicted(record);
  }

  /** Endpoints of this node that hear of one. */
  #hearers(record: EndpointRecord): Set<EndpointRecord> {
    const { tracker, cluster } = this.domain;
    const hearers = new Set(tracker.watchers(record.address));
    const add = (address: Address) => {
      const hearer = tracker.records.get(address);
      if (hearer?.actor) hearers.add(hearer);
    };
    record.watching.forEach(add);
    for (const address of cluster.watchedBy(record.address)) add(address);
    return hearers;
  }
}
