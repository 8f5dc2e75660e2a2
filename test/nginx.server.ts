/** deploy/nginx.conf in a real nginx, in front of a server that trusts it. */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect as connectHttp2 } from 'node:http2';
import { type RequestOptions, request } from 'node:https';
import { type AddressInfo, connect as connectPlain, createServer } from 'node:net';
import { join } from 'node:path';
import { text as textOf } from 'node:stream/consumers';
import { connect } from 'node:tls';
import mqtt from 'mqtt';
import t from 'tap';
import { WebSocket } from 'ws';
import { skipWithoutNginx, startNginx } from './support/nginx.js';
import { freePort } from './support/ports.js';
import { type Cleaner, type Settings, siteA, type TestServer, testServer } from './support/server.js';
import { first, tlsFiles } from './support/tls.js';
import { until } from './support/until.js';

const skip = skipWithoutNginx;
const ca = first.cert;

interface Front {
  readonly server: TestServer;
  readonly port: number;
  readonly plainPort: number;
  /** What nginx has logged of requests. */
  log(): string;
}

/** deploy/nginx.conf as it stands, but for addresses, ports and certificate. */
function example(upstream: string, port: number, plainPort: number, files: { cert: string; key: string }): string {
  return readFileSync(join(import.meta.dirname, '../deploy/nginx.conf'), 'utf8')
    .replace('listen 443 ssl', `listen 127.0.0.1:${port} ssl`)
    .replace('listen 80;', `listen 127.0.0.1:${plainPort};`)
    .replace('127.0.0.1:8080', upstream)
    .replace(/\/etc\/letsencrypt\S+fullchain\.pem/, files.cert)
    .replace(/\/etc\/letsencrypt\S+privkey\.pem/, files.key);
}

/** Starts nginx in front of a server; `between` answers the address at which nginx finds that server. */
async function behindNginx(
  t: Cleaner,
  settings: Settings = {},
  between: (server: TestServer) => Promise<string> | string = ({ host }) => host,
): Promise<Front> {
  const server = await testServer(t, { trustProxy: true, ...settings });
  const upstream = await between(server);
  const [port, plainPort] = [await freePort(), await freePort()];
  const { log } = await startNginx(t, example(upstream, port, plainPort, tlsFiles(t)));
  return { server, port, plainPort, log };
}

interface Call extends RequestOptions {
  readonly form?: Readonly<Record<string, string>>;
}

async function call({ port }: Front, path: string, { form, ...options }: Call = {}) {
  const body = form && new URLSearchParams(form).toString();
  const auth = `${siteA.domain}:${siteA.apikey}`;
  const host = { host: '127.0.0.1', servername: 'localhost', ca, agent: false } as const;
  const sending = request({ ...host, port, path, auth, method: body === undefined ? 'GET' : 'POST', ...options });
  sending.end(body);
  const [response] = await once(sending, 'response');
  return { status: Number(response.statusCode), text: await textOf(response), headers: response.headers };
}

t.test('nginx carries REST, long polls, WebSockets and MQTT as the example has it', { skip }, async (t) => {
  const front = await behindNginx(t);
  const form = { name: '1', nick: 'One' };
  const answer = await call(front, '/v5/presences/online', { form, headers: { host: 'im.example.com:444' } });
  const online = JSON.parse(answer.text);
  t.match(online, {
    server: 'https://im.example.com:444/v5/packets',
    websocket: 'wss://im.example.com:444/v5/wsocket',
  });

  const poll = call(front, `/v5/packets?domain=${siteA.domain}&ticket=${encodeURIComponent(online.ticket)}&callback=f`);
  await call(front, '/v5/messages', { form: { from: '2', to: '1', body: 'by poll' } });
  t.match((await poll).text, /^\/\*\*\/f\(.*"by poll"/);

  const socket = new WebSocket(`wss://127.0.0.1:${front.port}/v5/wsocket`, { ca });
  t.teardown(() => socket.terminate());
  await once(socket, 'open');
  socket.send(`subscribe ${siteA.domain} ${online.ticket}`);
  t.equal(String((await once(socket, 'message'))[0]), '{"status":"ok"}');
  const frame = once(socket, 'message');
  await call(front, '/v5/messages', { form: { from: '2', to: '1', body: 'by socket' } });
  t.match(String((await frame)[0]), /by socket/);

  const backend = { username: siteA.domain, password: siteA.apikey, reconnectPeriod: 0, ca };
  const site = await mqtt.connectAsync(`wss://127.0.0.1:${front.port}/mqtt`, backend);
  await site.publishAsync('t', 'x'.repeat(50_000), { qos: 1 });
  await site.endAsync();

  const ids = Array.from({ length: 1500 }, (_, n) => `user-${n}`).join();
  t.equal((await call(front, `/v5/presences?ids=${ids}`)).text, '{}', 'a GET of 15 KB');
  t.match(front.log(), /POST \/v5\/messages /);
  t.notMatch(front.log(), /packets|ticket/, 'polls, whose addresses hold tickets, are not logged');
  const large = await call(front, '/v5/messages', { form: { body: 'x'.repeat(100_000) } });
  t.equal(large.status, 413);
});

t.test('nginx speaks HTTP/1.0 for those who do, and sends plain HTTP to TLS', { skip }, async (t) => {
  const front = await behindNginx(t);
  const socket = connect({ port: front.port, host: '127.0.0.1', servername: 'localhost', ca });
  const basic = Buffer.from(`${siteA.domain}:${siteA.apikey}`).toString('base64');
  socket.write(`GET /v5/presences?ids=1 HTTP/1.0\r\nAuthorization: Basic ${basic}\r\n\r\n`);
  let text = '';
  for await (const chunk of socket) text += chunk;
  t.match(text, /^HTTP\/1\.1 200 [\s\S]*\r\n\r\n\{\}$/);
  t.notMatch(text, /nginx\/|uWebSockets/, 'and no version is told');
  const plain = await fetch(`http://127.0.0.1:${front.plainPort}/chat?room=1`, { redirect: 'manual' });
  t.strictSame([plain.status, plain.headers.get('location')], [308, 'https://127.0.0.1/chat?room=1']);
});

t.test('a plugin that speaks plain http only is answered, not redirected', { skip }, async (t) => {
  const { plainPort, log } = await behindNginx(t);
  const answer = await fetch(`http://127.0.0.1:${plainPort}/v5/presences/online`, {
    method: 'POST',
    redirect: 'manual',
    headers: { authorization: `Basic ${Buffer.from(`${siteA.domain}:${siteA.apikey}`).toString('base64')}` },
    body: new URLSearchParams({ name: '1', nick: 'One' }),
  });
  t.equal(answer.status, 200);
  const { ticket, server } = (await answer.json()) as { ticket: string; server: string };
  t.equal(server, `http://127.0.0.1:${plainPort}/v5/packets`, 'with the port that it has called');
  const wrong = await fetch(`http://127.0.0.1:${plainPort}/v5/packets?domain=x&ticket=${ticket}&callback=f`);
  t.equal(wrong.status, 404);
  t.notMatch(log(), /packets|ticket/, 'polls without TLS are not logged either');
});

t.test('ten tabs of one browser poll at once, over one connection of HTTP/2', { skip }, async (t) => {
  const front = await behindNginx(t);
  const session = connectHttp2(`https://127.0.0.1:${front.port}`, { ca, servername: 'localhost' });
  t.teardown(() => session.close());
  const tabs = await Promise.all(Array.from({ length: 10 }, (_, n) => front.server.site().online(`tab-${n}`)));
  const polls = tabs.map(({ ticket }) => {
    const query = new URLSearchParams({ domain: siteA.domain, ticket, callback: 'f' });
    return textOf(session.request({ ':path': `/v5/packets?${query}` }));
  });
  await until('ten polls', () => front.server.metrics.connections.jsonp >= 10);
  for (let n = 0; n < 10; n++)
    await call(front, '/v5/messages', { form: { from: 'x', to: `tab-${n}`, body: 'to all' } });
  for (const text of await Promise.all(polls)) t.match(text, /"to all"/);
});

t.test('nginx, not the server, ends a connection between them that is still', { skip }, async (t) => {
  let ended: ((who: string) => void) | undefined;
  const who = new Promise<string>((resolve) => {
    ended = resolve;
  });
  const front = await behindNginx(t, {}, async ({ port }) => {
    const relay = createServer((near) => {
      const far = connectPlain(port, '127.0.0.1');
      near.on('error', () => undefined).once('end', () => ended?.('nginx'));
      far.on('error', () => undefined).once('end', () => ended?.('the server'));
      near.pipe(far).pipe(near);
    });
    relay.listen(0, '127.0.0.1');
    await once(relay, 'listening');
    t.teardown(() => relay.close());
    return `127.0.0.1:${(relay.address() as AddressInfo).port}`;
  });
  const answer = await call(front, '/v5/presences/online', { form: { name: '1', nick: 'One' } });
  t.equal(answer.status, 200);
  t.equal(await who, 'nginx');
});

t.test('every answer says for how long its connection certainly stays open', async (t) => {
  const server = await testServer(t);
  const query = new URLSearchParams({ domain: siteA.domain, ticket: 'uid:x:1' });
  for (const [method, path] of [
    ['GET', '/v5/presences?ids=1'],
    ['GET', '/v5/nothing'],
    ['GET', `/v5/packets?${query}`],
    ['OPTIONS', `/v5/packets?${query}`],
    ['GET', '/v5/docs'],
    ['OPTIONS', '/v5/docs'],
  ] as const) {
    const { headers } = await server.request({ method, path });
    t.equal(headers['keep-alive'], 'timeout=5', `${method} ${path}`);
  }
});

t.test('the server counts the addresses that nginx sees, not those that clients claim', { skip }, async (t) => {
  const front = await behindNginx(t, { lockout: { failures: 1, firstMs: 60_000, longestMs: 60_000 } });
  const wrong = { auth: `${siteA.domain}:wrong`, localAddress: '127.0.0.2' };
  t.equal((await call(front, '/v5/presences?ids=1', wrong)).status, 401);
  for (const claimed of ['127.0.0.1', '192.0.2.1, 192.0.2.2']) {
    const headers = { 'x-forwarded-for': claimed };
    const locked = await call(front, '/v5/presences?ids=1', { localAddress: '127.0.0.2', headers });
    t.equal(locked.status, 429, claimed);
  }
  t.equal((await call(front, '/v5/presences?ids=1')).status, 200, 'another client is not held up');
});
