import { Fifo } from '../../fifo.js';

/**
 * Acknowledgements of one connection that are not sent yet, because what they promise is still being written to disk.
 * They go out in the order of the packets that they acknowledge [MQTT-4.6.0-2] [MQTT-4.6.0-3].
 */
interface Slot {
  readonly send: () => void;
  ready: boolean;
}

export class Receipts {
  readonly #slots = new Fifo<Slot>();

  /** How many acknowledgements wait. */
  get waiting(): number {
    return this.#slots.length;
  }

  /** Adds an acknowledgement behind all others. Answers a function to call when it may go out, by `send`. */
  add(send: () => void): () => void {
    const slot: Slot = { send, ready: false };
    this.#slots.push(slot);
    return () => {
      slot.ready = true;
      this.#sendReady();
    };
  }

  #sendReady(): void {
    for (let { first } = this.#slots; first?.ready; { first } = this.#slots) {
      this.#slots.shift();
      first.send();
    }
  }
}
