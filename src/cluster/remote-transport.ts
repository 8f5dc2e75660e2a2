/**
 * Clients of this node that are connected to another one: to their endpoint the connection is a transport like any
 * other. The other side is remote-client.ts.
 */
import type { Client } from '../actors/client.js';
import type { Domain } from '../actors/domain.js';
import type { Packet } from '../actors/packet.js';
import type { Transport } from '../actors/transport.js';
import { CLOSE, type CloseReason } from '../errors.js';
import type { TransportKind } from '../metrics.js';
import type { Items } from './items.js';
import type { Mesh } from './mesh.js';
import type { Peer } from './peer.js';
import { packetOf, type WirePacket } from './wire.js';

/** Packets on their way to a connection elsewhere, not taken yet by what carries it; further ones wait in the client. */
const WINDOW = 200;
/** Bytes of packets that go in one item. */
const ITEM_BYTES = 128 * 1024;

class RemoteTransport implements Transport {
  #unacknowledged: Packet[] = [];
  /** Packets acknowledged. */
  #acknowledged = 0;
  #blocked = false;
  #hasSent = false;
  /** The connection has gone: what is sent there is lost. */
  #isOver = false;
  /** Its node has not named it since it began to say everything again. */
  isStale = false;

  constructor(
    private readonly remoteTransports: RemoteTransports,
    readonly client: Client,
    readonly kind: TransportKind,
    readonly peer: Peer,
    readonly id: number,
  ) {}

  get via(): string {
    return this.peer.name;
  }

  deliver(packets: readonly Packet[]): number {
    if (this.#isOver) return 0;
    const taken = packets.slice(0, this.#room(packets));
    this.#blocked = taken.length < packets.length;
    if (taken.length === 0) return 0;
    this.#hasSent = true;
    this.#unacknowledged = this.#unacknowledged.concat(taken);
    this.remoteTransports.send(this, taken);
    return taken.length;
  }

  /** How many packets may be sent: by their number on the way, and by what goes in one item. */
  #room(packets: readonly Packet[]): number {
    const most = Math.min(packets.length, WINDOW - this.#unacknowledged.length);
    let bytes = 0;
    for (let count = 0; count < most; count++) {
      bytes += (packets[count] as Packet).bytes;
      if (bytes > ITEM_BYTES && count > 0) return count;
    }
    return most;
  }

  close(reason: CloseReason): readonly Packet[] {
    this.remoteTransports.end(this, reason);
    return this.#unacknowledged;
  }

  settle(reason: CloseReason): boolean {
    // Also what is acknowledged may come back: what carries it has it, and may not get it out.
    if (!this.#hasSent) return false;
    this.remoteTransports.askToEnd(this, reason);
    return true;
  }

  /** So many of what it was sent are with what carries it. Answers whether it can take more again. */
  acknowledge(count: number): boolean {
    this.#unacknowledged = this.#unacknowledged.slice(count - this.#acknowledged);
    this.#acknowledged = count;
    const wasBlocked = this.#blocked;
    this.#blocked = false;
    return wasBlocked;
  }

  /** What could not be got out, and behind it all but the `taken` packets that were with what carried it. */
  left(taken: number, unsent: readonly Packet[]): readonly Packet[] {
    this.#isOver = true;
    return [...unsent, ...this.#unacknowledged.slice(Math.max(0, taken - this.#acknowledged))];
  }
}

export class RemoteTransports {
  /** By node, then by the number that node has given it. */
  readonly #transports = new Map<Peer, Map<number, RemoteTransport>>();

  constructor(
    private readonly domain: Pick<Domain, 'tickets'>,
    private readonly items: Items,
    private readonly mesh: Pick<Mesh, 'send'>,
  ) {}

  /** `isRenewed`: it has been there, and is no newer than another connection that the client has. */
  attach(peer: Peer, id: number, token: string, kind: TransportKind, isRenewed: boolean): void {
    const earlier = this.#transports.get(peer)?.get(id);
    if (earlier) this.#detach(earlier, 0, []);
    const client = this.domain.tickets.get(token);
    if (!client) return this.#sendClose(peer, id, CLOSE.ticketNotFound);
    const transport = new RemoteTransport(this, client, kind, peer, id);
    const known = this.#transports.get(peer);
    if (known) known.set(id, transport);
    else this.#transports.set(peer, new Map([[id, transport]]));
    client.endpoint.tell({ kind: 'attach', client, transport, isRenewed });
  }

  acknowledged(peer: Peer, id: number, count: number): void {
    const transport = this.#transports.get(peer)?.get(id);
    if (!transport?.acknowledge(count)) return;
    const { client } = transport;
    client.endpoint.tell({ kind: 'drained', client, transport });
  }

  /** The connection has gone; `unsent` could not be got out. */
  detached(peer: Peer, id: number, token: string, taken: number, unsent: readonly WirePacket[]): void {
    const transport = this.#transports.get(peer)?.get(id);
    if (transport) return this.#detach(transport, taken, unsent.map(packetOf));
    const client = this.domain.tickets.get(token);
    // It was taken for lost: what comes back has no place of its own any more.
    for (const packet of client ? unsent.map(packetOf) : []) {
      const only = client?.name ?? null;
      if (client) client.endpoint.tell({ kind: 'deliver', packet, only, relayed: true });
    }
  }

  /** A node begins to say which connections it has. */
  expect(peer: Peer): void {
    for (const transport of this.#transports.get(peer)?.values() ?? []) transport.isStale = true;
  }

  /** It has said so: those that it did not name have gone. */
  settle(peer: Peer): void {
    for (const transport of [...(this.#transports.get(peer)?.values() ?? [])]) {
      if (transport.isStale) this.#detach(transport, 0, []);
    }
  }

  /** A node has gone, and all connections to it. */
  lost(peer: Peer): void {
    for (const transport of [...(this.#transports.get(peer)?.values() ?? [])]) this.#detach(transport, 0, []);
  }

  send({ peer, id }: RemoteTransport, packets: readonly Packet[]): void {
    this.mesh.send(peer, this.items.pushed(id, packets));
  }

  end(transport: RemoteTransport, reason: CloseReason): void {
    const { peer, id } = transport;
    if (this.#forget(transport)) this.#sendClose(peer, id, reason);
  }

  /** It is known until the other node says what became of it. */
  askToEnd({ peer, id }: RemoteTransport, reason: CloseReason): void {
    this.#sendClose(peer, id, reason);
  }

  #sendClose(peer: Peer, id: number, reason: CloseReason): void {
    this.mesh.send(peer, this.items.closed(id, reason));
  }

  #detach(transport: RemoteTransport, taken: number, returned: readonly Packet[]): void {
    if (!this.#forget(transport)) return;
    const { client } = transport;
    const unsent = transport.left(taken, returned);
    client.endpoint.tell({ kind: 'detach', client, transport, unsent });
  }

  #forget({ peer, id }: RemoteTransport): boolean {
    const known = this.#transports.get(peer);
    const found = known?.delete(id) ?? false;
    if (known?.size === 0) this.#transports.delete(peer);
    return found;
  }
}
