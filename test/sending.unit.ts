/** The rules of what clients send themselves, whatever transport asks. */
import t from 'tap';
import { parseTarget, type Target } from '../src/actors/address.js';
import type { Client } from '../src/actors/client.js';
import type { Domain } from '../src/actors/domain.js';
import type { Packet } from '../src/actors/packet.js';
import { badRequest, isReplyError, OUT_OF_DISK, OUT_OF_MEMORY, type ReplyError, UNAVAILABLE } from '../src/errors.js';
import { clientCall } from '../src/protocols/client-calls.js';
import { online } from '../src/protocols/commands.js';
import { findTicket } from '../src/protocols/credentials.js';
import { Parameters } from '../src/protocols/parameters.js';
import { sendMessage } from '../src/protocols/sending.js';
import type { Store } from '../src/store/store.js';
import { own, testMachine } from './mqtt/support/broker.js';
import { ManualClock } from './mqtt/support/clock.js';
import { SlowDisk } from './mqtt/support/disk.js';
import type { Cleaner, Settings } from './support/server.js';

/** A disk as a node of a cluster has it, which never says that it has written. */
class NodeDisk extends SlowDisk {
  override readonly node: string | null = 'one';
}

/** A client of a new endpoint, and the packets that come for it. */
async function come(domain: Domain, name: string, rooms = ''): Promise<{ client: Client; packets: Packet[] }> {
  const fields = new Parameters(Object.entries({ name, nick: name, rooms }));
  const ticket = await new Promise<string>((resolve, reject) => {
    online(domain, fields, (result) =>
      isReplyError(result) ? reject(new Error(result.detail)) : resolve(result.ticket),
    );
  });
  const client = findTicket(domain, ticket);
  if (!client) throw new Error(`no client of ${ticket}`);
  const packets: Packet[] = [];
  const deliver = (came: readonly Packet[]) => {
    packets.push(...came);
    return came.length;
  };
  client.endpoint.tell({
    kind: 'attach',
    client,
    transport: { kind: 'websocket', deliver, close: () => [] },
  });
  return { client, packets };
}

function targetsOf(target: Target | null): readonly Target[] | null {
  return target && [target];
}

async function machine(t: Cleaner, overrides: Settings = {}, store: Store | null = null) {
  const clock = new ManualClock();
  const { domain } = testMachine(t, overrides, clock, store);
  const jack = await come(domain, 'jack', 'r1');
  const send = (
    to: string,
    fields: Record<string, string> | (() => Parameters | ReplyError),
    handled?: (sent: unknown) => void,
  ) =>
    sendMessage(
      domain,
      jack.client,
      {
        way: 'mqtt',
        targets: targetsOf(parseTarget(domain.name, to)),
        fields: typeof fields === 'function' ? fields : () => new Parameters(Object.entries(fields)),
      },
      handled,
    );
  return { clock, domain, jack, send };
}

t.test('A client’s message is from its endpoint, and of the type of its target', async (t) => {
  const { domain, send } = await machine(t);
  const tom = await come(domain, 'tom', 'r1');
  let handled = 0;
  const done = () => {
    handled += 1;
  };
  t.equal(send('tom', { body: 'one', from: 'eve', ticket: 'x', to: 'eve' }, done), null);
  t.equal(send('gid:r1', { body: 'two', nick: 'J' }, done), null);
  await new Promise(setImmediate);
  t.match(
    tom.packets.filter(({ kind }) => kind === 'message').map(({ fields }) => fields),
    [
      { from: 'jack', to: 'tom', nick: 'jack', type: 'chat', body: 'one' },
      { from: 'jack', to: 'r1', nick: 'J', type: 'grpchat', body: 'two' },
    ],
  );
  t.equal(handled, 2);
});

t.test('Each rule of sending has its own fault, and the error that a WebSocket client reads', async (t) => {
  const { send } = await machine(t, { limits: { messageBytes: 5 } });
  const table: readonly (readonly [to: string, fields: Record<string, string>, fault: string, error: ReplyError])[] = [
    ['a b/c', { body: 'x' }, 'target', badRequest('to is not an id')],
    [`/domain/b.example/uid/tom`, { body: 'x' }, 'target', badRequest('to is not an id')],
    ['gid:r2', { body: 'x' }, 'notAllowed', { status: 403, message: 'forbidden', detail: 'not in the room' }],
    ['tom', {}, 'fields', badRequest('body is required')],
    ['tom', { body: '123456' }, 'bodyTooLong', badRequest('body must be at most 5 bytes')],
    ['tom', { body: 'x', type: 'x' }, 'fields', badRequest('type must be one of chat, grpchat, broadcast')],
    ['tom', { body: 'x', type: 'grpchat' }, 'fields', badRequest('to must be a room')],
    ['gid:r1', { body: 'x', type: 'chat' }, 'fields', badRequest('to must not be a room, or type must be grpchat')],
    [
      'tom',
      { body: 'x', type: 'broadcast' },
      'notAllowed',
      { status: 403, message: 'forbidden', detail: 'broadcast is for the site' },
    ],
  ];
  for (const [to, fields, fault, error] of table) {
    t.match(send(to, fields), { fault, error }, `${to} ${JSON.stringify(fields)}`);
  }
  t.match(
    send('tom', () => badRequest('no JSON')),
    { fault: 'fields', error: badRequest('no JSON') },
  );
});

t.test('What a client may not send costs no parsing', async (t) => {
  const { send } = await machine(t, { domains: [{ ...own, clientSend: [] }] });
  const refused = send('tom', () => t.fail('the fields were read') as never);
  t.match(refused, { fault: 'notAllowed', error: { status: 403, detail: 'clients may not send' } });
});

t.test('A client may send a burst of two seconds’ messages, and then as many as its rate has', async (t) => {
  const { clock, send } = await machine(t, { limits: { messagesPerSecond: 2 } });
  const faults = () => Array.from({ length: 6 }, () => send('tom', { body: 'x' })?.fault ?? null);
  t.strictSame(faults(), [null, null, null, null, 'rate', 'rate']);
  clock.advance(1000);
  t.strictSame(faults(), [null, null, 'rate', 'rate', 'rate', 'rate']);
});

t.test('A client’s message is refused, without parsing, while its domain is short of memory', async (t) => {
  const { domain, send } = await machine(t);
  const bytes = domain.memory.limit + 1;
  domain.memory.add(bytes);
  const refused = send('tom', () => t.fail('the fields were read') as never);
  t.strictSame(refused, { fault: 'memory', error: OUT_OF_MEMORY });
  domain.memory.subtract(bytes);
  t.equal(send('tom', { body: 'x' }), null);
});

t.test('A client’s message to somebody offline is refused while the disk is full, others are not', async (t) => {
  const disk = new SlowDisk();
  const { send } = await machine(t, { data: 'unopened', domains: [{ ...own, offline: true }] }, disk);
  disk.isFull = true;
  t.strictSame(send('tom', { body: 'x' }), { fault: 'disk', error: OUT_OF_DISK });
  for (const to of ['jack', 'gid:r1']) t.equal(send(to, { body: 'x' }), null, `${to} needs no disk`);
  disk.isFull = false;
  t.equal(send('tom', { body: 'x' }), null);
});

t.test('A client is told of a message that is not kept in time, as JetStream does not answer', async (t) => {
  const { clock, domain, jack, send } = await machine(
    t,
    { data: 'unopened', domains: [{ ...own, offline: true, clientSend: ['mqtt', 'websocket'] }] },
    new NodeDisk(),
  );
  const tom = await come(domain, 'tom');
  await new Promise((gone) => tom.client.endpoint.tell({ kind: 'offline', client: null, reply: gone }));
  clock.advance(600_000);
  await new Promise(setImmediate);
  const told: unknown[] = [];
  t.equal(
    send('tom', { body: 'x' }, (sent) => told.push(sent)),
    null,
  );
  const replies: unknown[] = [];
  const call = new Parameters(Object.entries({ call: 'message', ref: '1', to: 'tom', body: 'x' }));
  clientCall(domain, jack.client, 'websocket', call, (json) => replies.push(JSON.parse(json)));
  await new Promise(setImmediate);
  t.strictSame([told, replies], [[], []]);
  clock.advance(5000);
  t.strictSame(told, [UNAVAILABLE]);
  t.strictSame(replies, [{ reply: '1', status: 'error', message: 'unavailable', retryAfter: 5 }]);
});
