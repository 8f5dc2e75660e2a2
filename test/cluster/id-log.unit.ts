/** Ids of messages that nodes keep in JetStream for those that remember them when they are gone. */
import t from 'tap';
import type { Address } from '../../src/actors/address.js';
import type { Memory } from '../../src/actors/memory.js';
import { MessageIds } from '../../src/actors/message-ids.js';
import { IdLog } from '../../src/cluster/id-log.js';
import type { KeptStream } from '../../src/cluster/kept-stream.js';
import { Metrics } from '../../src/metrics.js';
import { ManualClock } from '../mqtt/support/clock.js';
import { MemoryStream } from '../support/memory-stream.js';

const name = 'a.example';
const shop = '/domain/a.example/uid/shop' as Address;
const bank = '/domain/a.example/uid/bank' as Address;
const target = { address: '/domain/a.example/uid/jack' as Address, client: null };
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** `writes`: how many records were to be written. */
class Port extends MemoryStream {
  readonly jetstream = { available: true, metrics: { idsNotWritten: 0 } };
  writes = 0;

  override write(...[key, data, done]: Parameters<MemoryStream['write']>): void {
    this.writes += 1;
    super.write(key, data, done);
  }
}

/** One node; `mine`: the senders whose ids it is to remember. */
function nodeOf(nodeName: string, stream: Port, clock: ManualClock, mine: () => readonly string[]) {
  const metrics = new Metrics().domain(name);
  const memory = { add: () => undefined, subtract: () => undefined } as unknown as Memory;
  const messageIds = new MessageIds({ name, limits: { idsPerDomain: 3 }, metrics, memory }, clock, null);
  const log = new IdLog({
    jetstream: stream.jetstream,
    stream: stream as unknown as KeptStream,
    node: { name: nodeName, mesh: { incarnation: 1 } },
    clock,
    isMine: (sender) => mine().includes(sender),
  });
  log.add({ name, messageIds });
  const send = (sender: Address, id: string): void => {
    messageIds.settle(messageIds.add(sender, id, { target, members: null }), 'delivered');
  };
  const knows = (sender: Address, id: string) => messageIds.find(sender, id, target)?.outcome ?? null;
  return { log, messageIds, metrics, send, knows };
}

function pair() {
  const stream = new Port();
  const clock = new ManualClock();
  const mine = { first: [shop, bank] as string[], second: [] as string[] };
  const first = nodeOf('n1', stream, clock, () => mine.first);
  const second = nodeOf('n2', stream, clock, () => mine.second);
  return { stream, clock, mine, first, second };
}

t.test('a node knows the ids of a sender of whom another one knew them, when that one is gone', async (t) => {
  const { stream, clock, mine, first, second } = pair();
  first.send(shop, 'one');
  first.send(shop, 'two');
  first.send(bank, 'one');
  t.equal(stream.records.size, 0);
  clock.advance(1000);
  t.equal(stream.records.size, 1, 'one record a second');
  mine.second.push(shop);
  second.log.read('n1');
  await turn();
  t.strictSame(
    [second.knows(shop, 'one'), second.knows(shop, 'two'), second.knows(bank, 'one')],
    ['delivered', 'delivered', null],
    'the other sender has chosen another node',
  );
  clock.advance(10 * 60_000);
  t.equal(second.knows(shop, 'one'), null, 'for as long as the first one');
});

t.test('who asks while a node reads waits for that, and of a silent JetStream for some seconds', async (t) => {
  const { clock, mine, second } = pair();
  mine.second.push(shop);
  const told: string[] = [];
  const ask = (what: string): boolean => second.log.whenKnown(shop, () => void told.push(what));
  t.notOk(ask('nothing is read'));
  second.log.read('n1');
  t.ok(ask('it reads'));
  t.strictSame(told, []);
  await turn();
  t.strictSame(told, ['it reads']);
  t.notOk(ask('it has read'));
  second.log.read('n1');
  ask('JetStream is silent');
  clock.advance(3000);
  t.strictSame(told, ['it reads', 'JetStream is silent']);
  t.notOk(ask('it reads no more'));
});

t.test(
  'a node that is asked for a sender of another one, which it takes for living, notices first that it is gone',
  async (t) => {
    const { clock, mine, first, second } = pair();
    first.send(shop, 'one');
    first.log.flush();
    const told: unknown[] = [];
    t.ok(second.log.whenKnown(shop, () => void told.push(second.knows(shop, 'one'))));
    mine.second.push(shop);
    second.log.read('n1');
    await turn();
    t.strictSame(told, ['delivered']);
    t.ok(second.log.whenKnown(bank, () => void told.push('a second')));
    clock.advance(1000);
    t.strictSame(told.at(-1), 'a second', 'they differ for longer');
  },
);

t.test('what JetStream does not take is written later; what it has and cannot be read is passed over', async (t) => {
  const { stream, clock, mine, first, second } = pair();
  stream.isLost = true;
  first.send(shop, 'one');
  clock.advance(1000);
  stream.isLost = false;
  clock.advance(1000);
  stream.write('x.y.1.1', 'no JSON', () => undefined);
  const [key = ''] = stream.records.keys();
  stream.write(`${key}2`, '[1,[2],["k",1,"nothing",null,0],["k",1,"queued",-1,0]]', () => undefined);
  mine.second.push(shop, '');
  second.log.read(null);
  await turn();
  t.strictSame([second.knows(shop, 'one'), second.messageIds.size], ['delivered', 1]);
});

t.test('nothing is written while JetStream is away, nor after the end', async (t) => {
  const { stream, clock, first } = pair();
  stream.isLost = true;
  stream.jetstream.available = false;
  first.send(shop, 'one');
  clock.advance(3000);
  t.equal(stream.writes, 0);
  stream.jetstream.available = true;
  clock.advance(1000);
  t.equal(stream.writes, 1);
  first.log.close();
  clock.advance(3000);
  first.send(shop, 'two');
  clock.advance(3000);
  t.equal(stream.writes, 1);
});

t.test('of more ids than may wait for JetStream the others are counted', async (t) => {
  const { stream, clock, first } = pair();
  stream.jetstream.available = false;
  for (let n = 0; n < 100_002; n++) first.send(shop, `${n}`);
  t.equal(stream.jetstream.metrics.idsNotWritten, 2);
  stream.isLost = true;
  stream.jetstream.available = true;
  clock.advance(1000);
  t.equal(stream.jetstream.metrics.idsNotWritten, 2, 'those that JetStream did not take wait again');
});

t.test('what is read is within the limit of ids that are remembered', async (t) => {
  const { clock, mine, first, second } = pair();
  for (const id of ['one', 'two', 'three']) first.send(shop, id);
  clock.advance(1000);
  for (const id of ['four', 'five']) first.send(shop, id);
  clock.advance(1000);
  mine.second.push(shop);
  second.log.read('n1');
  await turn();
  t.strictSame([second.messageIds.size, second.metrics.messageIdsForgotten], [3, 2]);
});
