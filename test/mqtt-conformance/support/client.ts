import assert from 'node:assert/strict';
import type { Properties } from './properties.js';
import { RawConnection } from './raw-connection.js';
import * as wire from './wire.js';

/** A connection that has sent CONNECT, and speaks whole exchanges where their bytes are not what a test is about. */
export class Client extends RawConnection {
  #lastId = 0;
  /** Messages that came in the middle of another one's exchange. */
  readonly #held: wire.Packet[] = [];

  override async next(): Promise<wire.Packet> {
    return this.#held.shift() ?? super.next();
  }

  /** CONNECT and its good CONNACK. */
  async connect(options: wire.Connect): Promise<wire.Packet> {
    this.send(wire.connect(this.version, options));
    return this.expect('connack', { codes: [0] });
  }

  /** Subscribes to one filter or several, and returns the SUBACK's codes; throws unless all were granted. */
  async subscribe(filters: string | wire.Filter | wire.Filter[], properties?: Properties): Promise<readonly number[]> {
    const list = typeof filters === 'string' ? [{ filter: filters }] : [filters].flat();
    const id = this.#id();
    this.send(wire.subscribe(this.version, id, list, properties));
    const codes = list.map(({ qos = 0 }) => qos);
    return (await this.expect('suback', { id, codes })).codes ?? [];
  }

  async unsubscribe(...filters: string[]): Promise<readonly number[]> {
    const id = this.#id();
    this.send(wire.unsubscribe(this.version, id, ...filters));
    return (await this.expect('unsuback', { id })).codes ?? [];
  }

  /** Publishes, and awaits every acknowledgement of its quality of service. */
  async publish(topic: string, payload: string, options: wire.Publish = {}): Promise<void> {
    const id = options.qos ? (options.id ?? this.#id()) : 0;
    this.send(wire.publish(this.version, topic, payload, { ...options, id }));
    if (options.qos === 1) this.#accepted(await this.expect('puback', { id }));
    if (options.qos !== 2) return;
    this.#accepted(await this.expect('pubrec', { id }));
    this.send(wire.pubrel(id));
    await this.expect('pubcomp', { id });
  }

  /** The next message, acknowledged. */
  async receive(fields: Partial<wire.Packet> = {}): Promise<wire.Packet> {
    const packet = await this.expect('publish', fields);
    const { id = 0 } = packet;
    if (packet.qos === 1) this.send(wire.puback(id));
    if (packet.qos !== 2) return packet;
    this.send(wire.pubrec(id));
    for (let next = await super.next(); next.type !== 'pubrel'; next = await super.next()) {
      assert.equal(next.type, 'publish', `received ${next.raw}, where PUBREL ${id} is due`);
      this.#held.push(next);
    }
    this.send(wire.pubcomp(id));
    return packet;
  }

  /** The payloads of the next messages. */
  async payloads(count: number): Promise<string[]> {
    const found: string[] = [];
    while (found.length < count) found.push((await this.receive()).payload ?? '');
    return found;
  }

  /** DISCONNECT, and the broker's end of the connection. */
  async disconnect(code?: number, properties?: Properties): Promise<void> {
    this.send(wire.disconnect(code, properties));
    await this.ended();
  }

  #id(): number {
    this.#lastId += 1;
    return this.#lastId;
  }

  #accepted(packet: wire.Packet): void {
    const code = packet.codes?.[0] ?? 0;
    assert.ok(code === 0 || code === 0x10, `PUBLISH refused: ${packet.raw}`);
  }
}
