/** Messages that clients have not confirmed, while JetStream does not take them. */
import t from 'tap';
import type { Address } from '../../src/actors/address.js';
import { Packet } from '../../src/actors/packet.js';
import { HeldMessages } from '../../src/cluster/held-messages.js';
import { JetStreamError } from '../../src/cluster/jetstream-port.js';
import type { KeptStream } from '../../src/cluster/kept-stream.js';
import { Peer } from '../../src/cluster/peer.js';
import { MemoryStream } from '../support/memory-stream.js';

const domain = 'a.example';
const address = '/domain/a.example/uid/jack' as Address;
const node = { name: 'n1', mesh: { incarnation: 7, peers: new Map<string, Peer>() } };

function packet(body: string): Packet {
  return new Packet(
    'message',
    { from: 'anna', to: 'jack', nick: 'anna', timestamp: '1', type: 'chat', body, style: '', id: body } as never,
    address,
    null,
  );
}

function wireOf(body: string): string {
  const fields = { from: 'anna', to: 'jack', nick: 'anna', timestamp: '1', type: 'chat', body, style: '', id: body };
  return JSON.stringify([['message', address, null, fields], 0, 0]);
}

t.test(
  'many messages that JetStream does not take are tried again by one timer, and read in their order',
  async (t) => {
    const records = new Map<string, { readonly key: string; readonly revision: number; readonly data: string }>();
    let isLost = true;
    let revision = 0;
    const stream = {
      write: (key: string, data: string, done: (answer: number | JetStreamError) => void) => {
        if (isLost) return done(new JetStreamError('unavailable', 'lost'));
        revision += 1;
        records.set(key, { key, revision, data });
        done(revision);
      },
      remove: () => undefined,
      readAll: async (prefix: string) => [...records.values()].filter(({ key }) => key.startsWith(prefix)),
    } as unknown as KeptStream;
    const timers: (() => void)[] = [];
    const { setTimeout: real } = globalThis;
    const counting = (task: () => void) => ({ unref: () => ({ at: timers.push(task) }) });
    globalThis.setTimeout = counting as never;
    t.teardown(() => {
      globalThis.setTimeout = real;
    });
    const messages = new HeldMessages(stream, node);
    const packets = Array.from({ length: 1000 }, (_, n) => packet(`m${n}`));
    for (const [n, one] of packets.entries()) messages.hold(domain, address, one, () => wireOf(`m${n}`));
    let isCommitted = false;
    messages.committed(() => {
      isCommitted = true;
    });
    t.equal(timers.length, 1);
    messages.release(address, packets[3] as Packet);
    isLost = false;
    messages.hold(domain, address, packet('later'), () => wireOf('later'));
    for (const task of timers.splice(0)) task();
    t.equal(timers.length, 0);
    t.ok(isCommitted, 'nothing waits for the message that was confirmed meanwhile');
    globalThis.setTimeout = real;
    const { packets: found } = await messages.read(domain, address, [['n1', 7]]);
    const bodies = found.map(({ fields }) => (fields as { readonly body: string }).body);
    t.equal(bodies.length, 1000);
    t.strictSame([bodies[0], bodies[3], bodies.at(-1)], ['m0', 'm4', 'later'], 'the message of later is the last one');
  },
);

t.test(
  'what nodes that are gone have of a conversation is deleted; what living ones have they delete themselves',
  async (t) => {
    const stream = new MemoryStream();
    const peers = new Map(['n1', 'n2'].map((name) => [name, new Peer(name, 7, 0, false)]));
    for (const [name, incarnation] of [
      ['n1', 7],
      ['n1', 6],
      ['n2', 7],
      ['n3', 7],
    ] as const) {
      const one = { name, mesh: { incarnation, peers } };
      const messages = new HeldMessages(stream as unknown as KeptStream, one);
      for (const body of ['keep', 'forget']) messages.hold(domain, address, packet(body), () => wireOf(body));
    }
    (peers.get('n2') as Peer).up = false;
    const own = new HeldMessages(stream as unknown as KeptStream, { name: 'n4', mesh: { incarnation: 1, peers } });
    const isForgotten = ({ fields }: Packet): boolean => (fields as { readonly body: string }).body === 'forget';
    const left = async (): Promise<number> =>
      (await stream.readAll('')).filter(({ data }) => data.includes('forget')).length;
    await own.forgetOrphans(domain, ['/domain/a.example/uid/anna' as Address], isForgotten);
    t.equal(await left(), 4, 'nothing waits for that endpoint');
    await own.forgetOrphans(domain, [address], isForgotten);
    t.equal(await left(), 1, 'that of the node which lives');
    t.equal(stream.records.size, 5);
    await own.forgetOrphans(domain, null, () => true);
    t.equal(stream.records.size, 2);
    stream.isLost = true;
    await t.rejects(
      own.forgetOrphans(domain, null, () => true),
      new JetStreamError('unavailable', 'lost'),
    );
  },
);

t.test(
  'a client whose connection has given a message back is not taken for later than the messages behind it',
  async (t) => {
    const messages = new HeldMessages(new MemoryStream() as unknown as KeptStream, node);
    const [first, second] = [packet('first'), packet('second')];
    const hold = (one: Packet): void => messages.hold(domain, address, one, () => wireOf('any'));
    hold(first);
    hold(second);
    // It counts as confirmed when the connection takes it, and goes back in front of what the connection has not taken.
    messages.release(address, first);
    hold(first);
    t.equal(messages.firstOf(address, [first, second]), messages.firstOf(address, [second]));
    t.ok(messages.firstOf(address, [first]) > messages.firstOf(address, [second]));
    t.ok(messages.firstOf(address, []) > messages.firstOf(address, [first]), 'of none: the number of the next one');
  },
);

t.test('a damaged record of a message is passed over, and the others are read', async (t) => {
  const stream = new MemoryStream();
  const messages = new HeldMessages(stream.portOf({ isDead: false }), node);
  for (const body of ['one', 'two', 'three', 'four']) messages.hold(domain, address, packet(body), () => wireOf(body));
  const [first, second, third] = [...stream.records.values()];
  if (!first || !second || !third) return t.fail('they are written');
  stream.records.set(first.key, { ...first, data: 'no JSON' });
  stream.records.set(second.key, { ...second, data: 'null' });
  stream.records.set(third.key, { ...third, data: '[1,0,0]' });
  const { packets } = await messages.read(domain, address, [['n1', 7]]);
  t.strictSame(
    packets.map(({ fields }) => (fields as { readonly body: string }).body),
    ['four'],
  );
});

t.test(
  'messages that two nodes had come in the order of both, though each had some that the other had not',
  async (t) => {
    const stream = new MemoryStream() as unknown as KeptStream;
    const peers = new Map<string, Peer>();
    const had = { n1: ['c', 'd', 'e'], n2: ['a', 'b', 'c', 'd'] };
    for (const [name, bodies] of Object.entries(had)) {
      const messages = new HeldMessages(stream, { name, mesh: { incarnation: 7, peers } });
      for (const body of bodies) messages.hold(domain, address, packet(body), () => wireOf(body));
    }
    const homes = [
      ['n1', 7],
      ['n2', 7],
    ] as const;
    const { packets } = await new HeldMessages(stream, node).read(domain, address, homes);
    const bodies = packets.map(({ fields }) => (fields as { readonly body: string }).body);
    t.strictSame(bodies, ['a', 'b', 'c', 'd', 'e']);
  },
);

t.test('a message that a connection gives back has its place before what followed it', async (t) => {
  const stream = new MemoryStream() as unknown as KeptStream;
  const messages = new HeldMessages(stream, node);
  const [a, b, c] = ['a', 'b', 'c'].map(packet) as [Packet, Packet, Packet];
  const hold = (one: Packet, before?: Packet) =>
    messages.hold(domain, address, one, () => wireOf((one.fields as { readonly body: string }).body), before);
  const places = async () => {
    const { packets, written } = await messages.read(domain, address, [['n1', 7]]);
    return packets.map((one) => [(one.fields as { readonly body: string }).body, written.get(one)?.place]);
  };
  for (const one of [a, b, c]) hold(one);
  for (const one of [a, b]) messages.release(address, one);
  // In the order in which a queue tells: the last one first.
  for (const one of [b, a]) hold(one, c);
  t.strictSame(await places(), [
    ['a', 2.5],
    ['b', 2.5],
    ['c', 3],
  ]);
  t.strictSame([messages.firstOf(address, [a, c]), messages.firstOf(address, [c])], [2.5, 3]);
  messages.release(address, a);
  hold(a, b);
  t.strictSame(await places(), [
    ['a', 2.5],
    ['b', 2.5],
    ['c', 3],
  ]);
});
