/** A client of the state machine without a network: what it sends are bytes, what it is sent is parsed by mqtt-packet. */
import { generate, type Packet, parser } from 'mqtt-packet';
import { Connection } from '../../../src/protocols/mqtt/connection.js';
import type { MqttHost } from '../../../src/protocols/mqtt/host.js';
import type { Version } from '../../../src/protocols/mqtt/packets.js';
import type { Wire } from '../../../src/protocols/mqtt/wire.js';

export class DeviceWire implements Wire {
  readonly kind = 'mqtt';
  readonly origin = '';
  readonly unseenBytes = 0;
  readonly address = '127.0.0.1';
  buffered = 0;
  paused = false;
  ended = false;
  /** Keeps what is written as not taken by the network. */
  stalled = false;
  readonly written: Buffer[] = [];

  write(chunks: readonly Buffer[]): void {
    for (const chunk of chunks) {
      this.written.push(chunk);
      if (this.stalled) this.buffered += chunk.length;
    }
  }

  pause(): void {
    this.paused = true;
  }

  resume(): void {
    this.paused = false;
  }

  end(): void {
    this.ended = true;
  }

  drop(): void {
    this.ended = true;
  }
}

/** Resolves when the turn that what came before asked for is over. */
export function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
}

export type ConnectOptions = Partial<Extract<Packet, { cmd: 'connect' }>>;

export class TestDevice {
  readonly wire = new DeviceWire();
  readonly connection: Connection;
  readonly #version: Version;

  constructor(host: MqttHost, version: Version = 5) {
    this.#version = version;
    this.connection = new Connection(host, this.wire);
  }

  send(...packets: readonly Packet[]): this {
    for (const packet of packets) this.raw(generate(packet, { protocolVersion: this.#version }));
    return this;
  }

  /** What is received is overwritten at once, as the next read of a socket does it. */
  raw(bytes: Buffer): this {
    const read = Buffer.from(bytes);
    this.connection.receive(read);
    read.fill(0xff);
    return this;
  }

  hex(digits: string): this {
    return this.raw(Buffer.from(digits.replaceAll(' ', ''), 'hex'));
  }

  /** Everything it has been sent since last asked, after the turn. */
  async received(): Promise<Packet[]> {
    await turn();
    const packets: Packet[] = [];
    const reader = parser({ protocolVersion: this.#version });
    reader.on('packet', (packet) => packets.push(packet));
    for (const chunk of this.wire.written.splice(0)) reader.parse(chunk);
    return packets;
  }

  async receivedHex(): Promise<string> {
    await turn();
    return Buffer.concat(this.wire.written.splice(0)).toString('hex');
  }

  connect(clientId: string, options: ConnectOptions = {}): Promise<Packet[]> {
    const protocolVersion = this.#version;
    const protocolId = protocolVersion === 3 ? 'MQIsdp' : 'MQTT';
    this.send({ cmd: 'connect', protocolId, protocolVersion, clientId, clean: true, keepalive: 0, ...options });
    return this.received();
  }

  subscribe(topic: string, qos: 0 | 1 | 2 = 0, messageId = 1): Promise<Packet[]> {
    this.send({ cmd: 'subscribe', messageId, subscriptions: [{ topic, qos, nl: false, rap: false, rh: 0 }] });
    return this.received();
  }

  publish(
    topic: string,
    payload: string,
    qos: 0 | 1 | 2 = 0,
    more: Partial<Extract<Packet, { cmd: 'publish' }>> = {},
  ): this {
    return this.send({
      cmd: 'publish',
      topic,
      payload,
      qos,
      dup: false,
      retain: false,
      messageId: qos ? 1 : 0,
      ...more,
    });
  }
}

/** What publications say, in order. */
export function payloads(packets: readonly Packet[]): string[] {
  return packets.flatMap((packet) => (packet.cmd === 'publish' ? [packet.payload.toString()] : []));
}
