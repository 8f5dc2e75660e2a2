/** ONLINE by a signed token: PROTOCOL.md section 15. */
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import t from 'tap';
import { loadConfig } from '../src/config.js';
import { signToken } from '../src/sign-token.js';
import type { Answer, HttpRequest, Params } from './support/http.js';
import { program, skipWithout } from './support/programs.js';
import { type Settings, siteA, siteB, type TestServer, testServer } from './support/server.js';
import type { Online } from './support/site.js';
import { jwt, SECRET, seconds, token } from './support/tokens.js';
import { WebSocketClient } from './support/websocket.js';

const path = '/v5/presences/online';
const OTHER_SECRET = 'another secret of a.example, for rotation';
const SECRET_B = 'a secret of b.example, 32 bytes or more';
const PAGE = 'https://a.example';

function serve(t: Parameters<typeof testServer>[0], settings: Settings = {}): Promise<TestServer> {
  const domains = [
    { ...siteA, tokenSecret: [SECRET, OTHER_SECRET], ...settings },
    { ...siteB, tokenSecret: SECRET_B },
  ];
  return testServer(t, { domains });
}

/** Comes online as a page does: by a form, from another origin. */
function page(server: TestServer, form: Params, more: Partial<HttpRequest> = {}): Promise<Answer> {
  return server.request({ method: 'POST', path, form, headers: { origin: PAGE }, ...more });
}

const refused = { success: false, status: 'error', message: 'authentication failed' };

t.test('a page comes online with a token and connects with the ticket', async (t) => {
  const server = await serve(t);
  const rose = await server.site().arrive('rose', { rooms: 'lobby' });
  const answer = await page(server, {
    token: token('jack', { nick: 'Jack', buddies: ['rose', 7], rooms: 'lobby', show: 'away', status: 'at lunch' }),
  });
  t.equal(answer.status, 200, answer.text);
  t.equal(answer.headers['access-control-allow-origin'], '*');
  const { ticket, presences, success } = answer.body as Online;
  t.strictSame([success, presences], [true, { rose: 'available' }]);
  t.match(await rose.next(), { from: 'jack', nick: 'Jack', type: 'online', show: 'away', status: 'at lunch' });
  const socket = await WebSocketClient.connect(server, ticket);
  await server.site().say(rose.ticket, 'lobby', 'hi');
  t.match(await socket.next(), { from: 'rose', to: 'lobby', body: 'hi' });
});

t.test('a token may come in an Authorization header, whose preflight is answered to every origin', async (t) => {
  const server = await serve(t, { origins: [PAGE] });
  const preflight = await server.request({
    method: 'OPTIONS',
    path,
    headers: { origin: 'https://elsewhere.example', 'access-control-request-headers': 'authorization' },
  });
  t.equal(preflight.status, 204);
  t.equal(preflight.headers['access-control-allow-origin'], '*');
  t.match(preflight.headers['access-control-allow-headers'], /authorization/i);
  t.match(preflight.headers['access-control-allow-methods'], /POST/);
  const authorization = `Bearer ${token('jack')}`;
  const ok = await page(server, {}, { headers: { origin: PAGE, authorization } });
  t.equal(ok.status, 200, ok.text);
  t.equal(ok.headers['access-control-allow-origin'], PAGE);
  t.equal(ok.headers['access-control-allow-credentials'], 'true');
  const foreign = await page(server, {}, { headers: { origin: 'https://elsewhere.example', authorization } });
  t.strictSame([foreign.status, foreign.headers['access-control-allow-origin']], [400, undefined]);
  t.match(foreign.body, { success: false, detail: 'origin is not allowed' });
  const noOrigin = await page(server, {}, { headers: { authorization } });
  t.equal(noOrigin.status, 200, 'what sends no Origin is no page of another site');
});

t.test('beside the token the body has show, status and client, and nothing else counts', async (t) => {
  const server = await serve(t);
  const rose = await server.site().arrive('rose', { buddies: 'jack,mallory' });
  const form = {
    name: 'mallory',
    nick: 'M',
    buddies: 'rose',
    groups: 'lobby',
    show: 'dnd',
    status: 'busy',
    client: 'c1',
  };
  const answer = await page(server, { ...form, token: token('jack', { show: 'away', nick: 'Jack' }) });
  t.equal(answer.status, 200, answer.text);
  t.notOk('groups' in (answer.body as object));
  t.match(await rose.next(), { from: 'jack', nick: 'Jack', type: 'online', show: 'dnd', status: 'busy' });
  const again = await page(server, { token: token('jack'), client: 'c1' });
  const first = await server.request({
    path: '/v5/packets',
    query: { domain: 'a.example', ticket: (answer.body as Online).ticket },
  });
  t.strictSame([again.status, first.status], [200, 404], 'the client of that name is ended');
  t.equal((await page(server, { token: token('jack'), show: 'dancing' })).status, 400);
});

t.test('nick falls back to sub, numbers stand for their text, and one of several domains may sign', async (t) => {
  const server = await serve(t);
  const rose = await server.site().arrive('rose', { buddies: '42' });
  const named = jwt({ aud: ['x.example', 'a.example'], sub: 42, iat: seconds(), exp: seconds() + 60 }, OTHER_SECRET);
  t.equal((await page(server, { token: named })).status, 200);
  t.match(await rose.next(), { from: '42', nick: '42', type: 'online' });
  t.equal((await page(server, { token: named, domain: 'a.example' })).status, 200);
  t.equal((await page(server, { token: named, domain: 'b.example' })).status, 401);
});

const now = seconds();
const good = { aud: 'a.example', sub: 'jack', iat: now, exp: now + 3600 };
const none = Buffer.from('{"alg":"none"}').toString('base64url');
const body = Buffer.from(JSON.stringify(good)).toString('base64url');

const wrong: readonly (readonly [what: string, token: string])[] = [
  ['signed with another secret', jwt(good, 'another secret of nobody, of 32 bytes')],
  ['signed with the API key', jwt(good, siteA.apikey)],
  ['signed with another domain’s secret', jwt(good, SECRET_B)],
  ['of another domain, signed with this one’s secret', jwt({ ...good, aud: 'b.example' })],
  ['of no domain', jwt({ ...good, aud: undefined })],
  ['of a domain that is no text', jwt({ ...good, aud: { 'a.example': 1 } })],
  ['not signed', `${none}.${body}.`],
  ['of another algorithm', jwt(good, SECRET, { alg: 'HS512', typ: 'JWT' })],
  ['whose header names no algorithm', jwt(good, SECRET, { typ: 'JWT' })],
  ['with a critical header that nobody knows', jwt(good, SECRET, { alg: 'HS256', crit: ['x'], x: 1 })],
  ['expired', jwt({ ...good, iat: now - 3600, exp: now - 61 })],
  ['from the future', jwt({ ...good, iat: now + 120 })],
  ['not valid yet', jwt({ ...good, nbf: now + 120 })],
  ['that holds for more than 24 hours', jwt({ ...good, exp: now + 86_401 })],
  ['that ends before it begins', jwt({ ...good, iat: now + 30, exp: now + 20 })],
  ['without exp', jwt({ ...good, exp: undefined })],
  ['without iat', jwt({ ...good, iat: undefined })],
  ['whose times are texts', jwt({ ...good, iat: `${now}`, exp: `${now + 60}` })],
  ['whose times are infinite', jwt(`{"aud":"a.example","sub":"jack","iat":${now},"exp":1e999}`)],
  ['whose claims are a list', jwt([good])],
  ['whose claims are no JSON', jwt('{"aud":"a.example"')],
  ['with half a surrogate', jwt(`{"aud":"a.example","sub":"jack","iat":${now},"exp":${now + 60},"nick":"\\ud800"}`)],
  ['of one part', 'x'],
  ['of four parts', `${jwt(good)}.x`],
  ['empty', ''],
  ['of points', '.'.repeat(60_000)],
  ['deeply nested', jwt(`{"aud":"a.example","x":${'['.repeat(9000)}${']'.repeat(9000)}}`, 'x')],
];

t.test('a wrong token is answered 401 and never asks a browser’s user for a password', async (t) => {
  const server = await serve(t);
  for (const [what, wrongToken] of wrong) {
    const answer = await page(server, { token: wrongToken });
    t.strictSame([answer.status, answer.body], [401, refused], `a token ${what}: ${answer.text}`);
    t.match(answer.headers['www-authenticate'], /^Bearer /);
    t.equal(answer.headers['access-control-allow-origin'], '*', 'the page may read why');
  }
  t.equal((await page(server, { token: token('jack') })).status, 200);
});

t.test('a token whose sub is no endpoint is answered 400', async (t) => {
  const server = await serve(t);
  for (const sub of ['', ' ', 'a/b', 'gid:lobby', undefined, null, ['jack'], { a: 1 }, 'x'.repeat(300)]) {
    const answer = await page(server, { token: token(sub) });
    t.equal(answer.status, 400, `${JSON.stringify(sub)}: ${answer.text}`);
    t.match(answer.body, { success: false, detail: /^sub is not the id/ });
  }
  for (const claims of [{ nick: { a: 1 } }, { show: 'dancing' }, { rooms: 'uid:x' }, { buddies: { a: 1 } }]) {
    t.equal((await page(server, { token: token('jack', claims) })).status, 400, JSON.stringify(claims));
  }
});

t.test('clocks may differ by a minute', async (t) => {
  const server = await serve(t);
  for (const claims of [{ iat: now + 50 }, { iat: now - 100, exp: now - 40 }, { nbf: now + 50 }]) {
    t.equal((await page(server, { token: token('jack', claims) })).status, 200, JSON.stringify(claims));
  }
});

t.test('without a secret tokens are refused', async (t) => {
  const server = await serve(t, { tokenSecret: null });
  t.equal((await page(server, { token: token('jack') })).status, 401);
});

t.test('wrong tokens do not lock out the API key of their address', async (t) => {
  const server = await serve(t);
  for (let n = 0; n < 30; n++) await page(server, { token: jwt(good, SECRET_B), domain: 'a.example' });
  t.equal((await server.site().post(path, { name: 'jack', nick: 'Jack' })).status, 200);
});

t.test('an API key counts before a token, and its answers are not for pages', async (t) => {
  const server = await serve(t);
  const answer = await page(server, { domain: 'a.example', apikey: 'wrong', token: token('jack') });
  t.equal(answer.status, 401);
  t.match(answer.headers['www-authenticate'], /^Basic /);
  const byKey = await page(server, { domain: 'a.example', apikey: 'key-a', name: 'x', nick: 'X', token: 'y' });
  t.equal(byKey.status, 200);
  t.equal(byKey.headers['access-control-allow-origin'], undefined);
});

t.test('a token opens no other call', async (t) => {
  const server = await serve(t);
  for (const form of [{ token: token('jack'), from: 'jack', to: 'rose', body: 'x' }]) {
    t.equal((await page(server, form, { path: '/v5/messages' })).status, 401);
  }
  const options = await server.request({ method: 'OPTIONS', path: '/v5/messages' });
  t.equal(options.status, 405);
});

t.test('calls by token count as the domain’s requests', async (t) => {
  const server = await serve(t, { limits: { requestsPerSecond: 1 } });
  const answers = [];
  for (let n = 0; n < 5; n++) answers.push(await page(server, { token: token(`u${n}`) }));
  const late = answers.find(({ status }) => status === 429);
  t.ok(late, 'one is too many');
  t.equal(late?.headers['access-control-expose-headers'], 'Retry-After');
});

t.test(
  'the configuration refuses short secrets, API keys as secrets and the development secret off loopback',
  async (t) => {
    const domain = { domain: 'a.example', apikey: 'x'.repeat(40) };
    const errors = (input: object) => {
      const loaded = loadConfig(input);
      return 'errors' in loaded ? loaded.errors : [];
    };
    t.match(errors({ domains: [{ ...domain, tokenSecret: 'short' }] }), [
      /^domains\[0\].tokenSecret: must be at least 32 bytes/,
    ]);
    t.match(errors({ domains: [{ ...domain, tokenSecret: [] }] }), [/tokenSecret: must not be empty/]);
    t.match(errors({ domains: [{ ...domain, tokenSecret: domain.apikey }] }), [/tokenSecret: must not be an API key/]);
    const development = [{ ...domain, tokenSecret: 'development-only-secret-of-localhost' }];
    t.match(errors({ host: '0.0.0.0', domains: development }), [
      /tokenSecret: the development secret .* loopback only/,
    ]);
    t.strictSame(errors({ domains: development }), []);
  },
);

t.test('`nextalk token` prints a token that the server takes, or says what is missing', async (t) => {
  const server = await testServer(t, { domains: [] });
  const loaded = loadConfig({});
  if ('errors' in loaded) throw new Error(loaded.errors.join());
  const { config } = loaded;
  const signed = await signToken(config, { domain: 'localhost', sub: 'jack', nick: 'Jack', rooms: 'lobby', ttl: '60' });
  const answer = await page(server, { token: 'token' in signed ? signed.token : '' });
  t.equal(answer.status, 200, answer.text);
  t.match(await signToken(config, { domain: undefined, sub: 'jack', ttl: '60' }), { error: /--domain: is missing/ });
  t.match(await signToken(config, { domain: 'b', sub: 'jack', ttl: '60' }), { error: /not among the domains/ });
  for (const ttl of ['0', '86401', 'x', '-1']) {
    t.match(await signToken(config, { domain: 'localhost', sub: 'jack', ttl }), { error: /--ttl: must be/ });
  }
});

const run = promisify(execFile);
const documented = readFileSync(join(import.meta.dirname, '../docs/rest.md'), 'utf8');
const environment = { PATH: process.env.PATH, TOKEN_SECRET: 'development-only-secret-of-localhost' };

function fence(language: string): string {
  return new RegExp(`\n\`\`\`${language}\n([^]*?)\n\`\`\``).exec(documented)?.[1] ?? '';
}

t.test('the documented lines of Node sign a token that the server takes', async (t) => {
  const server = await testServer(t, { domains: [] });
  const code = `${fence('js')}\nprocess.stdout.write(token('jack', { nick: '张三' }));`;
  const { stdout } = await run(process.execPath, ['--input-type=module', '-e', code], { env: environment });
  t.match(await page(server, { token: stdout }), { status: 200 });
});

t.test('the documented lines of PHP sign a token that the server takes', { skip: skipWithout('php') }, async (t) => {
  const server = await testServer(t, { domains: [] });
  const code = `${fence('php')}\necho nextalk_token('jack', ['nick' => '张三']);`;
  const { stdout } = await run(program('php') ?? '', ['-r', code], { env: environment });
  t.match(await page(server, { token: stdout }), { status: 200 });
});
