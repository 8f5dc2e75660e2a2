/** Webhooks on the admin port: what waits, what the site answered last, and a test event. */
import t from 'tap';
import { exchange } from './support/http.js';
import { type Settings, siteA, siteB, type TestServer, testServer } from './support/server.js';
import { until } from './support/until.js';
import { WebhookServer } from './support/webhook.js';

interface Row {
  readonly domain: string;
  readonly of: string;
  readonly waiting: number;
  readonly lastStatus: number | null;
}

function admin(server: TestServer, path: string, method = 'GET') {
  return exchange(server.adminPort, { method, path }).answer;
}

async function rows(server: TestServer): Promise<Row[]> {
  return ((await admin(server, '/api/webhooks')).body as { webhooks: Row[] }).webhooks;
}

function settings(events: unknown, webhook: string): Settings {
  const domain = { ...siteA, webhookPrivate: true, events, services: { bot: { webhook } } };
  return { admin: { port: -1 }, domains: [domain, siteB] };
}

t.test('each webhook is listed with what waits for it and the status of its last answer', async (t) => {
  const good = await WebhookServer.start(t);
  const bad = await WebhookServer.start(t, () => 503);
  const server = await testServer(t, settings({ url: good.url, kinds: ['message'] }, bad.url));
  t.match(await rows(server), [
    { domain: siteA.domain, of: 'events', waiting: 0, oldest: null, lastStatus: null, lastAt: null },
    { domain: siteA.domain, of: 'sid:bot', waiting: 0, lastStatus: null },
  ]);
  await server.site().push('anna', 'sid:bot', 'a secret');
  await Promise.all([good.next(), bad.next()]);
  const found = await until('an answer of both', async () => {
    const found = await rows(server);
    return found.every(({ lastStatus }) => lastStatus !== null) && found;
  });
  const of = (name: string) => found.find((row) => row.of === name);
  t.match(of('events'), { waiting: 0, lastStatus: 200, oldest: null });
  t.match(of('sid:bot'), { waiting: 1, lastStatus: 503, oldest: Number });
  t.notMatch(JSON.stringify(found), /secret|127\.0\.0\.1/);
});

t.test('a test event goes the way of all events, whatever kinds are told', async (t) => {
  const hook = await WebhookServer.start(t);
  const server = await testServer(t, settings({ url: hook.url, kinds: ['offline'] }, hook.url));
  const path = (domain: string) => `/api/domains/${domain}/events/test`;
  t.strictSame((await admin(server, path(siteA.domain), 'POST')).body, { status: 'ok' });
  t.match((await hook.next()).body, { domain: siteA.domain, events: [{ kind: 'test', id: /./, time: Number }] });
  t.equal((await admin(server, path(siteB.domain), 'POST')).status, 409);
  t.equal((await admin(server, path('nowhere'), 'POST')).status, 404);
});
