/**
 * How an endpoint comes online, takes further clients, loses them and goes offline. PROTOCOL.md sections 3 and 4.
 *
 * Two who list each other and come online at the same time hear of each other in any order: each enters in the tracker
 * whom it watches before it is announced, in one turn of its own.
 */
import { CLOSE, type CloseReason } from '../errors.js';
import { log } from '../log.js';
import { type Address, shortId } from './address.js';
import { isAway, isPresent, longestAway } from './away.js';
import { clientRefusal, hasAllClients, isFull, listRefusal } from './capacity.js';
import { Client } from './client.js';
import { detached } from './detached.js';
import type { EndpointMessage, EndpointState, Online } from './endpoint.js';
import { roomsOf } from './endpoint-record.js';
import { lookup } from './lists.js';
import type { Packet } from './packet.js';
import { passOn, passTurns } from './service.js';
import type { Ref } from './system.js';
import { formatTicket, newName, newToken } from './ticket.js';
import { isInTurns } from './turns.js';
import type { Untold } from './undelivered.js';
import { clearUnseen, giveUnseen, keepUnseen } from './unseen.js';

/** So many clients that have ended are remembered, for operators to see. */
const ENDED = 8;

/** The reason, for operators, of the end of a client whose name another client has taken. */
export const NAMED_AGAIN = 'name taken by a new client';

/** The reason, for operators, of the end of clients that another client of their endpoint has signed out. */
const SIGNED_OUT = 'signed out';

export interface OnlineResult {
  readonly ticket: string;
  /** Short id and show of each listed buddy who is online and visible. */
  readonly presences: readonly (readonly [string, string])[];
}

/** Makes the client and its ticket; merges what it brings, announces what changed, answers. */
export function comeOnline(state: EndpointState, online: Online, self: Ref<EndpointMessage>): EndpointState {
  const { domain, record } = state;
  const same = online.client === null ? undefined : state.clients.find(({ name }) => name === online.client);
  const refusal = listRefusal(state, online.rooms, online.buddies) ?? (same ? null : clientRefusal(state));
  if (refusal) {
    online.reply(refusal);
    return state;
  }
  if (same) removeClient(state, same, CLOSE.stopped, self, NAMED_AGAIN);
  else giveWay(state, self);
  const client = newClient(state, online.client, self);
  if (online.client !== null) {
    client.namedAt = domain.cluster.stamp();
    domain.cluster.claimName(record, online.client);
  }
  announce(state, online);
  client.toldAt = performance.now();
  domain.runtime.idle.start(client);
  online.reply({
    ticket: formatTicket(state.node, state.id, client.token),
    presences: presencesOf(state, online.buddies),
  });
  return state;
}

/** Clients that are away make room for a new one. */
function giveWay(state: EndpointState, self: Ref<EndpointMessage>): void {
  while (hasAllClients(state)) {
    const longest = longestAway(state);
    if (!longest) return;
    state.domain.away.remove(longest, 'gaveWay');
    removeClient(state, longest, CLOSE.ticketNotFound, self, 'gave way to a new client while away');
  }
}

/** An endpoint that comes to this node is what it is elsewhere: show, status and rooms. Nobody has to be asked. */
function announce(state: EndpointState, online: Online): void {
  const { domain, record } = state;
  const { tracker, cluster } = domain;
  const elsewhere = record.birth > 0 ? [] : roomsOf(record);
  const isBack = isAway(state);
  if (!state.online) becomeOnline(state);
  tracker.watch(record, online.buddies);
  const isIn = lookup(elsewhere.length === 0 ? record.rooms : [...record.rooms, ...elsewhere]);
  const entered = online.rooms.filter((room) => !isIn(room) && !isFull(domain, room));
  const { nick } = online;
  const profile = { nick, show: online.show ?? record.show, status: online.status ?? record.status };
  const isShown = online.show !== null || online.status !== null;
  tracker.update(record, profile, [...elsewhere, ...entered], [], { type: 'grponline', isShown, isBack });
  cluster.confirm(record, online.rooms.filter(isIn), true);
}

/** Sets an endpoint online on this node: a client has come, or another node has handed one over. */
export function becomeOnline(state: EndpointState): void {
  const { domain } = state;
  state.online = true;
  domain.metrics.endpointsOnline += 1;
  domain.runtime.usage?.came(domain.name, state.address, domain.runtime.clock.now());
  remember(state);
  domain.trace?.event('online', state.address, '');
}

/** A client connects; where it was away, its endpoint is online again as it was. */
export function comeBack(state: EndpointState, client: Client): void {
  if (!client.isAway) return;
  const { domain, record } = state;
  client.isAway = false;
  domain.away.remove(client, 'returned');
  domain.runtime.grace.cancel(client.endpoint);
  if (state.online) return;
  becomeOnline(state);
  domain.tracker.setAway(record, false);
}

/** Sets a client away: its idle time is over and its ticket is kept, but it no longer holds its endpoint online. */
export function goAway(state: EndpointState, client: Client, self: Ref<EndpointMessage>): void {
  client.isAway = true;
  state.domain.away.add(client);
  state.domain.trace?.event('away', state.address, client.name);
  if (isInTurns(state)) passTurns(state, client);
  startGrace(state, self);
}

function newClient(state: EndpointState, name: string | null, self: Ref<EndpointMessage>): Client {
  const { runtime, tickets, metrics } = state.domain;
  const token = state.domain.cluster.tokenPrefix + newToken();
  const client = new Client(
    self,
    state.address,
    name === null ? newName() : detached(name),
    token,
    state.domain.lane,
    state.domain,
    runtime.clock.now(),
  );
  if (state.record.birth === 0 && state.clients.length === 0) readMailbox(state);
  giveUnseen(state, client);
  state.clients = state.clients.concat([client]);
  runtime.grace.cancel(self);
  metrics.clients += 1;
  tickets.set(token, client);
  return client;
}

/** Reads the endpoint's offline messages, which stay in the store until one of its clients confirms them. */
function readMailbox(state: EndpointState): void {
  // The endpoint's part on another node has read the offline messages already, and delivers them.
  if (state.record.parts.some(({ hidden }) => !hidden)) return;
  for (const packet of state.domain.mailboxes?.read(state.address) ?? []) keepUnseen(state, packet);
}

/** Ends a client and its ticket; `why` is for operators. The end of the last client that was present begins the endpoint's grace. */
export function removeClient(
  state: EndpointState,
  client: Client,
  reason: CloseReason,
  self: Ref<EndpointMessage>,
  why = reason.name,
): void {
  const now = state.domain.runtime.clock.now();
  state.clients = state.clients.filter((other) => other !== client);
  state.seenAt = Math.max(state.seenAt, client.transport ? now : client.since);
  state.domain.trace?.event('ended', state.address, `${client.name}: ${why}`);
  const ended = { name: client.name, at: now, reason: why };
  state.ended = [...(state.ended ?? []).slice(1 - ENDED), ended];
  if (client.transport !== null) tellConnected(state);
  passOn(state, client, reason);
  startGrace(state, self);
}

/** Tells other nodes how many clients are connected, after one has connected or its connection has ended. */
export function tellConnected({ record, clients, domain }: EndpointState): void {
  let connected = 0;
  for (const { transport } of clients) if (transport !== null) connected += 1;
  record.connected = connected;
  domain.cluster.connected(record);
}

/** Begins the grace of an endpoint where no client is present. An endpoint that is away has it only when its last ticket ends. */
function startGrace(state: EndpointState, self: Ref<EndpointMessage>): void {
  const { grace } = state.domain.runtime;
  if (isPresent(state) || grace.has(self)) return;
  if (state.online || state.clients.length === 0) grace.start(self);
}

/** Ends all clients that the endpoint has on this node: one of them, here or elsewhere, has signed out for all. */
export function removeAll(state: EndpointState, self: Ref<EndpointMessage>): void {
  for (const client of state.clients) removeClient(state, client, CLOSE.stopped, self, SIGNED_OUT);
}

/**
 * The site has signed the endpoint out by its name: clients of this node end that came up to then, or all, and their
 * tickets answer `stopped` for a while.
 */
export function signOut(state: EndpointState, self: Ref<EndpointMessage>, upTo = Number.POSITIVE_INFINITY): void {
  const { signOuts, tickets, cluster } = state.domain;
  const ending = state.clients.filter(({ cameAt }) => cameAt <= upTo);
  if (ending.length === 0) return;
  cluster.ticketsSignedOut(signOuts.end(ending.map((client) => tickets.hashOf(client))));
  for (const client of ending) removeClient(state, client, CLOSE.stopped, self, SIGNED_OUT);
}

/**
 * It is offline to all others. While tickets of it are kept it is away: it stays where it is, unseen. Else it leaves its
 * rooms and forgets whom it watched, and the actor ends.
 */
export function goOffline(state: EndpointState): EndpointState {
  const { domain, record, clients } = state;
  if (state.online) {
    state.online = false;
    domain.metrics.endpointsOnline -= 1;
    remember(state);
    domain.trace?.event('offline', state.address, '');
  }
  if (clients.length > 0) domain.tracker.setAway(record, true, lastSeen(state));
  else leave(state);
  return state;
}

function leave(state: EndpointState): void {
  const { domain, record, address } = state;
  const { events } = domain;
  // The journal has saved the waiting messages for the next start, so they neither go to the offline store nor are told to the site.
  if (domain.journal?.saved) return clearUnseen(state);
  const others = record.parts.filter(({ hidden }) => !hidden).map(({ node }) => node.name);
  const left = forgetUnseen(state, others.length > 0);
  if (others.length === 0) for (const [packet, outcome] of left) events?.foundNobody(packet, address, outcome);
  if (record.birth === 0 || domain.endsWithServer) return;
  const stamp = domain.tracker.goOffline(record, lastSeen(state));
  const isLeft = others.length > 0 && left.length > 0 && events?.wants('undelivered');
  if (isLeft) events?.undelivered.ended(address, stamp, others, left);
}

/** When a client of the endpoint was connected last, in milliseconds since the epoch. */
function lastSeen({ clients, seenAt }: EndpointState): number {
  return clients.reduce((last, { since }) => Math.max(last, since), seenAt);
}

/** Notes that an endpoint has been online, from when on clients' messages are kept for it. The setting may have changed meanwhile. */
function remember({ domain, address, node }: EndpointState): void {
  if (domain.settings.offline) domain.mailboxes?.seen.add(address, node === 'vid');
}

/** Moves unseen messages to the offline store, or drops them where the domain has none. Answers those the site may not know of. */
function forgetUnseen(state: EndpointState, isElsewhere: boolean): readonly Untold[] {
  if (!state.unseen) return [];
  const { mailboxes, settings } = state.domain;
  const expired = state.unseen.dropExpired();
  for (const packet of expired) packet.trace?.hop('dropped', packet, state.address, 'expired');
  const packets: readonly Packet[] = state.unseen.packets;
  const isKept = mailboxes !== null && settings.offline;
  const left: Untold[] = [
    ...expired.map((packet) => [packet, 'dropped'] as const),
    ...packets.map((packet) => [packet, isKept ? 'stored' : 'dropped'] as const),
  ];
  // The site was told of messages from the offline store when they were put there.
  const untold = left.filter(([packet]) => !mailboxes?.placeOf(packet));
  if (isKept) {
    // Where the endpoint has parts on other nodes, these have the messages too.
    if (!isElsewhere) mailboxes.replace(state.address, packets);
  } else if (packets.length > 0) {
    log.debug({ event: 'messages dropped', endpoint: state.address, packets: packets.length }, 'nobody came back');
    for (const packet of packets) state.domain.drop(packet, 'offline', state.address);
  }
  clearUnseen(state);
  return untold;
}

/** The buddies whom a client listed, as far as they are online and visible. */
function presencesOf(state: EndpointState, buddies: readonly Address[]): (readonly [string, string])[] {
  const { domain, address } = state;
  const presences: [string, string][] = [];
  for (const buddy of buddies) {
    const seen = buddy === address ? null : domain.tracker.appearance(buddy);
    if (seen) presences.push([shortId(domain.name, buddy), seen.show]);
  }
  return presences;
}
