/** Records of endpoints in JetStream whose writes fail while a further change waits. */
import t from 'tap';
import type { Address } from '../../src/actors/address.js';
import type { KeptEndpoint } from '../../src/actors/kept.js';
import { JetStreamError } from '../../src/cluster/jetstream-port.js';
import type { KeptStream } from '../../src/cluster/kept-stream.js';
import { TicketRecords } from '../../src/cluster/ticket-records.js';
import { ManualClock } from '../mqtt/support/clock.js';
import { MemoryStream } from '../support/memory-stream.js';
import { turnsUntil } from '../support/until.js';

type Answer = (revision: number | JetStreamError) => void;
const address = '/domain/a.example/user/one' as Address;
const KEPT_MS = 7 * 24 * 3_600_000;

/** `found`: what JetStream has under the record's key where a write ends in a conflict. */
function setUp(found: unknown[] = []) {
  const written: { readonly nick: string; readonly revision: number; readonly answer: Answer }[] = [];
  const erased: number[] = [];
  const conflicts: Address[] = [];
  const jetstream = { available: true, watchers: new Set<(available: boolean) => void>() };
  const stream = {
    write: (_key: string, data: string, answer: Answer, revision: number) => {
      const [, , , , kept] = JSON.parse(data) as [unknown, unknown, unknown, unknown, KeptEndpoint];
      written.push({ nick: kept.nick, revision, answer });
    },
    read: async () => ({ revision: 9, data: JSON.stringify(['a.example', address, ...found]) }),
    erase: async (revision: number) => void erased.push(revision),
  } as unknown as KeptStream;
  const onConflict = (_domain: string, whose: Address): void => {
    conflicts.push(whose);
    records.forget('a.example', whose);
  };
  const clock = new ManualClock();
  const time = { keptMs: KEPT_MS, now: () => clock.now() };
  const records = new TicketRecords({ jetstream, stream, node: 'n', incarnation: 2, ...time, onConflict });
  return {
    written,
    conflicts,
    erased,
    records,
    clock,
    put: (nick: string) => records.put('a.example', address, { nick } as KeptEndpoint),
    answer: (revision: number | JetStreamError) => written.shift()?.answer(revision),
    setAvailable(available: boolean): void {
      jetstream.available = available;
      for (const watcher of jetstream.watchers) watcher(available);
    },
  };
}

/** A node with a stream in memory. */
function inMemory() {
  const stream = new MemoryStream();
  const jetstream = { available: true, watchers: new Set<(available: boolean) => void>() };
  const port = stream.portOf({ isDead: false });
  const records = new TicketRecords({
    jetstream,
    stream: port,
    node: 'n',
    incarnation: 2,
    keptMs: KEPT_MS,
    now: () => 0,
    onConflict: () => undefined,
  });
  const kept = { show: 'available' as const, status: '', buddies: [], rooms: [], isAway: false, clients: [] };
  return { stream, records, put: (nick: string) => records.put('a.example', address, { nick, ...kept }) };
}

t.test('the record of an endpoint that ended while JetStream was lost is removed, and not written again', async (t) => {
  const { written, erased, records, put, answer, setAvailable } = setUp();
  put('before');
  answer(5);
  put('on its way');
  records.remove('a.example', address);
  setAvailable(false);
  answer(new JetStreamError('unavailable', 'lost'));
  setAvailable(true);
  t.strictSame([written, erased], [[], [5]]);
});

t.test('a record that JetStream refuses does not keep the next one from it', async (t) => {
  const { written, put, answer, records } = setUp();
  put('too long');
  put('short');
  answer(new JetStreamError('refused', 'too long'));
  t.strictSame(
    written.map(({ nick }) => nick),
    ['short'],
  );
  answer(1);
  t.equal(records.waiting, 0);
});

const conflict = new JetStreamError('conflict', 'another record');

t.test(
  'somebody who comes online at a node that was started again is not given to the node that took over what it had before',
  async (t) => {
    const { written, conflicts, put, answer } = setUp(['n', 1, null, ['other', 1]]);
    put('anew');
    answer(conflict);
    await turnsUntil('the conflict is resolved', () => written.length + conflicts.length > 0);
    t.match([written, conflicts], [[{ nick: 'anew', revision: 9 }], []]);
  },
);

t.test('what another node has taken over from this process is given to it', async (t) => {
  for (const incarnation of [1, 2]) {
    const { written, conflicts, put, answer } = setUp(['n', incarnation, null, ['other', 1]]);
    put('first');
    answer(5);
    put('second');
    answer(conflict);
    await turnsUntil('the conflict is resolved', () => written.length + conflicts.length > 0);
    t.strictSame(
      [written, conflicts],
      [[], [address]],
      'whether it was its own, or that of an earlier process which it had taken over itself',
    );
  }
});

t.test('damaged records of endpoints are passed over, and the others are read', async (t) => {
  const { stream, records, put } = inMemory();
  put('one');
  const [good] = [...stream.records.values()];
  if (!good) return t.fail('it is written');
  const [domain, , ...rest] = JSON.parse(good.data) as unknown[];
  for (const [at, data] of [
    '{"no": "JSON',
    'null',
    [domain, 7, ...rest],
    [domain, '/domain/b.example/uid/x', ...rest],
  ].entries()) {
    const key = good.key.replace(/[.][^.]+[.]/, `.damaged${at}.`);
    stream.write(key, typeof data === 'string' ? data : JSON.stringify(data), () => undefined);
  }
  const found: Address[] = [];
  await records.readNode('a.example', 'n', (one) => void found.push(one));
  t.strictSame(found, [address]);
});

t.test('a record counts as written until JetStream has kept it for half of its time', (t) => {
  const { records, put, answer, clock } = setUp();
  const isWritten = (): boolean => records.isWritten('a.example', address);
  put('one');
  t.notOk(isWritten(), 'it is on its way');
  answer(5);
  clock.advance(KEPT_MS / 2 - 1000);
  t.ok(isWritten());
  clock.advance(1000);
  t.notOk(isWritten(), 'it will be gone before long');
  put('one');
  answer(6);
  t.ok(isWritten());
  t.end();
});

t.test('the endpoints whose records are not written yet are known by their domains', (t) => {
  const { records, put, answer } = setUp();
  put('one');
  t.strictSame([...records.unwritten()], [['a.example', address]]);
  answer(5);
  t.strictSame([...records.unwritten()], []);
  records.put('b.example', '/domain/b.example/uid/jo' as Address, { nick: '' } as KeptEndpoint);
  t.strictSame([...records.unwritten()], [['b.example', '/domain/b.example/uid/jo']]);
  t.end();
});

t.test(
  'a record that a node which ends writes for another one has the clients of both, and gives way to the other node',
  async (t) => {
    const stream = new MemoryStream();
    const nodeOf = (node: string) =>
      new TicketRecords({
        jetstream: { available: true, watchers: new Set<(available: boolean) => void>() },
        stream: stream.portOf({ isDead: false }),
        ...{ node, incarnation: 2, keptMs: KEPT_MS, now: () => 0 },
        onConflict: () => t.fail('nobody has taken anything over'),
      });
    const [ending, other] = [nodeOf('ending'), nodeOf('other')];
    const own = { nick: 'one', show: 'available', status: '', buddies: [], rooms: [], isAway: false } as const;
    const withClients = (...hashes: string[]) => {
      return { ...own, clients: hashes.map((hash) => ({ hash, name: hash, isNamed: false, isAway: false })) };
    };
    const found = async () =>
      (await other.readPart('a.example', address, 'other'))?.kept?.clients.map(({ hash }) => hash);
    const putFor = (...hashes: string[]) => ending.putFor(['other', 2], 'a.example', address, withClients(...hashes));
    await putFor('a');
    t.strictSame(await found(), ['a']);
    const put = async (...hashes: string[]) => {
      other.put('a.example', address, withClients(...hashes));
      await new Promise<void>((done) => other.written('a.example', address, done));
    };
    await put('b');
    t.strictSame(await found(), ['b'], 'it has its own record, whatever was written for it');
    await putFor('a', 'b');
    t.strictSame(await found(), ['b', 'a']);
    await put('a', 'b', 'c');
    await putFor('a');
    t.strictSame(await found(), ['a', 'b', 'c'], 'nothing is to be added');
  },
);
