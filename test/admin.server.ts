import { once } from 'node:events';
import http from 'node:http';
import t from 'tap';
import { Auth } from '../src/admin/auth.js';
import { askAdmin } from './support/admin.js';
import { constantTimeComparisons } from './support/constant-time.js';
import { exchange } from './support/http.js';
import { nextalk } from './support/process.js';
import { parseMetrics } from './support/prometheus.js';
import { RawSocket, requestText } from './support/raw.js';
import { type TestServer, testServer } from './support/server.js';

const token = 'open sesame';
const open = { admin: { port: -1 } };
const closed = { admin: { port: -1, token } };

function ask(server: TestServer, path: string, headers: http.OutgoingHttpHeaders = {}, method = 'GET') {
  return askAdmin(server, path, headers, method);
}

t.test('/api/stats has the numbers of /metrics, under the same names', async (t) => {
  const server = await testServer(t, open);
  await server.site().arrive('1');
  const families = parseMetrics((await ask(server, '/metrics')).text);
  const { node, metrics } = (await ask(server, '/api/stats')).body as {
    node: object;
    metrics: Record<string, { labels: object; value?: number; count?: number }[]>;
  };
  t.strictSame(Object.keys(metrics), [...families.keys()]);
  t.match(node, { version: String, pid: process.pid, ready: true });
  t.strictSame(metrics.nextalk_endpoints_online, [{ labels: {}, value: 1 }]);
  t.match(metrics.nextalk_http_request_duration_seconds, [{ labels: { route: 'online' }, count: 1 }]);
});

t.test('without a token, a request must name loopback as its host', async (t) => {
  const server = await testServer(t, open);
  const port = server.adminPort;
  for (const host of [`127.0.0.1:${port}`, `localhost:${port}`, `[::1]:${port}`, 'localhost']) {
    t.equal((await ask(server, '/metrics', { host })).status, 200, host);
  }
  for (const host of ['evil.example', `evil.example:${port}`, '127.0.0.1.evil.example', 'localhost.evil.example']) {
    t.equal((await ask(server, '/metrics', { host })).status, 403, host);
    t.equal((await ask(server, '/healthz', { host })).status, 200, 'health is everybody’s');
  }
});

t.test('another page cannot make a browser change anything', async (t) => {
  const server = await testServer(t, open);
  const own = `http://127.0.0.1:${server.adminPort}`;
  const post = (headers: http.OutgoingHttpHeaders) => ask(server, '/nothing', headers, 'POST');
  t.equal((await post({ origin: 'https://evil.example' })).status, 403);
  t.equal((await post({ origin: 'null' })).status, 403);
  t.equal((await post({ 'sec-fetch-site': 'cross-site' })).status, 403);
  t.equal((await post({ origin: own, 'sec-fetch-site': 'same-origin' })).status, 404);
  t.equal((await post({})).status, 404, 'a program names no page');
});

t.test('with a token configured only who shows it gets in; health needs none', async (t) => {
  const server = await testServer(t, closed);
  for (const path of ['/metrics', '/api/stats', '/nothing']) {
    const answer = await ask(server, path);
    t.equal(answer.status, 401, path);
    t.equal(answer.headers['www-authenticate'], 'Bearer realm="nextalk"');
    t.notMatch(answer.text, 'nextalk_');
  }
  t.equal((await ask(server, '/healthz')).status, 200);
  t.equal((await ask(server, '/readyz')).status, 200);
  t.equal((await ask(server, '/metrics', { authorization: `Bearer ${token}` })).status, 200);
  t.equal((await ask(server, '/metrics', { authorization: `Bearer ${token}x` })).status, 401);
  t.equal((await ask(server, '/metrics', { authorization: 'Bearer ' })).status, 401);
  t.equal(
    (
      await ask(server, '/metrics', {
        cookie: `nextalk-admin-${server.adminPort}=9999999999.${'0'.repeat(32)}.${'0'.repeat(64)}`,
      })
    ).status,
    401,
  );
});

t.test('every answer of the admin port carries the headers that restrict a browser', async (t) => {
  const server = await testServer(t, open);
  for (const path of ['/metrics', '/api/stats', '/healthz', '/nothing']) {
    const { headers } = await ask(server, path);
    t.match(headers, {
      'content-security-policy': /default-src 'none'.*frame-ancestors 'none'/,
      'x-content-type-options': 'nosniff',
      'referrer-policy': 'same-origin',
      'x-frame-options': 'DENY',
      'cross-origin-resource-policy': 'same-origin',
      'cache-control': 'no-store',
    });
    t.notMatch(headers['content-security-policy'], 'unsafe', 'no inline script or style');
  }
  const stream = http.get({ host: '127.0.0.1', port: server.adminPort, path: '/api/stream' });
  const [{ headers }] = await once(stream, 'response');
  stream.destroy();
  t.match(headers, { 'content-type': /^text\/event-stream/, 'x-frame-options': 'DENY', 'cache-control': 'no-store' });
});

t.test('a request with a malformed path is answered 400', async (t) => {
  const server = await testServer(t, open);
  t.equal((await ask(server, '//')).status, 400);
});

/** What authentication reads of a request. */
function message(headers: http.IncomingHttpHeaders = {}, remoteAddress = '192.0.2.1', method = 'GET') {
  return { headers, method, socket: { remoteAddress, localPort: 8081 } } as http.IncomingMessage;
}

t.test('after five wrong tokens an address has to wait, twice as long each time; others do not', async (t) => {
  let now = 1_000_000;
  const auth = new Auth(
    () => token,
    () => now,
  );
  for (let i = 0; i < 5; i++) t.equal(auth.present(message(), 'wrong').kind, 'unknown');
  t.strictSame(auth.present(message(), 'wrong'), { kind: 'blocked', waitS: 1 });
  t.equal(auth.present(message({}, '192.0.2.2'), 'wrong').kind, 'unknown');
  now += 1000;
  t.equal(auth.present(message(), 'wrong').kind, 'unknown');
  t.strictSame(auth.present(message(), 'wrong'), { kind: 'blocked', waitS: 2 });
  t.equal(auth.present(message(), token).kind, 'welcome', 'the right one never waits');
  for (let i = 0; i < 5; i++) t.equal(auth.present(message(), 'wrong').kind, 'unknown', 'the wrong ones are forgiven');
  now += 24 * 3600 * 1000;
  for (let i = 0; i < 40; i++) {
    auth.present(message(), 'wrong');
    now += 16 * 60_000;
  }
  auth.present(message(), 'wrong');
  t.strictSame(
    auth.present(message(), 'wrong'),
    { kind: 'blocked', waitS: 900 },
    'never more than a quarter of an hour',
  );
});

t.test('authentication remembers so many addresses, and forgets the one that was silent longest', async (t) => {
  const auth = new Auth(
    () => token,
    () => 0,
  );
  const guess = (address: string, times: number) => {
    for (let n = 0; n < times; n++) auth.present(message({}, address), 'wrong');
  };
  guess('silent', 5);
  guess('goes on', 4);
  for (let n = 0; n < 9998; n++) guess(`${n}`, 1);
  guess('goes on', 1);
  t.equal(auth.present(message({}, 'silent'), 'wrong').kind, 'blocked');
  guess('one more', 1);
  t.equal(auth.present(message({}, 'goes on'), 'wrong').kind, 'blocked');
  t.equal(auth.present(message({}, 'silent'), 'wrong').kind, 'unknown');
});

t.test(
  'an address or /64 of IPv6 that guesses tokens has to wait, and the right token is accepted from there all the same',
  async (t) => {
    const server = await testServer(t, closed);
    const bearer = (given: string) => ask(server, '/metrics', { authorization: `Bearer ${given}` });
    for (let n = 0; n < 6; n++) await bearer('wrong');
    t.equal((await bearer('wrong')).status, 429);
    t.equal((await bearer(token)).status, 200);
    const auth = new Auth(
      () => token,
      () => 0,
    );
    for (let n = 0; n < 5; n++) auth.present(message({}, `2001:db8::${n}`), 'wrong');
    t.equal(auth.present(message({}, '2001:db8::99'), 'wrong').kind, 'blocked');
    t.equal(auth.present(message({}, '2001:db8:0:1::1'), 'wrong').kind, 'unknown', 'another /64');
    t.equal(auth.present(message({}, '2001:db8::99'), token).kind, 'welcome');
  },
);

t.test(
  'a cookie holds for its port, is Secure where the browser came by TLS, and opens nothing after logout',
  async (t) => {
    const server = await testServer(t, closed);
    const second = await testServer(t, closed);
    const login = (by: TestServer, headers: http.OutgoingHttpHeaders = {}) =>
      askAdmin(by, '/login', headers, 'POST', { token });
    const cookieOf = async (by: TestServer) => (await login(by)).headers['set-cookie']?.[0]?.split(';')[0] ?? '';
    const both = `${await cookieOf(server)}; ${await cookieOf(second)}`;
    for (const by of [server, second])
      t.equal((await ask(by, '/metrics', { cookie: both })).status, 200, 'both at once');
    const other = await cookieOf(server);
    await ask(server, '/logout', { cookie: both }, 'POST');
    t.equal((await ask(server, '/metrics', { cookie: both })).status, 401, 'a copy of the cookie is worth nothing');
    t.equal((await ask(server, '/metrics', { cookie: other })).status, 200, 'another browser stays');
    t.equal((await ask(second, '/metrics', { cookie: both })).status, 200, 'another server too');
    t.notMatch((await login(server)).headers['set-cookie'], [/Secure/]);
    for (const headers of [
      { 'x-forwarded-proto': 'https' },
      { origin: 'https://im.example', host: 'im.example' },
      { origin: 'https://im.example', host: '127.0.0.1:8081', 'sec-fetch-site': 'same-origin' },
    ]) {
      t.match((await login(server, headers)).headers['set-cookie'], [/; Secure;/], JSON.stringify(headers));
    }
  },
);

t.test('the token and the signature of its cookie are compared in constant time', async (t) => {
  const compared = constantTimeComparisons(t);
  const auth = new Auth(
    () => token,
    () => 0,
  );
  for (const given of [token, 'open', 'wrong', '', 'x'.repeat(1000)]) {
    auth.present(message(), given);
    t.equal(compared(), 1, given.slice(0, 9));
  }
  const cookie = auth.cookie(message()).split(';')[0] as string;
  for (const given of [cookie, cookie.replace(/.$/, (last) => (last === '0' ? '1' : '0'))]) {
    auth.check(message({ cookie: given }));
    t.equal(compared(), 1, given);
  }
});

t.test('a cookie opens for twelve hours, on this server, while the token is the same', async (t) => {
  let now = 1_000_000;
  let current: string = token;
  const auth = new Auth(
    () => current,
    () => now,
  );
  const set = auth.cookie(message());
  t.match(set, /; HttpOnly; SameSite=Strict; Max-Age=43200$/);
  const cookie = set.split(';')[0] as string;
  const check = (value: string, by = auth) => by.check(message({ cookie: value })).kind;
  t.equal(check(cookie), 'welcome');
  t.equal(check(`other=1; ${cookie}; more=2`), 'welcome');
  t.equal(check(cookie.replace(/.$/, (last) => (last === '0' ? '1' : '0'))), 'unknown', 'a changed signature');
  t.equal(check(cookie.replace(/=\d/, '=9')), 'unknown', 'a changed time');
  t.equal(
    check(
      cookie,
      new Auth(
        () => current,
        () => now,
      ),
    ),
    'unknown',
    'another server',
  );
  current = 'another';
  t.equal(check(cookie), 'unknown', 'another token');
  current = token;
  now += 12 * 3600 * 1000;
  t.equal(check(cookie), 'unknown', 'its time is over');
});

t.test('the form to log in gives a cookie for the token, and for nothing else', async (t) => {
  const server = await testServer(t, closed);
  t.match(await ask(server, '/'), { status: 303, headers: { location: 'login' } });
  t.equal((await ask(server, '/login')).status, 200);
  t.equal((await ask(server, '/assets/dashboard.css')).status, 200);
  const login = (given: string, headers: http.OutgoingHttpHeaders = {}) =>
    askAdmin(server, '/login', headers, 'POST', { token: given });
  const wrong = await login('wrong');
  t.match(wrong, { status: 303, headers: { location: 'login?wrong=1' } });
  t.notOk(wrong.headers['set-cookie']);
  t.equal((await login(token, { origin: 'https://evil.example' })).status, 403);
  const right = await login(token);
  t.match(right, { status: 303, headers: { location: './' } });
  const cookie = right.headers['set-cookie']?.[0]?.split(';')[0] ?? '';
  for (const path of ['/', '/metrics', '/api/stats']) t.equal((await ask(server, path, { cookie })).status, 200, path);
  t.match((await ask(server, '/logout', { cookie }, 'POST')).headers['set-cookie'], [/Max-Age=0/]);
  t.match((await login('x'.repeat(100_000))).headers, { location: 'login?wrong=1' });
});

t.test('a form that breaks off is no error in the log, and no wrong token', async (t) => {
  const server = nextalk(t, ['--port', '0', '--mqtt-port', '0', '--admin-port', '-1', '--set', `admin.token=${token}`]);
  const port = Number(new URL(String((await server.event('started')).admin)).port);
  // The answer to Expect shows that the server has begun to read the form.
  const head = requestText('POST /login', ['Content-Length: 100', 'Expect: 100-continue']);
  for (let n = 0; n < 6; n++) {
    const broken = new RawSocket(port);
    broken.write(head);
    t.equal((await broken.answer()).status, 100);
    broken.write('token=op');
    broken.socket.end();
    await broken.closed;
  }
  const { answer } = exchange(port, { path: '/login', method: 'POST', form: { token } });
  t.match((await answer).headers, { location: './' }, 'six wrong ones would have to wait');
  server.kill('SIGTERM');
  t.equal(await server.ended, 0);
  t.notMatch(server.out, /"level":"(warn|error)"/);
});
