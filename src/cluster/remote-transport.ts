/**
 * Clients of this node that are connected to another one: to their endpoint the connection is a transport like any
 * other. The other side is remote-client.ts.
 */
import type { Client } from '../actors/client.js';
import type { Domain } from '../actors/domain.js';
import type { Packet } from '../actors/packet.js';
import type { Asked, Position } from '../actors/position.js';
import type { CountedFrame, Counting, Transport } from '../actors/transport.js';
import { CLOSE, type CloseReason } from '../errors.js';
import type { TransportKind } from '../metrics.js';
import type { Items } from './items.js';
import type { Mesh } from './mesh.js';
import type { Peer } from './peer.js';

/** Packets that may be on their way to a connection elsewhere; further ones wait in the client's queue. */
const WINDOW = 200;
/** How many bytes of packets go in one item. */
const ITEM_BYTES = 128 * 1024;

/** How many frames may be on their way to a connection on another node whose client counts. */
const FRAMES = 16;

/** Shared by all transports that wait for no acknowledgement. */
const NONE: readonly Packet[] = [];

/** The counting side of a connection on another node whose client counts: frames sent to it stay in the client's queue. */
class RemoteCounting implements Counting {
  readonly frameBytes = ITEM_BYTES;
  #sent = 0;
  #taken = 0;
  #blocked = false;

  constructor(
    readonly asked: Asked,
    private readonly transport: RemoteTransport,
    private readonly remoteTransports: RemoteTransports,
  ) {}

  resumed(at: Position | 'first'): void {
    this.remoteTransports.resumed(this.transport, at);
  }

  send(frame: CountedFrame, after: number, era: string): boolean {
    this.#blocked = this.#sent - this.#taken >= FRAMES;
    if (this.#blocked) return false;
    this.#sent += 1;
    this.remoteTransports.framed(this.transport, frame, { era, n: after });
    return true;
  }

  acknowledge(count: number): boolean {
    this.#taken = count;
    const wasBlocked = this.#blocked;
    this.#blocked = false;
    return wasBlocked;
  }
}

/** What another node says of a connection. */
interface Connected {
  readonly kind: TransportKind;
  readonly address: string | null;
}

class RemoteTransport implements Transport {
  readonly kind: TransportKind;
  readonly address: string | null;
  readonly counting: RemoteCounting | null;
  #unacknowledged: readonly Packet[] = NONE;
  /** How many packets the connection has taken. */
  #acknowledged = 0;
  #blocked = false;
  #hasSent = false;
  /** The connection has gone: packets sent there would be lost. */
  #isOver = false;
  /** Whether the snapshot that is coming in from the connection's node has not named the connection yet. */
  isStale = false;

  constructor(
    private readonly remoteTransports: RemoteTransports,
    readonly client: Client,
    { kind, address }: Connected,
    readonly peer: Peer,
    readonly id: number,
    asked: Asked | null,
  ) {
    this.kind = kind;
    this.address = address;
    this.counting = asked && new RemoteCounting(asked, this, remoteTransports);
  }

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

  /** How many of the packets may be sent now: bounded by the window and by the bytes of one item. */
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
    // Also packets that the connection has taken may come back: it may not have got them out.
    if (!this.#hasSent) return false;
    this.remoteTransports.askToEnd(this, reason);
    return true;
  }

  /** The connection has taken `count` packets in all. Answers whether it can take more again. */
  acknowledge(count: number): boolean {
    if (this.counting) return this.counting.acknowledge(count);
    const left = this.#unacknowledged.slice(count - this.#acknowledged);
    this.#unacknowledged = left.length > 0 ? left : NONE;
    this.#acknowledged = count;
    const wasBlocked = this.#blocked;
    this.#blocked = false;
    return wasBlocked;
  }

  /** What the client gets back when the connection has gone: packets it could not send, then those it had not taken. */
  left(taken: number, unsent: readonly Packet[]): readonly Packet[] {
    this.#isOver = true;
    return [...unsent, ...this.#unacknowledged.slice(Math.max(0, taken - this.#acknowledged))];
  }
}

export class RemoteTransports {
  /** By the node of the connection, then by the id which that node has given it. */
  readonly #transports = new Map<Peer, Map<number, RemoteTransport>>();

  constructor(
    private readonly domain: Pick<Domain, 'tickets' | 'signOuts'>,
    private readonly items: Items,
    private readonly mesh: Pick<Mesh, 'send'>,
    /** Whether this node is shutting down: tickets that it does not know may be on other nodes by then. */
    private readonly isLeaving: () => boolean,
  ) {}

  /** A connection of another node is there. `isRenewed`: it was announced before, and replaces no newer connection. */
  attach(
    peer: Peer,
    id: number,
    token: string,
    connected: Connected,
    isRenewed: boolean,
    asked: Asked | null = null,
  ): void {
    const earlier = this.#transports.get(peer)?.get(id);
    if (earlier) this.#detach(earlier, 0, []);
    const client = this.domain.tickets.find(token);
    if (!client) {
      const why = this.isLeaving() ? CLOSE.shutdown : CLOSE.ticketNotFound;
      return this.#sendClose(peer, id, this.domain.signOuts.hasEnded(token) ? CLOSE.stopped : why);
    }
    const transport = new RemoteTransport(this, client, connected, peer, id, asked);
    const known = this.#transports.get(peer);
    if (known) known.set(id, transport);
    else this.#transports.set(peer, new Map([[id, transport]]));
    client.endpoint.tell({ kind: 'attach', client, transport, isRenewed });
  }

  /** The client says how far it has come. */
  confirmed(peer: Peer, id: number, position: Position): void {
    const transport = this.#transports.get(peer)?.get(id);
    if (transport) transport.client.endpoint.tell({ kind: 'confirm', client: transport.client, transport, position });
  }

  acknowledged(peer: Peer, id: number, count: number): void {
    const transport = this.#transports.get(peer)?.get(id);
    if (!transport?.acknowledge(count)) return;
    const { client } = transport;
    client.endpoint.tell({ kind: 'drained', client, transport });
  }

  /** The connection has gone; `unsent` could not be got out. */
  detached(peer: Peer, id: number, token: string, taken: number, unsent: readonly Packet[]): void {
    const transport = this.#transports.get(peer)?.get(id);
    if (transport) return this.#detach(transport, taken, unsent);
    const client = this.domain.tickets.find(token);
    if (!client) return;
    // The connection was taken for lost: packets that come back are delivered like new ones.
    for (const packet of unsent) client.endpoint.tell({ kind: 'deliver', packet, only: client.name, relayed: true });
  }

  /** The snapshot of a node begins, which names the connections that the node has. */
  expect(peer: Peer): void {
    for (const transport of this.#transports.get(peer)?.values() ?? []) transport.isStale = true;
  }

  /** The snapshot has ended: connections that it did not name have gone. */
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

  /** The position from which its client goes on. */
  resumed({ peer, id }: RemoteTransport, at: Position | 'first'): void {
    this.mesh.send(peer, this.items.resumed(id, at));
  }

  framed({ peer, id }: RemoteTransport, frame: CountedFrame, after: Position): void {
    this.mesh.send(peer, this.items.framed(id, frame, after));
  }

  end(transport: RemoteTransport, reason: CloseReason): void {
    const { peer, id } = transport;
    if (this.#forget(transport)) this.#sendClose(peer, id, reason);
  }

  /** Asks the other node to end a connection, which is known until that node says how it has ended. */
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
