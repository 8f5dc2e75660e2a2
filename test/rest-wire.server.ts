import t from 'tap';
import { basic } from './support/http.js';
import { RawSocket, rawRequest, requestText } from './support/raw.js';
import { siteA, testServer } from './support/server.js';

const authorization = `Authorization: ${basic(siteA.domain, siteA.apikey)}`;
const form = 'Content-Type: application/x-www-form-urlencoded';
const push = 'from=1&to=2&body=hi';

t.test('Expect: 100-continue is answered at once', async (t) => {
  const server = await testServer(t);
  const raw = await RawSocket.open(server);
  raw.write(
    requestText('POST /v5/messages', [authorization, form, 'Expect: 100-continue', `Content-Length: ${push.length}`]),
  );
  const continued = await raw.answer();
  t.equal(continued.status, 100);
  raw.write(push);
  while (!raw.received.includes('{"status":"ok"}')) await new Promise((resolve) => raw.socket.once('data', resolve));
  t.match(raw.received, /HTTP\/1\.1 200 OK\r\n/);
});

t.test('a room’s id in the path may come as raw UTF-8', async (t) => {
  const server = await testServer(t);
  const member = await server.site().arrive('1', { rooms: '张三' });
  const { ticket } = await server.site().online('2');
  const body = `domain=${siteA.domain}&ticket=${encodeURIComponent(ticket)}`;
  const answer = await rawRequest(server, requestText('POST /v5/rooms/张三/join', [authorization, form], body));
  t.match(answer, { status: 200, text: '{"status":"ok"}' });
  t.hasStrict(await member.next(), { type: 'join', to: '张三' });
});

t.test('a body in chunks is read like any other', async (t) => {
  const server = await testServer(t);
  const two = await server.site().arrive('2');
  const chunked = ['8', push.slice(0, 8), (push.length - 8).toString(16), push.slice(8), '0', '', ''].join('\r\n');
  const headers = [authorization, form, 'Transfer-Encoding: chunked'];
  t.match(await rawRequest(server, requestText('POST /v5/messages', headers, chunked)), { status: 200 });
  t.hasStrict(await two.next(), { from: '1', body: 'hi' });
});

t.test('a body in chunks over the limit is answered 413', async (t) => {
  const server = await testServer(t, { limits: { bodyBytes: 1000 } });
  const raw = await RawSocket.open(server);
  raw.write(requestText('POST /v5/messages', [authorization, form, 'Transfer-Encoding: chunked']));
  for (let n = 0; n < 4; n++) raw.write(`200\r\n${'x'.repeat(512)}\r\n`);
  raw.write('0\r\n\r\n');
  t.match(await raw.answer(), { status: 413, text: '{"status":"error","message":"payload too large"}' });
});

t.test(
  'after a body that is too large the connection is closed, so that what follows is not read as a request',
  async (t) => {
    const server = await testServer(t, { limits: { bodyBytes: 1000 } });
    const raw = await RawSocket.open(server);
    raw.write(requestText('POST /v5/messages', [authorization, form, 'Content-Length: 5000'], 'x'.repeat(1001)));
    t.match(await raw.answer(), { status: 413 });
    raw.write(`${'x'.repeat(3999)}${requestText('GET /v5/presences?ids=1', [authorization])}`);
    const answered = new Promise((resolve) => raw.socket.once('data', resolve));
    await Promise.race([raw.closed, answered]);
    t.equal(raw.received.match(/HTTP\/1\.1 /g)?.length, 1, raw.received);
  },
);

t.test('a request that arrives in pieces of any size is read whole', async (t) => {
  const server = await testServer(t);
  const two = await server.site().arrive('2');
  const padding = Array.from({ length: 10 }, (_, n) => `X-Padding-${n}: ${'x'.repeat(350)}`);
  const text = requestText('POST /v5/messages', [authorization, form, ...padding], push);
  for (const piece of [100, 1000, 3900, text.length - 3]) {
    const raw = await RawSocket.open(server);
    for (let at = 0; at < text.length; at += piece) {
      raw.write(text.slice(at, at + piece));
      await server.settled();
    }
    t.match(await raw.answer(), { status: 200, text: '{"status":"ok"}' }, `pieces of ${piece}`);
    t.hasStrict(await two.next(), { body: 'hi' });
    raw.close();
  }
});

t.test('headers of 16 KiB that arrive together are read', async (t) => {
  const server = await testServer(t);
  const two = await server.site().arrive('2');
  const padding = Array.from({ length: 16 }, (_, n) => `X-Padding-${n}: ${'x'.repeat(1010)}`);
  const text = requestText('POST /v5/messages', [authorization, form, ...padding], push);
  t.ok(text.length > 16_384);
  t.match(await rawRequest(server, text), { status: 200, text: '{"status":"ok"}' });
  t.hasStrict(await two.next(), { body: 'hi' });
});

t.test('header names are read in any case', async (t) => {
  const server = await testServer(t);
  const headers = [
    authorization.toUpperCase().replace(/BASIC .*/, basic(siteA.domain, siteA.apikey)),
    form.toLowerCase(),
  ];
  t.match(await rawRequest(server, requestText('POST /v5/messages', headers, push)), { status: 200 });
});

t.test('several requests on one connection are answered in order', async (t) => {
  const server = await testServer(t);
  await server.site().online('1', { show: 'away' });
  const raw = await RawSocket.open(server);
  const texts = ['1', '2', '1', '3'].map((id) => requestText(`GET /v5/presences?ids=${id}`, [authorization]));
  for (const [n, text] of texts.entries()) {
    raw.write(text);
    const count = () => raw.received.split('HTTP/1.1 200').length - 1;
    while (count() <= n) await new Promise((resolve) => raw.socket.once('data', resolve));
  }
  const answers = [...raw.received.matchAll(/\{[^}]*\}/g)].map(([text]) => text);
  t.strictSame(answers, ['{"1":"away"}', '{}', '{"1":"away"}', '{}']);
});

t.test('HEAD is answered 405 without a body, so that the next answer on the connection is read as such', async (t) => {
  const server = await testServer(t);
  const raw = await RawSocket.open(server);
  for (const path of ['presences', 'presences/online', 'packets', 'wsocket'])
    raw.write(requestText(`HEAD /v5/${path}`));
  raw.write(requestText('GET /v5/presences?ids=1', [authorization]));
  while (!raw.received.includes('{}')) await new Promise((resolve) => raw.socket.once('data', resolve));
  const answers = raw.received.split('\r\n\r\n');
  t.equal(answers.length, 6, raw.received);
  for (const head of answers.slice(0, 4)) t.match(head, /^HTTP\/1\.1 405 [\s\S]*\r\nallow: (GET|POST)/i);
  t.match(answers[4], /^HTTP\/1\.1 200 OK/);
});

t.test('a byte order mark in front of a body is passed over', async (t) => {
  const server = await testServer(t);
  const two = await server.site().arrive('2');
  const rows = [
    ['application/json', '{"from":"1","to":"2","body":"hi"}'],
    ['application/x-www-form-urlencoded', push],
  ] as const;
  for (const [type, body] of rows) {
    const answer = await server.site().send({ method: 'POST', path: '/v5/messages', body: `\ufeff${body}`, type });
    t.equal(answer.text, '{"status":"ok"}', type);
    t.hasStrict(await two.next(), { from: '1', body: 'hi' });
  }
});

t.test('a raw URL that is not UTF-8 is answered 400', async (t) => {
  const server = await testServer(t);
  for (const bytes of ['%ff', '%C0%AF', '%ED%A0%80', '\xff']) {
    const lines = requestText(`GET /v5/presences?ids=${bytes}`, [authorization]);
    t.equal((await rawRequest(server, Buffer.from(lines, 'latin1'))).status, 400, `${bytes} in the query`);
    const path = requestText(`GET /v5/rooms/${bytes}/members?ticket=x`, [authorization]);
    t.equal((await rawRequest(server, Buffer.from(path, 'latin1'))).status, 400, `${bytes} in the path`);
  }
});
