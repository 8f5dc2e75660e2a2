import type { Item, Peer } from './peer.js';

/** What a node makes of what its mesh hears of the others. */
export interface MeshEvents {
  /** This node is one of the cluster, and knows what the others have told so far. */
  joined(): void;
  received(peer: Peer, item: Item): void;
  /** Everything that the peer is to know of this node, as items; after a gap, what is connected to it as well. */
  snapshot(peer: Peer, afterGap: boolean): Iterator<string>;
  /** What follows replaces all that was known of the peer. After a gap some of what it sent before may be lost. */
  snapshotBegins(peer: Peer, afterGap: boolean): void;
  snapshotEnded(peer: Peer): void;
  /** Some of what this node has sent to it is lost: the stream to it begins anew. */
  reset(peer: Peer): void;
  /** Not heard of for the time of its lease; it may come back as it was. */
  hidden(peer: Peer): void;
  /** It will not come back as it was. `inOrder`: it said so itself. */
  gone(peer: Peer, inOrder: boolean): void;
}
