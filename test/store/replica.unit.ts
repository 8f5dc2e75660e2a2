/** A node's copy of a stream that is read anew after JetStream was away. */
import t from 'tap';
import type { Follower } from '../../src/cluster/following.js';
import { JetStreamError } from '../../src/cluster/jetstream-port.js';
import type { KeptStream } from '../../src/cluster/kept-stream.js';
import { messageOf, Replica } from '../../src/store/replica.js';
import { ReplicatedTable } from '../../src/store/replicated-table.js';
import type { Key, TableName } from '../../src/store/store.js';
import { subjectOf } from '../../src/store/wire.js';
import { MemoryStore } from '../support/memory-store.js';
import type { Cleaner } from '../support/server.js';

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** A copy of a stream whose messages the test tells. */
function setUp(t: Cleaner) {
  const followers: Follower[] = [];
  const written = new Set<string>();
  const stream = {
    name: 'things',
    created: 'once',
    isLost: false,
    follow: (_after: number, follower: Follower) => {
      followers.push(follower);
      return () => undefined;
    },
    write: (subject: string, _text: string, done: (answer: number | JetStreamError) => void) => {
      if (stream.isLost) return done(new JetStreamError('unavailable', 'lost'));
      written.add(subject);
      done(written.size);
    },
  };
  const noWrite = (): never => {
    throw new Error('nothing is written');
  };
  const kept = new MemoryStore().table('offline');
  const table = new ReplicatedTable<unknown>('offline', kept, noWrite, () => undefined);
  const tables = new Map<TableName, ReplicatedTable<unknown>>([['offline', table]]);
  let now = 0;
  const replica = new Replica(
    stream as unknown as KeptStream,
    tables,
    'this',
    (done) => done(),
    () => now,
  );
  t.teardown(() => replica.close());
  /** JetStream was away for an hour. */
  const comesBack = (): void => {
    replica.lost();
    now += 3_600_000;
    replica.found();
  };
  return { followers, stream, written, table, replica, comesBack };
}

t.test(
  'a copy of many records is compared with its stream in many turns, and what comes meanwhile stays',
  async (t) => {
    const { followers, table, replica, comesBack } = setUp(t);
    const whole = replica.follow();
    const keyOf = (n: number): Key => ['domain', `user${n}`, 1];
    let sequence = 0;
    const tell = (key: Key): void => {
      sequence += 1;
      followers.at(-1)?.message(sequence, subjectOf('offline', key), messageOf('other', sequence, 'hi'));
    };
    for (let n = 0; n < 3000; n++) tell(keyOf(n));
    followers.at(-1)?.caughtUp();
    await whole;
    comesBack();
    for (let n = 0; n < 10; n++) tell(keyOf(n));
    followers.at(-1)?.caughtUp();
    const count = (): number => [...table.entries('domain')].length;
    const counts = [count()];
    tell(['domain', 'zoe', 1]);
    while (counts.at(-1) !== 11 && counts.length < 100) {
      await turn();
      counts.push(count());
    }
    t.ok(counts.length > 5, `the records went in ${counts.length} turns: ${counts}`);
    t.equal(counts.at(-1), 11, 'those that the stream has, and the one that came meanwhile');
  },
);

t.test(
  'a stream that is lost, and whose filling is cut off, is filled by the next attempt, and the copy stays',
  async (t) => {
    const { followers, stream, written, table, replica, comesBack } = setUp(t);
    const whole = replica.follow();
    const subject = subjectOf('offline', ['domain', 'zoe', 1]);
    followers.at(-1)?.message(1, subject, messageOf('other', 1, 'hi'));
    followers.at(-1)?.caughtUp();
    await whole;
    const isFilled = async (): Promise<void> => {
      comesBack();
      followers.at(-1)?.caughtUp();
      for (let n = 0; n < 5; n++) await turn();
    };
    stream.created = 'anew';
    stream.isLost = true;
    await isFilled();
    stream.isLost = false;
    await isFilled();
    t.strictSame([[...written], [...table.entries('domain')].length], [[subject], 1]);
  },
);

t.test('a damaged record does not keep a copy from being whole, and what the copy has of it stays', async (t) => {
  const { followers, table, replica } = setUp(t);
  const whole = replica.follow();
  const tell = (name: string, data: string): void =>
    followers.at(-1)?.message(1, subjectOf('offline', ['domain', name, 1]), data);
  tell('ada', messageOf('other', 1, 'hi'));
  tell('ada', 'other 2 {"no": "JSON');
  tell('zoe', 'other 3 {"no": "JSON');
  tell('bob', messageOf('other', 4, 'hi'));
  followers.at(-1)?.caughtUp();
  await whole;
  t.strictSame(
    [...table.entries('domain')].map(([[, name]]) => name),
    ['ada', 'bob'],
  );
});
