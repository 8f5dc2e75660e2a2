/** The messages of an endpoint that wait for its next client (unseen.ts): a queue that finds out without a search whether it has one. */
import type { Packet } from './packet.js';
import { PacketQueue } from './queue.js';
import type { QueueLimits } from './queue-limits.js';

const NONE: readonly Packet[] = [];

export class WaitingQueue extends PacketQueue {
  readonly #has = new Set<Packet>();

  has(packet: Packet): boolean {
    return this.#has.has(packet);
  }

  override push(packet: Packet, limits: QueueLimits, before?: Packet): readonly Packet[] {
    if (this.#has.has(packet)) return NONE;
    this.#has.add(packet);
    const dropped = super.push(packet, limits, before);
    for (const one of dropped) this.#has.delete(one);
    return dropped;
  }

  override remove(packet: Packet): boolean {
    return this.#has.delete(packet) && super.remove(packet);
  }

  override clear(): void {
    this.#has.clear();
    super.clear();
  }
}
