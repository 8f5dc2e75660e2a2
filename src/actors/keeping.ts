/**
 * What an endpoint writes for the next start of the server, and how it is brought back: as it was, and nobody is told.
 * PROTOCOL.md section 20.
 */

import { BoundedMap } from '../bounded-map.js';
import { CLOSE } from '../errors.js';
import type { Address } from './address.js';
import { isPresent, keepUnknown } from './away.js';
import { Client } from './client.js';
import { keepOrDrop } from './dispatch.js';
import type { EndpointMessage, EndpointState } from './endpoint.js';
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
import { closeWebhook } from './service.js';
import type { Ref } from './system.js';
import { isInTurns, REMEMBERED_SENDERS } from './turns.js';
import { giveLate, isConnected, keepUnconfirmed, keepWaiting, restoreConfirmed } from './unseen.js';

export type KeepingMessage =
  /** Another node has kept a message for the endpoint, which has come to this one meanwhile. */
  | { readonly kind: 'wait'; readonly read: () => Packet | null }
  /** Its record is to be on disk. */
  | { readonly kind: 'keep' }
  /** The server ends in order: what waits at it is written. */
  | { readonly kind: 'save'; readonly saving: Saving; readonly done: () => void }
  /** The server has started, and nobody is connected yet. */
  | {
      readonly kind: 'restore';
      /** null: it was not online. */
      readonly kept: KeptEndpoint | null;
      /** null: nothing waited at it, or nobody knows what did. */
      readonly queues: KeptQueues | null;
      readonly packetOf: (number: number) => Packet | null;
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

/** What others may read of an endpoint, and whose tickets it has. */
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
    })),
  };
}

/** Writes nothing where nothing has happened. */
function save(state: EndpointState, { saving, done }: Extract<KeepingMessage, { kind: 'save' }>): EndpointState {
  for (const client of state.clients) if (client.transport) client.close(CLOSE.shutdown, state.domain.limits);
  closeWebhook(state);
  const queues = keptQueues(state, saving.numberOf);
  if (queues) saving.add(queues);
  done();
  return state;
}

/** What waits at an endpoint; null where nothing has happened. */
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
  /** Messages of the offline store, which came before what stands in queues: each client has them first. */
  readonly stored?: readonly Packet[];
  /** The era that positions begin, where that is not the server's. */
  readonly era?: string;
};
type Restoring = Extract<KeepingMessage, { kind: 'restore' }>;

function restore(state: EndpointState, message: Restoring, self: Ref<EndpointMessage>): EndpointState {
  const { kept, queues, packetOf, goesOn, done } = message;
  if (kept) comeBack(state, kept, self);
  if (!kept && queues) keepOffline(state, queues, packetOf);
  if (kept) restoreClients(state, state.clients, queues, { packetOf, goesOn });
  done();
  return state;
}

/** Gives clients that are brought back what waited for them; where positions do not go on, they may have missed something. */
export function restoreClients(
  state: EndpointState,
  clients: readonly Client[],
  queues: KeptQueues | null,
  { packetOf, goesOn, era }: Restore,
): void {
  for (const client of goesOn ? [] : clients) {
    client.mayMiss = true;
    keepUnknown(client);
    if (era !== undefined) client.restore({ entries: [], sent: 0, accepted: 0, era }, state.domain.limits);
  }
  const stored = goesOn ? [] : leftInStore(state, queues, packetOf);
  keepWaiting(state, stored);
  // Of a service in turns they go to one of them, when that one is connected.
  const given = isInTurns(state) ? [] : stored;
  const restored = new Set(queues?.clients.map(({ name }) => name));
  for (const client of clients) {
    if (!restored.has(client.name)) for (const packet of given) client.push(packet, state.domain.limits);
  }
  if (queues) restoreQueues(state, queues, { packetOf, goesOn, stored: given, ...(era === undefined ? {} : { era }) });
  // None of them is connected: it waits for whichever comes first, before all that comes from now on.
  if (!isConnected(state)) for (const client of clients) keepUnconfirmed(state, client);
}

function comeBack(state: EndpointState, kept: KeptEndpoint, self: Ref<EndpointMessage>): void {
  const { domain, record } = state;
  const { runtime, tracker, metrics } = domain;
  const full = (short: string): Address => `/domain/${domain.name}/${short}` as Address;
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
  client.toldAt = 0;
  tickets.restore(kept.hash, client);
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

function restoreQueues(state: EndpointState, queues: KeptQueues, message: Restore): void {
  const { packetOf } = message;
  noteTold(state, queues, packetOf);
  const names = new Set(state.clients.map(({ name }) => name));
  for (const queue of queues.clients) if (names.has(queue.name)) restoreQueue(state, queue, message);
  restoreElders(state, queues, packetOf);
  // Else nobody knows who came before what.
  if (message.goesOn) restoreConfirmed(state);
  const unseen = new Set(found(queues.unseen, packetOf));
  // Of a client whose ticket is not known: what no other client has waits for whichever comes next.
  const has = new Set(state.clients.flatMap(({ queued }) => queued));
  for (const { name, entries } of queues.clients) {
    if (names.has(name)) continue;
    for (const packet of found(numbersOf(entries), packetOf)) {
      if (packet.kind === 'message' && !has.has(packet)) unseen.add(packet);
    }
  }
  keepWaiting(state, [...unseen]);
  restoreTurns(state, queues);
}

/** Its presence is not known, as it came online in the moments before a kill: to all others it is offline. */
function keepOffline(state: EndpointState, queues: KeptQueues, packetOf: Restore['packetOf']): void {
  const { domain, address } = state;
  noteTold(state, queues, packetOf);
  const numbers = new Set([...queues.clients.flatMap(({ entries }) => numbersOf(entries)), ...queues.unseen]);
  for (const packet of found([...numbers], packetOf)) {
    if (packet.kind === 'message') keepOrDrop(domain, packet, address, null);
  }
}

/** Before they stand in queues, which write that down as well. */
function noteTold({ domain, address }: EndpointState, { told = [] }: KeptQueues, packetOf: Restore['packetOf']): void {
  for (const packet of found(told, packetOf)) domain.events?.undelivered.note(packet, address);
}

function numbersOf(entries: readonly KeptEntry[]): number[] {
  return entries.filter((entry) => typeof entry === 'number');
}

/** In a new era packets count from 1 again, and gaps are forgotten: whoever goes on is told that something may be missed. */
function restoreQueue({ clients, domain }: EndpointState, kept: KeptClientQueue, message: Restore): void {
  const { packetOf, goesOn, stored = [] } = message;
  const era = message.era === undefined ? {} : { era: message.era };
  const client = clients.find(({ name }) => name === kept.name);
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

function restoreElders({ clients }: EndpointState, queues: KeptQueues, packetOf: Restore['packetOf']): void {
  const named = new Map(clients.map((client) => [client.name, client]));
  for (const { name, elders, given } of queues.clients) {
    const client = named.get(name);
    if (!client || elders === null) continue;
    const numbers = new Map<Client, number>();
    for (const [elder, number] of elders) {
      const known = named.get(elder);
      if (known) numbers.set(known, number);
    }
    client.elders = { numbers, given: new WeakSet(found(given, packetOf)) };
  }
}

function restoreTurns(state: EndpointState, { turns }: KeptQueues): void {
  if (turns.length === 0) return;
  state.turns ??= new BoundedMap(() => REMEMBERED_SENDERS);
  for (const [sender, name] of turns) {
    const client = state.clients.find((other) => other.name === name);
    if (client) state.turns.set(sender, client);
  }
}

/** The journal does not say which messages of the offline store its clients were about to have: all that are left there. */
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
