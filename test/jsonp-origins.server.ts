import t from 'tap';
import { matchesOrigin } from '../src/protocols/origin.js';
import { openPoll, poll } from './support/polling.js';
import { siteA, siteB, type TestServer, testServer } from './support/server.js';
import { WebSocketClient } from './support/websocket.js';

const listed = 'https://shop.a.example';
const other = 'https://evil.example';

function preflight(server: TestServer, origin: string, query: Record<string, string> = {}) {
  const headers = { origin, 'access-control-request-method': 'GET' };
  return server.request({ method: 'OPTIONS', path: '/v5/packets', query, headers });
}

t.test('pages of all origins may poll unless the domain lists some', async (t) => {
  const server = await testServer(t);
  const { ticket } = await server.site().online('1');
  for (const origin of [listed, other, 'null']) {
    await server.site().push('2', '1', 'hi');
    const { headers, status } = await poll(server, ticket, { headers: { origin } }).answer;
    t.equal(status, 200);
    t.ok(['*', origin].includes(headers['access-control-allow-origin'] ?? ''), origin);
    const gone = await poll(server, 'uid:1:00', { headers: { origin } }).answer;
    t.equal(gone.status, 404);
    t.ok(['*', origin].includes(gone.headers['access-control-allow-origin'] ?? ''), `${origin} may read the 404`);
    const asked = await preflight(server, origin);
    t.equal(asked.status, 204);
    t.equal(asked.text, '');
    t.ok(['*', origin].includes(asked.headers['access-control-allow-origin'] ?? ''));
    t.match(asked.headers['access-control-allow-methods'], /\bGET\b/);
  }
});

t.test('a domain that lists origins lets pages of these alone read', async (t) => {
  const server = await testServer(t, { domains: [{ ...siteA, origins: [listed] }, siteB] });
  const { ticket } = await server.site().online('1');
  await server.site().push('2', '1', 'hi');
  const allowed = await poll(server, ticket, { headers: { origin: listed } }).answer;
  t.equal(allowed.status, 200);
  t.equal(allowed.headers['access-control-allow-origin'], listed);
  t.match(allowed.headers.vary, /\borigin\b/i, 'caches must not mix origins up');
  await server.site().push('2', '1', 'hi');
  for (const origin of [other, `${listed}.evil.example`, listed.slice(0, -1)]) {
    const refused = await poll(server, ticket, { headers: { origin } }).answer;
    t.match(refused, { status: 400, text: /origin is not allowed/ }, origin);
    const asked = await preflight(server, origin, { domain: siteA.domain });
    for (const { headers } of [refused, asked]) t.equal(headers['access-control-allow-origin'], undefined, origin);
  }
  const next = await poll(server, ticket, { headers: { origin: listed } }).answer;
  t.match(next.text, /"hi"/, 'a refused poll takes nothing');
  const { ticket: elsewhere } = await server.site(siteB).online('1');
  await server.site(siteB).push('2', '1', 'hi');
  const foreign = await poll(server, elsewhere, { domain: siteB.domain, headers: { origin: other } }).answer;
  t.ok(['*', other].includes(foreign.headers['access-control-allow-origin'] ?? ''), 'the other domain lists none');
});

t.test('a domain that lists origins refuses the sockets of other pages', async (t) => {
  const server = await testServer(t, { domains: [{ ...siteA, origins: [listed] }, siteB] });
  const { ticket } = await server.site().online('1');
  const good = await WebSocketClient.connect(server, ticket, { origin: listed });
  await server.site().push('2', '1', 'hi');
  t.hasStrict(await good.next(), { body: 'hi' });
  const bad = new WebSocketClient(server, { origin: other });
  bad.socket.on('open', () => bad.send(`subscribe ${siteA.domain} ${ticket}`));
  t.not((await bad.closed).code, 1000, 'refused at once or after it has named the domain');
  await server.site().push('2', '1', 'still here');
  t.hasStrict(await good.next(), { body: 'still here' }, 'the refused one did not replace the good one');
  const bare = await WebSocketClient.connect(server, ticket);
  await server.site().push('2', '1', 'no page at all');
  t.hasStrict(await bare.next(), { body: 'no page at all' }, 'who is no page sends no origin');
});

t.test('an origin is listed as it is, or as every host below one', async (t) => {
  const any = 'https://*.example.com';
  const rows: readonly (readonly [listed: string, origin: string, matches: boolean])[] = [
    ['https://example.com', 'https://example.com', true],
    ['https://example.com', 'http://example.com', false],
    ['https://example.com', 'https://a.example.com', false],
    [any, 'https://a.example.com', true],
    [any, 'https://a.b.example.com', true],
    [any, 'https://example.com', false],
    [any, 'https://.example.com', false],
    [any, 'http://a.example.com', false],
    [any, 'https://a.example.com:8443', false],
    [any, 'https://aexample.com', false],
    [any, 'https://a.example.com.evil.example', false],
    [any, 'https://evil.example/.example.com', false],
    [any, 'null', false],
    ['https://*.example.com:8443', 'https://a.example.com:8443', true],
    ['null', 'null', true],
  ];
  for (const [listed, origin, matches] of rows) t.equal(matchesOrigin(listed, origin), matches, `${listed} ${origin}`);
});

t.test('pages of apps and of every host below a domain connect by poll and socket', async (t) => {
  const origins = ['https://*.a.example', 'capacitor://localhost', 'tauri://localhost', 'file://', 'null'];
  const server = await testServer(t, { domains: [{ ...siteA, origins }, siteB] });
  const { ticket } = await server.site().online('1');
  // The sockets have a user of their own: what is pushed would go to the socket, and the next poll would wait in vain.
  const { ticket: socketTicket } = await server.site().online('9');
  for (const origin of ['https://shop.a.example', ...origins.slice(1)]) {
    const asked = await preflight(server, origin, { domain: siteA.domain });
    const gone = await poll(server, 'uid:1:00', { headers: { origin } }).answer;
    await server.site().push('2', '1', 'hi');
    const got = await poll(server, ticket, { headers: { origin } }).answer;
    for (const { headers } of [asked, gone, got]) {
      t.equal(headers['access-control-allow-origin'], origin);
      t.equal(headers['access-control-allow-credentials'], 'true', 'cookies may be sent along');
      t.not(headers['access-control-allow-headers'], '*', 'which a browser does not accept with cookies');
    }
    await WebSocketClient.connect(server, socketTicket, { origin });
  }
  for (const origin of ['https://a.example', 'capacitor://evil', other]) {
    t.match(await poll(server, ticket, { headers: { origin } }).answer, { status: 400, text: /origin is not allowed/ });
  }
});

t.test('a preflight that asks for more headers than any page sets is told of none', async (t) => {
  const server = await testServer(t);
  const ask = (asked: string) =>
    server.request({ method: 'OPTIONS', path: '/v5/packets', headers: { 'access-control-request-headers': asked } });
  t.equal((await ask('x-one, x-two')).headers['access-control-allow-headers'], 'x-one, x-two');
  t.match(await ask('x'.repeat(2000)), { status: 204, headers: { 'access-control-allow-headers': undefined } });
});

t.test(
  'a page of another origin may read how long a connection that is refused for its address is to wait',
  async (t) => {
    const server = await testServer(t, { limits: { connectionsPerAddress: 1 } });
    const { ticket } = await server.site().online('1');
    await openPoll(server, ticket);
    for (const path of ['/v5/packets', '/v5/events']) {
      const query = { domain: siteA.domain, ticket };
      const { status, headers } = await server.request({ path, query, headers: { origin: other } });
      t.equal(status, 429, path);
      t.match(headers, {
        'retry-after': /^\d+$/,
        'access-control-allow-origin': '*',
        'access-control-expose-headers': 'Retry-After',
      });
    }
  },
);
