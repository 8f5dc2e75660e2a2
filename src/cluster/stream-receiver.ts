/** The receiving half of the streams from other nodes: each item once, in order. Acknowledges what has come and asks for what is missing. */
import type { Clock } from '../clock.js';
import type { Item, Peer } from './peer.js';

/** How long an acknowledgement that nobody waits for is held back, to stand for later frames as well. */
const ACK_MS = 20;

export class StreamReceiver {
  /** Nodes that wait for an acknowledgement, which goes out at the end of the turn. */
  readonly #urgent = new Set<Peer>();
  /** Nodes whose acknowledgement is held back. All go out together, as one write takes them to NATS. */
  readonly #held = new Set<Peer>();
  #isTimed = false;

  constructor(
    private readonly clock: Clock,
    private readonly take: (peer: Peer, item: Item) => void,
    /** Says that everything up to `peer.seq` has come (`a`), or that what follows is missing (`n`). */
    private readonly say: (kind: 'a' | 'n', peer: Peer) => void,
    /** Asks for a call of `flush` at the end of this turn. */
    private readonly wake: () => void,
  ) {}

  /** `urgent`: somebody waits for the acknowledgement. */
  receive(peer: Peer, epoch: number, seq: number, urgent: boolean, items: readonly Item[]): void {
    if (epoch < peer.epoch) return;
    if (epoch > peer.epoch) Object.assign(peer, { epoch, seq: 0, asked: false });
    if (seq > peer.seq + 1) {
      if (!peer.asked) this.say('n', peer);
      peer.asked = true;
      return;
    }
    if (seq === peer.seq + 1) {
      peer.seq = seq;
      peer.asked = false;
      for (const item of items) this.take(peer, item);
    }
    this.#acknowledge(peer, urgent);
  }

  /** Sends the acknowledgements that somebody waits for. */
  flush(): void {
    if (this.#urgent.size === 0) return;
    for (const peer of this.#urgent) this.say('a', peer);
    this.#urgent.clear();
  }

  /** Whether something of a node is to be acknowledged, which the caller does. */
  takeDue(peer: Peer): boolean {
    const isUrgent = this.#urgent.delete(peer);
    return this.#held.delete(peer) || isUrgent;
  }

  #acknowledge(peer: Peer, urgent: boolean): void {
    if (urgent) {
      if (this.#urgent.size === 0) this.wake();
      this.#urgent.add(peer);
      this.#held.delete(peer);
    } else if (!this.#urgent.has(peer)) this.#hold(peer);
  }

  #hold(peer: Peer): void {
    this.#held.add(peer);
    if (this.#isTimed) return;
    this.#isTimed = true;
    this.clock.after(ACK_MS, () => {
      this.#isTimed = false;
      for (const one of this.#held) this.say('a', one);
      this.#held.clear();
    });
  }
}
