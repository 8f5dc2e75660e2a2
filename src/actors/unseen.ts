/**
 * The messages of an endpoint that none of its clients has confirmed and that wait for whichever client comes next.
 * PROTOCOL.md section 12. An endpoint keeps a message until one of its clients confirms it: in the queue of a client while one is
 * connected, otherwise here; a message that was read from the offline store also stays there until then.
 */
import type { Client } from './client.js';
import type { RemoteNode } from './cluster.js';
import type { EndpointState } from './endpoint.js';
import { isConnectedElsewhere } from './endpoint-record.js';
import { inOrder } from './in-order.js';
import { type MessageFields, messageName, type Packet } from './packet.js';
import type { Asked } from './position.js';
import { isInTurns } from './turns.js';
import { UNSEEN } from './unconfirmed.js';
import { WaitingQueue } from './waiting-queue.js';

/**
 * Which messages of an endpoint one of its clients has confirmed, for as long as other clients may have them queued: the next
 * client to come does not get these messages, although the client that confirmed them may have gone.
 */
export class Confirmations {
  /** By how many of the endpoint's clients each message has been confirmed. */
  readonly #counts = new WeakMap<Packet, number>();
  /** Of each part on another node, up to which of a client's packets here it has had none, since it came later. */
  readonly #came = new Map<RemoteNode, Map<Client, number>>();

  constructor(private readonly state: EndpointState) {}

  has(packet: Packet): boolean {
    return (this.#counts.get(packet) ?? 0) > 0;
  }

  /** A client has confirmed the packets, or they have expired. */
  confirmed(packets: readonly Packet[]): void {
    const { domain, address, clients } = this.state;
    // A packet that others confirmed before is counted even for a single client: given back, it must still count as confirmed.
    this.note(clients.length > 1 ? packets : packets.filter((packet) => this.has(packet)));
    for (const packet of packets) {
      if (packet.kind === 'message' && forgetWaiting(this.state, packet)) domain.mailboxes?.forget(address, packet);
    }
    this.#tellParts(packets, true);
  }

  partCame(node: RemoteNode): void {
    this.#came.set(node, new Map(this.state.clients.map((client) => [client, client.accepted])));
  }

  /** The numbers of a client's packets have grown. */
  placed(client: Client, by: number): void {
    for (const numbers of this.#came.values()) raise(numbers, client, by);
  }

  /** The packets of a client that parts on other nodes have not had, as they came later. */
  *hadNot(client: Client): Iterable<readonly [RemoteNode, readonly Packet[]]> {
    const { parts } = this.state.record;
    for (const [node, numbers] of this.#came) {
      if (!parts.some((part) => part.node === node)) this.#came.delete(node);
      else yield [node, client.queuedUpTo(numbers.get(client) ?? 0)];
    }
  }

  note(packets: Iterable<Packet>): void {
    for (const packet of packets) if (packet.kind === 'message') this.#add(packet, 1);
  }

  /** Takes confirmations back: the packets counted as confirmed when they were written, but did not leave the connection. */
  returned(packets: readonly Packet[]): void {
    this.#takeBack(packets);
    this.#tellParts(packets, false);
  }

  /** A client on another node has confirmed messages, or (`isConfirmed` false) has given back messages that it had confirmed. */
  elsewhere(names: readonly string[], isConfirmed: boolean): void {
    const { clients, unseen } = this.state;
    const wanted = new Set(names);
    const found = new Set<Packet>();
    for (const packets of [...clients.map(({ queued }) => queued), unseen?.packets ?? []]) {
      for (const packet of packets) if (packet.kind === 'message' && wanted.has(nameOf(packet))) found.add(packet);
    }
    if (!isConfirmed) return this.#takeBack(found);
    const { domain, address, moving } = this.state;
    // While the endpoint comes from a node that ends the same may be heard twice, by way of that node.
    this.note(moving ? [...found].filter((packet) => !this.has(packet)) : found);
    for (const packet of found) if (forgetWaiting(this.state, packet)) domain.mailboxes?.forget(address, packet);
  }

  #tellParts(packets: readonly Packet[], isConfirmed: boolean): void {
    const { record, domain } = this.state;
    if (record.parts.length === 0 || isInTurns(this.state)) return;
    const names = packets.filter(({ kind }) => kind === 'message').map(nameOf);
    if (names.length > 0) domain.cluster.confirmed(record, names, isConfirmed);
  }

  #takeBack(packets: Iterable<Packet>): void {
    for (const packet of packets) if (this.has(packet)) this.#add(packet, -1);
  }

  #add(packet: Packet, by: 1 | -1): void {
    this.#counts.set(packet, (this.#counts.get(packet) ?? 0) + by);
  }
}

export function nameOf({ fields }: Packet): string {
  return messageName(fields as MessageFields);
}

const NO_LIMITS = { queuePackets: 0, queueBytes: 0 };

/** Keeps a message until one of the endpoint's clients confirms it. */
export function keepUnseen(state: EndpointState, packet: Packet): void {
  if (state.unseen === null) {
    state.unseen = new WaitingQueue(state.domain, { address: state.address, name: UNSEEN });
    watchAll(state);
  }
  state.unseen.push(packet, state.domain.limits);
  if (packet.trace !== null) packet.trace.hop('kept', packet, state.address, 'until a client connects');
}

/** A client has come: gives it the messages that wait, and watches which of them it confirms. */
export function giveUnseen(state: EndpointState, client: Client): void {
  const { clients, unseen } = state;
  if (clients.length > 0) {
    const numbers = new Map(clients.map((elder) => [elder, elder.accepted]));
    client.elders = { numbers, given: new WeakSet(unseen?.packets) };
    for (const elder of clients) watch(state, elder);
  } else if (unseen === null && state.record.parts.length === 0) return;
  watch(state, client);
  // In a service in turns each waiting message goes to a single client, when it is that client's turn.
  if (isInTurns(state)) return;
  for (const packet of unseen?.packets ?? []) client.push(packet, state.domain.limits);
}

/** Gives the endpoint a message that another node kept while the endpoint came to this one, unless it has the message already. */
export function giveLate(state: EndpointState, packet: Packet | null): void {
  const { clients, unseen } = state;
  if (packet === null || (clients.length === 0 && unseen === null) || isQueued(state, packet)) return;
  keepUnseen(state, packet);
  watchAll(state);
  if (isInTurns(state)) return;
  for (const client of clients) client.push(packet, state.domain.limits);
}

/** Forgets all messages that wait. */
export function clearUnseen(state: EndpointState): void {
  state.unseen?.clear();
  state.unseen = null;
  if (state.clients.length < 2 && state.record.parts.length === 0)
    for (const client of state.clients) client.confirmations = null;
}

/** Keeps messages, of which some may be kept already, until one of the endpoint's clients confirms them. */
export function keepWaiting(state: EndpointState, packets: readonly Packet[]): void {
  const { unseen } = state;
  const isNew = (packet: Packet): boolean => !unseen?.has(packet);
  const first = packets.findIndex(isNew);
  if (first < 0) return;
  const added = packets.slice(first);
  if (!unseen || added.every(isNew)) {
    for (const packet of added) keepUnseen(state, packet);
    return;
  }
  const all = inOrder([unseen.packets, packets]);
  const placed = inPlaces(state, all, (packet) => unseen.has(packet));
  state.unseen = null;
  for (const packet of all) keepUnseen(state, packet);
  // All that was kept is in the new queue before it leaves the old one, so that it is not taken for gone.
  unseen.clear();
  placed.clear();
}

/**
 * A queue that has messages until others have them: what a cluster keeps of messages has the order in which they come into a queue first.
 * `isHere`: whether a message is in one already, and comes no more before the others.
 */
export function inPlaces(
  { domain, address }: EndpointState,
  messages: readonly Packet[],
  isHere: (packet: Packet) => boolean,
): WaitingQueue {
  const queue = new WaitingQueue(domain, { address, name: UNSEEN });
  const last = messages.findLastIndex(isHere);
  for (let at = last - 1; at >= 0; at -= 1) {
    const packet = messages[at] as Packet;
    if (!isHere(packet)) queue.push(packet, NO_LIMITS, messages[at + 1]);
  }
  for (const packet of messages.slice(last + 1)) queue.push(packet, NO_LIMITS);
  return queue;
}

/** Takes out a message that waits. Answers whether it did wait. */
export function forgetWaiting(state: EndpointState, packet: Packet): boolean {
  const waited = state.unseen?.remove(packet) === true;
  if (state.unseen?.length === 0) clearUnseen(state);
  return waited;
}

/** A client cannot be reached: messages that neither it nor another client has confirmed wait for the next client. */
export function keepUnconfirmed(state: EndpointState, client: Client): void {
  keepWaiting(state, unconfirmed(state, client));
}

/** Messages in a client's queue that no client of its endpoint has confirmed, including clients that have gone. */
export function unconfirmed(state: EndpointState, client: Client): readonly Packet[] {
  const messages = client.queued.filter(({ kind }) => kind === 'message');
  return isInTurns(state) ? messages : messages.filter((packet) => !state.confirmations?.has(packet));
}

/** Packets that came into the queue of `client` before `other` came, and that `other` has therefore not had. */
export function hadNot(other: Client, client: Client): readonly Packet[] {
  const { elders } = other;
  const number = elders?.numbers.get(client) ?? 0;
  return number === 0 ? [] : client.queuedUpTo(number).filter((packet) => !elders?.given.has(packet));
}

/** Another node has a part of the endpoint from now on, so confirmations of clients here are watched, to tell that part. */
export function partCame(state: EndpointState, node: RemoteNode): void {
  watchAll(state);
  state.confirmations?.partCame(node);
}

/** The messages that wait here, in order, and the names of those between them that only clients have, of which one has been confirmed. */
export function waitingHere({ clients, unseen }: EndpointState): readonly (Packet | string)[] {
  if (unseen === null) return [];
  const queues = clients.map(({ queued }) => queued.filter(({ kind }) => kind === 'message'));
  const all = inOrder([unseen.packets, ...queues]);
  const first = all.findIndex((packet) => unseen.has(packet));
  return all.slice(first).map((packet) => (unseen.has(packet) ? packet : nameOf(packet)));
}

/** Watches what the endpoint's clients here confirm, as other clients may have it queued. */
export function watchAll(state: EndpointState): void {
  for (const client of state.clients) watch(state, client);
}

/** Messages that no client of the endpoint has confirmed, of those that wait and those that some clients have queued; each once, in order. */
export function waitingFor(state: EndpointState, clients: readonly Client[]): readonly Packet[] {
  return inOrder([state.unseen?.packets ?? [], ...clients.map((client) => unconfirmed(state, client))]);
}

/** A client ends: parts on other nodes that came later than messages which nobody has confirmed get these. Answers what they get. */
export function giveParts(state: EndpointState, client: Client, waiting: ReadonlySet<Packet>): Set<Packet> {
  const given = new Set<Packet>();
  for (const [node, packets] of state.confirmations?.hadNot(client) ?? []) {
    const some = packets.filter((packet) => waiting.has(packet));
    if (some.length > 0 && node.up) state.domain.cluster.giveLate(state.record, node, some);
    for (const packet of some) given.add(packet);
  }
  return given;
}

/**
 * Clients have come from a node that is gone, beside others (`elders`): they get what waited here (`waiting`), and of what the others have
 * and do not confirm they get what they have not had when those end.
 */
export function giveAdopted(
  state: EndpointState,
  clients: readonly Client[],
  elders: readonly Client[],
  waiting: readonly Packet[],
): void {
  if (isInTurns(state)) return;
  const isFor = behindTheirs(state, waiting);
  for (const client of clients) {
    for (const packet of waiting) if (isFor(client, packet)) client.push(packet, state.domain.limits);
    const numbers = new Map([
      ...(client.elders?.numbers ?? []),
      ...elders.map((elder) => [elder, elder.accepted] as const),
    ]);
    if (elders.length > 0) client.elders = { numbers, given: new WeakSet(client.queued) };
  }
  if (elders.length + waiting.length > 0) watchAll(state);
}

/**
 * Which of some messages that wait are for a client: none that stands before one which it has. It came later than these, and may have been
 * sent the other before.
 */
export function behindTheirs(
  { clients, unseen }: EndpointState,
  waiting: readonly Packet[],
): (client: Client, packet: Packet) => boolean {
  const order = inOrder([...clients.map(({ queued }) => queued), unseen?.packets ?? [], waiting]);
  const places = new Map(order.map((packet, at) => [packet, at]));
  const placeOf = (packet: Packet): number => places.get(packet) ?? -1;
  const lastOf = ({ queued }: Client): number => queued.reduce((last, packet) => Math.max(last, placeOf(packet)), -1);
  const lasts = new Map(clients.map((client) => [client, lastOf(client)]));
  return (client, packet) => placeOf(packet) > (lasts.get(client) ?? -1);
}

/** Whether a message waits in the endpoint's queues here. */
export function isQueued(state: EndpointState, packet: Packet): boolean {
  return queuedAs(state, packet) !== undefined;
}

/** The message as it waits in the endpoint's queues here, where it has come by another way before; undefined: it does not. */
export function queuedAs({ clients, unseen }: EndpointState, packet: Packet): Packet | undefined {
  let found = sameMessage(unseen?.packets ?? [], packet);
  for (const client of clients) found ??= sameMessage(client.queued, packet);
  return found;
}

/** The messages in the endpoint's queues here, and others, by their names. */
export function queuedByName({ clients, unseen }: EndpointState, others: readonly Packet[] = []): Map<string, Packet> {
  const all = [...clients.flatMap(({ queued }) => queued), ...(unseen?.packets ?? []), ...others];
  return new Map(all.filter(({ kind }) => kind === 'message').map((packet) => [nameOf(packet), packet]));
}

export function hasQueued({ queued }: Client, packet: Packet): boolean {
  return sameMessage(queued, packet) !== undefined;
}

function sameMessage(packets: readonly Packet[], packet: Packet): Packet | undefined {
  const { id } = packet.fields as MessageFields;
  const name = nameOf(packet);
  return packets.find(
    (one) => one.kind === 'message' && (one.fields as MessageFields).id === id && nameOf(one) === name,
  );
}

/** A client on another node has confirmed messages, or (`isConfirmed` false) has given back messages that it had confirmed. */
export function confirmedElsewhere(state: EndpointState, names: readonly string[], isConfirmed: boolean): void {
  if (state.clients.length === 0 && state.unseen === null) return;
  state.confirmations ??= new Confirmations(state);
  state.confirmations.elsewhere(names, isConfirmed);
}

function watch(state: EndpointState, client: Client): void {
  state.confirmations ??= new Confirmations(state);
  client.confirmations = state.confirmations;
}

/** After a restart: a queued message counts as confirmed by each other client that was given it and does not have it queued. */
export function restoreConfirmed(state: EndpointState, clients: readonly Client[]): void {
  if (clients.length < 2 || isInTurns(state)) return;
  for (const client of clients) {
    watch(state, client);
    for (const other of clients) {
      if (other === client) continue;
      const open = new Set([...other.queued, ...hadNot(other, client)]);
      client.confirmations?.note(client.queued.filter((packet) => !open.has(packet)));
    }
  }
}

/** A client of which only itself knew how far it has come says so. What others have had of its packets is counted by its numbers. */
export function placeAt(state: EndpointState, client: Client, asked: Asked): void {
  const { queue } = client;
  const by = queue.placeAt(typeof asked === 'object' && asked.era === queue.era ? asked.n : null);
  if (by === 0) return;
  for (const { elders } of state.clients) raise(elders?.numbers, client, by);
  state.confirmations?.placed(client, by);
}

function raise(numbers: Map<Client, number> | undefined, client: Client, by: number): void {
  const number = numbers?.get(client);
  if (number !== undefined) numbers?.set(client, number + by);
}

/** Whether a client of the endpoint is connected, here or on another node. */
export function isConnected(state: EndpointState): boolean {
  return isConnectedHere(state) || isConnectedElsewhere(state.record);
}

export function isConnectedHere({ clients }: EndpointState): boolean {
  return clients.some(({ transport }) => transport !== null);
}
