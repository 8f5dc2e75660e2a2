import t from 'tap';
import { HEADERS_TOO_LARGE } from '../src/errors.js';
import { readHeaders } from '../src/protocols/headers.js';
import { upgradeHeaders } from './support/hostile.js';
import { pollPackets } from './support/polling.js';
import { RawSocket, rawRequest, requestText } from './support/raw.js';
import { siteA, type TestServer, testServer } from './support/server.js';

const push = '/v5/messages';
const credentials = `Authorization: Basic ${Buffer.from(`${siteA.domain}:${siteA.apikey}`).toString('base64')}`;
const body = 'from=1&to=2&body=smuggled';
const chunked = `${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`;

/** A whole call that a proxy could take for the body of the request before it. */
const hidden = requestText(`POST ${push}`, [credentials], body);

const ambiguous: readonly (readonly [title: string, headers: readonly string[], body: string, detail: RegExp])[] = [
  ['two Content-Lengths that differ', ['Content-Length: 0', `Content-Length: ${hidden.length}`], '', /Content-Length/],
  ['an empty Content-Length', ['Content-Length:'], body, /Content-Length/],
  ['a Content-Length that is a list', ['Content-Length: 25, 25'], body, /Content-Length/],
  ['a signed Content-Length', ['Content-Length: +25'], body, /Content-Length/],
  ['a hexadecimal Content-Length', ['Content-Length: 0x19'], body, /Content-Length/],
  ['an unknown transfer coding', ['Transfer-Encoding: xchunked'], chunked, /Transfer-Encoding/],
  ['a coding after chunked', ['Transfer-Encoding: chunked, gzip'], chunked, /Transfer-Encoding/],
  ['a coding before chunked', ['Transfer-Encoding: gzip, chunked'], chunked, /Transfer-Encoding/],
  ['two codings', ['Transfer-Encoding: chunked', 'Transfer-Encoding: identity'], chunked, /Transfer-Encoding/],
  ['chunked named twice', ['Transfer-Encoding: chunked', 'Transfer-Encoding: chunked'], chunked, /Transfer-Encoding/],
  ['an empty Transfer-Encoding', ['Transfer-Encoding:'], chunked, /Transfer-Encoding/],
  ['two hosts', ['Host: other.example', 'Content-Length: 25'], body, /Host/],
];

async function receiver(server: TestServer) {
  const person = await server.site().arrive('2');
  const nothingElse = async () => {
    await server.site().push('1', '2', 'real');
    return (await person.next()) as { body?: string };
  };
  return nothingElse;
}

for (const [title, headers, sent, detail] of ambiguous) {
  t.test(`a request with ${title} is refused, ends its connection, and does nothing`, async (t) => {
    const server = await testServer(t);
    const first = await receiver(server);
    for (const path of [push, '/v5/presences', '/v5/docs', '/v5/packets', '/nowhere', '/v5/rooms/r/members']) {
      for (const method of path === push ? ['POST', 'GET'] : ['GET']) {
        const raw = await RawSocket.open(server);
        raw.write(requestText(`${method} ${path}`, [credentials, ...headers], sent));
        const answer = await raw.answer();
        // A request that the library itself takes for malformed is closed without an answer.
        if (answer.status !== 0) t.match(answer, { status: 400, text: detail }, `${method} ${path}`);
        await raw.closed;
      }
    }
    t.equal((await first()).body, 'real');
  });
}

t.test('a call behind a request of ambiguous length is not run', async (t) => {
  const server = await testServer(t);
  const first = await receiver(server);
  for (const [, headers] of ambiguous) {
    const raw = await RawSocket.open(server);
    raw.write(requestText(`POST ${push}`, [credentials, ...headers]) + hidden);
    await raw.closed;
  }
  t.equal((await first()).body, 'real');
  t.ok(server.metrics.refused.malformed > 0);
});

t.test(
  'a call behind a poll that waits on the same connection ends both without an answer, is not run, and loses nothing',
  async (t) => {
    const server = await testServer(t);
    const { ticket } = await server.site().online('1');
    const call = requestText(`POST ${push}`, [credentials], 'from=2&to=1&body=behind');
    const poll = requestText(`GET /v5/packets?domain=${siteA.domain}&ticket=${encodeURIComponent(ticket)}`);
    for (const parts of [[poll + call], [poll, call]]) {
      const raw = await RawSocket.open(server);
      for (const part of parts) {
        raw.write(part);
        await server.settled();
      }
      await raw.closed;
      t.equal(raw.received, '');
    }
    await server.site().push('2', '1', 'later');
    t.match(await pollPackets(server, ticket), [{ body: 'later' }]);
  },
);

t.test('calls that are answered at once may stand behind one another on a connection', async (t) => {
  const server = await testServer(t);
  const person = await server.site().arrive('2');
  const raw = await RawSocket.open(server);
  raw.write([1, 2, 3].map((n) => requestText(`POST ${push}`, [credentials], `from=1&to=2&body=${n}`)).join(''));
  for (const body of ['1', '2', '3']) t.match(await person.next(), { body });
  raw.socket.end();
  await raw.closed;
  t.equal(raw.received.split('HTTP/1.1 200 OK').length - 1, 3);
});

t.test('a Content-Length that is repeated unchanged, and chunks, are read', async (t) => {
  const server = await testServer(t);
  for (const [headers, sent] of [
    [['Content-Length: 25', 'Content-Length: 25'], body],
    [['Transfer-Encoding: Chunked'], chunked],
  ] as const) {
    t.match(await rawRequest(server, requestText(`POST ${push}`, [credentials, ...headers], sent)), { status: 200 });
  }
});

t.test('a body that is compressed is refused as a media type', async (t) => {
  const server = await testServer(t);
  const request = { method: 'POST', path: push, auth: siteA, form: { from: '1', to: '2', body: 'hi' } };
  for (const coding of ['gzip', 'br', 'deflate, gzip']) {
    const answer = await server.request({ ...request, headers: { 'content-encoding': coding } });
    t.match(answer, { status: 415, body: { message: 'unsupported media type' } }, coding);
  }
  t.equal((await server.request({ ...request, headers: { 'content-encoding': 'identity' } })).status, 200);
});

t.test('a WebSocket handshake of another version than 13, or of none, is answered 426', async (t) => {
  const server = await testServer(t);
  const bare = upgradeHeaders.filter((line) => !line.startsWith('Sec-WebSocket-Version'));
  for (const path of ['/v5/wsocket', '/v4/wsocket/', '/mqtt']) {
    for (const version of [[], ['Sec-WebSocket-Version: 8'], ['Sec-WebSocket-Version: 130']]) {
      const lines = [...bare, ...version, 'Sec-WebSocket-Protocol: mqtt'];
      const raw = await RawSocket.open(server);
      raw.write(requestText(`GET ${path}`, lines));
      t.equal((await raw.answer()).status, 426, `${path} ${version}`);
      t.match(raw.received, /\r\nSec-WebSocket-Version: 13\r\n/);
      await raw.closed;
    }
  }
});

t.test('a request of more than 50 headers is answered 431', async (t) => {
  const request = (lines: number) => ({
    forEach(line: (name: string, value: string) => void) {
      for (let i = 0; i < lines; i++) line(`x-${i}`, '');
    },
  });
  t.equal(readHeaders(request(51)).error, HEADERS_TOO_LARGE);
  t.match(readHeaders(request(50)), { host: '', error: null });
});

t.test('what the headers of one list say in several lines is read as one', async (t) => {
  const tag = async () => (await server.request({ path: '/v5/openapi.json' })).headers.etag ?? '';
  const server = await testServer(t);
  const known = await tag();
  for (const lines of [
    [`If-None-Match: ${known}`],
    ['If-None-Match: "a"', `If-None-Match: W/${known}`],
    ['If-None-Match: *'],
  ]) {
    t.equal((await rawRequest(server, requestText('GET /v5/openapi.json', lines))).status, 304, lines.join());
  }
  t.equal((await rawRequest(server, requestText('GET /v5/openapi.json', ['If-None-Match: "a"']))).status, 200);
});
