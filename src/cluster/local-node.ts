/** This node, as its domains see it. */
import type { Address } from '../actors/address.js';
import type { EndpointJournal, MessageKeeper } from '../actors/cluster.js';
import type { Domain } from '../actors/domain.js';
import type { Packet } from '../actors/packet.js';
import type { OrphanFinder } from './adopted.js';
import type { HybridClock } from './hybrid-clock.js';
import type { Mesh } from './mesh.js';
import type { Peer } from './peer.js';
import type { Rpc } from './rpc.js';

/** Random digits of a token, behind its node's name. */
export const RANDOM_DIGITS = 32;

export interface LocalNode {
  readonly name: string;
  /** How the tokens of this node's tickets begin. */
  readonly tokenPrefix: string;
  /** A packet's JSON. */
  readonly encode: (packet: Packet) => string;
  readonly mesh: Pick<Mesh, 'peers' | 'send' | 'broadcast' | 'barrier'>;
  readonly rpc: Pick<Rpc, 'call' | 'callAll' | 'expect' | 'answer'>;
  readonly stamps: Pick<HybridClock, 'next' | 'heard'>;
  /** The living node that a token comes from; null where that is this node or gone. */
  homeOf(token: string): Peer | null;
  /** Hands this node's endpoints over to the others when it ends in order. */
  readonly leaving: {
    readonly isActive: boolean;
    /** Calls `done` when an endpoint is not on its way to another node; at once where it is not. */
    whenMoved(address: Address, done: () => void): void;
  };
  /** A call that another node has sent on is being answered: it is not sent on again. */
  readonly isAnswering: boolean;
  /** Where a domain's endpoints are written, so that another node can go on with them; null: nowhere. */
  journalOf(domain: Domain): EndpointJournal | null;
  /** Where a domain's messages are while they stand in queues; null: nowhere. */
  heldOf(domain: Domain, items: { wire(packet: Packet): string }): MessageKeeper | null;
  /** What takes over clients of a domain whose nodes are gone; null: they go with their nodes. */
  orphansOf(domain: Domain): OrphanFinder | null;
}
