/** An MQTT 3.1.1 client of the load generator: QoS 0, 1 and 2, with packets built beforehand. */
import { mqttBody, mqttPacketEnd, type OnUnit } from '../scan.js';
import { Wire } from './wire.js';

const connack = 2;
const publish = 3;
const puback = 4;
const pubrec = 5;
const pubrel = 6;
const suback = 9;

export type Qos = 0 | 1 | 2;

/** A PUBLISH; at QoS 1 and 2 the identifier is a place to be filled, two bytes before the payload. */
export function publishPacket(topic: string, payload: Buffer, qos: Qos): Buffer {
  const body = Buffer.concat([text(topic), Buffer.alloc(qos === 0 ? 0 : 2), payload]);
  return packet((publish << 4) | (qos << 1), body);
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value);
  const length = Buffer.alloc(2);
  length.writeUInt16BE(bytes.length);
  return Buffer.concat([length, bytes]);
}

function packet(first: number, body: Buffer): Buffer {
  const head = [first];
  let rest = body.length;
  do {
    head.push(rest > 127 ? (rest % 128) | 0x80 : rest);
    rest = Math.floor(rest / 128);
  } while (rest > 0);
  return Buffer.concat([Buffer.from(head), body]);
}

export interface MqttOptions {
  readonly port: number;
  readonly clientId: string;
  readonly username?: string;
  readonly password?: string;
  /** Gets each PUBLISH: where its payload (with the identifier's two bytes, at QoS 1 and 2) starts and ends. */
  readonly onPublish?: OnUnit;
  /** Called once after all packets of one read. */
  readonly onRead?: () => void;
}

export class MqttClient {
  readonly #onPublish: OnUnit | undefined;
  readonly #onRead: (() => void) | undefined;
  #wire: Wire | undefined;
  #answered: ((code: number) => void) | undefined;
  /** Acknowledgements of one read, sent together. */
  #acks: number[] = [];
  #nextId = 0;

  private constructor(options: MqttOptions) {
    this.#onPublish = options.onPublish;
    this.#onRead = options.onRead;
  }

  static async open(options: MqttOptions): Promise<MqttClient> {
    const client = new MqttClient(options);
    client.#wire = await Wire.open({
      port: options.port,
      unitEnd: mqttPacketEnd,
      onUnit: (bytes, start, end) => client.#receive(bytes, start, end),
      onRead: () => client.#flush(),
    });
    client.#wire.onClose = () => {
      throw new Error('the broker closed a connection');
    };
    const user = options.username === undefined ? [] : [text(options.username), text(options.password ?? '')];
    const flags = Buffer.from([4, user.length === 0 ? 0x02 : 0xc2, 0, 0]);
    const code = await client.#ask(packet(0x10, Buffer.concat([text('MQTT'), flags, text(options.clientId), ...user])));
    if (code !== 0) throw new Error(`CONNECT was refused with ${code}`);
    return client;
  }

  async subscribe(filter: string, qos: Qos): Promise<void> {
    const code = await this.#ask(packet(0x82, Buffer.concat([Buffer.from([0, 1]), text(filter), Buffer.from([qos])])));
    if (code >= 0x80) throw new Error(`SUBSCRIBE to ${filter} was refused with ${code}`);
  }

  /** Sends bytes as they are: QoS 0 packets, one or several. */
  send(bytes: Buffer): void {
    this.#wire?.write(bytes);
  }

  /** Sends a packet of QoS 1 or 2 `count` times in one write, under identifiers of their own. */
  sendNumbered(template: Buffer, idAt: number, count: number): void {
    const bytes = Buffer.allocUnsafe(template.length * count);
    for (let i = 0; i < count; i += 1) {
      template.copy(bytes, i * template.length);
      this.#nextId = (this.#nextId % 60_000) + 1;
      bytes.writeUInt16BE(this.#nextId, i * template.length + idAt);
    }
    this.#wire?.write(bytes);
  }

  close(): void {
    this.#wire?.close();
  }

  #ask(bytes: Buffer): Promise<number> {
    return new Promise((resolve) => {
      this.#answered = resolve;
      this.#wire?.write(bytes);
    });
  }

  #receive(bytes: Buffer, start: number, end: number): void {
    const first = bytes[start]!;
    const body = mqttBody(bytes, start, end);
    switch (first >> 4) {
      case publish: {
        const payload = body + 2 + bytes.readUInt16BE(body);
        const qos = (first >> 1) & 3;
        if (qos > 0) this.#acks.push(qos === 1 ? 0x40 : 0x50, 2, bytes[payload]!, bytes[payload + 1]!);
        this.#onPublish?.(bytes, payload, end);
        break;
      }
      case pubrec:
        this.#acks.push(0x62, 2, bytes[body]!, bytes[body + 1]!);
        break;
      case pubrel:
        this.#acks.push(0x70, 2, bytes[body]!, bytes[body + 1]!);
        break;
      case connack:
        this.#answered?.(bytes[body + 1]!);
        break;
      case suback:
        this.#answered?.(bytes[end - 1]!);
        break;
      default:
        if (first >> 4 !== puback && first >> 4 !== 7) throw new Error(`unexpected MQTT packet ${first >> 4}`);
    }
  }

  #flush(): void {
    if (this.#acks.length > 0) {
      this.#wire?.write(Buffer.from(this.#acks));
      this.#acks = [];
    }
    this.#onRead?.();
  }
}
