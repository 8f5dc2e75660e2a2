/**
 * A connection that is carried to another node of the cluster, where its ticket's client or its session lives. At the node
 * that the client connected to it is bytes and nothing else; at the other a connection like any other, whose wire is the
 * tunnel.
 */
import type { Tunnel, TunnelEvents } from '../../cluster/tunnels.js';
import { Connection } from './connection.js';
import type { MqttHost } from './host.js';
import type { Wire } from './wire.js';

/** Bytes that wait for the client's network before the other node is told that they are taken. */
const WAITING_BYTES = 256 * 1024;

/** Bytes on their way to the other node before the client is read from no more. */
const CARRIED_BYTES = 1024 * 1024;

/** What the other node is told of a connection. */
export interface Origin {
  readonly kind: Wire['kind'];
  readonly origin: string;
  readonly address: string;
}

/** What carries a connection's bytes to another node. */
export interface Carrier {
  carry(bytes: Buffer): void;
  /** The client's network has taken everything. */
  drained(): void;
  lost(): void;
}

/** At the node that the client connected to: carries what the client sends, and writes what comes back. */
export class TunnelCarrier implements Carrier {
  #taken = 0;
  #isPaused = false;

  constructor(
    private readonly wire: Wire,
    private readonly tunnel: Tunnel,
    /** Called when the other node has ended the connection: nothing more comes. */
    private readonly onEnd: (code: number) => void,
  ) {}

  static events(carrier: () => TunnelCarrier): TunnelEvents {
    return {
      data: (bytes) => carrier().#write(bytes),
      drained: () => carrier().#goOn(),
      paused: (isPaused) => (isPaused ? carrier().wire.pause() : carrier().wire.resume()),
      ended: (code) => carrier().onEnd(code),
    };
  }

  carry(bytes: Buffer): void {
    this.tunnel.send(bytes);
    if (this.#isPaused || this.tunnel.buffered < CARRIED_BYTES) return;
    this.#isPaused = true;
    this.wire.pause();
  }

  /** The client's network has taken everything. */
  drained(): void {
    this.#tellTaken();
  }

  lost(): void {
    this.tunnel.end(0);
  }

  #goOn(): void {
    if (this.#isPaused) this.wire.resume();
    this.#isPaused = false;
  }

  #write(bytes: Buffer): void {
    this.wire.write([bytes]);
    this.#taken += bytes.length;
    if (this.wire.buffered < WAITING_BYTES) this.#tellTaken();
  }

  #tellTaken(): void {
    if (this.#taken > 0) this.tunnel.took(this.#taken);
    this.#taken = 0;
  }
}

/** At the other node: what carries the connection. */
class TunnelWire implements Wire {
  readonly kind: Wire['kind'];
  readonly origin: string;
  readonly address: string;
  readonly unseenBytes = 0;

  constructor(
    private readonly tunnel: Tunnel,
    { kind, origin, address }: Origin,
  ) {
    this.kind = kind;
    this.origin = origin;
    this.address = address;
  }

  get buffered(): number {
    return this.tunnel.buffered;
  }

  write(chunks: readonly Buffer[]): void {
    const [first] = chunks;
    this.tunnel.send(chunks.length === 1 && first ? first : Buffer.concat(chunks));
  }

  pause(): void {
    this.tunnel.pause(true);
  }

  resume(): void {
    this.tunnel.pause(false);
  }

  end(code: number): void {
    this.tunnel.end(code);
  }

  drop(): void {
    this.tunnel.end(0);
  }
}

/** Takes a connection that another node carries here. */
export function acceptTunnel(host: MqttHost, tunnel: Tunnel, origin: Origin): void {
  const connection = new Connection(host, new TunnelWire(tunnel, origin));
  tunnel.events = {
    data: (bytes) => {
      tunnel.took(bytes.length);
      connection.receive(bytes);
    },
    drained: () => connection.drained(),
    paused: () => undefined,
    ended: () => connection.lost(),
  };
}
