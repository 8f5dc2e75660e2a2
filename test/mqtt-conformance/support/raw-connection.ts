import assert from 'node:assert/strict';
import net from 'node:net';
import { HANG_MS } from '../../support/hang.js';
import { decode, lengthOf, type Packet, pingreq, type Version } from './wire.js';

export interface Address {
  readonly host: string;
  readonly port: number;
}

type Event = Packet | 'end' | Error;

/** One TCP connection that says exactly the bytes it is told to, and hears every byte of the answer. */
export class RawConnection {
  readonly version: Version;
  readonly #socket: net.Socket;
  readonly #events: Event[] = [];
  #waiting: ((event: Event) => void) | undefined;
  #bytes = Buffer.alloc(0);
  #over = false;
  /** The size of every packet received, in bytes. */
  readonly sizes: number[] = [];

  constructor(address: Address, version: Version) {
    this.version = version;
    this.#socket = net.connect({ ...address, noDelay: true, allowHalfOpen: true });
    this.#socket.on('data', (bytes) => this.#receive(bytes));
    this.#socket.on('end', () => this.#end());
    this.#socket.on('close', () => this.#end());
    this.#socket.on('error', () => this.#end());
  }

  send(...packets: (Buffer | string)[]): this {
    const bytes = packets.map((one) => (typeof one === 'string' ? Buffer.from(one.replace(/\s/g, ''), 'hex') : one));
    this.#socket.write(Buffer.concat(bytes));
    return this;
  }

  /** Sends these bytes and ends this side of the connection. */
  finish(bytes: Buffer): void {
    this.#socket.end(bytes);
  }

  /** The next packet. Throws when the connection ends first, or nothing comes. */
  async next(): Promise<Packet> {
    const event = await this.#next();
    if (event instanceof Error) throw event;
    if (event === 'end') throw new Error('the broker closed the connection, where a packet is due');
    return event;
  }

  /** The next packet, or nothing when the broker closed. */
  async nextOrEnd(): Promise<Packet | undefined> {
    const event = await this.#next();
    if (event instanceof Error) throw event;
    return event === 'end' ? undefined : event;
  }

  /** The next packet, which must hold at least these fields. */
  async expect(type: string, fields: Partial<Packet> = {}): Promise<Packet> {
    const packet = await this.next();
    const seen: Record<string, unknown> = { type: packet.type };
    for (const key of Object.keys(fields)) seen[key] = packet[key as keyof Packet];
    assert.deepEqual(seen, { type, ...fields }, `received ${packet.type} ${packet.raw}`);
    return packet;
  }

  /** The next packets, byte for byte. */
  async bytes(...packets: string[]): Promise<void> {
    for (const one of packets) assert.equal((await this.next()).raw, one.replace(/\s/g, ''));
  }

  /** Proves that nothing is on its way to this client but the answer to a ping. */
  async quiet(): Promise<void> {
    this.send(pingreq);
    await this.expect('pingresp');
  }

  /**
   * Waits for the broker to close. To a 5.0 client it must say one of these reasons first, to an older one nothing;
   * without reasons it says nothing to either.
   */
  async refused(...reasons: number[]): Promise<void> {
    const event = await this.#next();
    if (event === 'end' && (this.version < 5 || reasons.length === 0)) return;
    if (event instanceof Error) throw event;
    if (event === 'end') throw new Error(`the broker closed without DISCONNECT, where one of ${reasons} is due`);
    const allowed = this.version === 5 && event.type === 'disconnect' && reasons.includes(event.codes?.[0] ?? -1);
    assert.ok(allowed, `received ${event.type} ${event.raw}, where the end is due (reasons ${reasons})`);
    await this.ended();
  }

  /** Waits for a CONNACK with one of these codes and the end; `silent` allows the end alone, no codes demand it. */
  async rejected(codes: readonly number[], silent = codes.length === 0): Promise<void> {
    const event = await this.#next();
    if (event instanceof Error) throw event;
    if (event === 'end' && silent) return;
    if (event === 'end') throw new Error(`the broker closed without CONNACK, where one of ${codes} is due`);
    const allowed = event.type === 'connack' && !event.sessionPresent && codes.includes(event.codes?.[0] ?? -1);
    assert.ok(allowed, `received ${event.type} ${event.raw}, where a CONNACK with one of ${codes} is due`);
    await this.ended();
  }

  /** A CONNECT that does not conform: 3.1.1 closes in silence, 5.0 may say why. */
  malformedConnect(...reasons: number[]): Promise<void> {
    return this.version === 5 ? this.rejected([0x81, 0x82, ...reasons], true) : this.rejected([]);
  }

  /** Waits for the broker to close, with nothing before. */
  async ended(): Promise<void> {
    const event = await this.#next();
    if (event instanceof Error) throw event;
    assert.equal(event, 'end', typeof event === 'string' ? event : `received ${event.type} ${event.raw}`);
  }

  /** Every packet until the broker closes. */
  async rest(): Promise<Packet[]> {
    const packets: Packet[] = [];
    for (;;) {
      const event = await this.#next();
      if (event instanceof Error) throw event;
      if (event === 'end') return packets;
      packets.push(event);
    }
  }

  /** Cuts the connection, as a lost network does. */
  cut(): void {
    this.#socket.destroy();
  }

  /** Stops and starts reading. */
  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  #receive(bytes: Buffer): void {
    this.#bytes = Buffer.concat([this.#bytes, bytes]);
    try {
      for (let length = lengthOf(this.#bytes); length > 0; length = lengthOf(this.#bytes)) {
        const one = this.#bytes.subarray(0, length);
        this.#bytes = this.#bytes.subarray(length);
        this.sizes.push(length);
        this.#put(decode(one, this.version));
        if (this.#bytes.length === 0) return;
      }
    } catch (error) {
      this.#put(new Error(`the broker sent ${bytes.toString('hex')}: ${(error as Error).message}`));
      this.#socket.destroy();
    }
  }

  #end(): void {
    if (this.#over) return;
    this.#over = true;
    this.#put('end');
    this.#socket.destroy();
  }

  #put(event: Event): void {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    if (waiting) waiting(event);
    else this.#events.push(event);
  }

  #next(): Promise<Event> {
    const event = this.#events.shift();
    if (event) {
      if (event === 'end') this.#events.push(event);
      return Promise.resolve(event);
    }
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`nothing came in ${HANG_MS} ms`)), HANG_MS);
      this.#waiting = (found) => {
        clearTimeout(timer);
        if (found === 'end') this.#events.push(found);
        resolve(found);
      };
    });
  }
}
