/**
 * What a service adds to an endpoint: whom of its clients a message goes to (`all` or `turns`), and a webhook.
 * PROTOCOL.md section 9. Other endpoints deliver to all of their clients.
 */
import { BoundedMap } from '../bounded-map.js';
import { CLOSE, type CloseReason } from '../errors.js';
import { Client } from './client.js';
import type { EndpointMessage, EndpointState } from './endpoint.js';
import type { Packet } from './packet.js';
import type { Ref } from './system.js';
import { hadNot, isConnected, keepUnseen, unconfirmed } from './unseen.js';

/** Senders remembered by one service; the one that has been silent longest is forgotten first. */
export const REMEMBERED_SENDERS = 10_000;

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
  state.turns ??= new BoundedMap(() => REMEMBERED_SENDERS);
  const known = state.turns.get(sender);
  if (known && clients.includes(known)) {
    state.turns.set(sender, known);
    return known;
  }
  const connected = clients.filter(({ transport }) => transport !== null);
  const next = (connected[0] ?? clients[0]) as Client;
  state.clients = [...clients.filter((client) => client !== next), next];
  state.turns.set(sender, next);
  return next;
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
  client.onConfirmed = null;
  client.clear();
  handOver(state, left, laterOnes, waiting);
  for (const other of state.clients) other.elders?.numbers.delete(client);
}

/**
 * Sees to what a client that has ended had not confirmed. `laterOnes` came after some of it, and have had none of that;
 * `waiting` are those that no other client has confirmed.
 */
export function handOver(
  state: EndpointState,
  left: readonly Packet[],
  laterOnes: readonly (readonly [Client, readonly Packet[]])[],
  waiting: ReadonlySet<Packet> = new Set(left),
): void {
  const { limits, settings } = state.domain;
  const messages = left.filter(({ kind }) => kind === 'message');
  for (const packet of left) if (packet.kind !== 'message') state.domain.drop(packet, 'clientGone', state.address);
  if (state.node === 'sid' && settings.services.get(state.id)?.delivery === 'turns' && state.clients.length > 0) {
    for (const message of messages) for (const other of chooseClients(state, message)) other.push(message, limits);
    return;
  }
  const given = new Set<Packet>();
  for (const [other, packets] of laterOnes) {
    const has = new Set(other.queued);
    for (const packet of packets) {
      if (!waiting.has(packet)) continue;
      given.add(packet);
      other.elders?.given.add(packet);
      if (!has.has(packet)) other.push(packet, limits);
    }
  }
  if (isConnected(state)) {
    const open = new Set(state.clients.flatMap(({ queued }) => queued));
    const gone = messages.filter((packet) => !given.has(packet) && !open.has(packet));
    for (const packet of gone) state.domain.drop(packet, 'clientGone', state.address);
    return;
  }
  const kept = new Set(state.unseen?.packets);
  for (const message of messages) if (waiting.has(message) && !kept.has(message)) keepUnseen(state, message);
}

/** Ends a service's webhook; answers what it has not taken. */
export function closeWebhook({ webhook, domain }: EndpointState): readonly Packet[] {
  if (!webhook) return [];
  webhook.close(CLOSE.stopped, domain.limits);
  const left = webhook.queued.slice();
  webhook.clear();
  return left;
}

/** Starts, changes or ends a service's webhook as the configuration now has it. */
export function configureService(state: EndpointState, self: Ref<EndpointMessage>): EndpointState {
  const { domain, node, id } = state;
  if (node !== 'sid') return state;
  const url = domain.serviceConfig(id)?.webhook ?? null;
  const { runtime, limits } = domain;
  const unsent = closeWebhook(state);
  state.webhook = null;
  if (url === null) {
    for (const packet of unsent) domain.drop(packet, 'webhookFailed', state.address);
    return state;
  }
  const client = new Client(self, state.address, 'webhook', '', runtime.outbox, domain, runtime.clock.now());
  const transport = runtime.webhook(domain, url, () => {
    self.tell({ kind: 'drained', client, transport });
  });
  client.attach(transport, CLOSE.stopped, limits, runtime.clock.now());
  for (const packet of unsent) client.push(packet, limits);
  state.webhook = client;
  return state;
}
