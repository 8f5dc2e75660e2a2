/** The receiving half of the streams from other nodes: each item once, in order. Acknowledges what has come and asks for what is missing. */
import type { Clock } from '../clock.js';
import type { Item, Peer } from './peer.js';

/** How long an acknowledgement that nobody waits for is held back, to stand for later frames as well. */
const ACK_MS = 20;

export class StreamReceiver {
  constructor(
    private readonly clock: Clock,
    private readonly take: (peer: Peer, item: Item) => void,
    /** Says that everything up to `peer.seq` has come (`a`), or that what follows is missing (`n`). */
    private readonly say: (kind: 'a' | 'n', peer: Peer) => void,
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

  #acknowledge(peer: Peer, urgent: boolean): void {
    if (urgent && peer.ackScheduled !== 'now') {
      peer.ackScheduled = 'now';
      setImmediate(this.#send, peer);
    } else if (peer.ackScheduled === 'no') {
      peer.ackScheduled = 'soon';
      this.clock.after(ACK_MS, () => this.#send(peer));
    }
  }

  readonly #send = (peer: Peer): void => {
    if (peer.ackScheduled === 'no') return;
    peer.ackScheduled = 'no';
    this.say('a', peer);
  };
}
