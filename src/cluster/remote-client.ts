/**
 * Connections of this node whose client lives on another one: a load balancer, or workers that share a port, may bring
 * anybody anywhere. An adapter is given a stand-in for the client; what it tells that client's endpoint is told on to
 * the node where the client lives (remote-transport.ts), and the packets come back the same way.
 */
import type { Address } from '../actors/address.js';
import type { NamedClient } from '../actors/client.js';
import type { FoundClient, FoundHome } from '../actors/cluster.js';
import type { Domain } from '../actors/domain.js';
import type { EndpointMessage } from '../actors/endpoint.js';
import { hasExpired, type Packet } from '../actors/packet.js';
import { type Asked, type Position, parsePosition } from '../actors/position.js';
import type { Behaviour, Ref } from '../actors/system.js';
import type { CountedFrame, Transport } from '../actors/transport.js';
import { CLOSE, type CloseReason } from '../errors.js';
import { atOnce, inSlices } from '../slices.js';
import type { Items } from './items.js';
import type { LocalNode } from './local-node.js';
import type { Peer } from './peer.js';
import type { Whereabouts } from './whereabouts.js';

const REASONS = new Map<string, CloseReason>(Object.values(CLOSE).map((reason) => [reason.name, reason]));

interface Framed {
  readonly frame: CountedFrame;
  readonly after: Position;
}

/** Shared by all for which nothing waits. */
const NONE: readonly never[] = [];

/** A transport of this node that is attached to a client on another one. */
interface Attachment {
  id: number;
  /** The node where the client lives. */
  readonly home: Peer;
  readonly token: string;
  readonly transport: Transport;
  /** Packets that have come from the home and wait for the transport; a list as long as it needs to be. */
  pending: readonly Packet[];
  canTake: boolean;
  /** Frames that have come from the home and wait for the transport, where its client counts. */
  frames: readonly Framed[];
  /** Where its client goes on from, as far as that is known; null: it keeps no position. */
  asked: Asked | null;
  isResumed: boolean;
  /** How many packets, or frames of a client that counts, the transport has taken since the home knows the attachment by this `id`. */
  taken: number;
}

/** Stands for a client that lives on another node. */
class StandIn implements NamedClient {
  constructor(
    readonly endpoint: Ref<EndpointMessage>,
    readonly address: Address,
    readonly name: string,
    readonly token: string,
    /** The node where the client lives. */
    readonly home: Peer,
  ) {}
}

/** One actor stands for all the endpoints elsewhere whose clients are connected here. */
const proxy: Behaviour<RemoteClients, EndpointMessage> = {
  receive(clients, message) {
    if (message.kind === 'attach') clients.attach(message.client, message.transport);
    else if (message.kind === 'detach') clients.detach(message.transport, message.unsent);
    else if (message.kind === 'confirm') clients.confirm(message.transport, message.position);
    else if (message.kind === 'drained') clients.drained(message.transport);
    return clients;
  },
};

export class RemoteClients {
  readonly #attachments = new Map<number, Attachment>();
  readonly #byTransport = new Map<Transport, Attachment>();
  /** For each home that is not heard of: items that tell it how its attachments have ended. */
  readonly #farewells = new Map<Peer, string[]>();
  readonly #actor: Ref<EndpointMessage>;
  #lastId = 0;

  constructor(
    private readonly domain: Pick<Domain, 'name' | 'runtime' | 'tickets' | 'lane' | 'tracker' | 'metrics'>,
    private readonly items: Items,
    private readonly node: Pick<LocalNode, 'mesh'>,
    private readonly whereabouts: Pick<Whereabouts, 'find' | 'endsWithNode' | 'laterS'>,
  ) {
    const { system } = domain.runtime;
    this.#actor = system.spawn(system.group(`remote clients ${domain.name}`, domain.lane), proxy, this);
  }

  /** Finds the client of another node's ticket: the client itself if it is here now, or a stand-in; null where no node knows the ticket. */
  find(address: Address, token: string, counting: boolean, done: FoundClient): void {
    const { domain } = this;
    this.whereabouts.find(address, token, counting, (found) => {
      if (found === null) return done(null);
      if (found === 'later') return done(null, this.whereabouts.laterS());
      if (found === 'here') return done(domain.tickets.find(token) ?? null);
      // The address as the record of the client's endpoint has it, which nearly always is there, is no further copy.
      const known = domain.tracker.records.get(address)?.address ?? address;
      done(new StandIn(this.#actor, known, found.name, token, found.peer));
    });
  }

  /** Finds the node where the client of a ticket lives. */
  locate(address: Address, token: string, done: FoundHome): void {
    this.whereabouts.find(address, token, false, (found) => {
      if (found === 'later') done(found, this.whereabouts.laterS());
      else done(found === 'here' ? found : (found?.peer ?? null));
    });
  }

  attach(client: NamedClient, transport: Transport): void {
    const home = client instanceof StandIn ? client.home : null;
    if (!home?.up) {
      transport.close(this.#lostReason);
      return;
    }
    this.#lastId += 1;
    const { token } = client;
    const asked = transport.counting?.asked ?? null;
    // Each field is named: what is spread into an object takes more memory.
    const attachment = {
      id: this.#lastId,
      home,
      token,
      transport,
      pending: NONE,
      canTake: true,
      frames: NONE,
      asked,
      isResumed: false,
      taken: 0,
    };
    this.#attachments.set(attachment.id, attachment);
    this.#byTransport.set(transport, attachment);
    this.domain.runtime.metrics.cluster.visitors += 1;
    this.node.mesh.send(home, this.#arrival(attachment, 0));
  }

  detach(transport: Transport, unsent: readonly Packet[]): void {
    const attachment = this.#byTransport.get(transport);
    if (attachment) this.#leave(attachment, unsent);
  }

  #leave(attachment: Attachment, unsent: readonly Packet[]): void {
    const { home } = attachment;
    this.#forget(attachment);
    const departure = this.#departure(attachment, unsent);
    if (home.up) return this.node.mesh.send(home, departure);
    const known = this.#farewells.get(home);
    if (known) known.push(departure);
    else this.#farewells.set(home, [departure]);
  }

  /** Tells the home how many packets the transport has taken, and which came back unsent; it still has the others. */
  #departure({ id, token, taken }: Attachment, unsent: readonly Packet[]): string {
    return this.items.detached(id, token, taken, unsent);
  }

  #arrival({ id, token, transport, asked }: Attachment, isRenewed: 0 | 1): string {
    return this.items.attached(id, token, transport, isRenewed, asked);
  }

  confirm(transport: Transport | null, position: Position): void {
    const attachment = transport && this.#byTransport.get(transport);
    if (attachment) this.node.mesh.send(attachment.home, this.items.confirmed(attachment.id, position));
  }

  /** The home says where a client that counts goes on from. */
  resumed(id: number, position: string): void {
    const attachment = this.#attachments.get(id);
    // One that is announced again goes on from where it has said itself that it is.
    if (!attachment || attachment.isResumed) return;
    attachment.isResumed = true;
    const at = parsePosition(position) ?? 'first';
    attachment.asked = at;
    attachment.transport.counting?.resumed(at);
  }

  /** A frame for a client that counts. */
  frame(id: number, frame: CountedFrame, after: Position): void {
    const attachment = this.#attachments.get(id);
    if (!attachment) return;
    attachment.frames = attachment.frames.concat([{ frame, after }]);
    this.#pumpFrames(attachment);
  }

  drained(transport: Transport): void {
    const attachment = this.#byTransport.get(transport);
    if (!attachment) return;
    attachment.canTake = true;
    if (attachment.asked) this.#pumpFrames(attachment);
    else this.#pump(attachment);
  }

  /** Packets from the client's home. */
  push(id: number, packets: readonly Packet[]): void {
    const attachment = this.#attachments.get(id);
    if (!attachment) return;
    attachment.pending = attachment.pending.length === 0 ? packets : attachment.pending.concat(packets);
    this.#pump(attachment);
  }

  /** The client's home ends the connection. */
  close(home: Peer, id: number, reason: string): void {
    const attachment = this.#attachments.get(id);
    // The home may wait for an answer: none of the packets that it has sent there has been taken.
    if (!attachment) return this.node.mesh.send(home, this.items.detached(id, '', 0, []));
    this.#end(attachment, REASONS.get(reason) ?? CLOSE.ticketNotFound);
  }

  /** The domain is served here no more: all attachments end. */
  end(): void {
    for (const attachment of [...this.#attachments.values()]) this.#end(attachment, CLOSE.ticketNotFound);
  }

  #end(attachment: Attachment, reason: CloseReason): void {
    this.#leave(attachment, attachment.transport.close(reason));
  }

  /** Why connections end whose client's home is lost: the client goes on with its ticket where that can be taken over. */
  get #lostReason(): CloseReason {
    return this.whereabouts.endsWithNode ? CLOSE.ticketNotFound : CLOSE.moved;
  }

  /**
   * A home is not heard of, and attachments to it end, many of them in more than one turn. It is told of that when it is back. Those that are
   * left by then go on, as after any gap.
   */
  lost(home: Peer): void {
    inSlices(this.#losing(home));
  }

  *#losing(home: Peer): Generator<void> {
    for (const attachment of this.#attachments.values()) {
      if (home.up) return;
      if (attachment.home === home) yield this.#end(attachment, this.#lostReason);
    }
  }

  /** A home has gone for good. */
  drop(home: Peer): void {
    atOnce(this.#losing(home));
    this.#farewells.delete(home);
  }

  /** Items between a home and this node may be lost: the attachments to the home are announced again. */
  renew(home: Peer): void {
    for (const item of this.renewals(home)) this.node.mesh.send(home, item);
  }

  /**
   * Items that tell a home which attachments have ended and which are there. Those get other ids, so that packets still on
   * their way to the old ids count as lost.
   */
  *renewals(home: Peer): Iterable<string> {
    const farewells = this.#farewells.get(home) ?? [];
    this.#farewells.delete(home);
    yield* farewells;
    for (const attachment of [...this.#attachments.values()]) {
      if (attachment.home !== home || !this.#attachments.delete(attachment.id)) continue;
      const departure = this.#departure(attachment, []);
      this.#lastId += 1;
      Object.assign(attachment, { id: this.#lastId, pending: NONE, frames: NONE, taken: 0 });
      this.#attachments.set(attachment.id, attachment);
      yield departure;
      yield this.#arrival(attachment, 1);
    }
  }

  #pump(attachment: Attachment): void {
    const { pending, transport, home, id } = attachment;
    if (!attachment.canTake || pending.length === 0) return;
    const taken = this.#deliver(attachment);
    const left = attachment.pending;
    attachment.pending = taken === left.length ? NONE : left.slice(taken);
    attachment.taken += taken;
    // A poll has not sent the packets it has taken before it ends.
    if (taken > 0 && transport.kind !== 'jsonp') {
      this.node.mesh.send(home, this.items.acknowledged(id, attachment.taken));
    }
  }

  /** Answers how many packets its home need not keep any more: what has expired counts as taken when its turn comes. */
  #deliver(attachment: Attachment): number {
    const { pending, transport } = attachment;
    const { clock } = this.domain.runtime;
    let taken = 0;
    while (attachment.canTake && taken < pending.length) {
      const now = clock.now();
      const end = pending.findIndex((packet, at) => at >= taken && hasExpired(packet, now));
      if (end === taken) {
        this.domain.metrics.drop('expired', pending[taken]?.topic ?? '');
        taken += 1;
        continue;
      }
      const batch = pending.slice(taken, end < 0 ? pending.length : end);
      const count = transport.deliver(batch);
      attachment.canTake = count === batch.length;
      taken += count;
    }
    return taken;
  }

  #pumpFrames(attachment: Attachment): void {
    const { transport, home, id } = attachment;
    const before = attachment.taken;
    while (attachment.canTake) {
      const [next] = attachment.frames;
      if (!next) break;
      const { frame, after } = next;
      attachment.canTake = transport.counting?.send(frame, after.n, after.era) === true;
      if (!attachment.canTake) break;
      attachment.frames = attachment.frames.length === 1 ? NONE : attachment.frames.slice(1);
      attachment.taken += 1;
      attachment.asked = after;
    }
    if (attachment.taken > before) this.node.mesh.send(home, this.items.acknowledged(id, attachment.taken));
  }

  #forget(attachment: Attachment): void {
    this.#attachments.delete(attachment.id);
    this.#byTransport.delete(attachment.transport);
    this.domain.runtime.metrics.cluster.visitors -= 1;
  }
}
