/** Another node, as this one knows it: what has been heard of it, and the streams to it and from it. */
import type { RemoteNode } from '../actors/cluster.js';
import type { StreamSender } from './stream-sender.js';

/** One item of a stream: its kind, then the fields of that kind. */
export type Item = readonly [kind: string, ...fields: unknown[]];

/** What became of an item: `unknown` where this version does not know its kind, `malformed` where its fields are wrong. */
export type Taken = 'taken' | 'unknown' | 'malformed';

export class Peer implements RemoteNode {
  /** It is within its lease: its endpoints count. */
  up = true;
  /** It is about to end in order: its clients have been told to come elsewhere. */
  leaving = false;
  /** It has not acknowledged in time: nobody waits for it until it does. */
  suspect = false;
  /** When its lease ended, in milliseconds since the epoch; 0: it is within its lease. */
  hiddenAt = 0;
  /**
   * Since when packets for it may not have been sent to it, in milliseconds of `performance.now()`; 0: it is new, or has
   * told everything since.
   */
  lostAt = 0;
  /** Its first snapshot has arrived in full. */
  synced = false;
  /** The stream to it. */
  stream!: StreamSender;
  /** The rest of the snapshot that it is being sent; null: none. */
  snapshot: Iterator<string> | null = null;
  /** That snapshot is sent because some items before it may be lost. */
  snapshotAfterGap = false;
  /** The epoch of its stream to this node, and the last frame received in that epoch. */
  epoch = 0;
  seq = 0;
  /** A frame is missing and has been asked for. */
  asked = false;
  ackScheduled: 'no' | 'soon' | 'now' = 'no';

  constructor(
    readonly name: string,
    /** Grows from one start of the node to the next. */
    readonly incarnation: number,
    public heardAt: number,
    readonly isWorker: boolean,
  ) {}
}

/** The peer behind a node of the tracker: the cluster tells the tracker of no other kind of node. */
export function peerOf(node: RemoteNode): Peer {
  return node as Peer;
}
