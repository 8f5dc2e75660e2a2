/** What a protocol hands to an endpoint, so that packets can be pushed to a client. */
import type { CloseReason } from '../errors.js';
import type { TransportKind } from '../metrics.js';
import type { Packet } from './packet.js';
import type { Asked, Position } from './position.js';

/** A frame for a client that counts: what is the same for all clients that get the same packets, which may share it. */
export interface CountedFrame {
  readonly packets: readonly Packet[];
  /** How many packets before the end of the frame have gone and are not in it; true: an unknown number may have gone. */
  readonly missed: number | true;
  /** How many of the packets that have gone were messages. */
  readonly lost: number;
  /** The client's position before this frame, where the frame has to state it; null: the client knows its position. */
  readonly position: string | null;
}

/** A connection whose client keeps a position. PROTOCOL.md section 12. It gives back no packets: unconfirmed ones stay queued. */
export interface Counting {
  /** The position from which the client asks to resume. */
  readonly asked: Asked;
  /** Bytes of packets in one frame, about; absent: any. */
  readonly frameBytes?: number;
  /** Tells the client its position; where packets may be missed, that is the one it asked for, until a frame says what is missed. */
  resumed(at: Position | 'first'): void;
  /**
   * Takes a frame as a whole, after which the client's position is `after` in `era`; false where it takes none now: it is offered
   * again when the endpoint is told `drained`.
   */
  send(frame: CountedFrame, after: number, era: string): boolean;
  /** The client has confirmed the packets. */
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
  /** Set where the client keeps a position; null or absent: packets count as confirmed when they are written. */
  readonly counting?: Counting | null;
  /** Whether packets stay in the queue until the transport tells the endpoint `acknowledged`; then it gives back none. */
  readonly acknowledges?: boolean;
  /** Only where it `acknowledges`: packets were removed from the queue, of which some may already be on their way. */
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
