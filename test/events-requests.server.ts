/** What a request for server-sent events may say, and how it is refused: PROTOCOL.md section 13. */
import http from 'node:http';
import t from 'tap';
import { CountingStream } from './support/counting.js';
import { siteA, siteB, type TestServer, testServer } from './support/server.js';

const listed = 'https://shop.a.example';

/** The first event's text, and the headers that came before it. */
function opening(
  server: TestServer,
  path: string,
  query: Record<string, string>,
  headers: http.OutgoingHttpHeaders = {},
) {
  return new Promise<{ status: number; headers: http.IncomingHttpHeaders; text: string }>((resolve, reject) => {
    const options = { port: server.port, path: `${path}?${new URLSearchParams(query)}`, headers, agent: false };
    const request = http.get(options, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (part) => {
        text += part;
        if (!/^data: \{"status"/m.test(text)) return;
        resolve({ status: response.statusCode ?? 0, headers: response.headers, text });
        request.destroy();
      });
      response.on('error', () => undefined);
      response.on('end', () => reject(new Error(`ended after ${text}`)));
    });
    request.on('error', reject);
  });
}

t.test('what a browser says that it has had last counts before the position of its address', async (t) => {
  const server = await testServer(t);
  const site = server.site();
  const { ticket } = await site.online('jack');
  for (const body of ['one', 'two', 'three']) await site.push('anna', 'jack', body);
  const query = { domain: siteA.domain, ticket };
  const first = await opening(server, '/v5/events', query);
  t.match(
    first.text,
    /^retry: 1000\n\nid: \w+\.3\ndata: \{"status":"ok","position":"\w+\.0","messages":\[\{.*one.*three/,
  );
  const era = /id: (\w+)\./.exec(first.text)?.[1];
  const position = `${era}.1`;
  const second = await opening(server, '/v5/events', { ...query, position }, { 'Last-Event-ID': `${era}.2` });
  t.match(second.text, /"three"/);
  t.notMatch(second.text, /"two"/, 'confirmed by the id');
  const third = await opening(server, '/v4/events/', { ...query, position: `${era}.2` }, { 'Last-Event-ID': '' });
  t.match(third.text, /^retry: 1000\n\nid: \w+\.3\ndata: \{"status":"ok","messages":\[\{[^[]*"three"/);
});

t.test('a request without a position begins with the first packet, and one with - where the client was', async (t) => {
  const server = await testServer(t);
  const site = server.site();
  const { ticket } = await site.online('jack');
  await site.push('anna', 'jack', 'one');
  const query = { domain: siteA.domain, ticket };
  for (const more of [{}, { position: '0' }, { position: '-' }] as Record<string, string>[]) {
    const { text } = await opening(server, '/v5/events', { ...query, ...more });
    t.match(text, /"position":"\w+\.0","messages":\[\{.*"one"/, JSON.stringify(more));
  }
});

t.test('requests that cannot be answered are told why, as JSON', async (t) => {
  const server = await testServer(t);
  const { ticket } = await server.site().online('jack');
  const query = { domain: siteA.domain, ticket };
  const table: readonly (readonly [
    query: Record<string, string>,
    headers: Record<string, string>,
    status: number,
    error: object,
  ])[] = [
    [{ ticket }, {}, 400, { message: 'bad request', detail: 'domain is required' }],
    [{ domain: siteA.domain }, {}, 400, { message: 'bad request', detail: 'ticket is required' }],
    [{ ...query, position: 'x' }, {}, 400, { message: 'bad request', detail: /^position/ }],
    [query, { 'Last-Event-ID': 'x' }, 400, { message: 'bad request', detail: /^position/ }],
    [{ ...query, ticket: 'uid:jack:00' }, {}, 404, { message: 'ticket not found' }],
    [{ ...query, domain: siteB.domain }, {}, 404, { message: 'ticket not found' }],
    [{ ...query, domain: 'nobody.example' }, {}, 404, { message: 'ticket not found' }],
  ];
  for (const [asked, headers, status, error] of table) {
    const answer = await server.request({ path: '/v5/events', query: asked, headers });
    t.match([answer.status, answer.body], [status, { status: 'error', ...error }], JSON.stringify([asked, headers]));
    t.match(answer.headers, {
      'content-type': 'application/json; charset=utf-8',
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
      'access-control-allow-origin': '*',
    });
  }
  t.equal(server.metrics.connections.events, 0);
});

t.test('events are asked for by GET, and a preflight by OPTIONS; other methods are not allowed', async (t) => {
  const server = await testServer(t);
  const { ticket } = await server.site().online('jack');
  const query = { domain: siteA.domain, ticket };
  for (const method of ['HEAD', 'POST', 'PUT', 'DELETE', 'PATCH']) {
    const { status, headers, text } = await server.request({ method, path: '/v5/events', query });
    t.equal(status, 405, method);
    t.match(headers.allow, /\bGET\b/, method);
    if (method === 'HEAD') t.equal(text, '');
    else t.match(JSON.parse(text), { status: 'error', message: 'method not allowed' });
  }
  t.equal(server.metrics.connections.events, 0, 'a HEAD begins no stream');
  const asked = {
    origin: listed,
    'access-control-request-method': 'GET',
    'access-control-request-headers': 'last-event-id',
  };
  const preflight = await server.request({ method: 'OPTIONS', path: '/v5/events', query, headers: asked });
  t.equal(preflight.status, 204);
  t.match(preflight.headers, {
    'access-control-allow-origin': '*',
    'access-control-allow-headers': 'last-event-id',
    'access-control-allow-methods': /\bGET\b/,
  });
});

t.test('pages of the origins that a domain lists may read events, others are refused', async (t) => {
  const server = await testServer(t, { domains: [{ ...siteA, origins: [listed] }, siteB] });
  const site = server.site();
  const { ticket } = await site.online('jack');
  await site.push('anna', 'jack', 'one');
  const query = { domain: siteA.domain, ticket };
  for (const origin of ['https://evil.example', `${listed}.evil.example`]) {
    const refused = await server.request({ path: '/v5/events', query, headers: { origin } });
    t.match(refused, { status: 400, text: /origin is not allowed/ }, origin);
    t.equal(refused.headers['access-control-allow-origin'], undefined, origin);
  }
  const { headers } = await opening(server, '/v5/events', query, { origin: listed });
  t.match(headers, { 'access-control-allow-origin': listed, vary: /\borigin\b/i });
  const other = await site.online('anna');
  const gone = await server.request({
    path: '/v5/events',
    query: { ...query, ticket: `${other.ticket.slice(0, -2)}00` },
    headers: { origin: listed },
  });
  t.match([gone.status, gone.headers['access-control-allow-origin']], [404, listed], 'the page may read why');
});

t.test('while the server drains a page may read when to come again', async (t) => {
  const server = await testServer(t);
  const { ticket } = await server.site().online('jack');
  const stream = server.own(new CountingStream(server.port, ticket));
  await stream.connect();
  await server.drain();
  const query = { domain: siteA.domain, ticket };
  const answer = await server.request({ path: '/v5/events', query, headers: { origin: listed } }).catch(() => null);
  if (!answer) return;
  t.match([answer.status, answer.body], [503, { message: 'unavailable' }]);
  t.match(answer.headers, { 'retry-after': /^\d+$/, 'access-control-expose-headers': 'Retry-After' });
});
