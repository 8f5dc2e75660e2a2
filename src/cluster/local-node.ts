/** This node, as its domains see it. */
import type { Address } from '../actors/address.js';
import type { EndpointJournal, MessageKeeper } from '../actors/cluster.js';
import type { Domain } from '../actors/domain.js';
import type { Packet } from '../actors/packet.js';
import type { OrphanFinder, SessionStore } from './adopted.js';
import type { EndingNodes } from './ending-nodes.js';
import type { HybridClock } from './hybrid-clock.js';
import type { Mesh } from './mesh.js';
import type { Peer } from './peer.js';
import type { Rpc } from './rpc.js';

/** How many random digits a token has at its end, behind the name of the node that issued it. */
export const RANDOM_DIGITS = 32;

/** The name of the node that issued a token. */
export function nodeOfToken(token: string): string {
  return Buffer.from(token.slice(0, -RANDOM_DIGITS), 'hex').toString();
}

export interface LocalNode {
  readonly name: string;
  /** How the tokens of this node's tickets begin. */
  readonly tokenPrefix: string;
  /** A packet's JSON. */
  readonly encode: (packet: Packet) => string;
  readonly mesh: Pick<Mesh, 'peers' | 'send' | 'broadcast' | 'barrier' | 'hasUnsent'>;
  readonly rpc: Pick<Rpc, 'call' | 'callAll' | 'expect' | 'answer' | 'withdraw'>;
  readonly stamps: Pick<HybridClock, 'next' | 'heard'>;
  /** The living node that issued a token; null where this node issued it, or where the node that did is gone. */
  homeOf(token: string): Peer | null;
  /** The handover of this node's endpoints to other nodes, which takes place when this node shuts down in order. */
  readonly leaving: {
    readonly isActive: boolean;
    /** Calls `done` when an endpoint's move to another node is over; at once where the endpoint is not moving. */
    whenMoved(address: Address, done: () => void): void;
    /** Calls `done` when all that has come here for an endpoint on its way to another node has been sent there, or stays here. */
    whenPassedOn(address: Address, done: () => void): void;
    /** Calls `done` when all that is on its way to other nodes now has come there, or stays here. */
    whenAllMoved(done: () => void): void;
    /** The node to which this node has handed an endpoint over, and forwards its packets; null: the endpoint has not been handed over. */
    movesTo(address: Address): Peer | null;
  };
  /** The nodes that end and take nothing more. */
  readonly ending: Pick<EndingNodes, 'wait' | 'whenGone'>;
  /** Whether this node is answering a call that another node forwarded: such a call is not forwarded again. */
  readonly isAnswering: boolean;
  /** The journal of a domain's endpoints, from which another node can take them over; null where they are not written anywhere. */
  journalOf(domain: Domain): EndpointJournal | null;
  /** Keeps the ids of a domain's messages outside this process; returns how claims.ts asks whether they are known. */
  idsOf(domain: Domain): (sender: Address, done: () => void) => boolean;
  /** The store of a domain's queued messages outside this process; null where they are only in memory. */
  heldOf(domain: Domain, items: { wire(packet: Packet): string }): MessageKeeper | null;
  /** The finder that takes over clients of a domain from nodes that are gone; null where clients are lost with their node. */
  orphansOf(domain: Domain): OrphanFinder | null;
  /** The store of a domain's MQTT sessions outside this process; null: sessions are lost with their node. */
  sessionsOf(domain: Domain): SessionStore | null;
}
