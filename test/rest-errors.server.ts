import t from 'tap';
import type { Check } from './support/check.js';
import { type Answer, basic, type HttpRequest, type Params } from './support/http.js';
import { siteA, siteB, type TestServer, testServer } from './support/server.js';

const { domain, apikey } = siteA;
const online = '/v5/presences/online';

interface Refusal {
  readonly title: string;
  readonly request: HttpRequest;
}

const posts: readonly (readonly [name: string, path: string, required: readonly string[], good: Params])[] = [
  ['ONLINE', online, ['name', 'nick'], { name: '1', nick: 'One' }],
  ['OFFLINE', '/v5/presences/offline', ['ticket'], {}],
  ['SHOW', '/v5/presences/show', ['ticket', 'show'], { show: 'away' }],
  ['MESSAGES', '/v5/messages', ['ticket', 'to', 'body'], { to: '2', body: 'hi' }],
  ['STATUSES', '/v5/statuses', ['ticket', 'to', 'show'], { to: '2', show: 'typing' }],
  ['JOIN', '/v5/rooms/r1/join', ['ticket'], {}],
  ['LEAVE', '/v5/rooms/r1/leave', ['ticket'], {}],
];

function error(message: string, isOnline = false): object {
  return isOnline ? { success: false, status: 'error', message } : { status: 'error', message };
}

function refused(t: Check, answer: Answer, status: number, message: string, isOnline = false): void {
  t.strictSame([answer.status, answer.body], [status, error(message, isOnline)]);
  t.strictSame(answer.headers['content-type'], 'application/json; charset=utf-8');
}

function refusedField(t: Check, answer: Answer, field: string, title = field): void {
  const { detail, success: _, ...rest } = answer.body as { detail: string; success?: boolean };
  t.strictSame([answer.status, rest], [400, error('bad request')], `${title}: ${answer.text}`);
  t.strictSame(new RegExp(`\\b${field}\\b`).test(detail), true, `${title}: the detail names ${field}: ${detail}`);
}

t.test('a call without valid credentials is answered 401', async (t) => {
  const server = await testServer(t);
  const query = { ids: '1' };
  const path = '/v5/presences';
  const refusals: readonly Refusal[] = [
    { title: 'no credentials', request: { path, query } },
    { title: 'the domain alone', request: { path, query: { domain, ...query } } },
    { title: 'the key alone', request: { path, query: { apikey, ...query } } },
    { title: 'a wrong key in Basic', request: { path, query, auth: { domain, apikey: 'wrong' } } },
    { title: 'a wrong key in a parameter', request: { path, query: { domain, apikey: 'wrong', ...query } } },
    { title: 'an empty key', request: { path, query, auth: { domain, apikey: '' } } },
    { title: 'a key with something behind it', request: { path, query, auth: { domain, apikey: `${apikey} ` } } },
    { title: 'an unknown domain', request: { path, query, auth: { domain: 'c.example', apikey } } },
    { title: 'another domain’s key', request: { path, query, auth: { domain, apikey: siteB.apikey } } },
    {
      title: 'a domain parameter that is not Basic’s',
      request: { path, query: { domain: 'b.example', ...query }, auth: siteA },
    },
    { title: 'a domain named __proto__', request: { path, query, auth: { domain: '__proto__', apikey: '' } } },
    {
      title: 'a domain named constructor',
      request: { path, query, auth: { domain: 'constructor', apikey: 'Object' } },
    },
    { title: 'Basic without base64', request: { path, query, headers: { authorization: 'Basic %%%' } } },
    { title: 'Basic without a colon', request: { path, query, headers: { authorization: 'Basic YS5leGFtcGxl' } } },
    { title: 'Basic without anything', request: { path, query, headers: { authorization: 'Basic' } } },
    { title: 'another scheme', request: { path, query, headers: { authorization: 'Bearer key-a' } } },
  ];
  for (const { title, request } of refusals) {
    await t.test(title, async (t) => {
      const answer = await server.request(request);
      refused(t, answer, 401, 'authentication failed');
      t.equal(answer.headers['www-authenticate'], 'Basic realm="nextalk"');
    });
  }
  await t.test('ONLINE says success false as well', async (t) => {
    const answer = await server.request({ method: 'POST', path: online, form: { domain, name: '1', nick: 'One' } });
    refused(t, answer, 401, 'authentication failed', true);
    t.equal(answer.headers['www-authenticate'], 'Basic realm="nextalk"');
  });
  for (const [name, path] of posts.slice(1)) {
    await t.test(`${name} too`, async (t) => {
      refused(t, await server.request({ method: 'POST', path, form: { domain } }), 401, 'authentication failed');
    });
  }
});

t.test('a missing parameter is answered 400 and named', async (t) => {
  const server = await testServer(t);
  const { ticket } = await server.site().online('1');
  for (const [name, path, required, good] of posts) {
    for (const field of required) {
      await t.test(`${name} without ${field}`, async (t) => {
        const params: Params = { ticket, ...good };
        const answer = await server.site().post(path, { ...params, [field]: undefined });
        refusedField(t, answer, field);
        if (name === 'ONLINE') t.hasStrict(answer.body, { success: false });
        const nulled = await server.site().send({ method: 'POST', path, json: { ...params, [field]: null } });
        refusedField(t, nulled, field, 'null counts as missing');
      });
    }
  }
  refusedField(t, await server.site().get('/v5/presences'), 'ids');
  refusedField(t, await server.site().post('/v5/messages', { from: '1', body: 'x' }), 'to');
  refusedField(t, await server.site().post('/v5/messages', { from: '1', to: '2' }), 'body');
  const spelled = await server.site().post(online, { name: '1' });
  t.strictSame(spelled.body, { ...error('bad request', true), detail: 'nick is required' });
});

t.test('an unknown or malformed ticket is answered 404', async (t) => {
  const server = await testServer(t);
  const site = server.site();
  const { ticket: gone } = await site.online('1');
  await site.offline(gone);
  const { ticket: foreign } = await server.site(siteB).online('1');
  const { ticket: valid } = await site.online('3');
  const tickets: readonly (readonly [title: string, ticket: string])[] = [
    ['whose token is another user’s', valid.replace('uid:3:', 'uid:1:')],
    ['whose token is a user’s, not a visitor’s', valid.replace('uid:', 'vid:')],
    ['unknown', 'uid:1:0123456789abcdef0123456789abcdef'],
    ['ended by OFFLINE', gone],
    ['of another domain', foreign],
    ['malformed', 'x'],
    ['in capitals', foreign.toUpperCase()],
    ['of a node that is none', 'xid:1:0123456789abcdef0123456789abcdef'],
    ['named __proto__', '__proto__'],
    ['very long', `uid:${'1'.repeat(3000)}:00`],
  ];
  for (const [title, ticket] of tickets) {
    for (const [name, path, , good] of posts.slice(1)) {
      await t.test(`${name} with one ${title}`, async (t) => {
        refused(t, await site.post(path, { ...good, ticket }), 404, 'ticket not found');
      });
    }
    await t.test(`MEMBERS with one ${title}`, async (t) => {
      refused(t, await site.get('/v5/rooms/r1/members', { ticket }), 404, 'ticket not found');
    });
  }
});

t.test('an unknown path is answered 404', async (t) => {
  const server = await testServer(t);
  const nowhere = ['/v5', '/v5/', '/v6/presences', '/v5/presences/gone', '/v5/room/r1/members', '/v5/rooms/r1'];
  const deep = [
    '/v5/rooms/r1/members/x',
    '/v5/__proto__',
    '/v5/messages/1',
    '/index.html',
    '/v5/../v5/presences',
    '//v5/presences',
  ];
  for (const path of [...nowhere, ...deep]) {
    refused(t, await server.request({ path }), 404, 'not found');
    refused(t, await server.request({ method: 'POST', path, form: { domain } }), 404, 'not found');
  }
});

t.test('a method that is not the path’s is answered 405 with Allow', async (t) => {
  const server = await testServer(t);
  for (const [name, path] of posts) {
    for (const method of ['GET', 'PUT', 'DELETE', 'PATCH']) {
      await t.test(`${method} for ${name}`, async (t) => {
        const answer = await server.request({ method, path });
        t.strictSame([answer.status, answer.body], [405, error('method not allowed')], answer.text);
        t.match(answer.headers.allow, /\bPOST\b/);
      });
    }
  }
  for (const path of ['/v5/presences', '/v5/rooms/r1/members', '/v5/packets']) {
    const others = path === '/v5/packets' ? ['PUT', 'DELETE'] : ['POST', 'PUT', 'DELETE'];
    for (const method of others) {
      await t.test(`${method} ${path}`, async (t) => {
        const answer = await server.request({ method, path });
        t.strictSame([answer.status, answer.body], [405, error('method not allowed')], answer.text);
        t.match(answer.headers.allow, /\bGET\b/);
      });
    }
  }
});

t.test('a WebSocket’s path without an upgrade is answered 400, with another method 405', async (t) => {
  const server = await testServer(t);
  for (const path of ['/v5/wsocket', '/v4/wsocket/']) {
    const plain = await server.request({ path });
    t.hasStrict([plain.status, plain.body], [400, error('bad request')], plain.text);
    const post = await server.request({ method: 'POST', path });
    t.strictSame([post.status, post.body, post.headers.allow], [405, error('method not allowed'), 'GET']);
  }
});

t.test('a body over the limit is answered 413', async (t) => {
  const server = await testServer(t, { limits: { bodyBytes: 1000 } });
  const form = { name: '1', nick: 'One', padding: 'x'.repeat(1000) };
  refused(t, await server.site().post(online, form), 413, 'payload too large', true);
  refused(t, await server.site().post('/v5/messages', form), 413, 'payload too large');
  const json = await server.site().send({ method: 'POST', path: '/v5/messages', json: form });
  refused(t, json, 413, 'payload too large');
});

t.test('a body of 64 KiB is in the limit unless configured', async (t) => {
  const server = await testServer(t);
  const head = 'ticket=x&to=2&body=hi&padding=';
  const at = { method: 'POST', path: '/v5/messages', type: 'application/x-www-form-urlencoded' };
  const whole = await server.site().send({ ...at, body: head + 'x'.repeat(65536 - head.length) });
  refused(t, whole, 404, 'ticket not found');
  const over = await server.site().send({ ...at, body: head + 'x'.repeat(65537 - head.length) });
  refused(t, over, 413, 'payload too large');
});

t.test('a body of another type is answered 415', async (t) => {
  const server = await testServer(t);
  for (const type of [
    'text/plain',
    'multipart/form-data; boundary=x',
    'application/xml',
    'application/jsonp',
    'json',
  ]) {
    for (const [name, path] of posts) {
      await t.test(`${type} for ${name}`, async (t) => {
        const answer = await server.site().send({ method: 'POST', path, body: 'name=1', type });
        refused(t, answer, 415, 'unsupported media type', name === 'ONLINE');
      });
    }
  }
});

t.test('a body that cannot be read is answered 400', async (t) => {
  const server = await testServer(t);
  const bodies: readonly (readonly [title: string, type: string, body: string | Buffer])[] = [
    ['cut JSON', 'application/json', '{"ticket":"x"'],
    ['JSON that is a list', 'application/json', '["x"]'],
    ['JSON that is a text', 'application/json', '"x"'],
    ['JSON that is null', 'application/json', 'null'],
    ['JSON that is a number', 'application/json', '1'],
    ['JSON that is no UTF-8', 'application/json', Buffer.from('{"ticket":"\xff"}', 'latin1')],
    ['half a surrogate in JSON', 'application/json', '{"ticket":"x","to":"2","body":"\\ud800"}'],
    ['half a surrogate deep in JSON', 'application/json', '{"ticket":"x","to":"2","body":"b","z":[{"y":"\\uDC00"}]}'],
    ['half a surrogate as a name in JSON', 'application/json', '{"ticket":"x","to":"2","body":"b","\\ud83d":"1"}'],
    ['a form that is no UTF-8', 'application/x-www-form-urlencoded', 'ticket=x&to=2&body=%ff'],
    ['a form with half a surrogate', 'application/x-www-form-urlencoded', 'ticket=x&to=2&body=%ED%A0%80'],
    ['a form with an overlong byte sequence', 'application/x-www-form-urlencoded', 'ticket=x&to=2&body=%C0%AF'],
    ['a form of raw bytes', 'application/x-www-form-urlencoded', Buffer.from('ticket=x&to=2&body=\xff', 'latin1')],
  ];
  for (const [title, type, body] of bodies) {
    await t.test(title, async (t) => {
      const answer = await server.site().send({ method: 'POST', path: '/v5/messages', body, type });
      t.hasStrict([answer.status, answer.body], [400, error('bad request')], answer.text);
    });
  }
  await t.test('a query that is not UTF-8 is answered 400', async (t) => {
    const answer = await server.site().send({ path: '/v5/presences?ids=%ff' });
    t.hasStrict([answer.status, answer.body], [400, error('bad request')], answer.text);
  });
});

t.test('of several mistakes the first in the order of errors is answered', async (t) => {
  const server = await testServer(t, { limits: { bodyBytes: 1000 } });
  const huge = 'x'.repeat(2000);
  const rows: readonly (readonly [title: string, status: number, request: HttpRequest])[] = [
    ['path before method, size and key', 404, { method: 'PUT', path: '/v5/gone', body: huge, type: 'text/plain' }],
    ['method before size and key', 405, { method: 'PUT', path: online, body: huge, type: 'text/plain' }],
    ['size before type and key', 413, { method: 'POST', path: online, body: huge, type: 'text/plain' }],
    ['type before syntax and key', 415, { method: 'POST', path: online, body: '{', type: 'text/plain' }],
    ['syntax before key', 400, { method: 'POST', path: online, body: '{', type: 'application/json' }],
    ['key before fields', 401, { method: 'POST', path: online, form: { show: 'nonsense' } }],
    ['key before ticket', 401, { method: 'POST', path: '/v5/presences/offline', form: { domain, ticket: 'x' } }],
    [
      'fields before ticket',
      400,
      { method: 'POST', path: '/v5/presences/show', form: { ticket: 'x', show: 'y' }, auth: siteA },
    ],
    [
      'fields before ticket in a message',
      400,
      { method: 'POST', path: '/v5/messages', form: { ticket: 'x', to: '2' }, auth: siteA },
    ],
    ['the ticket last', 404, { method: 'POST', path: '/v5/presences/offline', form: { ticket: 'x' }, auth: siteA }],
  ];
  for (const [title, status, request] of rows) {
    await t.test(title, async (t) => {
      const answer = await server.request(request);
      t.equal(answer.status, status, answer.text);
      t.equal('detail' in (answer.body as object), status === 400, 'detail comes only with 400');
    });
  }
});

t.test('wrong Basic credentials are refused before the body is parsed', async (t) => {
  const server: TestServer = await testServer(t);
  const headers = { authorization: basic(domain, 'wrong') };
  const request = { method: 'POST', path: online, body: '[', type: 'application/json' };
  t.equal((await server.request({ ...request, headers })).status, 401);
  t.equal((await server.request({ ...request, auth: siteA })).status, 400);
});
