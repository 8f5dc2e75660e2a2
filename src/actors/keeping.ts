/**
 * Writes an endpoint for the next start of the server, and restores it then as it was, without telling anybody.
 * PROTOCOL.md section 20.
 */

import { BoundedMap } from '../bounded-map.js';
import { CLOSE } from '../errors.js';
import type { Address } from './address.js';
import { isPresent, keepUnknown } from './away.js';
import { Client } from './client.js';
import { keepOrDrop } from './dispatch.js';
import type { EndpointMessage, EndpointState } from './endpoint.js';
import { inOrder } from './in-order.js';
import type { Saving } from './journal.js';
import {
  type KeptClient,
  type KeptClientQueue,
  type KeptEndpoint,
  type KeptEntry,
  type KeptQueues,
  keptQueue,
  queueState,
} from './kept.js';
import type { Packet } from './packet.js';
import { isPacket, span } from './queue-entries.js';
import { closeWebhook } from './service.js';
import type { Ref } from './system.js';
import { isInTurns, REMEMBERED_SENDERS } from './turns.js';
import { giveLate, isConnected, keepUnconfirmed, keepWaiting, restoreConfirmed } from './unseen.js';

export type KeepingMessage =
  /** Another node has kept an offline message for the endpoint, which has come to this node meanwhile. */
  | { readonly kind: 'wait'; readonly read: () => Packet | null }
  /** The endpoint is to write its record to the journal. */
  | { readonly kind: 'keep' }
  /** The server ends in order: the endpoint is to write the messages that wait in its queues. */
  | { readonly kind: 'save'; readonly saving: Saving; readonly done: () => void }
  /** The server has started, and no client is connected yet: the endpoint is to be restored. */
  | {
      readonly kind: 'restore';
      /** The endpoint's record; null: it was not online or away. */
      readonly kept: KeptEndpoint | null;
      /** The endpoint's queues; null: nothing waited in them, or they were not written before the server was killed. */
      readonly queues: KeptQueues | null;
      readonly packetOf: (number: number) => Packet | null;
      /** The address that stands in records as `{node}/{id}`, the same text each time. */
      readonly full: (short: string) => Address;
      /** Whether positions go on: the server has ended in order. */
      readonly goesOn: boolean;
      readonly done: () => void;
    };

export function fromJournal(state: EndpointState, message: KeepingMessage, self: Ref<EndpointMessage>): EndpointState {
  switch (message.kind) {
    case 'keep':
      return keep(state);
    case 'wait':
      giveLate(state, message.read());
      return state;
    case 'save':
      return save(state, message);
    case 'restore':
      return restore(state, message, self);
  }
}

function keep(state: EndpointState): EndpointState {
  const { domain, record, node, id } = state;
  if (record.birth > 0) domain.keepEndpoint(node, id, keptEndpoint(state));
  return state;
}

/** The record of an endpoint for the store: its presence, rooms and buddies, and the clients that have tickets. */
export function keptEndpoint({ domain, record, clients }: EndpointState): KeptEndpoint {
  const start = domain.name.length + '/domain//'.length;
  const short = (address: Address): string => address.slice(start);
  return {
    nick: record.nick,
    show: record.show,
    status: record.status,
    buddies: record.watching.map(short),
    rooms: record.rooms.map(short),
    isAway: record.away,
    clients: clients.map((client) => ({
      hash: domain.tickets.hashOf(client),
      name: client.name,
      isNamed: client.namedAt > 0,
      isAway: client.isAway,
      cameAt: client.cameAt,
      ...(domain.cluster.held ? { from: domain.cluster.held.firstOf(client.address, client.queued) } : {}),
      ...sessionOf(domain, client),
      ...(client.queue.era === domain.runtime.era ? {} : { era: client.queue.era }),
    })),
  };
}

/**
 * In a cluster a client's session outlives its node, though what was in flight comes again without DUP; after a kill of a server on its
 * own the session is a new one.
 */
function sessionOf({ cluster, sessions }: EndpointState['domain'], client: Client): { readonly session?: unknown } {
  const session = (cluster.journal && sessions?.brief(client)) ?? null;
  return session === null ? {} : { session };
}

/** Writes the endpoint's queues, unless nothing ever came into them. */
function save(state: EndpointState, { saving, done }: Extract<KeepingMessage, { kind: 'save' }>): EndpointState {
  for (const client of state.clients) if (client.transport) client.close(CLOSE.shutdown, state.domain.limits);
  closeWebhook(state);
  const queues = keptQueues(state, saving.numberOf);
  if (queues) saving.add(queues);
  done();
  return state;
}

/** The queues of an endpoint and its clients; null where nothing ever came into them. */
export function keptQueues(state: EndpointState, numberOf: (packet: Packet) => number): KeptQueues | null {
  const { node, id, clients, unseen, turns } = state;
  const { sessions } = state.domain;
  const isIdle = clients.every(
    ({ accepted, elders, keptSince, mayMiss }) => accepted === 0 && elders === null && keptSince === null && !mayMiss,
  );
  if (isIdle && !unseen && !turns) return null;
  const queued = new Set(clients.flatMap((client) => client.queued));
  const { events } = state.domain;
  const waiting = events ? [...queued, ...(unseen?.packets ?? [])] : [];
  const told = new Set(waiting.filter((packet) => events?.undelivered.isTold(packet, state.address)));
  return {
    node,
    id,
    ...(told.size > 0 ? { told: [...told].map(numberOf) } : {}),
    unseen: unseen?.packets.map(numberOf) ?? [],
    clients: clients.map((client) => ({
      ...keptClientQueue(client, queued, numberOf),
      session: sessions?.save(client, numberOf) ?? null,
    })),
    turns: [...(turns ?? [])].map(([sender, { name }]) => [sender, name]),
  };
}

function keptClientQueue(
  client: Client,
  queued: ReadonlySet<Packet>,
  numberOf: (packet: Packet) => number,
): Omit<KeptClientQueue, 'session'> {
  const { name, elders, queue } = client;
  return {
    name,
    ...keptQueue(queue, numberOf),
    elders: elders && [...elders.numbers].map(([elder, number]) => [elder.name, number]),
    given: elders ? [...queued].filter((packet) => elders.given.has(packet)).map(numberOf) : [],
    connectedMs: client.keptSince === null ? null : client.connectedMs,
    mayMiss: client.mayMiss,
  };
}

export type Restore = Pick<Restoring, 'packetOf' | 'goesOn'> & {
  /** Messages of the offline store, which are older than those in queues, so that each client gets them first. */
  readonly stored?: readonly Packet[];
  /** The new era of the clients' positions; absent: the server's era. */
  readonly era?: string;
  /** The clients that may have had what others have queued; absent: all. */
  readonly among?: readonly Client[];
};
type Restoring = Extract<KeepingMessage, { kind: 'restore' }>;

function restore(state: EndpointState, message: Restoring, self: Ref<EndpointMessage>): EndpointState {
  const { kept, queues, packetOf, full, goesOn, done } = message;
  if (kept) comeBack(state, kept, full, self);
  if (!kept && queues) keepOffline(state, queues, packetOf);
  if (kept) restoreClients(state, state.clients, queues, { packetOf, goesOn });
  done();
  return state;
}

/** Restores the queues of clients; where positions do not go on (`goesOn` false), clients are marked as having missed packets. */
export function restoreClients(
  state: EndpointState,
  clients: readonly Client[],
  queues: KeptQueues | null,
  restore: Restore,
): void {
  const { packetOf, goesOn, era } = restore;
  for (const client of goesOn ? [] : clients) {
    client.mayMiss = true;
    keepUnknown(client);
    if (era !== undefined) client.restore({ entries: [], sent: 0, accepted: 0, era }, state.domain.limits);
  }
  const stored = goesOn ? [] : leftInStore(state, queues, packetOf);
  keepWaiting(state, stored);
  // In a service in turns each stored message goes to a single client, once that client is connected.
  const given = isInTurns(state) ? [] : stored;
  const restored = new Set(queues?.clients.map(({ name }) => name));
  for (const client of clients) {
    if (restored.has(client.name)) continue;
    if (client.queue.isOpen) keepUnknown(client);
    for (const packet of given) client.push(packet, state.domain.limits);
  }
  if (queues) restoreQueues(state, clients, queues, { ...restore, stored: given });
  // While no client is connected, unconfirmed messages wait for the first one that comes, ahead of all later messages.
  if (!isConnected(state)) for (const client of clients) keepUnconfirmed(state, client);
}

/** All messages of these queues, each once, in order: one client's may begin where those of another end. */
export function messagesOf(queues: KeptQueues | null, packetOf: Restore['packetOf']): readonly Packet[] {
  const lists = [queues?.unseen ?? [], ...(queues?.clients.map(({ entries }) => numbersOf(entries)) ?? [])];
  return inOrder(lists.map((numbers) => found(numbers, packetOf).filter(({ kind }) => kind === 'message')));
}

function comeBack(state: EndpointState, kept: KeptEndpoint, full: Restoring['full'], self: Ref<EndpointMessage>): void {
  const { domain, record } = state;
  const { runtime, tracker, metrics } = domain;
  state.online = !kept.isAway;
  if (state.online) metrics.endpointsOnline += 1;
  domain.fanout.silently(() => {
    tracker.watch(record, kept.buddies.map(full));
    const { isAway } = kept;
    tracker.update(record, kept, kept.rooms.map(full), [], { type: 'grponline', isShown: true, isAway });
  });
  state.clients = kept.clients.map((client) => clientOf(state, client, self));
  if (state.online && !isPresent(state)) runtime.grace.start(self);
}

export function clientOf({ domain, address }: EndpointState, kept: KeptClient, self: Ref<EndpointMessage>): Client {
  const { runtime, tickets, metrics, cluster } = domain;
  const client = new Client(self, address, kept.name, kept.hash, domain.lane, domain, runtime.clock.now());
  if (kept.isNamed) client.namedAt = kept.namedAt ?? cluster.stamp();
  client.cameAt = kept.cameAt ?? client.cameAt;
  client.toldAt = 0;
  tickets.restore(kept.hash, client);
  if (kept.session !== undefined) domain.sessions?.restore(client, kept.session, () => null);
  if (kept.era !== undefined) client.queue.beginEra(kept.era, true);
  metrics.clients += 1;
  if (kept.isAway) {
    client.isAway = true;
    client.keptSince = client.since;
    domain.away.add(client);
  } else runtime.returning.start(client);
  return client;
}

function found(numbers: readonly number[], packetOf: (number: number) => Packet | null): Packet[] {
  return numbers.map(packetOf).filter((packet) => packet !== null);
}

function restoreQueues(state: EndpointState, clients: readonly Client[], queues: KeptQueues, message: Restore): void {
  const { packetOf } = message;
  noteTold(state, queues, packetOf);
  const named = new Map(clients.map((client) => [client.name, client]));
  for (const queue of queues.clients) restoreQueue(state, named.get(queue.name), queue, message);
  restoreElders(named, queues, message);
  // Where positions do not go on, it is not known which client was there before which message.
  if (message.goesOn) restoreConfirmed(state, message.among ?? state.clients);
  const unseen = new Set(found(queues.unseen, packetOf));
  // Messages that only a client had queued whose ticket is unknown, or which is here already, wait for the next client that comes.
  const has = new Set(state.clients.flatMap(({ queued }) => queued));
  for (const { name, entries } of queues.clients) {
    if (named.has(name)) continue;
    for (const packet of found(numbersOf(entries), packetOf)) {
      if (packet.kind === 'message' && !has.has(packet)) unseen.add(packet);
    }
  }
  keepWaiting(state, [...unseen]);
  restoreTurns(state, queues);
}

/** Keeps messages of an endpoint without a record, as it came online just before a kill: it is treated as offline. */
function keepOffline(state: EndpointState, queues: KeptQueues, packetOf: Restore['packetOf']): void {
  const { domain, address } = state;
  noteTold(state, queues, packetOf);
  const numbers = new Set([...queues.clients.flatMap(({ entries }) => numbersOf(entries)), ...queues.unseen]);
  for (const packet of found([...numbers], packetOf)) {
    if (packet.kind === 'message') keepOrDrop(domain, packet, address, null);
  }
}

/** Notes of which messages the site was told. Called before they come into queues, whose records on disk include that. */
function noteTold({ domain, address }: EndpointState, { told = [] }: KeptQueues, packetOf: Restore['packetOf']): void {
  for (const packet of found(told, packetOf)) domain.events?.undelivered.note(packet, address);
}

function numbersOf(entries: readonly KeptEntry[]): number[] {
  return entries.filter((entry) => typeof entry === 'number');
}

/** Restores a client's queue. In a new era packets count from 1 again and gaps are dropped, as the client hears of a loss anyway. */
function restoreQueue(
  { domain }: EndpointState,
  client: Client | undefined,
  kept: KeptClientQueue,
  message: Restore,
): void {
  const { packetOf, goesOn, stored = [] } = message;
  const era = message.era === undefined ? {} : { era: message.era };
  if (!client) return;
  const state = queueState(kept, packetOf);
  const entries = [...stored, ...state.entries.filter(({ kind }) => kind !== null)];
  if (kept.connectedMs !== null) {
    client.keptSince = client.since;
    client.connectedMs = kept.connectedMs;
  }
  if (goesOn) client.mayMiss = kept.mayMiss === true;
  if (goesOn && kept.session !== null) domain.sessions?.restore(client, kept.session, packetOf);
  client.restore(goesOn ? state : { entries, sent: 0, accepted: entries.length, ...era }, domain.limits);
}

function restoreElders(named: ReadonlyMap<string, Client>, queues: KeptQueues, message: Restore): void {
  const { packetOf, goesOn, stored = [] } = message;
  const kept = new Map(queues.clients.map((queue) => [queue.name, queue]));
  for (const { name, elders, given } of queues.clients) {
    const client = named.get(name);
    if (!client || elders === null) continue;
    const numbers = new Map<Client, number>();
    for (const [elder, number] of elders) {
      const known = named.get(elder);
      if (known) numbers.set(known, goesOn ? number : stored.length + packetsUpTo(kept.get(elder), number, packetOf));
    }
    client.elders = { numbers, given: new WeakSet([...stored, ...found(given, packetOf)]) };
  }
}

/** How many packets of a queue there are still up to a number: in a new era they count from 1, without gaps. */
function packetsUpTo(kept: KeptClientQueue | undefined, number: number, packetOf: Restore['packetOf']): number {
  if (!kept) return 0;
  const { entries, accepted } = queueState(kept, packetOf);
  let at = accepted - entries.reduce((sum, entry) => sum + span(entry), 0);
  let packets = 0;
  for (const entry of entries) {
    at += span(entry);
    if (isPacket(entry) && at <= number) packets += 1;
  }
  return packets;
}

function restoreTurns(state: EndpointState, { turns }: KeptQueues): void {
  if (turns.length === 0) return;
  state.turns ??= new BoundedMap(() => REMEMBERED_SENDERS);
  for (const [sender, name] of turns) {
    const client = state.clients.find((other) => other.name === name);
    if (client) state.turns.set(sender, client);
  }
}

/** Messages in the offline store that are not in `queues.unseen`: after a kill it is not known which of them clients had queued. */
function leftInStore(
  { domain, address }: EndpointState,
  queues: KeptQueues | null,
  packetOf: Restore['packetOf'],
): readonly Packet[] {
  const { mailboxes } = domain;
  const placeOf = (packet: Packet) => mailboxes?.placeOf(packet)?.sequence;
  const known = new Set(found(queues?.unseen ?? [], packetOf).map(placeOf));
  return mailboxes?.read(address).filter((packet) => !known.has(placeOf(packet))) ?? [];
}
