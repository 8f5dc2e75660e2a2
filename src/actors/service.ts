/**
 * What a service adds to an endpoint: whom of its clients a message goes to (`all` or `turns`), and a webhook.
 * PROTOCOL.md section 9. Other endpoints deliver to all of their clients.
 */
import { CLOSE, type CloseReason } from '../errors.js';
import { Client } from './client.js';
import type { EndpointMessage, EndpointState } from './endpoint.js';
import { isConnectedElsewhere } from './endpoint-record.js';
import type { Packet } from './packet.js';
import { PacketQueue } from './queue.js';
import type { Ref } from './system.js';

/** Senders remembered by one service; the one that has been silent longest is forgotten first. */
const REMEMBERED_SENDERS = 10_000;

/** The clients that a packet is for. */
export function chooseClients(state: EndpointState, packet: Packet): readonly Client[] {
  const { clients } = state;
  return clients.length < 2 || !deliversInTurns(state, packet) ? clients : [turn(state, packet.sender ?? '')];
}

/** Whether a packet goes to one client, whose turn it is. */
export function deliversInTurns({ node, id, domain }: EndpointState, { kind }: Packet): boolean {
  return node === 'sid' && kind === 'message' && domain.serviceConfig(id)?.delivery === 'turns';
}

/** The client whose turn it is, or the one that this sender has been with. */
function turn(state: EndpointState, sender: string): Client {
  const { clients } = state;
  state.turns ??= new Map();
  const known = state.turns.get(sender);
  if (known && clients.includes(known)) {
    state.turns.delete(sender);
    state.turns.set(sender, known);
    return known;
  }
  const connected = clients.filter(({ transport }) => transport !== null);
  const next = (connected[0] ?? clients[0]) as Client;
  state.clients = [...clients.filter((client) => client !== next), next];
  const [oldest] = state.turns.keys();
  if (state.turns.size >= REMEMBERED_SENDERS && oldest !== undefined) state.turns.delete(oldest);
  state.turns.set(sender, next);
  return next;
}

/**
 * Ends a client and its ticket, and sees to what it has not sent: in a service that delivers in turns it goes to the
 * others, else it is kept where nobody is connected who has it.
 */
export function passOn(state: EndpointState, client: Client, reason: CloseReason): void {
  const { runtime, tickets, limits, metrics } = state.domain;
  tickets.delete(client.token);
  runtime.idle.cancel(client);
  metrics.clients -= 1;
  handOver(state, client.close(reason, limits));
}

/** Sees to what a client that has ended could not get out. */
export function handOver(state: EndpointState, unsent: readonly Packet[]): void {
  const { limits, settings } = state.domain;
  const messages = unsent.filter(({ kind }) => kind === 'message');
  for (const packet of unsent) if (packet.kind !== 'message') state.domain.drop(packet, 'clientGone', state.address);
  if (state.node === 'sid' && settings.services.get(state.id)?.delivery === 'turns' && state.clients.length > 0) {
    for (const message of messages) for (const other of chooseClients(state, message)) other.push(message, limits);
    return;
  }
  if (state.clients.some(({ transport }) => transport !== null)) {
    for (const packet of messages) state.domain.drop(packet, 'clientGone', state.address);
    return;
  }
  if (isConnectedElsewhere(state.record)) return;
  const kept = new Set(state.unseen?.packets);
  for (const message of messages) {
    if (kept.has(message)) continue;
    state.unseen ??= new PacketQueue(state.domain, state.address);
    state.unseen.push(message, limits);
  }
}

/** Starts, changes or ends a service's webhook as the configuration now has it. */
export function configureService(state: EndpointState, self: Ref<EndpointMessage>): EndpointState {
  const { domain, node, id } = state;
  if (node !== 'sid') return state;
  const url = domain.serviceConfig(id)?.webhook ?? null;
  const { runtime, limits } = domain;
  const unsent = state.webhook?.close(CLOSE.stopped, limits) ?? [];
  state.webhook = null;
  if (url === null) {
    for (const packet of unsent) domain.drop(packet, 'webhookFailed', state.address);
    return state;
  }
  const client = new Client(self, state.address, 'webhook', '', runtime.outbox, domain, runtime.clock.now());
  const transport = runtime.webhook(domain, url, () => {
    self.tell({ kind: 'drained', client, transport });
  });
  client.attach(transport, CLOSE.stopped, limits);
  for (const packet of unsent) client.push(packet, limits);
  state.webhook = client;
  return state;
}
