/**
 * Acknowledgements of one connection that are not sent yet: what they say is on its way to the disk. They go out in the
 * order of what they acknowledge [MQTT-4.6.0-2] [MQTT-4.6.0-3].
 */
interface Slot {
  readonly send: () => void;
  ready: boolean;
}

export class Receipts {
  #slots: Slot[] = [];
  #first = 0;

  /** How many wait. */
  get waiting(): number {
    return this.#slots.length - this.#first;
  }

  /** The next to go out, by `send`; call the answer when it may. */
  add(send: () => void): () => void {
    const slot: Slot = { send, ready: false };
    this.#slots.push(slot);
    return () => {
      slot.ready = true;
      this.#sendReady();
    };
  }

  #sendReady(): void {
    for (let slot = this.#slots[this.#first]; slot?.ready; slot = this.#slots[this.#first]) {
      this.#first += 1;
      slot.send();
    }
    if (this.waiting > 0) return;
    this.#slots = [];
    this.#first = 0;
  }
}
