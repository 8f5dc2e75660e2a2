import mqtt, { type MqttClient } from 'mqtt';
import { Inbox, packetsOf } from './packets.js';
import { siteA, type TestServer } from './server.js';
import type { ChatClient } from './transports.js';

/** DISCONNECT of 5.0 after OFFLINE: administrative action. */
const STOPPED = 0x98;

/** An MQTT 5 client with a ticket, which keeps the packets that the server sent and how its connection ended. */
export class MqttChatClient implements ChatClient {
  readonly ended: Promise<string>;
  readonly #inbox = new Inbox();

  private constructor(readonly client: MqttClient) {
    let last = '';
    client.on('disconnect', ({ reasonCode }) => {
      if (reasonCode === STOPPED) last = 'stopped';
    });
    client.on('error', () => undefined);
    client.on('message', (_topic, payload) => this.#read(payload));
    this.ended = new Promise((resolve) => {
      client.on('close', () => {
        this.#inbox.end(new Error('the connection is closed'));
        resolve(last);
      });
    });
  }

  static async connect(server: TestServer, url: string, ticket: string, domain?: string): Promise<MqttChatClient> {
    const client = mqtt.connect(url, {
      protocolVersion: 5,
      username: domain ?? siteA.domain,
      password: ticket,
      reconnectPeriod: 0,
    });
    const chat = server.own(new MqttChatClient(client));
    await new Promise<void>((resolve, reject) => {
      client.once('connect', () => resolve());
      client.once('error', reject);
    });
    return chat;
  }

  next(): ReturnType<Inbox['next']> {
    return this.#inbox.next();
  }

  close(): void {
    this.client.end(true);
  }

  #read(payload: Buffer): void {
    try {
      this.#inbox.put(packetsOf(JSON.parse(payload.toString())));
    } catch (error) {
      this.#inbox.end(error as Error);
    }
  }
}
