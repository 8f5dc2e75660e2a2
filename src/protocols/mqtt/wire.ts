/** The port between the state machine and what carries it: TCP, TLS, WebSocket, or a test. */
export interface Wire {
  readonly kind: 'mqtt' | 'mqttws';
  /** The origin of the page that connects; empty where there is none. */
  readonly origin: string;
  /** The client's network address, as client-address.ts writes it. */
  readonly address: string;
  /** Bytes that were written and that the network has not taken yet. */
  readonly buffered: number;
  /** Bytes of an unfinished message that may be in memory before any of them is handed on. */
  readonly unseenBytes: number;
  /** Writes the chunks in order; nobody changes them afterwards. */
  write(chunks: readonly Buffer[]): void;
  /** Stops reading from a client that does not take its answers; `resume` goes on. */
  pause(): void;
  resume(): void;
  /**
   * Gets out what was written, then ends the server's side, and goes on reading and discarding for a bounded time: to
   * close with unread bytes would be a reset, which takes the last packet with it. `webSocketCode` is for WebSocket.
   */
  end(webSocketCode: number): void;
  /** Ends the connection at once, without getting out what was written. */
  drop(): void;
}
