/** A client that acknowledges nothing by itself: each packet that it is sent or sends is the test's own. */
import net from 'node:net';
import { generate, type IConnackPacket, type IPublishPacket, type Packet, parser } from 'mqtt-packet';
import { HANG_MS } from '../../support/hang.js';
import { own } from './broker.js';
import type { ConnectOptions } from './device.js';

export class WireClient {
  readonly #parser = parser({ protocolVersion: 5 });
  readonly #packets: Packet[] = [];
  #wake: () => void = () => undefined;
  isEnded = false;

  private constructor(readonly socket: net.Socket) {
    this.#parser.on('packet', (packet) => {
      this.#packets.push(packet);
      this.#wake();
    });
    socket.on('data', (bytes) => this.#parser.parse(bytes));
    socket.on('error', () => undefined);
    socket.on('close', () => {
      this.isEnded = true;
      this.#wake();
    });
  }

  /** Connects with a session that outlives the connection; answers CONNACK too. Rejects where the connection ends before that. */
  static async connect(
    port: number,
    clientId: string,
    more: ConnectOptions = {},
  ): Promise<[WireClient, IConnackPacket]> {
    const client = new WireClient(net.connect(port, '127.0.0.1'));
    client.send({
      ...{ cmd: 'connect', protocolId: 'MQTT', protocolVersion: 5, clientId, clean: false, keepalive: 0 },
      ...{ username: own.domain, password: Buffer.from(own.apikey), properties: { sessionExpiryInterval: 3600 } },
      ...more,
    });
    return [client, (await client.next('connack')) as IConnackPacket];
  }

  send(packet: Packet): void {
    this.socket.write(generate(packet, { protocolVersion: 5 }));
  }

  publish(topic: string, payload: string, more: Partial<IPublishPacket>): void {
    this.send({ cmd: 'publish', topic, payload, qos: 0, dup: false, retain: false, ...more });
  }

  /** The next packet, which must be of this kind. */
  async next(cmd: Packet['cmd']): Promise<Packet> {
    const timer = setTimeout(() => this.socket.destroy(), HANG_MS);
    while (this.#packets.length === 0 && !this.isEnded) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    clearTimeout(timer);
    const packet = this.#packets.shift();
    if (packet?.cmd !== cmd) throw new Error(`${packet ? JSON.stringify(packet) : 'the end'} in place of ${cmd}`);
    return packet;
  }

  /** The next publication; acknowledged where its QoS is 1. */
  async take(): Promise<{ readonly text: string; readonly id: number; readonly dup: boolean }> {
    const packet = (await this.next('publish')) as IPublishPacket;
    if (packet.qos === 1) this.send({ cmd: 'puback', messageId: packet.messageId ?? 0, reasonCode: 0 });
    return { text: packet.payload.toString(), id: packet.messageId ?? 0, dup: packet.dup };
  }

  close(): void {
    this.socket.destroy();
  }
}
