/**
 * What an endpoint does with a packet that has come to it: which of its clients have it, what goes on to its parts on
 * other nodes and to its webhook, and what is kept while no client is connected.
 */
import type { Client } from './client.js';
import { keepOrDrop, toEndpointHere } from './dispatch.js';
import type { EndpointState } from './endpoint.js';
import { isConnectedElsewhere, primaryOf } from './endpoint-record.js';
import type { Outcome } from './outcome.js';
import type { Deliver } from './router.js';
import { chooseClients, deliversInTurns } from './service.js';
import { keepUnseen } from './unseen.js';

/** Pushes a packet to the endpoint's clients; keeps a message while none is connected. */
export function deliver(state: EndpointState, message: Deliver): EndpointState {
  const { packet, only } = message;
  const { limits } = state.domain;
  if (state.webhook && packet.kind === 'message' && isForWebhook(state, message)) {
    state.webhook.push(packet, limits);
    packet.receipt?.expect();
    packet.receipt?.report('queued');
  }
  if (!message.relayed && passOnToParts(state, message)) return state;
  const clients = only === null ? chooseClients(state, packet) : state.clients.filter(({ name }) => name === only);
  let connected = false;
  for (const client of clients) {
    client.push(packet, limits);
    connected ||= client.transport !== null;
  }
  if (packet.kind !== 'message') return state;
  if (connected || isConnectedElsewhereFor(state)) {
    if (packet.receipt !== null) packet.receipt.report(outcomeFor(clients));
    return state;
  }
  if (state.record.birth > 0 && only === null && (clients.length === 0 || clients.length === state.clients.length)) {
    keepUnseen(state, packet);
    if (packet.trace !== null) packet.trace.hop('kept', packet, state.address, 'until a client connects');
    if (packet.receipt !== null) packet.receipt.report('queued');
  } else if (clients.length === 0 && !state.webhook) {
    keepOrDrop(state.domain, packet, state.address, only);
  } else if (packet.receipt !== null) packet.receipt.report(outcomeFor(clients));
  return state;
}

/** Whether another node's part of the endpoint has a connected client, which has the packet from here or elsewhere. */
function isConnectedElsewhereFor({ record, domain }: EndpointState): boolean {
  return isConnectedElsewhere(record) && !domain.cluster.isMeeting(record);
}

/** What has become of a message that was pushed to these clients. Other nodes' parts of the endpoint report for themselves. */
function outcomeFor(clients: readonly Client[]): Outcome {
  if (clients.some(({ takes }) => takes)) return 'delivered';
  return clients.length > 0 ? 'queued' : 'dropped';
}

/** A webhook is called by the node of the endpoint's oldest part, whichever way the packet came. */
function isForWebhook({ record }: EndpointState, { packet, relayed }: Deliver): boolean {
  return !relayed || (packet.topic !== record.address && primaryOf(record) === null);
}

/** Relays a packet to the endpoint's other parts; true where it is another node's turn to deliver for a service. */
function passOnToParts(state: EndpointState, message: Deliver): boolean {
  const { domain, record, clients } = state;
  if (record.parts.length > 0 && message.only === null && deliversInTurns(state, message.packet)) {
    return domain.cluster.takeTurn(record, message, clients);
  }
  domain.cluster.relay(record, message);
  return false;
}

/** Delivers a packet that came when the endpoint's actor had ended, as if it had come a moment later. */
export function redeliver({ domain, address }: EndpointState, { packet, only, relayed }: Deliver): void {
  // Another node sees to what it has relayed.
  if (packet.topic !== address || relayed) packet.receipt?.report('dropped');
  else if (!toEndpointHere(domain, packet, only)) keepOrDrop(domain, packet, address, only);
}
