/** Another node, as this one knows it: what was heard of it, and the streams to it and from it. */
import type { RemoteNode } from '../actors/cluster.js';
import type { StreamSender } from './stream-sender.js';

/** One item of a stream: its kind, then what that kind has. */
export type Item = readonly [kind: string, ...fields: unknown[]];

/** What became of an item: of a kind that is not known here, or not of its kind's shape. */
export type Taken = 'taken' | 'unknown' | 'malformed';

export class Peer implements RemoteNode {
  /** Within its lease: its endpoints count. */
  up = true;
  /** It ends in order: its clients have been told to come elsewhere. */
  leaving = false;
  /** It has not acknowledged in time: nobody waits for it until it does. */
  suspect = false;
  /** When its lease ended; 0: it holds. */
  hiddenAt = 0;
  /** Since when it may not have been sent all there was for it: `performance.now()`; 0: it has been, or is new. */
  lostAt = 0;
  /** What it had to tell at first has arrived. */
  synced = false;
  /** The stream to it. */
  stream!: StreamSender;
  /** What it is still to be told at first, as far as it takes it. */
  snapshot: Iterator<string> | null = null;
  /** That is said because some of what was sent before may be lost. */
  snapshotAfterGap = false;
  /** Of its stream to this node: the epoch, and the last frame received in it. */
  epoch = 0;
  seq = 0;
  /** Something was missing and has been asked for. */
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

/** The peer that a node of the tracker is: nothing else is ever told to it. */
export function peerOf(node: RemoteNode): Peer {
  return node as Peer;
}
