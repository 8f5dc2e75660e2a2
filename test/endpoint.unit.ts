/** What becomes of an endpoint that fails on a message. Only bugs make one fail, so these messages are made to. */
import { performance } from 'node:perf_hooks';
import t from 'tap';
import type { Client } from '../src/actors/client.js';
import type { Packet } from '../src/actors/packet.js';
import type { Show } from '../src/actors/presence.js';
import type { Transport } from '../src/actors/transport.js';
import { CLOSE, type CloseReason, UNAVAILABLE } from '../src/errors.js';
import { ConnectionLimits } from '../src/protocols/connection-limits.js';
import { findTicket } from '../src/protocols/credentials.js';
import type { Headers } from '../src/protocols/headers.js';
import { PollAdapter } from '../src/protocols/jsonp.js';
import type { HttpRequest, HttpResponse } from '../src/uws.js';
import { own, TestBroker, testMachine } from './mqtt/support/broker.js';
import { TestDevice, turn } from './mqtt/support/device.js';
import type { Cleaner } from './support/server.js';
import { turnsUntil } from './support/until.js';

/** A connection that keeps the packets and the close that it is given. */
class Recorder implements Transport {
  readonly kind = 'websocket';
  readonly packets: Packet[] = [];
  closed: CloseReason | null = null;

  deliver(packets: readonly Packet[]): number {
    return this.packets.push(...packets) && packets.length;
  }

  close(reason: CloseReason): readonly Packet[] {
    this.closed = reason;
    return [];
  }
}

async function jack(t: Cleaner) {
  const { host, domain, metrics } = testMachine(t);
  const broker = new TestBroker({} as never, host.context, host.context.domains as never);
  const ticket = await broker.online('jack', { rooms: 'r' });
  const client = findTicket(domain, ticket);
  if (!client) throw new Error('no client');
  const transport = new Recorder();
  const { system } = domain.runtime;
  client.endpoint.tell({ kind: 'attach', client, transport });
  await turn();
  return { broker, domain, metrics, ticket, client, transport, system };
}

t.test('an endpoint that fails on a packet goes on as it was', async (t) => {
  const { broker, domain, metrics, client, transport } = await jack(t);
  const packet = {
    get kind(): never {
      throw new Error('a fault of the test');
    },
  };
  client.endpoint.tell({ kind: 'deliver', packet: packet as never, only: null });
  broker.push('tom', 'jack', 'still here');
  await turnsUntil('a packet', () => transport.packets.length > 0);
  t.equal(metrics.crashes, 1);
  t.equal(domain.metrics.endpointsOnline, 1);
  t.match(transport.packets, [{ fields: { body: 'still here' } }]);
  t.equal(transport.closed, null);
});

t.test(
  'an endpoint that fails while it changes ends: the call is answered, and its clients may come online again',
  async (t) => {
    const { broker, domain, metrics, ticket, client, transport } = await jack(t);
    const answers: unknown[] = [];
    const failing = {
      kind: 'show' as const,
      get show(): Show {
        throw new Error('a bug');
      },
      nick: null,
      status: null,
      reply: (answer: unknown) => void answers.push(answer),
    };
    const tom = await broker.online('tom');
    client.endpoint.tell(failing);
    await turn();
    t.equal(metrics.crashes, 1);
    t.strictSame(answers, [UNAVAILABLE]);
    t.equal(transport.closed, CLOSE.ticketNotFound);
    t.equal(findTicket(domain, ticket), null);
    t.ok(findTicket(domain, tom), 'nobody else is touched');
    t.strictSame([domain.metrics.endpointsOnline, domain.metrics.clients], [1, 1]);
    t.ok(findTicket(domain, await broker.online('jack', { rooms: 'r' })));
  },
);

t.test('messages that wait for an endpoint which ends after a crash are answered too', async (t) => {
  const { broker, client } = await jack(t);
  const answers: unknown[] = [];
  const reply = (answer: unknown): void => void answers.push(answer);
  // A bug: `rooms` is missing.
  const online = { kind: 'online' as const, nick: 'Jack', client: null, reply } as never;
  client.endpoint.tell(online);
  client.endpoint.tell({ kind: 'join', room: '/domain/a.example/gid/r' as never, nick: null, reply });
  client.endpoint.tell(online);
  client.endpoint.tell({ kind: 'pass', done: () => reply('passed') });
  await turnsUntil('four answers', () => answers.length >= 4);
  t.strictSame(answers, [UNAVAILABLE, UNAVAILABLE, UNAVAILABLE, 'passed']);
  t.ok(await broker.online('jack'));
});

t.test(
  'what a lost connection had in flight is not lost where the next one is attached before its end is known',
  async (t) => {
    const { host, domain } = testMachine(t);
    const broker = new TestBroker({} as never, host.context, host.context.domains as never);
    const ticket = await broker.online('jack');
    const connect = async (clean: boolean) => {
      const peer = new TestDevice(host);
      const login = { username: own.domain, password: Buffer.from(ticket) };
      peer.send({
        ...{ cmd: 'connect', protocolId: 'MQTT', protocolVersion: 5, clientId: 'phone', clean, keepalive: 0 },
        ...{ properties: { sessionExpiryInterval: 60 }, ...login },
      });
      return peer;
    };
    const first = await connect(true);
    await first.received();
    broker.push('tom', 'jack', 'one');
    t.match(await first.received(), [{ cmd: 'publish', messageId: 1 }]);
    // The new connection comes in the same turn as the end of the old one, and before it.
    const second = await connect(false);
    first.connection.lost();
    t.match(await second.received(), [{ cmd: 'connack' }, { cmd: 'publish', messageId: 1, dup: true }]);
    t.equal(domain.metrics.queuedPackets, 1);
    second.send({ cmd: 'puback', messageId: 1 });
    await second.received();
    t.equal(domain.metrics.queuedPackets, 0);
  },
);

/** A user called jack who polls, without a socket. */
async function polling(t: Parameters<typeof testMachine>[0]) {
  const { host, domain } = testMachine(t);
  const broker = new TestBroker({} as never, host.context, host.context.domains as never);
  const ticket = await broker.online('jack');
  const polls = new PollAdapter(host.context, new ConnectionLimits(host.context));
  t.teardown(() => polls.close());
  const headers = { origin: '', forwardedFor: '', forwardedProto: '', forwardedHost: '' } as unknown as Headers;
  const req = { getQuery: () => `domain=${own.domain}&ticket=${ticket}`, getHeader: () => '' };
  /** Polls; answers how to end the poll's connection from the browser's side. */
  const poll = (onBody: (body: string) => void) => {
    let abort = () => {};
    const res = {
      onAborted: (handler: () => void) => {
        abort = handler;
      },
      cork: (write: () => void) => write(),
      writeStatus: () => res,
      writeHeader: () => res,
      end: onBody,
    };
    polls.get(res as unknown as HttpResponse, req as unknown as HttpRequest, headers);
    return abort;
  };
  return { broker, domain, poll, client: () => findTicket(domain, ticket) as Client };
}

const { nodeTiming } = performance;
const nextTurn = () => new Promise((resolve) => setImmediate(resolve));

/** Resolves when the event loop has slept: it has looked at the network since. */
async function loopSlept(): Promise<void> {
  const { idleTime } = nodeTiming;
  while (nodeTiming.idleTime === idleTime) await new Promise((resolve) => setTimeout(resolve, 1));
}

t.test(
  'what a poll had taken when its browser went is not lost where the next one is attached before that is known',
  async (t) => {
    const { broker, domain, poll } = await polling(t);
    const abort = poll((body) => t.notMatch(body, 'one', 'a browser that may have gone has nothing to lose'));
    broker.push('tom', 'jack', 'one');
    // A poll that has just come takes the message at the end of the turn, and writes it when the event loop has looked at the network.
    await turnsUntil('a message sent', () => domain.metrics.sent.message > 0);
    const answered = new Promise<string>((resolve) => poll(resolve));
    abort();
    t.match(await answered, /"body":"one"/);
  },
);

t.test('a poll that comes is let in at once, where nothing of its domain waits', async (t) => {
  const { broker, client, poll } = await polling(t);
  const abort = poll(() => undefined);
  t.equal(client().transport?.kind, 'jsonp', 'no turn of the event loop was needed');
  abort();
  await nextTurn();
  t.equal(client().transport, null);
  broker.push('tom', 'jack', 'one');
  const answered = new Promise<string>((resolve) => poll(resolve));
  t.equal(client().transport, null, 'it comes in its turn, behind what waits');
  t.match(await answered, /"body":"one"/);
});

t.test('a poll that the event loop has looked at is answered in the turn in which its message comes', async (t) => {
  const { broker, poll } = await polling(t);
  const bodies: string[] = [];
  poll((body) => bodies.push(body));
  await loopSlept();
  broker.push('tom', 'jack', 'one');
  t.strictSame(bodies, [], 'the turn has not begun');
  await nextTurn();
  t.match(bodies, [/"body":"one"/]);
});
