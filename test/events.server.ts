/** The times of a stream of server-sent events, and what becomes of it when the server drains: PROTOCOL.md section 13. */
import t from 'tap';
import { ManualClock } from './mqtt/support/clock.js';
import { CountingStream } from './support/counting.js';
import { siteA, type TestServer, testServer } from './support/server.js';

const SECOND = 1000;
const MINUTE = 60 * SECOND;

async function openStream(server: TestServer, name: string): Promise<CountingStream> {
  const { ticket } = await server.site().online(name);
  const stream = server.own(new CountingStream(server.port, ticket));
  await stream.connect();
  return stream;
}

t.test('a stream of events says ping every 15 seconds, which is no packet', async (t) => {
  const clock = new ManualClock();
  const server = await testServer(t, {}, clock);
  const stream = await openStream(server, 'jack');
  const pings = () => stream.events.filter((name) => name === 'ping').length;
  clock.advance(14 * SECOND);
  await server.settled();
  t.equal(pings(), 0);
  clock.advance(SECOND);
  await stream.until(() => pings() === 1, 'ping');
  clock.advance(15 * SECOND);
  await stream.until(() => pings() === 2, 'ping');
  await server.site().push('anna', 'jack', 'one');
  await stream.has(1);
  t.match(stream.position, /\.1$/);
});

t.test('a stream of events ends after five minutes with something unconfirmed, and only then', async (t) => {
  const clock = new ManualClock();
  const server = await testServer(t, {}, clock);
  const queued = () => server.metrics.domain(siteA.domain).queuedPackets;
  const stream = await openStream(server, 'jack');
  clock.advance(11 * MINUTE);
  await server.settled();
  t.equal(stream.opened, 1, 'nothing is unconfirmed');
  await server.site().push('anna', 'jack', 'one');
  await stream.has(1);
  clock.advance(4 * MINUTE);
  await server.site().push('anna', 'jack', 'two');
  await stream.has(2);
  t.equal(stream.opened, 1);
  clock.advance(MINUTE);
  await server.settledWhile(() => stream.opened === 1);
  t.equal(stream.retries.at(-2), 50, 'the browser comes again at once');
  await server.settledWhile(() => queued() > 0);
  clock.advance(11 * MINUTE);
  await server.settled();
  t.strictSame([stream.opened, stream.bodies, stream.missed], [2, ['one', 'two'], 0]);
});

t.test('a stream of events whose browser has gone leaves no timer and no place behind', async (t) => {
  const clock = new ManualClock();
  const presence = { clientIdleMs: MINUTE, graceMs: MINUTE };
  const server = await testServer(t, { limits: { connectionsPerAddress: 1 }, presence }, clock);
  const before = clock.waiting;
  const stream = await openStream(server, 'jack');
  await server.site().push('anna', 'jack', 'one');
  await stream.has(1);
  stream.disconnect();
  await server.settledWhile(() => server.metrics.connections.events > 0);
  const next = await openStream(server, 'jack');
  t.equal(next.status, 200, 'the address has its one connection free again');
  next.disconnect();
  await server.settledWhile(() => server.metrics.connections.events > 0);
  for (let n = 0; n < 6; n++) {
    clock.advance(MINUTE);
    await server.settled();
  }
  t.equal(clock.waiting, before);
  t.equal(server.metrics.connections.events, 0);
});

t.test('a server that drains ends streams of events, whose browsers come back spread over some seconds', async (t) => {
  const server = await testServer(t);
  const names = Array.from({ length: 12 }, (_, i) => `user-${i}`);
  const streams = await Promise.all(names.map((name) => openStream(server, name)));
  await server.drain();
  // Who comes back at once is refused.
  await server.settledWhile(() => streams.some(({ status }) => status !== 503));
  const waits = streams.map(({ retries }) => retries.at(-1) ?? 0);
  t.ok(
    waits.every((ms) => ms >= 1000 && ms < 6000),
    `${waits}`,
  );
  t.ok(new Set(waits).size > 6, `spread: ${waits}`);
  t.match(streams[0]?.headers['retry-after'], /^\d+$/);
  t.equal(server.metrics.connections.events, 0);
});
