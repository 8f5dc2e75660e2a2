/** A node of a cluster that is made by hand: it joins as the others do, then says whatever a test wants. */
import { connect, type NatsConnection, type Subscription } from '@nats-io/transport-node';
import { PROTOCOL } from '../../src/cluster/mesh.js';
import type { NatsServer } from './nats.js';
import type { Cleaner } from './server.js';

type WireFrame = [
  kind: string,
  node: string,
  incarnation: number,
  to: number,
  epoch: number,
  seq: number,
  0 | 1,
  Items,
  ...acknowledged: number[],
];
type Items = readonly (readonly unknown[])[];

export interface ReceivedFrame {
  readonly kind: string;
  readonly epoch: number;
  readonly seq: number;
  readonly items: Items;
  /** Epoch and number of what the frame acknowledges; empty: it acknowledges nothing. */
  readonly acknowledged: readonly number[];
}

export class PeerNode {
  readonly #incarnation = Date.now() * 1000;
  #to = 0;
  #seq = 0;
  readonly #frames: ReceivedFrame[] = [];
  #onFrame: (() => void) | null = null;
  #reading: Subscription | null = null;

  private constructor(
    private readonly nats: NatsConnection,
    private readonly cluster: string,
    private readonly name: string,
    private readonly other: string,
  ) {}

  /** Resolves when the node `other` knows this one. */
  static async join(
    t: Cleaner,
    nats: NatsServer,
    cluster: string,
    other: string,
    { name = 'byhand' }: { readonly name?: string } = {},
  ): Promise<PeerNode> {
    const connection = await connect({ servers: nats.url });
    t.teardown(() => connection.close());
    const peer = new PeerNode(connection, cluster, name, other);
    const met = new Promise<void>((resolve) => {
      peer.#reading = connection.subscribe(`${cluster}.node.${hex(name)}`, {
        callback: (_error, message) => {
          const [kind, , incarnation, , epoch, seq, , items = [], ...acknowledged] = message.json<WireFrame>();
          peer.#to = incarnation;
          peer.#frames.push({ kind, epoch, seq, items, acknowledged });
          peer.#onFrame?.();
          if (kind === 'd') resolve();
        },
      });
    });
    await connection.flush();
    peer.beat();
    await met;
    return peer;
  }

  /** Sends one sign of life: with a lease that is long enough a test needs no other. */
  beat(): void {
    this.publish('beat', JSON.stringify(['b', this.name, this.#incarnation, PROTOCOL, 'up', 0]));
  }

  /** Reads nothing more, as NATS knows when this resolves. */
  async stopReading(): Promise<void> {
    this.#reading?.unsubscribe();
    await this.nats.flush();
  }

  /** The next frame to this node that matches; the frames before it are passed over. */
  async next(isWanted: (frame: ReceivedFrame) => boolean): Promise<ReceivedFrame> {
    for (;;) {
      for (let frame = this.#frames.shift(); frame; frame = this.#frames.shift()) if (isWanted(frame)) return frame;
      await new Promise<void>((resolve) => {
        this.#onFrame = resolve;
      });
    }
  }

  /** Says that this node has received all of the stream to it up to `seq` (`a`), or misses what follows (`n`). */
  control(kind: 'a' | 'n', epoch: number, seq: number): void {
    const text = JSON.stringify([kind, this.name, this.#incarnation, this.#to, epoch, seq]);
    this.publish(`node.${hex(this.other)}`, text);
  }

  /** Sends items of this node's stream, each as JSON. */
  say(...items: readonly string[]): void {
    this.#seq += 1;
    this.frame('d', this.#seq, `[${items}]`);
  }

  /** Sends one frame of this node's stream, whatever is in it. */
  frame(kind: string, seq: unknown, items: string): void {
    const head = [kind, this.name, this.#incarnation, this.#to, 1, seq, 0].map((field) => JSON.stringify(field));
    this.publish(`node.${hex(this.other)}`, `[${head},${items}]`);
  }

  publish(subject: string, text: string): void {
    this.nats.publish(`${this.cluster}.${subject}`, text);
  }
}

function hex(name: string): string {
  return Buffer.from(name).toString('hex');
}
