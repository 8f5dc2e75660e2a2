/** Another node, as this one knows it: what has been heard of it, and the streams to it and from it. */
import type { RemoteNode } from '../actors/cluster.js';
import type { StreamSender } from './stream-sender.js';

/** One item of a stream: its kind, then the fields of that kind. */
export type Item = readonly [kind: string, ...fields: unknown[]];

/** What became of an item: `unknown` where this version does not know its kind, `malformed` where its fields are wrong. */
export type Taken = 'taken' | 'unknown' | 'malformed';

export class Peer implements RemoteNode {
  /** Whether the node is within its lease: only then do its endpoints count. */
  up = true;
  /** Whether the node is shutting down in order: its clients have been told to come to other nodes. */
  leaving = false;
  /** Whether the node has not acknowledged in time: nothing waits for its acknowledgements until one comes. */
  suspect = false;
  /** When the node's lease ended, in milliseconds since the epoch; 0: the node is within its lease. */
  hiddenAt = 0;
  /**
   * Since when packets for the node may not have been sent to it, in milliseconds of `performance.now()`; 0: the node is new,
   * or its snapshot has come since.
   */
  lostAt = 0;
  /** Whether the node's first snapshot has arrived in full. */
  synced = false;
  /** The stream of items to the node. */
  stream!: StreamSender;
  /** The rest of the snapshot that is being sent to the node; null where none is being sent. */
  snapshot: Iterator<string> | null = null;
  /** Whether that snapshot is sent because some earlier items may be lost. */
  snapshotAfterGap = false;
  /** The epoch of the node's stream to this one, and the number of the last frame received in that epoch. */
  epoch = 0;
  seq = 0;
  /** Whether a missing frame of the node's stream has been asked for. */
  asked = false;

  constructor(
    readonly name: string,
    /** Grows from one start of the node to the next. */
    readonly incarnation: number,
    public heardAt: number,
    readonly isWorker: boolean,
  ) {}
}

interface Nodes {
  /** The name of this node. */
  readonly name: string;
  readonly mesh: { readonly peers: ReadonlyMap<string, Peer>; readonly incarnation: number };
}

/** The node whose start is named, where that start lives; null: it is gone. */
export function livingNode({ name, mesh }: Nodes, node: string, incarnation: number): Peer | 'here' | null {
  if (node === name) return incarnation === mesh.incarnation ? 'here' : null;
  const peer = mesh.peers.get(node);
  return peer?.up && peer.incarnation === incarnation ? peer : null;
}

/** The peer behind a node of the tracker: the cluster tells the tracker of no other kind of node. */
export function peerOf(node: RemoteNode): Peer {
  return node as Peer;
}
