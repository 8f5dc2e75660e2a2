/**
 * Who hears of whom. A buddy relation is a subscription: an endpoint that lists another watches it, in the router's
 * table, under a filter that no MQTT topic can be (U+0000 is forbidden there, [MQTT-1.5.4-2]). The relation holds both
 * ways, so an endpoint's presence goes to those who watch it and to those it watches, to each of them once.
 */
import { type Address, shortId } from './address.js';
import type { EndpointState } from './endpoint.js';
import { Packet, type PresenceType } from './packet.js';

const MARK = '\u0000';

/** The filter under which others watch an endpoint. */
export function watchFilter(address: Address): string {
  return address + MARK;
}

/** Whom such a filter watches. */
export function watched(filter: string): Address {
  return filter.slice(0, -MARK.length) as Address;
}

/** Those that hear of an endpoint when they are there to hear it. */
export function buddiesOf({ domain, address, entry }: EndpointState): Set<Address> {
  const hearers = new Set<Address>();
  for (const filter of entry.watching) hearers.add(watched(filter));
  for (const { owner } of domain.table.exact(watchFilter(address))) if (owner !== null) hearers.add(owner);
  return hearers;
}

/** Sends a presence of this endpoint to each of its buddies who is there. */
export function announceToBuddies(state: EndpointState, type: PresenceType): void {
  const { domain, address, shortId: from, entry } = state;
  const show = type === 'offline' ? 'unavailable' : entry.show;
  const status = type === 'offline' ? '' : entry.status;
  for (const hearer of buddiesOf(state)) {
    if (!domain.registry.endpoints.has(hearer)) continue;
    const to = shortId(domain.name, hearer);
    domain.metrics.accepted.presence += 1;
    domain.route(new Packet('presence', { from, to, nick: entry.nick, type, show, status }, hearer, address));
  }
}
