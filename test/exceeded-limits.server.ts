/** Each limit of a domain counts what it refuses, or what has to go for it, under its name: `nextalk_domain_limited_total`. */
import t from 'tap';
import { client } from './mqtt/support/clients.js';
import { exchange } from './support/http.js';
import { seriesOf } from './support/prometheus.js';
import { type Cleaner, siteA, siteB, type TestServer, testServer } from './support/server.js';
import { WebhookServer } from './support/webhook.js';

const LONG = 'x'.repeat(300);

function publisher(t: Cleaner, server: TestServer, options = {}) {
  return client(t, `mqtt://127.0.0.1:${server.mqttPort}`, options);
}

async function retain(t: Cleaner, server: TestServer): Promise<void> {
  const { client } = await publisher(t, server);
  for (const topic of ['a', 'b', 'c']) await client.publishAsync(topic, LONG, { retain: true, qos: 1 });
}

/** A session that keeps what comes while its client is away. */
async function sessionFills(t: Cleaner, server: TestServer): Promise<void> {
  const options = { clientId: 'away', clean: false, properties: { sessionExpiryInterval: 60 } };
  const reader = await publisher(t, server, options);
  await reader.client.subscribeAsync('t', { qos: 1 });
  await reader.client.endAsync();
  const { client } = await publisher(t, server);
  for (let n = 0; n < 3; n++) await client.publishAsync('t', LONG, { qos: 1 });
}

/** Somebody online who does not poll. */
async function queueFills(_t: Cleaner, server: TestServer): Promise<void> {
  const site = server.site();
  const { ticket } = await site.online('reader');
  await site.arrive('other');
  await site.show(ticket, 'away');
  for (let n = 0; n < 3; n++) await site.push('sender', 'reader', LONG);
}

async function mailboxFills(_t: Cleaner, server: TestServer): Promise<void> {
  for (let n = 0; n < 3; n++) await server.site().push('sender', 'nobody', LONG);
}

async function webhookFills(_t: Cleaner, server: TestServer): Promise<void> {
  for (let n = 0; n < 4; n++) await server.site().push('sender', 'sid:hook', LONG);
}

async function send(_t: Cleaner, server: TestServer, fields: object): Promise<void> {
  await server.site().post('/v5/messages', { from: '1', to: '2', body: 'hi', ...fields });
}

interface Row {
  readonly title: string;
  readonly limits: Readonly<Record<string, number>>;
  readonly fill: (t: Cleaner, server: TestServer) => Promise<void>;
  /** What it has counted at least. */
  readonly counted: Readonly<Record<string, number>>;
}

const rows: readonly Row[] = [
  { title: 'retained publications', limits: { retainedPerDomain: 2 }, fill: retain, counted: { retainedPerDomain: 1 } },
  { title: 'bytes of them', limits: { retainedBytes: 1500 }, fill: retain, counted: { retainedBytes: 1 } },
  { title: 'packets of a queue', limits: { queuePackets: 2 }, fill: queueFills, counted: { queuePackets: 2 } },
  { title: 'bytes of a queue', limits: { queueBytes: 1000 }, fill: queueFills, counted: { queueBytes: 2 } },
  { title: 'publications of a session', limits: { queuePackets: 2 }, fill: sessionFills, counted: { queuePackets: 1 } },
  { title: 'bytes of a session', limits: { queueBytes: 800 }, fill: sessionFills, counted: { queueBytes: 1 } },
  { title: 'messages of a mailbox', limits: { queuePackets: 2 }, fill: mailboxFills, counted: { queuePackets: 1 } },
  { title: 'bytes of a mailbox', limits: { queueBytes: 1000 }, fill: mailboxFills, counted: { queueBytes: 1 } },
  {
    title: 'bytes of offline messages',
    limits: { offlineBytes: 1000 },
    fill: mailboxFills,
    counted: { offlineBytes: 1 },
  },
  { title: 'messages to a webhook', limits: { queuePackets: 2 }, fill: webhookFills, counted: { queuePackets: 1 } },
  {
    title: 'memory of the domain',
    limits: { bytesPerDomain: 20_000 },
    fill: async (t, server) => {
      const { client } = await publisher(t, server);
      await client.publishAsync('t', 'x'.repeat(30_000), { retain: true });
      await client.publishAsync('t', 'x'.repeat(30_000), { qos: 1 }).catch(() => undefined);
    },
    counted: { bytesPerDomain: 2 },
  },
  {
    title: 'events that wait',
    limits: { eventsBytes: 100 },
    fill: async (_t, server) => {
      for (let n = 0; n < 5; n++) await server.site().online(`${n}`);
    },
    counted: { eventsBytes: 5 },
  },
  {
    title: 'ids that are remembered',
    limits: { idsPerDomain: 1 },
    fill: async (t, server) => {
      for (const id of ['a', 'b', 'c']) await send(t, server, { id });
    },
    counted: { idsPerDomain: 2 },
  },
  {
    title: 'a body',
    limits: { messageBytes: 100 },
    fill: async (t, server) => {
      await send(t, server, { body: LONG });
      await send(t, server, { data: JSON.stringify(LONG) });
      const { client } = await publisher(t, server);
      const payload = JSON.stringify({ from: '1', body: LONG });
      await client.publishAsync(`/domain/${siteA.domain}/uid/2`, payload, { qos: 1 }).catch(() => undefined);
    },
    counted: { messageBytes: 3 },
  },
  {
    title: 'messages of a batch',
    limits: { batchMessages: 1 },
    fill: async (_t, server) => {
      const message = { from: '1', to: '2', body: 'hi' };
      const body = JSON.stringify({ messages: [message, message] });
      await server.site().send({ method: 'POST', path: '/v5/messages/batch', body, type: 'application/json' });
    },
    counted: { batchMessages: 1 },
  },
];

for (const { title, limits, fill, counted } of rows) {
  t.test(
    `what is beyond ${Object.keys(limits).join()} (${title}) is counted by that name, for its domain alone`,
    async (t) => {
      const hook = await WebhookServer.start(t, () => 'hang');
      const domain = { ...siteA, limits, offline: true, webhookPrivate: true };
      const server = await testServer(t, {
        domains: [
          { ...domain, services: { hook: { webhook: hook.url } }, events: { url: hook.url, kinds: ['online'] } },
          siteB,
        ],
        data: t.testdir(),
        mqtt: { port: -1 },
        admin: { port: -1 },
      });
      await fill(t, server);
      await server.settled();
      const series = seriesOf((await exchange(server.adminPort, { path: '/metrics' }).answer).text);
      const found = [...series].filter(([name]) => name.startsWith('nextalk_domain_limited_total'));
      t.strictSame(
        Object.fromEntries(found),
        Object.fromEntries(
          Object.entries(counted).map(([limit, count]) => [
            `nextalk_domain_limited_total{domain="${siteA.domain}",limit="${limit}"}`,
            count,
          ]),
        ),
      );
    },
  );
}
