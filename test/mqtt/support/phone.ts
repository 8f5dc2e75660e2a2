/** A phone on a network that cuts connections anywhere: its session outlives its connections. */
import { parser } from 'mqtt-packet';
import type { MqttHost } from '../../../src/protocols/mqtt/host.js';
import type { Frame } from '../../support/fake-network.js';
import { own } from './broker.js';
import { TestDevice } from './device.js';

export class Phone {
  readonly bodies: number[] = [];
  readonly #ids = new Set<string>();
  again = 0;
  /** Whether the server has its session, as it said when the phone connected last; null: it has not answered. */
  isResumed: boolean | null = null;
  device: TestDevice | null = null;
  #parser = parser({ protocolVersion: 5 });
  /** What it has not acknowledged yet, in order. */
  #owed: number[] = [];
  #taken = 0;

  constructor(
    public host: MqttHost,
    readonly ticket: string,
  ) {}

  connect(): void {
    const device = new TestDevice(this.host);
    this.device = device;
    this.isResumed = null;
    this.#taken = 0;
    this.#owed = [];
    this.#parser = parser({ protocolVersion: 5 });
    this.#parser.on('packet', (packet) => {
      if (packet.cmd === 'connack') this.isResumed = packet.sessionPresent;
      if (packet.cmd !== 'publish') return;
      this.#owed.push(packet.messageId ?? 0);
      const frame = JSON.parse(packet.payload.toString()) as Frame;
      for (const { body, id } of frame.messages ?? []) {
        if (this.#ids.has(id)) {
          this.again += 1;
          if (!packet.dup && this.isResumed) throw new Error(`${body} comes again and does not say so`);
        } else this.bodies.push(Number(body));
        this.#ids.add(id);
      }
    });
    const login = { username: own.domain, password: Buffer.from(this.ticket) };
    device.send({
      ...{ cmd: 'connect', protocolId: 'MQTT', protocolVersion: 5, clientId: 'phone', clean: false, keepalive: 0 },
      ...{ properties: { sessionExpiryInterval: 600, receiveMaximum: 4 }, ...login },
    });
  }

  /** So many more bytes reach it; null: all. */
  read(roll: ((sides: number) => number) | null): void {
    const { device } = this;
    if (!device) return;
    const written = Buffer.concat(device.wire.written);
    const rest = written.subarray(this.#taken);
    const part = roll ? rest.subarray(0, roll(rest.length + 1)) : rest;
    this.#taken += part.length;
    if (part.length > 0) this.#parser.parse(part);
  }

  acknowledge(count: number): void {
    for (const messageId of this.#owed.splice(0, count)) this.device?.send({ cmd: 'puback', messageId });
  }

  lose(): void {
    this.device?.connection.lost();
    this.device = null;
  }

  step(roll: (sides: number) => number): void {
    switch (roll(7)) {
      case 0:
        return this.connect();
      case 1:
        return this.device ? this.lose() : this.connect();
      case 2:
      case 3:
        return this.read(roll);
      case 4:
        return this.read(null);
      default:
        return this.acknowledge(1 + roll(3));
    }
  }
}
