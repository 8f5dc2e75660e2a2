import t from 'tap';
import type { Check } from './support/check.js';
import { type Answer, basic, encode, type HttpRequest, type Params } from './support/http.js';
import { siteA, siteB, type TestServer, testServer } from './support/server.js';

/** Who is there when a call is made: `1` and `2` are online and in the room `r1`. */
interface Scene {
  readonly server: TestServer;
  readonly ticket: string;
}

interface Call {
  readonly name: string;
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly params: (scene: Scene) => Params;
  /** The exact answer, or what ONLINE's answer must hold. */
  readonly answer: unknown;
}

const ok = { status: 'ok' };

const calls: readonly Call[] = [
  {
    name: 'ONLINE',
    method: 'POST',
    path: '/presences/online',
    params: () => ({ name: '3', nick: 'Three', buddies: '1,2,4', rooms: 'r1', show: 'away', status: 'out' }),
    answer: { success: true, presences: { 1: 'available', 2: 'dnd' } },
  },
  {
    name: 'OFFLINE',
    method: 'POST',
    path: '/presences/offline',
    params: ({ ticket }) => ({ ticket }),
    answer: ok,
  },
  {
    name: 'SHOW',
    method: 'POST',
    path: '/presences/show',
    params: ({ ticket }) => ({ ticket, show: 'busy', nick: 'One', status: 'at work' }),
    answer: ok,
  },
  {
    name: 'PRESENCES',
    method: 'GET',
    path: '/presences',
    params: () => ({ ids: '1,2,4,vid:123' }),
    answer: { 1: 'available', 2: 'dnd', 'vid:123': 'away' },
  },
  {
    name: 'MESSAGES',
    method: 'POST',
    path: '/messages',
    params: ({ ticket }) => ({ ticket, to: '2', body: 'hi', nick: 'One', style: '', timestamp: '1', type: 'chat' }),
    answer: ok,
  },
  {
    name: 'PUSH',
    method: 'POST',
    path: '/messages',
    params: () => ({ from: 'system', to: '2', body: 'hi' }),
    answer: ok,
  },
  {
    name: 'STATUSES',
    method: 'POST',
    path: '/statuses',
    params: ({ ticket }) => ({ ticket, to: '2', show: 'typing…', nick: 'One' }),
    answer: ok,
  },
  {
    name: 'MEMBERS',
    method: 'GET',
    path: '/rooms/r1/members',
    params: ({ ticket }) => ({ ticket }),
    answer: { 1: 'available', 2: 'dnd' },
  },
  {
    name: 'JOIN',
    method: 'POST',
    path: '/rooms/r2/join',
    params: ({ ticket }) => ({ ticket, nick: 'One' }),
    answer: ok,
  },
  {
    name: 'LEAVE',
    method: 'POST',
    path: '/rooms/r1/leave',
    params: ({ ticket }) => ({ ticket, nick: 'One' }),
    answer: ok,
  },
];

type Way = (method: 'GET' | 'POST', params: Params) => Partial<HttpRequest>;

const { domain, apikey } = siteA;
const asForm: Way = (method, params) => (method === 'GET' ? { query: params } : { form: params });
const asJson: Way = (method, params) => (method === 'GET' ? { query: params } : { json: params });

const ways: readonly (readonly [title: string, way: Way])[] = [
  ['Basic and a form', (method, params) => ({ auth: siteA, ...asForm(method, { domain, ...params }) })],
  ['Basic and JSON', (method, params) => ({ auth: siteA, ...asJson(method, { domain, ...params }) })],
  ['Basic that names the domain alone', (method, params) => ({ auth: siteA, ...asForm(method, params) })],
  ['the parameters domain and apikey in a form', (method, params) => asForm(method, { domain, apikey, ...params })],
  ['the parameters domain and apikey in JSON', (method, params) => asJson(method, { domain, apikey, ...params })],
  ['parameters in the query', (_, params) => ({ auth: siteA, query: { domain, ...params } })],
  ['domain and apikey in the query', (_, params) => ({ query: { domain, apikey, ...params } })],
  [
    'unknown parameters besides',
    (method, params) => asForm(method, { domain, apikey, version: 'v5', x: 'y', ...params }),
  ],
  [
    'no Content-Type',
    (method, params) =>
      method === 'GET' ? { auth: siteA, query: params } : { auth: siteA, body: encode(params), type: null },
  ],
  [
    'a Content-Type with a charset, in odd case',
    (method, params) =>
      method === 'GET'
        ? { auth: siteA, query: params }
        : { auth: siteA, body: encode(params), type: 'Application/X-WWW-Form-Urlencoded; Charset=UTF-8' },
  ],
  [
    'JSON with a charset',
    (method, params) =>
      method === 'GET'
        ? { auth: siteA, query: params }
        : { auth: siteA, body: JSON.stringify(params), type: 'application/json;charset=utf-8' },
  ],
  [
    'the word basic in lower case',
    (method, params) => ({
      ...asForm(method, params),
      headers: { authorization: basic(domain, apikey).replace('Basic', 'basic') },
    }),
  ],
];

const paths: readonly (readonly [title: string, path: (call: Call) => string])[] = [
  ['/v5', (call) => `/v5${call.path}`],
  ['/v5 with a trailing slash', (call) => `/v5${call.path}/`],
  ['/v4', (call) => `/v4${call.path}`],
  ['/v4 with a trailing slash', (call) => `/v4${call.path}/`],
];

function checkAnswer(t: Check, call: Call, answer: Answer): void {
  t.equal(answer.status, 200, answer.text);
  t.equal(answer.headers['content-type'], 'application/json; charset=utf-8');
  if (call.name === 'ONLINE') t.hasStrict(answer.body, call.answer);
  else t.strictSame(answer.body, call.answer);
}

async function scene(server: TestServer): Promise<Scene> {
  const site = server.site();
  const { ticket } = await site.online('1', { rooms: 'r1', client: 'tab' });
  await site.online('2', { rooms: 'r1', show: 'dnd', client: 'tab' });
  await site.online('vid:123', { show: 'away', client: 'tab' });
  await site.show(ticket, 'available');
  return { server, ticket };
}

for (const call of calls) {
  t.test(`${call.name} is answered`, async (t) => {
    for (const [title, way] of ways) {
      const here = await scene(await testServer(t));
      const request = way(call.method, call.params(here));
      const answer = await here.server.request({ method: call.method, path: `/v5${call.path}`, ...request });
      await t.test(`with ${title}`, async (t) => checkAnswer(t, call, answer));
      await here.server.close();
    }
    for (const [title, path] of paths) {
      const here = await scene(await testServer(t));
      const request = { auth: siteA, ...asForm(call.method, { domain, ...call.params(here) }) };
      const answer = await here.server.request({ method: call.method, path: path(call), ...request });
      await t.test(`under ${title}`, async (t) => checkAnswer(t, call, answer));
      await here.server.close();
    }
  });
}

t.test('an API key may hold a colon', async (t) => {
  const server = await testServer(t);
  t.strictSame(await server.site(siteB).presences('1'), {});
  const answer = await server.request({ path: '/v5/presences', query: { ...siteB, ids: '1' } });
  t.strictSame([answer.status, answer.body], [200, {}]);
});

t.test('each of several API keys is valid', async (t) => {
  const server = await testServer(t, { domains: [{ domain: 'a.example', apikey: ['old', 'new'] }] });
  for (const apikey of ['old', 'new'])
    t.strictSame(await server.site({ domain: 'a.example', apikey }).presences('1'), {});
  const answer = await server.site({ domain: 'a.example', apikey: 'old,new' }).get('/v5/presences', { ids: '1' });
  t.equal(answer.status, 401);
});

t.test('a raw plus in a query is a space', async (t) => {
  const server = await testServer(t);
  await server.site().online('with space');
  const answer = await server.site().send({ path: '/v5/presences?ids=with+space' });
  t.strictSame(answer.body, { 'with space': 'available' });
});

t.test('a domain is compared as written', async (t) => {
  const server = await testServer(t);
  const answer = await server.site({ domain: 'A.example', apikey: 'key-a' }).get('/v5/presences', { ids: '1' });
  t.equal(answer.status, 401);
});

t.test('a query as long as 500 friends make it is answered', async (t) => {
  const server = await testServer(t);
  await server.site().online('friend-499-of-many');
  const ids = Array.from({ length: 800 }, (_, n) => `friend-${n}-of-many`);
  t.strictSame(await server.site().presences(...ids), { 'friend-499-of-many': 'available' });
});
