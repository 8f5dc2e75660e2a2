/**
 * How an endpoint comes online, takes further clients, loses them and goes offline. PROTOCOL.md sections 3 and 4.
 *
 * Coming online has two steps, with the router between them: first the table learns whom the endpoint watches, then
 * the endpoint is announced. Two who come online at the same time hear of each other in any order.
 */
import { CLOSE, type CloseReason } from '../errors.js';
import { log } from '../log.js';
import { type Address, shortId } from './address.js';
import { arriving, isFull, refusalOf } from './capacity.js';
import { Client } from './client.js';
import { announce, type EndpointMessage, type EndpointState, type Online } from './endpoint.js';
import { exit } from './membership.js';
import { FOOTPRINT } from './memory.js';
import type { Packet } from './packet.js';
import { PacketQueue } from './queue.js';
import { watched, watchFilter } from './roster.js';
import { passOn } from './service.js';
import { goOnAsElsewhere } from './siblings.js';
import type { Ref } from './system.js';
import { formatTicket, newToken } from './ticket.js';

export interface OnlineResult {
  readonly ticket: string;
  /** Short id and show of each listed buddy who is online and visible. */
  readonly presences: readonly (readonly [string, string])[];
}

/** First step: the client and its ticket; what it brings that is new goes to the router. */
export function comeOnline(state: EndpointState, online: Online, self: Ref<EndpointMessage>): EndpointState {
  const { domain, address } = state;
  const same = online.client === null ? undefined : state.clients.find(({ name }) => name === online.client);
  const brings = arriving(state, online);
  const refusal = refusalOf(state, brings, same !== undefined);
  if (refusal) {
    online.reply(refusal);
    return state;
  }
  if (same) removeClient(state, same, CLOSE.stopped, self);
  const client = newClient(state, online.client, self);
  domain.arrivals.begin(client, brings);
  if (online.client !== null) domain.cluster?.claimName(address, online.client);
  watchBuddies(state, online.buddies, self, (filters) => {
    domain.runtime.system.tell(self, { kind: 'subscribed', filters, client, online });
  });
  return state;
}

/** Has the table learn whom it watches beyond those it does already. */
export function watchBuddies(
  state: EndpointState,
  buddies: readonly Address[],
  self: Ref<EndpointMessage>,
  done: (filters: readonly string[]) => void,
): void {
  const { domain, address } = state;
  const known = new Set(state.entry.watching);
  const filters = new Set<string>();
  for (const buddy of buddies) {
    const filter = watchFilter(buddy);
    if (buddy !== address && !known.has(filter)) filters.add(filter);
  }
  domain.runtime.system.tell(domain.router, {
    kind: 'subscribe',
    filters: [...filters],
    subscription: state.subscription ?? { actor: self as never, owner: address },
    done,
  });
}

/** It watches them from now on; the table has them. */
export function addWatching({ entry, domain, address }: EndpointState, filters: readonly string[]): void {
  const before = entry.watching.length;
  entry.watching = before === 0 ? filters : [...new Set([...entry.watching, ...filters])];
  domain.memory.add((entry.watching.length - before) * FOOTPRINT.buddy);
  if (filters.length > 0) domain.cluster?.watch(address, filters.map(watched));
}

function newClient(state: EndpointState, name: string | null, self: Ref<EndpointMessage>): Client {
  const { runtime, tickets, limits, metrics } = state.domain;
  const token = (state.domain.cluster?.tokenPrefix ?? '') + newToken();
  const unique = name ?? `auto-${Math.random().toString(36).slice(2, 10)}`;
  const client = new Client(self, state.address, unique, token, runtime.outbox, state.domain, runtime.clock.now());
  if (!state.online && state.clients.length === 0) readMailbox(state);
  for (const packet of state.unseen?.packets ?? []) client.push(packet, limits);
  state.clients = state.clients.concat([client]);
  runtime.grace.cancel(self);
  metrics.clients += 1;
  tickets.set(token, client);
  return client;
}

/** What came while it was offline; it stays kept until one of its clients is connected. */
function readMailbox(state: EndpointState): void {
  const { mailboxes, limits } = state.domain;
  for (const packet of mailboxes?.read(state.address) ?? []) {
    state.unseen ??= new PacketQueue(state.domain, state.address);
    state.unseen.push(packet, limits);
  }
}

/** Second step: merges what the client brought, announces what changed, answers. */
export function subscribed(
  state: EndpointState,
  { filters, client, online }: Extract<EndpointMessage, { kind: 'subscribed' }>,
): EndpointState {
  const { domain, entry, address } = state;
  domain.arrivals.end(client);
  if (!state.online) {
    goOnAsElsewhere(state);
    state.online = true;
    domain.metrics.endpointsOnline += 1;
    domain.memory.add(FOOTPRINT.endpoint);
    remember(state);
    domain.trace?.event('online', state.address, '');
  }
  entry.nick = online.nick;
  entry.show = online.show ?? entry.show;
  entry.status = online.status ?? entry.status;
  addWatching(state, filters);
  const known = new Set(entry.rooms);
  const entered = online.rooms.filter((room) => !known.has(room) && !isFull(state, room));
  if (entered.length > 0) entry.rooms = [...entry.rooms, ...entered];
  announce(state, { entered, isShown: online.show !== null || online.status !== null });
  domain.cluster?.confirm(
    address,
    online.rooms.filter((room) => known.has(room)),
    true,
  );
  client.toldAt = performance.now();
  // Only now: whoever comes online has no ticket until this is answered.
  if (state.clients.includes(client)) domain.runtime.idle.start(client);
  online.reply({
    ticket: formatTicket(state.node, state.id, client.token),
    presences: presencesOf(state, online.buddies),
  });
  return state;
}

/** Ends a client and its ticket; its last one gone, the endpoint's grace begins. */
export function removeClient(
  state: EndpointState,
  client: Client,
  reason: CloseReason,
  self: Ref<EndpointMessage>,
): void {
  state.clients = state.clients.filter((other) => other !== client);
  state.domain.trace?.event('ended', state.address, `${client.name}: ${reason.name}`);
  passOn(state, client, reason);
  if (state.clients.length === 0) state.domain.runtime.grace.start(self);
}

/** Leaves its rooms, tells its buddies, forgets whom it watched; the actor ends. */
export function goOffline(state: EndpointState): EndpointState {
  const { domain } = state;
  forgetUnseen(state);
  if (!state.online) return state;
  const visible = state.entry.appearance !== null;
  const { rooms } = state.entry;
  state.entry.rooms = [];
  state.online = false;
  domain.metrics.endpointsOnline -= 1;
  domain.memory.subtract(FOOTPRINT.endpoint + state.entry.watching.length * FOOTPRINT.buddy);
  remember(state);
  domain.trace?.event('offline', state.address, '');
  announce(state);
  for (const room of rooms) exit(state, room, visible ? 'grpoffline' : null);
  if (state.subscription) {
    const { subscription } = state;
    const filters = state.entry.watching;
    domain.runtime.system.tell(domain.router, { kind: 'unsubscribe', filters, subscription });
  }
  state.entry.watching = [];
  return state;
}

/** It has been online: from then on clients' messages are kept for it. The setting may have changed meanwhile. */
function remember({ domain, address, node }: EndpointState): void {
  if (domain.settings.offline) domain.mailboxes?.seen.add(address, node === 'vid');
}

/** Nobody came back for these: kept where the domain has that, else dropped. */
function forgetUnseen(state: EndpointState): void {
  if (!state.unseen) return;
  const packets: readonly Packet[] = state.unseen.packets;
  const { mailboxes, settings } = state.domain;
  if (mailboxes && settings.offline) {
    mailboxes.replace(state.address, packets);
  } else if (packets.length > 0) {
    log.debug({ event: 'messages dropped', endpoint: state.address, packets: packets.length }, 'nobody came back');
    for (const packet of packets) state.domain.drop(packet, 'offline', state.address);
  }
  state.unseen.clear();
  state.unseen = null;
}

/** The buddies whom a client listed, as far as they are online and visible. */
function presencesOf(state: EndpointState, buddies: readonly Address[]): (readonly [string, string])[] {
  const { domain, address } = state;
  const presences: [string, string][] = [];
  for (const buddy of buddies) {
    const seen = buddy === address ? null : domain.appearance(buddy);
    if (seen) presences.push([shortId(domain.name, buddy), seen.show]);
  }
  return presences;
}
