import type { Item, Peer } from './peer.js';

/** What the mesh tells its node about the others. */
export interface MeshEvents {
  /** This node is one of the cluster, and knows what the others have told so far. */
  joined(): void;
  received(peer: Peer, item: Item): void;
  /** Everything that the peer is to know of this node, as items; after a gap also which of the peer's clients are connected here. */
  snapshot(peer: Peer, afterGap: boolean): Iterator<string>;
  /** The items that follow replace all that was known of the peer. After a gap some items before them may be lost. */
  snapshotBegins(peer: Peer, afterGap: boolean): void;
  snapshotEnded(peer: Peer): void;
  /** The stream to the peer begins anew. `dropped`: the items of each frame that may not have come, as JSON without brackets. */
  reset(peer: Peer, dropped: readonly string[]): void;
  /** The peer has not been heard of for the time of its lease; it may come back with the state it had. */
  hidden(peer: Peer): void;
  /** The peer will not come back with the state it had. `inOrder`: it said so itself. */
  gone(peer: Peer, inOrder: boolean): void;
}
