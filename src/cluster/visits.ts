/**
 * Connections of this node whose client lives on another one: a load balancer, or workers that share a port, may bring
 * anybody anywhere. An adapter is given a stand-in for the client; what it tells that client's endpoint is told on to
 * the node where the client lives (hosting.ts), and the packets come back the same way.
 */
import type { Address } from '../actors/address.js';
import { Client } from '../actors/client.js';
import type { EndpointMessage } from '../actors/endpoint.js';
import type { Packet } from '../actors/packet.js';
import type { Behaviour, Ref } from '../actors/system.js';
import type { Transport } from '../actors/transport.js';
import { CLOSE, type CloseReason } from '../errors.js';
import type { ClusteredDomain } from './domain.js';
import type { Peer } from './peer.js';
import { packetOf, type WirePacket } from './wire.js';

const VISIT_MS = 5000;

const REASONS = new Map<string, CloseReason>(Object.values(CLOSE).map((reason) => [reason.name, reason]));

interface Visit {
  readonly id: number;
  readonly home: Peer;
  readonly token: string;
  readonly transport: Transport;
  /** Came from its home, and waits for the transport. */
  pending: Packet[];
  canTake: boolean;
  /** Packets received since it was attached. */
  received: number;
}

/** One actor stands for all the endpoints elsewhere whose clients are connected here. */
const proxy: Behaviour<Visits, EndpointMessage> = {
  receive(visits, message) {
    if (message.kind === 'attach') visits.attach(message.client, message.transport);
    else if (message.kind === 'detach') visits.detach(message.transport, message.unsent);
    else if (message.kind === 'drained') visits.drained(message.transport);
    return visits;
  },
};

export class Visits {
  readonly #visits = new Map<number, Visit>();
  readonly #byTransport = new Map<Transport, Visit>();
  /** Where a stand-in's client lives. */
  readonly #homes = new WeakMap<Client, Peer>();
  readonly #actor: Ref<EndpointMessage>;
  #lastId = 0;

  constructor(private readonly cluster: ClusteredDomain) {
    const { system } = cluster.domain.runtime;
    this.#actor = system.spawn(system.group(`visits ${cluster.domain.name}`), 'visits', proxy, this);
  }

  /** A stand-in for the client of a ticket that another node has given out; null where that knows it no more. */
  find(address: Address, token: string, done: (client: Client | null) => void): void {
    const { node, domain } = this.cluster;
    const home = node.homeOf(token);
    if (!home) return done(null);
    node.calls.ask(home, 'visit', [domain.name, address, token], VISIT_MS, (name) => {
      if (typeof name !== 'string') return done(null);
      const { clock, outbox } = domain.runtime;
      const client = new Client(this.#actor, address, name, token, outbox, domain.metrics, clock.now());
      this.#homes.set(client, home);
      done(client);
    });
  }

  attach(client: Client, transport: Transport): void {
    const home = this.#homes.get(client);
    if (!home?.up) {
      transport.close(CLOSE.ticketNotFound);
      return;
    }
    this.#lastId += 1;
    const { token } = client;
    const visit = { id: this.#lastId, home, token, transport, pending: [], canTake: true, received: 0 };
    this.#visits.set(visit.id, visit);
    this.#byTransport.set(transport, visit);
    this.cluster.domain.runtime.metrics.cluster.visitors += 1;
    this.#announce(visit);
  }

  detach(transport: Transport, unsent: readonly Packet[]): void {
    const visit = this.#byTransport.get(transport);
    if (visit) this.#leave(visit, unsent);
  }

  #leave(visit: Visit, unsent: readonly Packet[]): void {
    this.#forget(visit);
    const returned = [...unsent, ...visit.pending].map((packet) => this.cluster.wire(packet));
    const { id, received } = visit;
    this.cluster.node.mesh.send(visit.home, `["vd",${this.#name},${id},${received},[${returned}]]`);
  }

  drained(transport: Transport): void {
    const visit = this.#byTransport.get(transport);
    if (!visit) return;
    visit.canTake = true;
    this.#pump(visit);
  }

  /** Packets from the client's home. */
  push(id: number, packets: readonly WirePacket[]): void {
    const visit = this.#visits.get(id);
    if (!visit) return;
    visit.received += packets.length;
    for (const packet of packets) visit.pending.push(packetOf(packet));
    this.#pump(visit);
  }

  /** The client's home ends the connection. */
  close(id: number, reason: string): void {
    const visit = this.#visits.get(id);
    if (!visit) return;
    this.#leave(visit, visit.transport.close(REASONS.get(reason) ?? CLOSE.ticketNotFound));
  }

  /** A home has gone: its tickets are unknown. */
  lost(home: Peer): void {
    for (const visit of [...this.#visits.values()]) {
      if (visit.home !== home) continue;
      this.#forget(visit);
      visit.transport.close(CLOSE.ticketNotFound);
    }
  }

  /** A home may have taken this node for gone: what is connected here is announced again. */
  renew(home: Peer): void {
    for (const visit of this.#visits.values()) {
      if (visit.home !== home) continue;
      Object.assign(visit, { pending: [], received: 0 });
      this.#announce(visit);
    }
  }

  get #name(): string {
    return JSON.stringify(this.cluster.domain.name);
  }

  #announce({ home, id, token, transport }: Visit): void {
    this.cluster.node.mesh.send(home, `["va",${this.#name},${id},"${token}","${transport.kind}"]`);
  }

  #pump(visit: Visit): void {
    const { pending, transport, home, id } = visit;
    if (!visit.canTake || pending.length === 0) return;
    const taken = transport.deliver(pending);
    visit.canTake = taken === pending.length;
    pending.splice(0, taken);
    // What a poll has taken is out when the poll has ended.
    if (taken > 0 && transport.kind !== 'jsonp') {
      this.cluster.node.mesh.send(home, `["vk",${this.#name},${id},${visit.received - pending.length}]`);
    }
  }

  #forget(visit: Visit): void {
    this.#visits.delete(visit.id);
    this.#byTransport.delete(visit.transport);
    this.cluster.domain.runtime.metrics.cluster.visitors -= 1;
  }
}
