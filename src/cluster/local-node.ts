/** This node, as its domains see it. */
import type { Packet } from '../actors/packet.js';
import type { HybridClock } from './hybrid-clock.js';
import type { Mesh } from './mesh.js';
import type { Peer } from './peer.js';
import type { Rpc } from './rpc.js';

export interface LocalNode {
  readonly name: string;
  /** How the tokens of this node's tickets begin. */
  readonly tokenPrefix: string;
  /** A packet's JSON. */
  readonly encode: (packet: Packet) => string;
  readonly mesh: Pick<Mesh, 'peers' | 'send' | 'broadcast' | 'barrier'>;
  readonly rpc: Pick<Rpc, 'call' | 'expect' | 'answer'>;
  readonly stamps: Pick<HybridClock, 'next' | 'heard'>;
  /** The living node that a token comes from; null where that is this node or gone. */
  homeOf(token: string): Peer | null;
}
