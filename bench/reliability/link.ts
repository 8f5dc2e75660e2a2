/**
 * The network between one client and the server, which can go silent, break, and be away. It is at the client's end of each TCP
 * connection: nothing between the two costs a machine that is small for a thousand of them.
 */
import { Wire, type WireOptions } from '../clients/wire.js';

export class Link {
  #wires: readonly Wire[] = [];
  #isSilent = false;
  /** How often the link broke. */
  #cuts = 0;
  /** True: the link is down, and nothing can be connected through it. */
  isAway = false;

  /** `port`: answers the server's port for a new connection. */
  constructor(private readonly port: () => number) {}

  /** Connects to the server. */
  async open(options: Omit<WireOptions, 'port'>): Promise<Wire> {
    if (this.isAway) throw new Error('the link is away');
    const cuts = this.#cuts;
    const wire = await Wire.open({ ...options, port: this.port() });
    if (cuts !== this.#cuts) {
      wire.close();
      throw new Error('the link broke');
    }
    if (this.#isSilent) wire.silence();
    this.#wires = [...this.#wires.filter(({ isOver }) => !isOver), wire];
    return wire;
  }

  /** Connections carry nothing any more, and neither end knows. */
  silence(): void {
    this.#isSilent = true;
    for (const wire of this.#wires) wire.silence();
  }

  /** Breaks what is connected; the next connection works. */
  cut(): void {
    this.#cuts += 1;
    this.#isSilent = false;
    const wires = this.#wires;
    this.#wires = [];
    for (const wire of wires) wire.cut();
  }

  close(): void {
    this.cut();
  }
}
