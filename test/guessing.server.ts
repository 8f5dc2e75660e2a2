/** Wrong API keys, over every way in that takes one. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { ApiKeys } from '../src/protocols/api-keys.js';
import { own, testMachine } from './mqtt/support/broker.js';
import { client } from './mqtt/support/clients.js';
import { ManualClock } from './mqtt/support/clock.js';
import { askAdmin } from './support/admin.js';
import { type Answer, basic } from './support/http.js';
import { nextalk } from './support/process.js';
import { type Settings, siteA, siteB, type TestServer, testServer } from './support/server.js';

/** Settings by which the third wrong key locks out, for longer than any test takes. */
const strict: Settings = { lockout: { failures: 3, firstMs: 60_000, longestMs: 60_000 }, mqtt: { port: -1 } };
const proxied: Settings = { ...strict, trustProxy: true };

const from = (address: string) => ({ 'x-forwarded-for': address });
const path = '/v5/presences';

function ask(server: TestServer, apikey: string, address: string, domain = siteA.domain): Promise<Answer> {
  const auth = { domain, apikey };
  return server.request({ path, query: { ids: '1' }, auth, headers: from(address) });
}

async function guess(server: TestServer, times: number, address: string): Promise<number[]> {
  const answers: Answer[] = [];
  for (let n = 0; n < times; n++) answers.push(await ask(server, `guess-${n}`, address));
  return answers.map(({ status }) => status);
}

t.test('an address that guesses waits, even for the right key, and is told how long', async (t) => {
  const server = await testServer(t, proxied, new ManualClock());
  t.strictSame(await guess(server, 5, '192.0.2.1'), [401, 401, 401, 429, 429]);
  const right = await ask(server, siteA.apikey, '192.0.2.1');
  t.strictSame([right.status, right.body], [429, { status: 'error', message: 'too many requests' }]);
  t.equal(right.headers['retry-after'], '60');
  t.match(server.metrics.refused, { authenticationFailed: 3, lockedOut: 3, tooManyRequests: 0 });
  const online = { path: '/v5/presences/online', method: 'POST', form: { name: '1', nick: 'One' }, auth: siteA };
  t.match((await server.request({ ...online, headers: from('192.0.2.1') })).body, { success: false, status: 'error' });
});

t.test('a lockout holds up neither other addresses nor other domains', async (t) => {
  const server = await testServer(t, proxied);
  await guess(server, 5, '192.0.2.1');
  t.equal((await ask(server, siteA.apikey, '192.0.2.2')).status, 200, 'another address');
  t.equal((await ask(server, siteB.apikey, '192.0.2.1', siteB.domain)).status, 200, 'another domain');
  t.equal((await ask(server, siteA.apikey, '198.51.100.7, 192.0.2.1')).status, 429, 'whatever it claims to be');
});

t.test('a site whose key came from an address goes on there while a stranger guesses', async (t) => {
  const server = await testServer(t, proxied);
  t.equal((await ask(server, siteA.apikey, '192.0.2.1')).status, 200);
  t.strictSame(await guess(server, 5, '192.0.2.1'), [401, 401, 401, 429, 429]);
  t.equal((await ask(server, siteA.apikey, '192.0.2.1')).status, 200);
});

t.test(
  'a second backend that calls less often than the first keeps its right key while a stranger guesses',
  async (t) => {
    const clock = new ManualClock();
    const server = await testServer(t, proxied, clock);
    const other = '2001:db8::2';
    for (const address of ['192.0.2.1', other]) t.equal((await ask(server, siteA.apikey, address)).status, 200);
    for (let second = 0; second < 3; second++) {
      clock.advance(1000);
      await ask(server, siteA.apikey, '192.0.2.1');
    }
    await guess(server, 14, '2001:db8::bad');
    t.equal((await ask(server, siteA.apikey, other)).status, 200, 'the stranger and the backend share a /64');
    t.equal((await ask(server, siteB.apikey, other, siteB.domain)).status, 200);
    t.strictSame(await guess(server, 4, '2001:db8:0:1::1'), [401, 401, 401, 429], 'another /64 waits for itself');
  },
);

t.test(
  'a key in the parameters counts as one in the header, and a wrong key that becomes right is forgiven',
  async (t) => {
    const server = await testServer(t, strict);
    const call = (apikey: string) => server.request({ path, query: { domain: siteA.domain, apikey, ids: '1' } });
    for (let n = 0; n < 2; n++) t.equal((await call('wrong')).status, 401);
    t.equal((await call(siteA.apikey)).status, 200);
    for (let n = 0; n < 3; n++) t.equal((await call('wrong')).status, 401, 'counted from the beginning');
    t.equal((await call('wrong')).status, 429);
  },
);

t.test('a request without key, with an unknown domain or an unknown ticket does not count as a guess', async (t) => {
  const server = await testServer(t, strict);
  for (let n = 0; n < 5; n++) {
    t.equal((await server.request({ path, query: { domain: siteA.domain, ids: '1' } })).status, 401);
    t.equal((await ask(server, 'x', '', 'nobody.example')).status, 401);
    t.equal((await server.site().get('/v5/packets', { domain: siteA.domain, ticket: 'uid:1:00' })).status, 404);
  }
  t.equal(server.metrics.refused.lockedOut, 0);
});

t.test(
  'wrong keys by MQTT over TCP and WebSocket count together with those by REST, and tickets are let in',
  async (t) => {
    const server = await testServer(t, strict);
    const { ticket } = await server.site(siteB).online('1');
    const urls = [`mqtt://127.0.0.1:${server.mqttPort}`, `ws://${server.host}/mqtt`] as const;
    const ended = `uid:1:${'0'.repeat(32)}`;
    for (let n = 0; n < 5; n++) await t.rejects(client(t, urls[0], { password: ended }), { code: 0x86 });
    for (const url of [...urls, urls[0]]) await t.rejects(client(t, url, { password: 'wrong' }), { code: 0x86 });
    for (const url of urls) {
      await t.rejects(client(t, url), { code: 0x9f });
      await t.rejects(client(t, url, { protocolVersion: 4 }), { code: 3 });
      await client(t, url, { username: siteB.domain, password: ticket });
      await client(t, url, { username: siteB.domain, password: siteB.apikey });
    }
    t.equal((await server.site().get(path, { ids: '1' })).status, 429);
    t.match(server.metrics.refused, { authenticationFailed: 8, lockedOut: 5 });
  },
);

/** A caller from an address. */
const at = (address: string) => ({ address: () => address });

t.test('addresses of right keys are remembered each by itself, and only so many', async (t) => {
  const { domain } = testMachine(t);
  const lockout = { failures: 1, firstMs: 60_000, longestMs: 60_000, forgetMs: 60_000, entries: 3 };
  let now = 0;
  const keys = new ApiKeys(
    () => now,
    () => lockout,
  );
  const check = (key: string, address: string) => keys.check(domain, key, at(address));
  for (const address of ['first', 'same second', 'second', 'third']) {
    if (address !== 'same second') now += 1000;
    t.equal(check(own.apikey, address), true);
  }
  for (const [address, answer] of [
    ['third', true],
    ['second', true],
    ['same second', true],
    ['first', 60],
  ] as const) {
    t.equal(check('wrong', address), false);
    t.equal(check(own.apikey, address), answer, address);
  }
});

t.test('a busy domain is seldom asked where its right keys come from, and always while somebody guesses', async (t) => {
  const { domain } = testMachine(t);
  const lockout = { failures: 2, firstMs: 60_000, longestMs: 60_000, forgetMs: 60_000, entries: 100 };
  let now = 0;
  const keys = new ApiKeys(
    () => now,
    () => lockout,
  );
  const asked = (calls: number, address: string): number => {
    let count = 0;
    const from = (): string => {
      count += 1;
      return address;
    };
    for (let n = 0; n < calls; n++) t.equal(keys.check(domain, own.apikey, { address: from }), true);
    return count;
  };
  t.equal(asked(100, 'busy'), 100, 'the first hundred in a second');
  t.equal(asked(1600, 'busy'), 100, 'then one in sixteen');
  t.equal(asked(16, 'seldom'), 1, 'whoever calls');
  now += 1000;
  t.equal(asked(100, 'busy'), 100, 'and in the next second again');
  asked(1000, 'busy');
  t.equal(keys.check(domain, 'wrong', at('stranger')), false);
  t.equal(asked(3, 'late'), 3, 'each, while somebody guesses');
  for (const address of ['busy', 'seldom', 'late']) {
    for (let n = 0; n < 3; n++) keys.check(domain, 'wrong', at(address));
    t.equal(keys.check(domain, own.apikey, at(address)), true, `${address} has been noted`);
  }
  now += 60_000;
  asked(200, 'busy');
  t.equal(asked(160, 'busy'), 10, 'seldom again when wrong keys are forgotten');
});

t.test('who is refused by key, rate or limit is counted and shown with domain and address', async (t) => {
  const limits = { requestsPerSecond: 10, connectionsPerAddress: 1 };
  const domains = [siteA, { ...siteB, limits: { requestsPerSecond: 1 } }];
  const server = await testServer(t, { ...proxied, admin: { port: -1 }, limits, domains }, new ManualClock());
  await guess(server, 5, '192.0.2.1');
  await ask(server, 'guess', '192.0.2.2', 'nobody.example');
  for (let n = 0; n < 3; n++) await ask(server, siteB.apikey, '192.0.2.3', siteB.domain);
  await t.rejects(client(t, `mqtt://127.0.0.1:${server.mqttPort}`, { password: 'guess' }), { code: 0x86 });
  const { errors } = (await askAdmin(server, '/api/errors')).body as { errors: Readonly<Record<string, unknown>>[] };
  for (const shown of [
    { reason: 'authenticationFailed', domain: siteA.domain, count: 4, endpoints: ['127.0.0.1', '192.0.2.1'] },
    { reason: 'authenticationFailed', domain: '', count: 1, endpoints: ['192.0.2.2'] },
    { reason: 'lockedOut', domain: siteA.domain, count: 2, endpoints: ['192.0.2.1'] },
    { reason: 'tooManyRequests', domain: siteB.domain, count: 2, endpoints: ['192.0.2.3'] },
  ]) {
    const found = errors.find(({ reason, domain }) => reason === shown.reason && domain === shown.domain);
    t.match(found, shown, shown.reason);
  }
  const { text } = await askAdmin(server, '/metrics');
  t.match(text, /nextalk_domain_refusals_total\{[^}]*domain="b.example"[^}]*reason="tooManyRequests"[^}]*\} 2\b/);
  const of = (domain: string) => server.metrics.domain(domain).refused;
  t.match(of(siteA.domain), { authenticationFailed: 4, lockedOut: 2, tooManyRequests: 0 });
  t.match(of(siteB.domain), { authenticationFailed: 0, tooManyRequests: 2 });
  t.notMatch(JSON.stringify(errors), /guess|key-a/);
});

t.test('the log says who is locked out, and no key', async (t) => {
  const file = join(t.testdir({}), 'nextalk.json');
  writeFileSync(file, JSON.stringify({ domains: [siteA], lockout: strict.lockout }));
  const server = nextalk(t, [
    '--config',
    file,
    '--port',
    '0',
    '--mqtt-port',
    '0',
    '--admin-port',
    '0',
    '--data',
    'none',
  ]);
  const { url } = await server.event('started');
  for (const key of ['guess-1', 'guess-2', 'guess-3', siteA.apikey]) {
    const headers = { authorization: basic(siteA.domain, key) };
    await fetch(`${url}${path}?ids=1`, { headers });
  }
  t.match(await server.event('locked-out'), { domain: siteA.domain, address: '127.0.0.1', seconds: 60 });
  server.kill('SIGTERM');
  t.equal(await server.ended, 0);
  t.notMatch(server.out + server.err, new RegExp(`guess-|${siteA.apikey}`));
});
