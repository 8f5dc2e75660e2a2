/** Clients by mqtt.js that keep what they are sent. */
import mqtt, { type IClientOptions, type IConnackPacket, type IPublishPacket, type MqttClient } from 'mqtt';
import { HANG_MS } from '../../support/hang.js';
import type { Cleaner } from '../../support/server.js';
import { own } from './broker.js';

export class Subscriber {
  readonly #packets: IPublishPacket[] = [];
  #waiting: ((packet: IPublishPacket) => void) | null = null;
  /** The CONNACK that it was sent last; null: none yet. */
  connack: IConnackPacket | null = null;

  constructor(readonly client: MqttClient) {
    client.on('message', (_topic, _payload, packet) => {
      const waiting = this.#waiting;
      this.#waiting = null;
      if (waiting) waiting(packet);
      else this.#packets.push(packet);
    });
  }

  /** The payloads that came and that the test has not taken. */
  get rest(): readonly string[] {
    return this.#packets.map(({ payload }) => payload.toString());
  }

  next(timeoutMs = HANG_MS): Promise<IPublishPacket> {
    const packet = this.#packets.shift();
    if (packet) return Promise.resolve(packet);
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`nothing came in ${timeoutMs} ms`)), timeoutMs);
      this.#waiting = (arrived) => {
        clearTimeout(timer);
        resolve(arrived);
      };
    });
  }

  async payload(): Promise<string> {
    return (await this.next()).payload.toString();
  }
}

/** Connects as a backend, unless told otherwise; the test's end ends it. */
export async function client(t: Cleaner, url: string, options: IClientOptions = {}): Promise<Subscriber> {
  const connected = mqtt.connect(url, {
    username: own.domain,
    password: own.apikey,
    protocolVersion: 5,
    reconnectPeriod: 0,
    ...options,
  });
  t.teardown(() => connected.endAsync(true));
  const subscriber = new Subscriber(connected);
  await new Promise<void>((resolve, reject) => {
    connected.once('connect', (packet) => {
      subscriber.connack = packet;
      resolve();
    });
    connected.once('error', reject);
    connected.once('close', () => reject(new Error('the connection was closed')));
  });
  return subscriber;
}
