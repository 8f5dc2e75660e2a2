/**
 * Packets for endpoints of which a node may be gone. A message for an endpoint that no living node has makes this node take the endpoint
 * over, and waits for that; what comes for it meanwhile waits behind. What this node has sent to a node that is gone, and which that node has
 * certainly not had, goes on in the same way before anything that is sent later.
 */
import { parseTarget } from '../actors/address.js';
import { deletionOf } from '../actors/deletions.js';
import { keepOrDrop } from '../actors/dispatch.js';
import type { Domain } from '../actors/domain.js';
import { Receipt } from '../actors/outcome.js';
import type { Packet } from '../actors/packet.js';
import { isInTurns } from '../actors/turns.js';
import type { ClusterMetrics } from '../metrics.js';
import type { Adopted, OrphanFinder } from './adopted.js';
import type { Mesh } from './mesh.js';
import type { Peer } from './peer.js';
import type { PacketRelays } from './relays.js';
import type { Rpc } from './rpc.js';
import { packetOf, type WirePacket } from './wire.js';

export interface EndpointPacketsOptions {
  readonly domain: Domain;
  readonly relays: Pick<PacketRelays, 'toEndpoint' | 'toPrimary'>;
  /** null where clients are lost with their node. */
  readonly orphans: Pick<OrphanFinder, 'revive' | 'isTaking' | 'wait'> | null;
  readonly rpc: Pick<Rpc, 'withdraw'>;
  readonly metrics: Pick<ClusterMetrics, 'sentAgain' | 'inDoubt'>;
}

export class EndpointPackets {
  constructor(private readonly options: EndpointPacketsOptions) {}

  /** Sends a packet to its endpoint, in the order of the calls. False where no node has the endpoint, or can take it over. */
  send(packet: Packet, only: string | null): boolean {
    return this.#waits(packet, only) || this.options.relays.toEndpoint(packet, only) || this.#toOrphan(packet, only);
  }

  /**
   * Sends a packet another way that was sent to a node which is gone, so many milliseconds ago, by the kind and the fields of its item
   * (items.ts). `isSure`: that node has not had it. False where it is left as it is: it may come if that node comes back.
   */
  sendAgain(kind: string, fields: readonly unknown[], isSure: boolean, ageMs: number): boolean {
    const { domain, metrics } = this.options;
    const [, only, third, fourth] = fields;
    // Of what is forwarded, other parts of the endpoint have what was relayed.
    const isForEndpoint = kind === 'e' || (kind === 'f' && third === 0);
    const wire = (isForEndpoint ? fourth : third) as WirePacket;
    if (!isForEndpoint && !(kind === 'y' && this.#isForOneOf(wire))) return false;
    const packet = packetOf(wire, domain.runtime.clock.now() - ageMs);
    if (!this.#isOwed(packet)) return false;
    const isSent = isSure && this.#goesOn(packet, only as string | null, fields.at(-1));
    if (isSent) metrics.sentAgain += 1;
    else metrics.inDoubt += 1;
    return isSent;
  }

  /** `asked`: the number under which the node that is gone was to say what has become of the packet; else no number. */
  #goesOn(packet: Packet, only: string | null, asked: unknown): boolean {
    const { domain, relays, rpc } = this.options;
    const report = typeof asked === 'number' ? rpc.withdraw(asked) : null;
    // The sender has been told to say it again.
    if (typeof asked === 'number' && report === null && domain.answersFromDisk) return false;
    if (report) packet.receipt = new Receipt(true, report);
    // What waits for all that was sent to the node that is gone was sent after this packet, which does not wait with it.
    const isSent = this.#waits(packet, only) || relays.toPrimary(packet, only, 0) || this.#toOrphan(packet, only);
    if (isSent) return true;
    if (domain.mailboxes === null || only !== null) {
      report?.(null);
      return false;
    }
    keepOrDrop(domain, packet, packet.topic, only);
    return true;
  }

  /** Whether a packet that was relayed is for one client of a service in turns, and not for all nodes that have one. */
  #isForOneOf([, topic]: WirePacket): boolean {
    const { domain } = this.options;
    const target = parseTarget(domain.name, topic);
    return target !== null && isInTurns({ ...target, domain });
  }

  /** Whether a packet must not be lost: a message, or what deletes one that may wait. */
  #isOwed(packet: Packet): boolean {
    return packet.kind === 'message' || deletionOf(this.options.domain, packet) !== null;
  }

  /** Whether a packet waits until this node has taken its endpoint over, behind others that do. */
  #waits(packet: Packet, only: string | null): boolean {
    const { orphans } = this.options;
    if (!orphans?.isTaking(packet.topic) || !this.#isOwed(packet)) return false;
    return orphans.wait(packet.topic, packet.bytes, (isLater) => {
      if (isLater) this.#givesUp(packet, only, 'later');
      else if (!this.send(packet, only)) keepOrDrop(this.options.domain, packet, packet.topic, only);
    });
  }

  /** Takes over the endpoint of a packet that must not be lost, where the endpoint's node is gone; false where it does not. */
  #toOrphan(packet: Packet, only: string | null): boolean {
    const again = (found: Adopted): void => {
      if (found !== 'later' && this.options.relays.toEndpoint(packet, only)) return;
      this.#givesUp(packet, only, found);
    };
    return this.#isOwed(packet) && this.options.orphans?.revive(packet.topic, packet.bytes, again) === true;
  }

  /** A node that takes the endpoint over, and that this one has not heard of yet, cannot be sent to: the sender is to try again. */
  #givesUp(packet: Packet, only: string | null, found: Adopted): void {
    const { domain } = this.options;
    const isSomewhere = found === 'later' || (found !== null && typeof found !== 'string');
    if (isSomewhere && domain.answersFromDisk) packet.receipt?.report('unknown');
    else keepOrDrop(domain, packet, packet.topic, only);
  }
}

interface Node {
  readonly mesh: Pick<Mesh, 'connected'>;
  readonly domains: ReadonlyMap<
    string,
    { readonly relays: Pick<PacketRelays, 'lost'>; readonly packets: EndpointPackets }
  >;
}

/**
 * A node is gone: tells the receivers of what it has had, and is lost with it, unless it has ended in order; then sends what it has certainly
 * not had another way, before anything that is sent later.
 */
export function takeBack({ mesh, domains }: Node, peer: Peer, hasEnded: boolean): void {
  for (const { relays } of hasEnded ? [] : domains.values()) relays.lost(peer);
  // A node that is cut off itself has nowhere else to send to.
  if (!mesh.connected) return;
  peer.stream.takeBack(([kind, domain, ...fields], ...how) => {
    return domains.get(domain as string)?.packets.sendAgain(kind, fields, ...how) === true;
  });
}
