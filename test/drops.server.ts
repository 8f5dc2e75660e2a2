/** Every reason for which a packet goes no further: caused through real sockets, and read from the metrics. */
import t from 'tap';
import { DROP_REASONS, type DropReason } from '../src/metrics.js';
import { client, type Subscriber } from './mqtt/support/clients.js';
import { ManualClock } from './mqtt/support/clock.js';
import { exchange } from './support/http.js';
import { seriesOf } from './support/prometheus.js';
import { type Cleaner, merge, type Settings, siteA, siteB, type TestServer, testServer } from './support/server.js';
import type { Site } from './support/site.js';
import { WebhookServer } from './support/webhook.js';

interface World {
  readonly t: Cleaner & { rejects(promise: Promise<unknown>, wanted: { readonly code: number }): Promise<unknown> };
  readonly server: TestServer;
  readonly site: Site;
  readonly clock: ManualClock;
  readonly webhook: WebhookServer;
  /** Connects by MQTT 5.0: with a ticket as password, else as a backend. */
  mqtt(password?: string, more?: object): Promise<Subscriber>;
  /** How many packets were dropped, for all reasons together. */
  dropped(): number;
}

interface Trial {
  readonly settings?: Settings | ((webhook: string) => Settings);
  /** Causes drops of its reason, and answers how many. */
  drop(world: World): Promise<number>;
}

const user = (id: string, domain = siteA.domain): string => `/domain/${domain}/uid/${id}`;
const reliably = { qos: 1 } as const;
/** Packets that are dropped when a client comes back for what it was sent meanwhile. */
const session = { clientId: 'away', clean: false, properties: { sessionExpiryInterval: 600 } };

function withBot(webhook: string): Settings {
  return { domains: [{ ...siteA, webhookPrivate: true, services: { bot: { webhook } } }, siteB] };
}

/** A reason that has no trial does not compile. */
const trials: Readonly<Record<DropReason, Trial>> = {
  offline: {
    async drop({ site }) {
      await site.push('9', 'nobody', 'lost');
      return 1;
    },
  },
  queueOverflow: {
    settings: { limits: { queuePackets: 2 } },
    async drop({ mqtt }) {
      const away = await mqtt(undefined, session);
      await away.client.subscribeAsync('news', reliably);
      await away.client.endAsync();
      const backend = await mqtt();
      for (const payload of ['a', 'b', 'c', 'd']) await backend.client.publishAsync('news', payload, reliably);
      return 2;
    },
  },
  clientGone: {
    async drop({ site, server }) {
      const present = await site.arrive('1');
      const { ticket } = await site.online('1');
      const { ticket: other } = await site.online('2');
      await site.message(other, '1', 'the other client has it');
      await site.status(other, '1', 'typing');
      await site.offline(ticket);
      await present.next();
      await present.next();
      await server.settled();
      return 2;
    },
  },
  webhookFailed: {
    settings: withBot,
    async drop({ site, server, webhook, dropped }) {
      await site.push('1', 'sid:bot', 'refused with 400');
      await server.settledWhile(() => dropped() < 1);
      await site.push('1', 'sid:bot', 'under way when the webhook is taken away');
      await site.push('1', 'sid:bot', 'waits behind it');
      await webhook.next();
      await webhook.next();
      server.reload({});
      return 3;
    },
  },
  noSubscriber: {
    async drop({ mqtt }) {
      const backend = await mqtt();
      await backend.client.publishAsync('heard/by/nobody', 'x', reliably);
      return 1;
    },
  },
  quotaExceeded: {
    settings: { limits: { retainedPerDomain: 1 } },
    async drop({ mqtt }) {
      const backend = await mqtt();
      await backend.client.subscribeAsync('#', reliably);
      for (const topic of ['a', 'b', 'c']) await backend.client.publishAsync(topic, 'x', { ...reliably, retain: true });
      return 2;
    },
  },
  rateExceeded: {
    settings: { limits: { messagesPerSecond: 1 } },
    async drop({ t, site, mqtt }) {
      await site.arrive('2');
      const phone = await mqtt((await site.online('1')).ticket);
      for (let n = 0; n < 2; n++) await phone.client.publishAsync(user('2'), 'x', reliably);
      await t.rejects(phone.client.publishAsync(user('2'), 'x', reliably), { code: 0x97 });
      return 1;
    },
  },
  packetTooLarge: {
    settings: { limits: { messageBytes: 100 } },
    async drop({ t, site, mqtt }) {
      const phone = await mqtt((await site.online('1')).ticket);
      await t.rejects(phone.client.publishAsync(user('2'), 'x'.repeat(101), reliably), { code: 0x97 });
      const small = await mqtt(undefined, { properties: { maximumPacketSize: 200 } });
      await small.client.subscribeAsync('free', reliably);
      await (await mqtt()).client.publishAsync('free', 'x'.repeat(300), reliably);
      return 2;
    },
  },
  expired: {
    async drop({ mqtt, clock }) {
      const away = await mqtt(undefined, session);
      await away.client.subscribeAsync('news', reliably);
      await away.client.endAsync();
      const backend = await mqtt();
      const expiry = { ...reliably, properties: { messageExpiryInterval: 5 } };
      await backend.client.publishAsync('news', 'old', expiry);
      clock.advance(20_000);
      await backend.client.publishAsync('news', 'new', expiry);
      await (await mqtt(undefined, session)).next();
      return 1;
    },
  },
  deleted: {
    async drop({ site, server }) {
      await site.online('1');
      await site.push('2', '1', 'oops', { id: 'one' });
      await site.post('/v5/statuses', { name: '2', to: '1', show: 'deleted one' });
      await server.settled();
      return 1;
    },
  },
  notAuthorized: {
    async drop({ t, site, mqtt }) {
      const phone = await mqtt((await site.online('1')).ticket);
      for (const topic of [`/domain/${siteA.domain}/gid/closed`, user('2', siteB.domain), 'free/topic']) {
        await t.rejects(phone.client.publishAsync(topic, 'x', reliably), { code: 0x87 });
      }
      await t.rejects((await mqtt()).client.publishAsync('$SYS/broker/version', '9', reliably), { code: 0x87 });
      return 4;
    },
  },
  malformed: {
    async drop({ t, site, mqtt }) {
      const phone = await mqtt((await site.online('1')).ticket);
      for (const payload of ['{"nick":"no body"}', Buffer.from([0xff, 0xfe])]) {
        await t.rejects(phone.client.publishAsync(user('2'), payload, reliably), { code: 0x99 });
      }
      const push = (await mqtt()).client.publishAsync(user('2'), '{"body":"from nobody"}', reliably);
      await t.rejects(push, { code: 0x99 });
      return 3;
    },
  },
};

/** All drops by reason, of the whole server or of one domain. */
async function drops(server: TestServer, family: string): Promise<Record<string, number>> {
  const { text } = await exchange(server.adminPort, { path: '/metrics' }).answer;
  const counted = [...seriesOf(text)].filter(([series, count]) => series.startsWith(`${family}{`) && count > 0);
  return Object.fromEntries(counted.map(([series, count]) => [/reason="(\w+)"/.exec(series)?.[1] ?? '', count]));
}

function sumOf(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((sum, count) => sum + count, 0);
}

for (const reason of DROP_REASONS) {
  t.test(`what is dropped as ${reason} is counted as that and as nothing else`, { timeout: 300_000 }, async (t) => {
    const { settings = {}, drop } = trials[reason];
    // The first call of the webhook is refused, the second never answered.
    const webhook = await WebhookServer.start(t, (nth) => (nth === 0 ? 400 : 'hang'));
    const own = typeof settings === 'function' ? settings(webhook.url) : settings;
    const clock = new ManualClock();
    const server = await testServer(t, merge({ admin: { port: -1 }, mqtt: { port: -1 } }, own), clock);
    const dropped = () => server.metrics.total((domain) => sumOf(domain.dropped));
    const mqtt = (password: string = siteA.apikey, more: object = {}) =>
      client(t, `mqtt://127.0.0.1:${server.mqttPort}`, { username: siteA.domain, password, ...more });
    const count = await drop({ t, server, site: server.site(), clock, webhook, mqtt, dropped });
    await server.settledWhile(() => dropped() < count);
    t.strictSame(await drops(server, 'nextalk_packets_dropped_total'), { [reason]: count });
    t.strictSame(await drops(server, 'nextalk_domain_packets_dropped_total'), { [reason]: count }, 'in the domain');
  });
}
