/**
 * What an endpoint does with a packet that has come to it: which of its clients have it, what goes on to its parts on
 * other nodes and to its webhook, and what is kept while no client is connected.
 */
import { takeDeleted } from './deletions.js';
import { keepOrDrop, toEndpointHere } from './dispatch.js';
import type { EndpointState } from './endpoint.js';
import { isConnectedElsewhere, isOnline, primaryOf } from './endpoint-record.js';
import { outcomeFor } from './outcome.js';
import type { Deliver } from './router.js';
import { deliverInTurns } from './service.js';
import { isInTurns } from './turns.js';
import { hasQueued, isConnectedHere, isQueued, keepWaiting } from './unseen.js';

/** Pushes a packet to the endpoint's clients, or to some of them; keeps a message while none is connected. */
export function deliver(state: EndpointState, message: Deliver, among = state.clients): EndpointState {
  const { packet, only } = message;
  const { limits } = state.domain;
  toWebhook(state, message);
  if (only === null && packet.kind === 'message' && isInTurns(state)) {
    deliverInTurns(state, message);
    return state;
  }
  if (!message.relayed) state.domain.cluster.relay(state.record, message);
  if (packet.kind === 'message' && state.domain.events !== null) tellAway(state, message);
  const clients = only === null ? takeDeleted(state, packet, among) : among.filter(({ name }) => name === only);
  const isRepeated = packet.receipt !== null && isRestored(state) && isQueued(state, packet);
  let connected = false;
  for (const client of clients) {
    if (!isRepeated || !hasQueued(client, packet)) client.push(packet, limits);
    connected ||= client.transport !== null;
  }
  if (packet.kind !== 'message') return state;
  if (connected || isConnectedElsewhereFor(state)) {
    // What follows a message that waits, waits too: the next client to come has neither or both.
    if (state.unseen !== null && only === null && !isRepeated) keepWaiting(state, [packet]);
    if (packet.receipt !== null) packet.receipt.report(outcomeFor(clients));
    return state;
  }
  if (state.record.birth > 0 && only === null && (clients.length === 0 || clients.length === among.length)) {
    if (!isRepeated && !(state.moving && isConnectedHere(state))) keepWaiting(state, [packet]);
    if (packet.receipt !== null) packet.receipt.report('queued');
  } else if (clients.length === 0 && !state.webhook) {
    keepOrDrop(state.domain, packet, state.address, only);
  } else if (packet.receipt !== null) packet.receipt.report(outcomeFor(clients));
  return state;
}

/**
 * Whether clients have come from a node that was killed, or over a kill, and have confirmed nothing since: a message of theirs whose call was
 * under way then is sent again by its sender.
 */
function isRestored({ clients }: EndpointState): boolean {
  return clients.some(({ mayMiss }) => mayMiss);
}

/** Queues a message for the endpoint's webhook, where it has one and this node is the one that calls it. */
export function toWebhook(state: EndpointState, message: Deliver): void {
  const { packet } = message;
  if (!state.webhook || packet.kind !== 'message' || !isForWebhook(state, message)) return;
  state.webhook.push(packet);
  packet.receipt?.expect();
  packet.receipt?.report('queued');
}

/** Whether another node's part of the endpoint has a connected client, which has the packet from here or elsewhere. */
export function isConnectedElsewhereFor({ record, domain }: EndpointState): boolean {
  return isConnectedElsewhere(record) && !domain.cluster.isMeeting(record);
}

/** The site hears of a message to an endpoint that is away, by the node of its oldest part. */
function tellAway({ domain, record, address }: EndpointState, { packet, relayed }: Deliver): void {
  if (packet.topic !== address || isOnline(record)) return;
  if (relayed) domain.events?.undelivered.note(packet, address);
  else if (record.away) domain.events?.foundNobody(packet, address, 'queued');
}

/** A webhook is called by the node of the endpoint's oldest part, whichever way the packet came. */
function isForWebhook({ record }: EndpointState, { packet, relayed }: Deliver): boolean {
  return !relayed || (packet.topic !== record.address && primaryOf(record) === null);
}

/** Delivers a packet that came when the endpoint's actor had ended, as if it had come a moment later. */
export function redeliver({ domain, address }: EndpointState, { packet, only, relayed }: Deliver): void {
  // Another node sees to what it has relayed.
  if (packet.topic !== address || relayed) packet.receipt?.report('dropped');
  else if (!toEndpointHere(domain, packet, only)) keepOrDrop(domain, packet, address, only);
}
