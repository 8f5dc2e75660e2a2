/** Connections without a network: one whose client counts, and one that keeps no position. */
import type { Packet } from '../../src/actors/packet.js';
import { type Asked, formatAsked, type Position } from '../../src/actors/position.js';
import type { CountedFrame, Counting, Transport } from '../../src/actors/transport.js';

const NONE: readonly Packet[] = [];

/** A connection whose client counts. What it has taken is on its way until the client reads it. */
export class Counted implements Transport, Counting {
  readonly kind = 'websocket';
  readonly counting = this;
  readonly wire: (CountedFrame & { readonly after: Position })[] = [];
  answered = '';
  isFull = false;

  constructor(readonly asked: Asked) {}

  resumed(at: Position | 'first'): void {
    this.answered = formatAsked(at);
  }

  send(frame: CountedFrame, after: number, era: string): boolean {
    if (this.isFull) return false;
    this.wire.push({ ...frame, after: { era, n: after } });
    return true;
  }

  deliver(): number {
    throw new Error('a connection that counts is sent frames');
  }

  close(): readonly Packet[] {
    return NONE;
  }
}

/** A connection that keeps no position, and gives back what it could not get out. */
export class Plain implements Transport {
  readonly kind = 'websocket';
  readonly taken: Packet[] = [];

  constructor(
    private readonly takes: number,
    private readonly gives = 1,
  ) {}

  deliver(packets: readonly Packet[]): number {
    const taken = packets.slice(0, this.takes);
    this.taken.push(...taken);
    return taken.length;
  }

  close(): readonly Packet[] {
    return this.taken.splice(Math.max(0, this.taken.length - this.gives));
  }
}
