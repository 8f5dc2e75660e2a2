/** What becomes of an endpoint that fails on a message. Only bugs make one fail, so these messages are made to. */
import t from 'tap';
import type { Packet } from '../src/actors/packet.js';
import type { Show } from '../src/actors/presence.js';
import type { Transport } from '../src/actors/transport.js';
import { CLOSE, type CloseReason, UNAVAILABLE } from '../src/errors.js';
import { findTicket } from '../src/protocols/keys.js';
import { TestBroker, testMachine } from './mqtt/support/broker.js';
import { turn } from './mqtt/support/peer.js';
import type { Cleaner } from './support/server.js';

/** Keeps what it is told. */
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
  system.tell(client.endpoint, { kind: 'attach', client, transport });
  await turn();
  return { broker, domain, metrics, ticket, client, transport, system };
}

t.test('an endpoint that fails on a packet goes on as it was', async (t) => {
  const { broker, domain, metrics, client, transport, system } = await jack(t);
  system.tell(client.endpoint, { kind: 'push', deliver: null as never });
  broker.push('tom', 'jack', 'still here');
  while (transport.packets.length === 0) await turn();
  t.equal(metrics.crashes, 1);
  t.equal(domain.metrics.endpointsOnline, 1);
  t.match(transport.packets, [{ fields: { body: 'still here' } }]);
  t.equal(transport.closed, null);
});

t.test('one that fails while it changes ends: the call is answered, its clients come online again', async (t) => {
  const { broker, domain, metrics, ticket, client, transport, system } = await jack(t);
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
  system.tell(client.endpoint, failing);
  await turn();
  t.equal(metrics.crashes, 1);
  t.strictSame(answers, [UNAVAILABLE]);
  t.equal(transport.closed, CLOSE.ticketNotFound);
  t.equal(findTicket(domain, ticket), null);
  t.ok(findTicket(domain, tom), 'nobody else is touched');
  t.strictSame([domain.metrics.endpointsOnline, domain.metrics.clients], [1, 1]);
  t.ok(findTicket(domain, await broker.online('jack', { rooms: 'r' })));
});

t.test('what waits for one that ends so is answered too', async (t) => {
  const { broker, client, system } = await jack(t);
  const answers: unknown[] = [];
  const reply = (answer: unknown): void => void answers.push(answer);
  // Without `rooms`, which is a bug.
  const subscribed = { kind: 'subscribed' as const, filters: [], client, online: { nick: 'Jack', reply } as never };
  system.tell(client.endpoint, subscribed);
  system.tell(client.endpoint, { kind: 'join', room: '/domain/a.example/gid/r' as never, nick: null, reply });
  system.tell(client.endpoint, subscribed);
  system.tell(client.endpoint, { kind: 'pass', done: () => reply('passed') });
  while (answers.length < 4) await turn();
  t.strictSame(answers, [UNAVAILABLE, UNAVAILABLE, UNAVAILABLE, 'passed']);
  t.ok(await broker.online('jack'));
});
