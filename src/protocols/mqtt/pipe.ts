/**
 * A connection that is carried to another node of the cluster, where its ticket's client or its session lives. Here it
 * is bytes and nothing else; there a connection like any other, whose wire is the channel.
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

/** Here: carries what the client sends, and writes what comes back. */
export class Pipe {
  #taken = 0;
  #isPaused = false;

  constructor(
    private readonly wire: Wire,
    private readonly channel: Tunnel,
    /** The other node has ended it: nothing more comes. */
    private readonly onEnd: (code: number) => void,
  ) {}

  static events(pipe: () => Pipe): TunnelEvents {
    return {
      data: (bytes) => pipe().#write(bytes),
      drained: () => pipe().#goOn(),
      paused: (isPaused) => (isPaused ? pipe().wire.pause() : pipe().wire.resume()),
      ended: (code) => pipe().onEnd(code),
    };
  }

  carry(bytes: Buffer): void {
    this.channel.send(bytes);
    if (this.#isPaused || this.channel.buffered < CARRIED_BYTES) return;
    this.#isPaused = true;
    this.wire.pause();
  }

  /** The client's network has taken everything. */
  drained(): void {
    this.#tellTaken();
  }

  lost(): void {
    this.channel.end(0);
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
    if (this.#taken > 0) this.channel.took(this.#taken);
    this.#taken = 0;
  }
}

/** There: what carries the connection. */
class ChannelWire implements Wire {
  readonly kind: Wire['kind'];
  readonly origin: string;
  readonly address: string;
  readonly unseenBytes = 0;

  constructor(
    private readonly channel: Tunnel,
    { kind, origin, address }: Origin,
  ) {
    this.kind = kind;
    this.origin = origin;
    this.address = address;
  }

  get buffered(): number {
    return this.channel.buffered;
  }

  write(chunks: readonly Buffer[]): void {
    const [first] = chunks;
    this.channel.send(chunks.length === 1 && first ? first : Buffer.concat(chunks));
  }

  pause(): void {
    this.channel.pause(true);
  }

  resume(): void {
    this.channel.pause(false);
  }

  end(code: number): void {
    this.channel.end(code);
  }

  drop(): void {
    this.channel.end(0);
  }
}

/** Takes a connection that another node carries here. */
export function acceptPipe(host: MqttHost, channel: Tunnel, origin: Origin): void {
  const connection = new Connection(host, new ChannelWire(channel, origin));
  channel.events = {
    data: (bytes) => {
      channel.took(bytes.length);
      connection.receive(bytes);
    },
    drained: () => connection.drained(),
    paused: () => undefined,
    ended: () => connection.lost(),
  };
}
