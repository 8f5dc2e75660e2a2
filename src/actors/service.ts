/**
 * What a service adds to an endpoint: whom of its clients a message goes to (`all` or `turns`), and a webhook.
 * PROTOCOL.md section 9. Other endpoints deliver to all of their clients.
 */
import type { CloseReason } from '../errors.js';
import type { Client } from './client.js';
import { keepOrDrop } from './dispatch.js';
import type { EndpointState } from './endpoint.js';
import { isConnectedElsewhere } from './endpoint-record.js';
import { outcomeFor } from './outcome.js';
import type { Packet } from './packet.js';
import type { Deliver } from './router.js';
import { ServiceWebhook } from './service-webhook.js';
import { countConnected, isInTurns, turn } from './turns.js';
import { forgetWaiting, giveParts, hadNot, keepUnseen, keepWaiting, unconfirmed } from './unseen.js';

/** Gives a message to the client whose turn it is, here or on another node; keeps it where none is connected. */
export function deliverInTurns(state: EndpointState, { packet, relayed }: Deliver): void {
  const { domain, record, webhook } = state;
  const isOwn = packet.topic === record.address;
  const deliver: Deliver = { kind: 'deliver', packet, only: null };
  if (!relayed && record.parts.length > 0 && domain.cluster.takeTurn(record, deliver, countConnected(state))) return;
  if (giveTurn(state, packet)) return;
  // A message to a room reaches every node on its own, so another node with a connected client delivers it.
  const isOthers = !isOwn && isConnectedElsewhere(record);
  if (record.birth > 0 && !isOthers) {
    keepUnseen(state, packet);
    packet.receipt?.report('queued');
  } else if (webhook || isOthers) packet.receipt?.report('dropped');
  else keepOrDrop(domain, packet, state.address, null);
}

/** Gives a message to the client whose turn it is, here or on another node. False: none is connected. */
function giveTurn(state: EndpointState, packet: Packet): boolean {
  const { domain, record } = state;
  const client = turn(state, packet);
  if (client) {
    client.push(packet, domain.limits);
    packet.receipt?.report(outcomeFor([client]));
    return true;
  }
  if (record.parts.length === 0 || packet.topic !== record.address) return false;
  if (!domain.cluster.takeTurn(record, { kind: 'deliver', packet, only: null }, 0)) return false;
  forgetWaiting(state, packet);
  return true;
}

/** A client of a service in turns has connected, here or on another node: gives out messages that wait and that no client holds. */
export function passWaiting(state: EndpointState): void {
  if (!state.unseen) return;
  const holders = new Map<Packet, Client>();
  for (const client of state.clients) for (const packet of client.queued) holders.set(packet, client);
  for (const packet of state.unseen.packets.slice()) {
    const holder = holders.get(packet);
    // A holder whose idle time is not over may come back, so it keeps the message.
    if (holder && !holder.isAway) continue;
    if (giveTurn(state, packet)) holder?.giveUp(packet);
    else if (packet.topic !== state.address && isConnectedElsewhere(state.record)) forgetWaiting(state, packet);
  }
}

/** The idle time of a client of a service in turns is over: what it has not confirmed goes to those that are connected. */
export function passTurns(state: EndpointState, client: Client): void {
  const left = client.queued.filter(({ kind }) => kind === 'message');
  const rest = left.filter((packet) => !giveTurn(state, packet));
  const waiting = new Set(rest);
  for (const packet of left) if (!waiting.has(packet)) client.giveUp(packet);
  keepWaiting(state, rest);
}

/**
 * Ends a client and its ticket, and sees to what nobody has confirmed: in a service that delivers in turns it goes to the
 * others, else to those who came later than it, or it is kept for whoever comes next.
 */
export function passOn(state: EndpointState, client: Client, reason: CloseReason): void {
  const { runtime, tickets, limits, metrics } = state.domain;
  tickets.delete(client.token);
  runtime.idle.cancel(client);
  state.domain.away.remove(client, 'ended');
  runtime.returning.cancel(client);
  metrics.clients -= 1;
  client.close(reason, limits);
  const left = client.queued.slice();
  const waiting = new Set(unconfirmed(state, client));
  const laterOnes = state.clients.map((other) => [other, hadNot(other, client)] as const);
  const given = giveParts(state, client, waiting);
  client.confirmations = null;
  client.clear();
  handOver(state, left, laterOnes, waiting, given);
  for (const other of state.clients) other.elders?.numbers.delete(client);
}

/**
 * Sees to what a client that has ended had not confirmed. `laterOnes` came after some of it, and have had none of that;
 * `waiting` are those that no other client has confirmed; `given` those that clients on other nodes have been given.
 */
export function handOver(
  state: EndpointState,
  left: readonly Packet[],
  laterOnes: readonly (readonly [Client, readonly Packet[]])[],
  waiting: ReadonlySet<Packet> = new Set(left),
  given = new Set<Packet>(),
): void {
  const { limits } = state.domain;
  const messages = left.filter(({ kind }) => kind === 'message');
  for (const packet of left) if (packet.kind !== 'message') state.domain.drop(packet, 'clientGone', state.address);
  if (isInTurns(state)) {
    keepWaiting(
      state,
      messages.filter((message) => !giveTurn(state, message)),
    );
    return;
  }
  for (const [other, packets] of laterOnes) {
    const has = new Set(other.queued);
    for (const packet of packets) {
      if (!waiting.has(packet)) continue;
      given.add(packet);
      other.elders?.given.add(packet);
      if (!has.has(packet)) other.push(packet, limits);
    }
  }
  // Where only clients on other nodes are connected, messages wait here until one of those confirms them: their node may be dead.
  if (state.clients.some(({ transport }) => transport !== null)) {
    const open = new Set(state.clients.flatMap(({ queued }) => queued));
    const gone = messages.filter((packet) => !given.has(packet) && !open.has(packet));
    for (const packet of gone) state.domain.drop(packet, 'clientGone', state.address);
    return;
  }
  keepWaiting(
    state,
    messages.filter((message) => waiting.has(message)),
  );
}

/** Ends a service's webhook; what waits for its site stays on disk. */
export function closeWebhook(state: EndpointState): void {
  state.webhook?.close();
  state.webhook = null;
}

/** Starts, changes or ends a service's webhook as the configuration now has it. */
export function configureService(state: EndpointState): EndpointState {
  const { domain, node, id, address, webhook } = state;
  if (node !== 'sid') return state;
  if (domain.serviceConfig(id)?.webhook) {
    if (webhook) webhook.restart();
    else state.webhook = new ServiceWebhook(domain, address, id);
    return state;
  }
  webhook?.discard();
  state.webhook = null;
  return state;
}
