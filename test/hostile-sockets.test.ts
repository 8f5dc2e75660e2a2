import net from 'node:net';
import t from 'tap';
import { dice } from './support/dice.js';
import { attack, Bystanders, isRefusal, upgradeHeaders } from './support/hostile.js';
import { basic } from './support/http.js';
import { openPoll } from './support/polling.js';
import { RawSocket, requestText } from './support/raw.js';
import { siteA, type TestServer, testServer } from './support/server.js';
import { WebSocketClient } from './support/websocket.js';

const upgrades: readonly (readonly [title: string, line: string, headers: readonly string[]])[] = [
  ['no key', 'GET /v5/wsocket', upgradeHeaders.slice(0, 3)],
  ['an empty key', 'GET /v5/wsocket', [...upgradeHeaders.slice(0, 3), 'Sec-WebSocket-Key:']],
  ['a long key', 'GET /v5/wsocket', [...upgradeHeaders.slice(0, 3), `Sec-WebSocket-Key: ${'x'.repeat(10_000)}`]],
  ['another path', 'GET /v5/sockets', upgradeHeaders],
  ['a REST path', 'GET /v5/presences', upgradeHeaders],
  ['a POST', 'POST /v5/wsocket', upgradeHeaders],
];

t.test('a malformed upgrade is refused', async (t) => {
  const server = await testServer(t);
  const bystanders = await Bystanders.meet(server);
  for (const [title, line, headers] of upgrades) {
    const answer = await attack(server, requestText(line, headers));
    t.ok(isRefusal(answer), `${title}: ${answer.status} ${answer.text}`);
  }
  await bystanders.chat(t);
});

async function upgraded(server: TestServer): Promise<RawSocket> {
  const raw = await RawSocket.open(server);
  raw.write(requestText('GET /v5/wsocket', upgradeHeaders));
  await raw.answer();
  if (!raw.received.startsWith('HTTP/1.1 101')) throw new Error(raw.received);
  return raw;
}

/** A client's frame as RFC 6455 has it, unless told otherwise. */
function frame(payload: string | Buffer, { first = 0x81, isMasked = true } = {}): Buffer {
  const data = Buffer.from(payload);
  const mask = Buffer.from([1, 2, 3, 4]);
  const head =
    data.length < 126
      ? Buffer.from([first, data.length | (isMasked ? 0x80 : 0)])
      : Buffer.from([first, 126 | (isMasked ? 0x80 : 0), data.length >> 8, data.length & 255]);
  if (!isMasked) return Buffer.concat([head, data]);
  return Buffer.concat([head, mask, data.map((byte, at) => byte ^ (mask[at % 4] ?? 0))]);
}

/** Nothing but what is sent ends a socket in time. */
const patient = { socket: { subscribeMs: 600_000 } };

const unmasked = frame('hello', { isMasked: false });

const frames: readonly (readonly [title: string, bytes: Buffer])[] = [
  // Of an unmasked text uWebSockets.js takes the first bytes for the mask, and waits for as many at its end.
  ['unmasked texts', Buffer.concat([unmasked, unmasked])],
  ['a reserved bit', frame('hello', { first: 0xc1 })],
  ['all reserved bits', frame('hello', { first: 0xf1 })],
  ['a reserved opcode', frame('hello', { first: 0x83 })],
  ['a reserved control opcode', frame('hello', { first: 0x8b })],
  ['a fragmented ping', frame('hello', { first: 0x09 })],
  ['a ping over 125 bytes', frame('x'.repeat(200), { first: 0x89 })],
  ['a continuation of nothing', frame('hello', { first: 0x80 })],
  ['text that is no UTF-8', frame(Buffer.from([0xff, 0xfe, 0x80]))],
  ['half a surrogate', frame(Buffer.from([0xed, 0xa0, 0x80]))],
  ['a length of 2^63', Buffer.from([0x81, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4])],
  ['a length of 2^62', Buffer.from([0x81, 0xff, 0x40, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4])],
  ['a length of a gigabyte', Buffer.from([0x81, 0xff, 0, 0, 0, 0, 0x40, 0, 0, 0, 1, 2, 3, 4])],
  ['a close with one byte', frame(Buffer.from([3]), { first: 0x88 })],
  ['a close with a code that is none', frame(Buffer.from([0, 1]), { first: 0x88 })],
  ['a close with a reason that is no UTF-8', frame(Buffer.from([3, 232, 0xff]), { first: 0x88 })],
  ['binary', frame('hello', { first: 0x82 })],
  ['a malformed subscribe', frame('subscribe')],
];

t.test('a malformed frame ends its own connection', async (t) => {
  const server = await testServer(t, patient);
  const bystanders = await Bystanders.meet(server);
  for (const [title, bytes] of frames) {
    await t.test(title, async (t) => {
      const raw = await upgraded(server);
      raw.write(bytes);
      await raw.closed;
      await bystanders.chat(t);
    });
  }
});

t.test('fragments without end are ended at the limit', async (t) => {
  const server = await testServer(t, patient);
  const raw = await upgraded(server);
  raw.write(frame('x'.repeat(10_000), { first: 0x01 }));
  // 128 KiB are taken in.
  for (let n = 0; n < 13; n++) raw.write(frame('x'.repeat(10_000), { first: 0x00 }));
  await raw.closed;
});

t.test('a text in fragments, byte by byte, is a text', async (t) => {
  const server = await testServer(t);
  const { ticket } = await server.site().online('1');
  const raw = await upgraded(server);
  const text = `subscribe ${siteA.domain} ${ticket}`;
  const bytes = Buffer.concat([
    frame(text.slice(0, 5), { first: 0x01 }),
    frame('', { first: 0x89 }),
    frame(text.slice(5, 9), { first: 0x00 }),
    frame(text.slice(9), { first: 0x80 }),
  ]);
  const answered = new Promise<void>((resolve) => {
    raw.socket.on('data', () => raw.received.includes('{"status":"ok"}') && resolve());
  });
  for (const byte of bytes) {
    raw.write(Buffer.from([byte]));
    await new Promise((resolve) => setImmediate(resolve));
  }
  await answered;
  t.pass();
});

t.test('any bytes on a socket end at most that socket', async (t) => {
  const server = await testServer(t);
  const bystanders = await Bystanders.meet(server);
  const roll = dice(3);
  for (let round = 0; round < 100; round++) {
    const raw = await upgraded(server);
    const bytes = frame(`subscribe ${siteA.domain} uid:1:00`);
    for (let changes = roll(6); changes >= 0; changes--) bytes[roll(bytes.length)] = roll(256);
    raw.write(bytes);
    raw.socket.end();
    await raw.closed;
  }
  await bystanders.chat(t);
});

t.test('thousands of half-open connections hold nobody up', async (t) => {
  const server = await testServer(t);
  const bystanders = await Bystanders.meet(server);
  const beginnings = [
    '',
    'G',
    'POST /v5/messages HTTP/1.1\r\nHost: x\r\n',
    requestText('POST /v5/messages', ['Content-Length: 50'], 'a'),
  ];
  const sockets: net.Socket[] = [];
  t.teardown(() => sockets.forEach((socket) => void socket.destroy()));
  for (let n = 0; n < 2000; n += 100) {
    const batch = Array.from({ length: 100 }, async (_, k) => {
      const socket = net.connect({ host: '127.0.0.1', port: server.port });
      socket.on('error', () => undefined);
      sockets.push(socket);
      await new Promise((resolve) => socket.once('connect', resolve));
      socket.write(beginnings[(n + k) % beginnings.length] ?? '');
    });
    await Promise.all(batch);
  }
  const before = process.cpuUsage();
  for (let n = 0; n < 20; n++) await bystanders.chat(t);
  const { user, system } = process.cpuUsage(before);
  t.ok(user + system < 3_000_000, `twenty words each way cost ${user + system} µs of the processor`);
});

t.test('slow senders hold nobody up and are answered when they are done', async (t) => {
  const server = await testServer(t);
  const bystanders = await Bystanders.meet(server);
  const authorization = `Authorization: ${basic(siteA.domain, siteA.apikey)}`;
  const form = 'Content-Type: application/x-www-form-urlencoded';
  const text = Buffer.from(requestText('POST /v5/messages', [authorization, form], 'from=1&to=2&body=at+last'));
  const slow = await Promise.all(Array.from({ length: 50 }, () => RawSocket.open(server)));
  for (const [at, byte] of text.entries()) {
    for (const raw of slow) raw.write(Buffer.from([byte]));
    if (at % 16 === 0) await bystanders.chat(t);
    else await new Promise((resolve) => setImmediate(resolve));
  }
  for (const raw of slow) t.match(await raw.answer(), { status: 200, text: '{"status":"ok"}' });
});

t.test('a crowd that connects and goes away at once leaves nothing behind', async (t) => {
  const server = await testServer(t);
  const bystanders = await Bystanders.meet(server);
  const { ticket } = await server.site().online('1');
  for (let n = 0; n < 50; n++) {
    const client = new WebSocketClient(server);
    if (n % 2) client.socket.on('open', () => client.send(`subscribe ${siteA.domain} ${ticket}`));
    const one = await openPoll(server, ticket);
    one.abort();
    client.close();
  }
  await bystanders.chat(t);
  const last = await WebSocketClient.connect(server, ticket);
  await server.site().push('2', '1', 'hi');
  t.hasStrict(await last.next(), { body: 'hi' });
});
