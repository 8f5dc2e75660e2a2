/** What an operator may see of an endpoint: everything but the texts of messages. Long lists are cut, and their length is told. */
import type { TransportKind } from '../metrics.js';
import { type Address, shortId } from './address.js';
import type { EndpointState } from './endpoint.js';

const LISTED = 100;

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
  readonly queuedPackets: number;
  readonly queuedBytes: number;
  /** Since when the client is not connected, in milliseconds since the epoch; null: it is connected. */
  readonly detachedAt: number | null;
}

export interface EndpointView {
  readonly online: boolean;
  readonly nick: string;
  readonly show: string;
  readonly status: string;
  /** Whether others see the endpoint online. */
  readonly visible: boolean;
  readonly clients: readonly ClientView[];
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

export function inspect(state: EndpointState): EndpointView {
  const { domain, record, clients, webhook } = state;
  const buddies = domain.tracker.buddiesOf(record);
  return {
    online: state.online,
    nick: record.nick,
    show: record.show,
    status: record.status,
    visible: record.appearance !== null,
    clients: (webhook ? [...clients, webhook] : clients).map((client) => ({
      name: client.name,
      transport: client.transport?.kind ?? null,
      via: client.transport?.via ?? null,
      queuedPackets: client.queued.length,
      queuedBytes: client.queuedBytes,
      detachedAt: client.transport ? null : client.detachedAt,
    })),
    unseen: state.unseen?.packets.length ?? 0,
    buddies: listed(domain.name, buddies, buddies.size),
    rooms: listed(domain.name, record.rooms, record.rooms.length),
  };
}
