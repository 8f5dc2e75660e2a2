/** A phone by MQTT and a browser by WebSocket or long polling write to each other: every message once, in order. */
import mqtt, { type MqttClient } from 'mqtt';
import t from 'tap';
import { Inbox, packetsOf } from '../support/packets.js';
import { siteA, type TestServer, testServer } from '../support/server.js';
import { type ChatClient, type ChatTransport, longPolling, webSocket } from '../support/transports.js';

const count = 80;
const numbers = Array.from({ length: count }, (_, n) => `${n}`);

/** A phone whose session goes on when its connection is lost. */
class Phone {
  readonly inbox = new Inbox();
  readonly client: MqttClient;

  constructor(server: TestServer, url: string, ticket: string, protocolVersion: 4 | 5) {
    this.client = mqtt.connect(url, {
      protocolVersion,
      username: siteA.domain,
      password: ticket,
      clientId: 'phone',
      clean: false,
      reconnectPeriod: 1,
      ...(protocolVersion === 5 ? { properties: { sessionExpiryInterval: 60 } } : {}),
    });
    this.client.on('message', (_topic, payload) => this.inbox.put(packetsOf(JSON.parse(payload.toString()))));
    server.own({ close: () => void this.client.end(true) });
  }

  async connected(): Promise<this> {
    if (!this.client.connected) await new Promise<void>((resolve) => this.client.once('connect', () => resolve()));
    return this;
  }
}

/** The bodies of the next `count` messages; a message that comes again counts once. */
async function bodies(client: Pick<ChatClient, 'next'>): Promise<string[]> {
  const seen: string[] = [];
  while (seen.length < count) {
    const { kind, body = '' } = await client.next();
    if (kind === 'message' && !seen.includes(body)) seen.push(body);
  }
  return seen;
}

for (const version of [4, 5] as const) {
  for (const [name, transport] of [
    ['WebSocket', webSocket],
    ['long polling', longPolling],
  ] as const satisfies readonly (readonly [string, ChatTransport])[]) {
    t.test(`A phone by MQTT ${version === 5 ? '5.0' : '3.1.1'} and a browser by ${name} chat in order`, async (t) => {
      const server = await testServer(t, { mqtt: { port: -1 }, limits: { messagesPerSecond: 0 } });
      const site = server.site();
      const jack = await site.online('jack', { rooms: 'r1' });
      const anna = await site.online('anna', { rooms: 'r1' });
      const url = version === 5 ? `ws://${server.host}/mqtt` : `mqtt://127.0.0.1:${server.mqttPort}`;
      const phone = await new Phone(server, url, jack.ticket, version).connected();
      const browser: ChatClient = await transport.connect(server, anna.ticket);
      const qos = version === 5 ? 1 : 2;
      for (const to of ['/uid/anna', '/gid/r1']) {
        for (const body of numbers) phone.client.publish(`/domain/${siteA.domain}${to}`, body, { qos });
        t.strictSame(await bodies(browser), numbers, `phone to browser, ${to}`);
      }
      for (const [to, type] of [
        ['jack', 'chat'],
        ['r1', 'grpchat'],
      ] as const) {
        // Meanwhile the phone loses its connection again and again.
        const heard = bodies(phone.inbox);
        for (const [n, body] of numbers.entries()) {
          await site.message(anna.ticket, to, body, { type });
          if (n % 40 === 20) phone.client.stream.destroy();
        }
        t.strictSame(await heard, numbers, `browser to phone, ${type}`);
      }
    });
  }
}
