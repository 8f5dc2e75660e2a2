/** The port between the state machine and what carries it: TCP, TLS, WebSocket, or a test. */
export interface Wire {
  readonly kind: 'mqtt' | 'mqttws';
  /** Of the page it comes from; empty where there is none. */
  readonly origin: string;
  /** The client's network address, as client-address.ts writes it. */
  readonly address: string;
  /** Bytes that were written and that the network has not taken yet. */
  readonly buffered: number;
  /** Bytes that it may have of an unfinished message without showing them. */
  readonly unseenBytes: number;
  /** Writes in order; the chunks are not changed afterwards by anybody. */
  write(chunks: readonly Buffer[]): void;
  /** Stops reading, and goes on: for whoever does not take its answers. */
  pause(): void;
  resume(): void;
  /**
   * Gets out what was written, then ends its side, and goes on reading and discarding for a bounded time: an end with
   * unread bytes would be a reset, and take the last packet with it. `webSocketCode` is for WebSocket.
   */
  end(webSocketCode: number): void;
  /** Ends it at once, for nothing of it to be kept. */
  drop(): void;
}
