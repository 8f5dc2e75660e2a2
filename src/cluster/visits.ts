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
  id: number;
  readonly home: Peer;
  readonly token: string;
  readonly transport: Transport;
  /** Came from its home, and waits for the transport. */
  pending: Packet[];
  canTake: boolean;
  /** Packets that the transport has taken since its home knows the visit by this number. */
  taken: number;
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
  /** Of homes that are not heard of: how the visits have ended that they believe in. */
  readonly #farewells = new Map<Peer, string[]>();
  readonly #actor: Ref<EndpointMessage>;
  #lastId = 0;

  constructor(private readonly cluster: ClusteredDomain) {
    const { system } = cluster.domain.runtime;
    this.#actor = system.spawn(system.group(`visits ${cluster.domain.name}`), proxy, this);
  }

  /** A stand-in for the client of a ticket that another node has given out; null where that knows it no more. */
  find(address: Address, token: string, done: (client: Client | null) => void): void {
    const { node, domain } = this.cluster;
    const home = node.homeOf(token);
    if (!home) return done(null);
    node.calls.ask(home, 'visit', [domain.name, address, token], VISIT_MS, (name) => {
      if (typeof name !== 'string') return done(null);
      const { clock, outbox } = domain.runtime;
      const client = new Client(this.#actor, address, name, token, outbox, domain, clock.now());
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
    const visit = { id: this.#lastId, home, token, transport, pending: [], canTake: true, taken: 0 };
    this.#visits.set(visit.id, visit);
    this.#byTransport.set(transport, visit);
    this.cluster.domain.runtime.metrics.cluster.visitors += 1;
    this.cluster.node.mesh.send(home, this.#arrival(visit, 0));
  }

  detach(transport: Transport, unsent: readonly Packet[]): void {
    const visit = this.#byTransport.get(transport);
    if (visit) this.#leave(visit, unsent);
  }

  #leave(visit: Visit, unsent: readonly Packet[]): void {
    this.#forget(visit);
    this.cluster.node.mesh.send(visit.home, this.#departure(visit, unsent));
  }

  /** What it was sent and has not taken its home still has. */
  #departure({ id, token, taken }: Visit, unsent: readonly Packet[]): string {
    const returned = unsent.map((packet) => this.cluster.wire(packet));
    return `["vd",${this.#name},${id},${JSON.stringify(token)},${taken},[${returned}]]`;
  }

  #arrival({ id, token, transport }: Visit, isRenewed: 0 | 1): string {
    return `["va",${this.#name},${id},${JSON.stringify(token)},"${transport.kind}",${isRenewed}]`;
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
    for (const packet of packets) visit.pending.push(packetOf(packet));
    this.#pump(visit);
  }

  /** The client's home ends the connection. */
  close(home: Peer, id: number, reason: string): void {
    const visit = this.#visits.get(id);
    // Whoever asks may wait for the answer: nothing of what it has sent there has been taken.
    if (!visit) return this.cluster.node.mesh.send(home, `["vd",${this.#name},${id},"",0,[]]`);
    this.#leave(visit, visit.transport.close(REASONS.get(reason) ?? CLOSE.ticketNotFound));
  }

  /** A home is not heard of: its tickets are unknown. It is told when it is back. */
  lost(home: Peer): void {
    for (const visit of [...this.#visits.values()]) {
      if (visit.home !== home) continue;
      this.#forget(visit);
      const farewell = this.#departure(visit, visit.transport.close(CLOSE.ticketNotFound));
      const known = this.#farewells.get(home);
      if (known) known.push(farewell);
      else this.#farewells.set(home, [farewell]);
    }
  }

  /** A home has gone for good. */
  drop(home: Peer): void {
    this.#farewells.delete(home);
  }

  /** Some of what passed between a home and this node may be lost: what is connected here is announced again. */
  renew(home: Peer): void {
    for (const item of this.renewals(home)) this.cluster.node.mesh.send(home, item);
  }

  /** What has gone, and what is there: under another number, so that what is still on its way to the old one counts as lost. */
  *renewals(home: Peer): Iterable<string> {
    const farewells = this.#farewells.get(home) ?? [];
    this.#farewells.delete(home);
    yield* farewells;
    for (const visit of [...this.#visits.values()]) {
      if (visit.home !== home || !this.#visits.delete(visit.id)) continue;
      const departure = this.#departure(visit, []);
      this.#lastId += 1;
      Object.assign(visit, { id: this.#lastId, pending: [], taken: 0 });
      this.#visits.set(visit.id, visit);
      yield departure;
      yield this.#arrival(visit, 1);
    }
  }

  get #name(): string {
    return JSON.stringify(this.cluster.domain.name);
  }

  #pump(visit: Visit): void {
    const { pending, transport, home, id } = visit;
    if (!visit.canTake || pending.length === 0) return;
    const taken = transport.deliver(pending);
    visit.canTake = taken === pending.length;
    pending.splice(0, taken);
    visit.taken += taken;
    // What a poll has taken is out when the poll has ended.
    if (taken > 0 && transport.kind !== 'jsonp') {
      this.cluster.node.mesh.send(home, `["vk",${this.#name},${id},${visit.taken}]`);
    }
  }

  #forget(visit: Visit): void {
    this.#visits.delete(visit.id);
    this.#byTransport.delete(visit.transport);
    this.cluster.domain.runtime.metrics.cluster.visitors -= 1;
  }
}
