/** What connections that have not said who they are may make the server hold, all together. */
import t from 'tap';
import { Strangers } from '../src/protocols/strangers.js';
import { upgradeHeaders } from './support/hostile.js';
import { RawSocket, requestText } from './support/raw.js';
import { siteA, testServer } from './support/server.js';
import { WebSocketClient } from './support/websocket.js';

const MIB = 1024 * 1024;

class Counted {
  dropped = false;

  constructor(private readonly strangers: Strangers) {}

  drop(): void {
    this.strangers.release(this);
    this.dropped = true;
  }
}

t.test('strangers hold 128 MiB together; who has held longest makes room, who holds little stays', async (t) => {
  const strangers = new Strangers();
  const make = (bytes: number) => {
    const stranger = new Counted(strangers);
    strangers.hold(stranger, bytes);
    return stranger;
  };
  const small = make(4096);
  const [first, second, third] = [make(50 * MIB), make(50 * MIB), make(20 * MIB)];
  t.notOk(first.dropped);
  strangers.hold(third, 40 * MIB);
  t.strictSame([first.dropped, second.dropped, third.dropped, small.dropped], [true, false, false, false]);
  strangers.release(second);
  t.equal(strangers.bytes, 40 * MIB + 4096);
  const alone = make(200 * MIB);
  t.ok(alone.dropped && third.dropped, 'more than all may hold is dropped itself');
  t.equal(strangers.size, 1);
});

t.test('strangers that hold nothing are bounded in number', async (t) => {
  const strangers = new Strangers();
  const all = Array.from({ length: 20_000 }, () => {
    const stranger = new Counted(strangers);
    strangers.hold(stranger, 0);
    return stranger;
  });
  t.equal(strangers.size, 16_384);
  t.equal(
    all.findIndex(({ dropped }) => !dropped),
    20_000 - 16_384,
  );
});

t.test('WebSockets that begin a message and never end it are bounded together on /mqtt and /v5/wsocket', async (t) => {
  const server = await testServer(t, { mqtt: { port: -1 } });
  const ticket = (await server.site().online('1')).ticket;
  const known = await WebSocketClient.connect(server, ticket);
  const open = async (path: string) => {
    const raw = await RawSocket.open(server);
    raw.write(requestText(`GET ${path}`, [...upgradeHeaders, 'Sec-WebSocket-Protocol: mqtt']));
    t.equal((await raw.answer()).status, 101);
    // The first fragment of a message, which does not end; masked with zeros.
    raw.write(Buffer.concat([Buffer.from([0x02, 0xfe, 0xff, 0xff, 0, 0, 0, 0]), Buffer.alloc(65_535)]));
    return raw;
  };
  const first = await open('/v5/wsocket');
  for (let n = 0; n < 127; n++) await open('/mqtt');
  t.equal(server.metrics.refused.unavailable, 0);
  const before = await open('/mqtt');
  await first.closed;
  t.equal(server.metrics.refused.unavailable, 1);
  for (let n = 0; n < 8; n++) await open('/v5/wsocket');
  t.equal(server.metrics.refused.unavailable, 2, 'eight texts take as much as a message of MQTT');
  t.equal(before.socket.destroyed, false);
  t.equal(known.socket.readyState, known.socket.OPEN, 'who has subscribed is no stranger');
  const late = await WebSocketClient.connect(server, (await server.site().online('2')).ticket);
  t.equal(late.socket.readyState, late.socket.OPEN, 'who comes now and says who it is is served');
  await server.site(siteA).push('x', '1', 'hello');
  t.match(await known.next(), { body: 'hello' });
});

t.test(
  'bodies that never come to their end are bounded together, and who has held most for longest makes room',
  async (t) => {
    const server = await testServer(t);
    const open = async (bytes: number) => {
      const raw = await RawSocket.open(server);
      raw.write(`POST /v5/messages/batch HTTP/1.1\r\nHost: x\r\nContent-Length: ${MIB}\r\n\r\n`);
      raw.write(Buffer.alloc(bytes, 0x20));
      return raw;
    };
    const small = await open(1000);
    const first = await open(MIB - 1);
    const all = [];
    for (let n = 0; n < 130; n++) all.push(await open(MIB - 1));
    await first.closed;
    t.ok(server.metrics.refused.unavailable > 0);
    t.equal(small.socket.destroyed, false);
    const body = JSON.stringify({ messages: [{ from: 'x', to: '1', body: 'hello '.repeat(100) }] });
    const batch = { method: 'POST', path: '/v5/messages/batch', headers: { 'content-type': 'application/json' }, body };
    t.match(await server.site().send(batch), { status: 200 }, 'a whole body is read meanwhile');
    const before = server.metrics.refused.unavailable;
    for (const raw of all) raw.socket.destroy();
    await server.settled();
    for (let n = 0; n < 20; n++) await open(MIB - 1);
    await server.settled();
    t.equal(server.metrics.refused.unavailable, before, 'who has gone holds nothing');
  },
);

t.test('a call whose body has to go with its last piece is not run without it', async (t) => {
  const server = await testServer(t);
  const receiver = await WebSocketClient.connect(server, (await server.site().online('1')).ticket);
  const limit = 128 * MIB;
  const open = async (path: string, length: number, bytes: number) => {
    const raw = await RawSocket.open(server);
    raw.write(`POST ${path} HTTP/1.1\r\nHost: x\r\nContent-Length: ${length}\r\n\r\n`);
    raw.write(Buffer.alloc(bytes, 'a'));
    await server.settled();
    return raw;
  };
  const query = new URLSearchParams({ ...siteA, from: 'x', to: '1', body: 'in the query' });
  const first = await open(`/v5/messages?${query}`, 60_000, 50_000);
  // All at once: the first is closed when it has been still for ten seconds.
  const others: Promise<RawSocket>[] = [];
  for (let rest = limit - 50_000; rest > 0; rest -= Math.min(rest, MIB - 1)) {
    others.push(open('/v5/messages/batch', MIB, Math.min(rest, MIB - 1)));
  }
  await Promise.all(others);
  for (let turn = 0; turn < 5; turn++) await server.settled();
  t.equal(server.metrics.refused.unavailable, 0, 'all together hold as much as they may');
  first.write(Buffer.alloc(10_000, 'a'));
  await first.closed;
  t.equal(server.metrics.refused.unavailable, 1);
  await server.site().push('x', '1', 'afterwards');
  t.match(await receiver.next(), { body: 'afterwards' });
});
