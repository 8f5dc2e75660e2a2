/** What a protocol hands to an endpoint, so that packets can be pushed to a client. */
import type { CloseReason } from '../errors.js';
import type { TransportKind } from '../metrics.js';
import type { Packet } from './packet.js';
import type { Asked, Position } from './position.js';

/** A frame for a client that counts. */
export interface CountedFrame {
  readonly packets: readonly Packet[];
  /** Numbers that are not in it; true: something may be gone, nobody knows how much. */
  readonly missed: number | true;
  /** How many of these were messages. */
  readonly lost: number;
  /** The client's position before this frame, where the frame has to say so; null: it knows. */
  readonly position: string | null;
  /** Its position after this frame: written out by who needs its text, which few frames do. */
  readonly after: Position;
}

/** A connection whose client keeps a position, PROTOCOL.md section 12: nothing comes back from it, all that is not confirmed is kept. */
export interface Counting {
  /** What it goes on from. */
  readonly asked: Asked;
  /** Bytes of packets in one frame, about; absent: any. */
  readonly frameBytes?: number;
  /** It goes on from this position; where something may be missed, the client has its own until the frame that says so. */
  resumed(position: string): void;
  /** Takes a frame as a whole; false where it takes none now: it is offered again when the endpoint is told `drained`. */
  send(frame: CountedFrame): boolean;
  /** The client has confirmed these. */
  confirmed?(packets: readonly Packet[]): void;
}

export interface Transport {
  readonly kind: TransportKind;
  /** The node that holds the connection, where it is another one. */
  readonly via?: string;
  /** The client's network address, as protocols/client-address.ts writes it; absent, null: not known. */
  readonly address?: string | null;
  /** When something came from its client last, in milliseconds since the epoch; absent, null: not known. */
  readonly heardAt?: number | null;
  /** null or absent: its client keeps no position, and what is written to it is confirmed by that. */
  readonly counting?: Counting | null;
  /** What it takes stays the client's until it tells the endpoint `acknowledged`: nothing comes back from it. */
  readonly acknowledges?: boolean;
  /** Of one that `acknowledges`: these have had to go from the queue, some of them may be on their way. */
  dropped?(packets: readonly Packet[]): void;
  /**
   * Takes packets from the front, in order, and answers how many; the client keeps the others and offers them again
   * when the endpoint is told `drained`. What it took and could not get out it gives back in `detach` or `close`.
   */
  deliver(packets: readonly Packet[]): number;
  /**
   * Ends the connection; answers the packets that it had taken and not got out, those as well that it gives back in a
   * `detach` on its way: the endpoint looks at that no more. Tells the endpoint nothing.
   */
  close(reason: CloseReason): readonly Packet[];
  /**
   * Of a connection on another node: ends it, where it may have packets that it can not get out. Those come back in
   * `detach`, and whatever takes its place waits for that. False where there is nothing to wait for.
   */
  settle?(reason: CloseReason): boolean;
}

/** How a client is connected, in words. */
export function connectionOf({ kind, via }: Transport): string {
  return via === undefined ? kind : `${kind} via ${via}`;
}
