/** What an operator may see of an endpoint: everything but the texts of messages. Long lists are cut, and their length is told. */
import type { TransportKind } from '../metrics.js';
import { type Address, shortId } from './address.js';
import type { Client } from './client.js';
import type { EndpointState } from './endpoint.js';
import type { Packet } from './packet.js';
import type { ServiceWebhook } from './service-webhook.js';

const LISTED = 100;

/** Transports whose clients send nothing after the request itself. */
const REQUESTS: readonly TransportKind[] = ['jsonp', 'events'];

export interface Listed {
  readonly total: number;
  /** The first hundred short ids. */
  readonly ids: readonly string[];
}

export interface ClientView {
  readonly name: string;
  /** How the client is connected; null: it is not. */
  readonly transport: TransportKind | null;
  /** The node that holds the client's connection, where that is another one. */
  readonly via: string | null;
  /** The network address that the client is connected from, of IPv6 its /64; null: not connected, or not known. */
  readonly address: string | null;
  /** Since when the present connection is there, in milliseconds since the epoch; null: the client is not connected. */
  readonly connectedAt: number | null;
  /**
   * When something came from the client last, a pong of its browser too, or its connection ended, in milliseconds since
   * the epoch; null: not known on this node.
   */
  readonly seenAt: number | null;
  readonly queuedPackets: number;
  readonly queuedBytes: number;
  /** Since when the client is not connected, in milliseconds since the epoch; null: it is connected. */
  readonly detachedAt: number | null;
  /** Since when a client that is away (for longer than the idle time, its ticket kept) is not connected; null: it is not away. */
  readonly awaySince: number | null;
  /** The position up to which the client has confirmed; null: it keeps none, or was not connected yet. */
  readonly position: string | null;
  /** How many of the queued packets have been sent, and not confirmed. */
  readonly unconfirmed: number;
  /** Since when about the first unconfirmed packet has been on its way, in milliseconds since the epoch; null: there is none. */
  readonly unconfirmedSince: number | null;
}

/** A client whose ticket has ended while its endpoint goes on. */
export interface EndedClient {
  readonly name: string;
  /** Milliseconds since the epoch. */
  readonly at: number;
  /** The name of a `CloseReason`, or what else ended it. */
  readonly reason: string;
}

export interface EndpointView {
  readonly online: boolean;
  readonly nick: string;
  readonly show: string;
  readonly status: string;
  /** Whether others see the endpoint online. */
  readonly visible: boolean;
  readonly clients: readonly ClientView[];
  /** The last eight clients that have ended, the latest first; forgotten with the endpoint. */
  readonly ended: readonly EndedClient[];
  /** Messages that wait for whichever client comes next. */
  readonly unseen: number;
  readonly buddies: Listed;
  readonly rooms: Listed;
}

export function listed(domain: string, addresses: Iterable<Address>, total: number): Listed {
  const ids: string[] = [];
  for (const address of addresses) {
    if (ids.length === LISTED) break;
    ids.push(shortId(domain, address));
  }
  return { total, ids };
}

/** When the first of them was sent: when it was accepted, or when the connection came that it went over. */
function sentAt([first]: readonly Packet[], connectedAt: number, now: number): number | null {
  return first ? Math.max(connectedAt, Math.round(now - (performance.now() - first.acceptedAt))) : null;
}

function viewOf(client: Client, now: number): ClientView {
  const { name, transport, since, queued, queuedBytes, keptSince, isAway, confirmed, unconfirmed, queue } = client;
  const isConnected = transport !== null && !REQUESTS.includes(transport.kind);
  return {
    name,
    transport: transport?.kind ?? null,
    via: transport?.via ?? null,
    address: transport?.address ?? null,
    connectedAt: transport ? since : null,
    seenAt: isConnected ? (transport.heardAt ?? null) : since,
    queuedPackets: queued.length,
    queuedBytes,
    detachedAt: transport ? null : since,
    awaySince: isAway ? keptSince : null,
    position: transport?.counting || keptSince !== null ? queue.position(confirmed) : null,
    unconfirmed: unconfirmed.length,
    unconfirmedSince: sentAt(unconfirmed, transport ? since : 0, now),
  };
}

function viewOfWebhook({ startedAt, view }: ServiceWebhook): ClientView {
  return {
    name: 'webhook',
    transport: 'webhook',
    via: null,
    address: null,
    connectedAt: startedAt,
    seenAt: view.lastAt,
    queuedPackets: view.waiting,
    queuedBytes: view.bytes,
    detachedAt: null,
    awaySince: null,
    position: null,
    unconfirmed: 0,
    unconfirmedSince: null,
  };
}

export function inspect(state: EndpointState): EndpointView {
  const { domain, record, clients, webhook } = state;
  const buddies = domain.tracker.buddiesOf(record);
  const now = domain.runtime.clock.now();
  return {
    online: state.online,
    nick: record.nick,
    show: record.show,
    status: record.status,
    visible: record.appearance !== null,
    clients: webhook
      ? [...clients.map((client) => viewOf(client, now)), viewOfWebhook(webhook)]
      : clients.map((client) => viewOf(client, now)),
    ended: state.ended?.toReversed() ?? [],
    unseen: state.unseen?.packets.length ?? 0,
    buddies: listed(domain.name, buddies, buddies.size),
    rooms: listed(domain.name, record.rooms, record.rooms.length),
  };
}
