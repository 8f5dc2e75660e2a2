/** Rules of docs/security.md that no other test has for its subject, and every refusal under its reason. */
import t from 'tap';
import type { RefusalReason } from '../src/metrics.js';
import { client } from './mqtt/support/clients.js';
import { ManualClock } from './mqtt/support/clock.js';
import { upgradeHeaders } from './support/hostile.js';
import { type Answer, exchange, type HttpRequest } from './support/http.js';
import { poll } from './support/polling.js';
import { RawSocket, requestText } from './support/raw.js';
import { siteA, siteB, type TestServer, testServer } from './support/server.js';
import { tlsFiles } from './support/tls.js';
import { WebSocketClient } from './support/websocket.js';

const listed = 'https://a.example';
const other = 'https://evil.example';
const domains = [{ ...siteA, origins: [listed] }, siteB];

t.test('a WebSocket of a page elsewhere is refused, ticket or not', async (t) => {
  const server = await testServer(t, { domains });
  const { ticket } = await server.site().online('1');
  const foreign = await WebSocketClient.open(server, { origin: other });
  foreign.send(`subscribe ${siteA.domain} ${ticket}`);
  t.match(await foreign.text(), /"bad request","detail":"origin is not allowed"/);
  t.equal((await foreign.closed).code, 4400);
  await WebSocketClient.connect(server, ticket, { origin: listed });
  await WebSocketClient.connect(server, ticket);
  const elsewhere = await server.site(siteB).online('1');
  await WebSocketClient.connect(server, elsewhere.ticket, { origin: other, domain: siteB.domain });
});

t.test('MQTT over WebSocket of a page elsewhere is refused, with ticket or key', async (t) => {
  const server = await testServer(t, { domains });
  const { ticket } = await server.site().online('1');
  const connect = (origin: string, password: string, username = siteA.domain) =>
    client(t, `ws://${server.host}/mqtt`, { username, password, wsOptions: { headers: { origin } } });
  for (const password of [ticket, siteA.apikey]) {
    await t.rejects(connect(other, password), { code: 0x87 });
    await connect(listed, password);
  }
  await connect(other, siteB.apikey, siteB.domain);
  t.equal(server.metrics.refused.authenticationFailed, 2);
});

t.test('REST does not accept a ticket in place of an API key', async (t) => {
  const server = await testServer(t);
  const { ticket } = await server.site().online('1');
  const { domain } = siteA;
  const [path, query] = ['/v5/presences', { ids: '1' }];
  t.equal((await server.request({ path, query, auth: { domain, apikey: ticket } })).status, 401);
  t.equal((await server.request({ path, query: { ...query, domain, apikey: ticket } })).status, 401);
  t.equal((await server.request({ path, query: { ...query, domain, ticket } })).status, 401);
});

t.test('every answer tells the browser not to guess its type nor to keep it, and names no software', async (t) => {
  const server = await testServer(t, { limits: { connectionsPerAddress: 1, bodyBytes: 100 } });
  const { ticket } = await server.site().online('1');
  await server.site().arrive('2');
  const [auth, path] = [siteA, '/v5/messages'];
  const form = { from: '1', to: '2', body: 'x' };
  const upgrade = { connection: 'Upgrade', upgrade: 'websocket', 'sec-websocket-key': 'AAAAAAAAAAAAAAAAAAAAAA==' };
  const wanted: readonly (readonly [status: number, request: HttpRequest])[] = [
    [200, { path, method: 'POST', form, auth }],
    [400, { path, method: 'POST', form: {}, auth }],
    [401, { path, method: 'POST', form }],
    [404, { path: '/nothing' }],
    [405, { path }],
    [413, { path, method: 'POST', form: { body: 'x'.repeat(101) }, auth }],
    [415, { path, method: 'POST', body: 'x', type: 'text/plain', auth }],
    [400, { path: '/v5/packets' }],
    [404, { path: '/v5/packets', query: { domain: siteA.domain, ticket: 'uid:1:00', callback: 'f' } }],
    [429, { path: '/v5/packets', query: { domain: siteA.domain, ticket } }],
    [429, { path: '/v5/wsocket', headers: { ...upgrade, 'sec-websocket-version': '13' } }],
    [400, { path: '/mqtt', headers: { ...upgrade, 'sec-websocket-version': '13' } }],
  ];
  const answers: Answer[] = [];
  for (const [status, request] of wanted) {
    const answer = await server.request(request);
    t.equal(answer.status, status, `${request.path}: ${answer.text}`);
    answers.push(answer);
  }
  for (const { status, headers } of answers) {
    t.match(headers, { 'x-content-type-options': 'nosniff', 'cache-control': 'no-store' }, `${status}`);
    for (const name of ['server', 'x-powered-by', 'uwebsockets']) t.equal(headers[name], undefined, name);
    t.match(headers['content-type'], /; charset=utf-8$/);
  }
  const rest = answers.slice(0, 7).map(({ headers }) => headers['access-control-allow-origin']);
  const preflight = { origin: 'https://evil.example', 'access-control-request-method': 'POST' };
  const asked = await server.request({ method: 'OPTIONS', path: '/v5/messages', headers: preflight });
  rest.push(asked.headers['access-control-allow-origin']);
  t.strictSame(new Set(rest), new Set([undefined]), 'the API of backends is not for pages');
});

t.test('an MQTT connection that sends nothing is closed after ten seconds', async (t) => {
  const clock = new ManualClock();
  const server = await testServer(t, { mqtt: { port: -1 } }, clock);
  const silent = new RawSocket(server.mqttPort);
  server.own(silent);
  const upgraded = await RawSocket.open(server);
  upgraded.write(requestText('GET /mqtt', [...upgradeHeaders, 'Sec-WebSocket-Protocol: mqtt']));
  await upgraded.answer();
  await client(t, `mqtt://127.0.0.1:${server.mqttPort}`);
  clock.advance(10_000);
  await Promise.all([silent.closed, upgraded.closed]);
  t.equal(server.metrics.refused.connectTimeout, 2);
});

t.test('each transport counts what it refuses', async (t) => {
  const server = await testServer(t, { mqtt: { port: -1 } });
  const { refused } = server.metrics;
  for (const text of ['hello', `subscribe ${siteA.domain}`]) {
    const before = refused.badRequest;
    const socket = await WebSocketClient.open(server);
    socket.send(text);
    t.equal((await socket.closed).code, 4400);
    t.equal(refused.badRequest, before + 1, text);
  }
  for (const text of [`subscribe ${siteA.domain} uid:1:00`, 'subscribe nowhere.example uid:1:00']) {
    const before = refused.ticketNotFound;
    const socket = await WebSocketClient.open(server);
    socket.send(text);
    t.equal((await socket.closed).code, 4404);
    t.equal(refused.ticketNotFound, before + 1, text);
  }
  const raw = await RawSocket.open(server);
  raw.write(requestText('GET /mqtt', upgradeHeaders));
  t.equal((await raw.answer()).status, 400);
  t.equal(refused.badRequest, 3, 'no subprotocol');
  await poll(server, 'uid:1:00').answer;
  t.equal(refused.ticketNotFound, 3, 'a poll');
});

/** Refusals that only another configuration can cause. */
/** Counted by test/domains/bans.server.ts. */
type ReasonElsewhere = 'banned' | 'flapping';
type FurtherReason = 'unavailable' | 'quotaExceeded' | 'handshakeFailed' | 'outOfMemory';

async function refusals(server: TestServer): Promise<Record<string, string>> {
  const { text } = await exchange(server.adminPort, { path: '/metrics' }).answer;
  const counted = text.matchAll(/^nextalk_refusals_total\{reason="(\w+)"\} (\d+)$/gm);
  return Object.fromEntries([...counted].map(([, name, count]) => [name, count]));
}

t.test('refusals are counted under their reasons, for the operator to see', async (t) => {
  const clock = new ManualClock();
  const limits = { bodyBytes: 1000, connectionsPerAddress: 3, requestsPerSecond: 20, messagesPerSecond: 1 };
  const lockout = { failures: 2, firstMs: 60_000 };
  const server = await testServer(t, { limits, lockout, mqtt: { port: -1 }, admin: { port: -1 } }, clock);
  const [path, auth, mqtt] = ['/v5/messages', siteB, `mqtt://127.0.0.1:${server.mqttPort}`];
  await server.request({ path, method: 'POST', form: {}, auth });
  for (let n = 0; n < 3; n++) await server.request({ path, method: 'POST', form: {}, auth: { ...siteA, apikey: 'x' } });
  await server.request({ path: '/nothing' });
  await server.request({ path });
  await server.request({ path, method: 'POST', body: 'x'.repeat(1001), auth });
  await server.request({ path, method: 'POST', body: 'x', type: 'text/plain', auth });
  await poll(server, 'uid:1:00').answer;
  await t.rejects(client(t, mqtt), { code: 0x9f });
  const { ticket } = await server.site(siteB).online('1');
  const phone = await client(t, mqtt, { username: siteB.domain, password: ticket });
  const say = () => phone.client.publishAsync(`/domain/${siteB.domain}/uid/2`, 'x', { qos: 1 });
  for (let n = 0; n < 2; n++) await say();
  await t.rejects(say(), { code: 0x97 });
  const broken = await WebSocketClient.open(server);
  broken.send(Buffer.from('binary'));
  await broken.closed;
  const late = await WebSocketClient.open(server);
  const silent = new RawSocket(server.mqttPort);
  server.own(silent);
  await new Promise((resolve) => silent.socket.once('connect', resolve));
  await t.rejects(client(t, mqtt), 'one connection too many');
  clock.advance(10_000);
  await Promise.all([silent.closed, late.closed]);
  for (let n = 0; n < 25; n++) await server.request({ path: '/v5/presences', query: { ids: '1' }, auth });
  const reasons: Readonly<Record<Exclude<RefusalReason, FurtherReason | ReasonElsewhere>, string>> = {
    badRequest: '1',
    authenticationFailed: '2',
    lockedOut: '2',
    notFound: '1',
    methodNotAllowed: '1',
    payloadTooLarge: '1',
    unsupportedMediaType: '1',
    ticketNotFound: '1',
    malformed: '1',
    tooManyConnections: '1',
    connectTimeout: '1',
    subscribeTimeout: '1',
    tooManyRequests: '5',
  };
  t.match(await refusals(server), reasons);
});

t.test('refusals of full limits and failed TLS handshakes are counted under their reasons', async (t) => {
  const limits = { endpointsPerDomain: 1, subscriptionsPerSession: 1 };
  const admin = { port: -1 };
  const server = await testServer(t, { admin, mqtt: { port: -1 }, limits });
  await server.site().online('1');
  t.equal((await server.site().post('/v5/presences/online', { name: '2', nick: 'Two' })).status, 503);
  const backend = await client(t, `mqtt://127.0.0.1:${server.mqttPort}`);
  await backend.client.subscribeAsync('a');
  await t.rejects(backend.client.subscribeAsync('b'));
  const secure = await testServer(t, { admin, mqtt: { tlsPort: -1 }, tls: tlsFiles(t) });
  const stranger = new RawSocket(secure.mqttTlsPort);
  secure.own(stranger);
  stranger.write('this is no TLS');
  await stranger.closed;
  const full = await testServer(t, { admin, limits: { bytesPerDomain: 3000 } });
  await full.site().online('1');
  t.match(await full.site().post('/v5/presences/online', { name: '2', nick: 'Two' }), { status: 503 });
  const counted = {
    ...(await refusals(server)),
    handshakeFailed: (await refusals(secure)).handshakeFailed,
    outOfMemory: (await refusals(full)).outOfMemory,
  };
  const reasons: Readonly<Record<FurtherReason, string>> = {
    unavailable: '1',
    quotaExceeded: '1',
    handshakeFailed: '1',
    outOfMemory: '1',
  };
  t.match(counted, reasons);
});
