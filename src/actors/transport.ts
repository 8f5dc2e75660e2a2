/** What a protocol hands to an endpoint, so that packets can be pushed to a client. */
import type { CloseReason } from '../errors.js';
import type { TransportKind } from '../metrics.js';
import type { Packet } from './packet.js';

export interface Transport {
  readonly kind: TransportKind;
  /** The node that holds the connection, where it is another one. */
  readonly via?: string;
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
