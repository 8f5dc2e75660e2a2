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

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

t.test(
  'a copy of many records is compared with its stream in many turns, and what comes meanwhile stays',
  async (t) => {
    const followers: Follower[] = [];
    const stream = {
      name: 'things',
      created: 'once',
      follow: (_after: number, follower: Follower) => {
        followers.push(follower);
        return () => undefined;
      },
    } as unknown as KeptStream;
    const copy = new MemoryStore();
    const tables = new Map<TableName, ReplicatedTable<unknown>>();
    const noWrite = (): never => {
      throw new Error('nothing is written');
    };
    const table = new ReplicatedTable<unknown>('offline', copy.table('offline'), noWrite, () => undefined);
    tables.set('offline', table);
    let now = 0;
    const replica = new Replica(
      stream,
      tables,
      'this',
      (done) => done(),
      () => now,
    );
    t.teardown(() => replica.close());
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
    replica.lost();
    now += 3_600_000;
    replica.found();
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
    const followers: Follower[] = [];
    const written = new Set<string>();
    let isLost = false;
    const stream = {
      name: 'things',
      created: 'once',
      follow: (_after: number, follower: Follower) => {
        followers.push(follower);
        return () => undefined;
      },
      write: (subject: string, _text: string, done: (answer: number | JetStreamError) => void) => {
        if (isLost) return done(new JetStreamError('unavailable', 'lost'));
        written.add(subject);
        done(written.size);
      },
    };
    const copy = new MemoryStore();
    const table = new ReplicatedTable<unknown>(
      'offline',
      copy.table('offline'),
      () => ({}) as never,
      () => undefined,
    );
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
    const whole = replica.follow();
    const subject = subjectOf('offline', ['domain', 'zoe', 1]);
    followers.at(-1)?.message(1, subject, messageOf('other', 1, 'hi'));
    followers.at(-1)?.caughtUp();
    await whole;
    const comesBack = async (): Promise<void> => {
      replica.lost();
      now += 3_600_000;
      replica.found();
      followers.at(-1)?.caughtUp();
      for (let n = 0; n < 5; n++) await turn();
    };
    stream.created = 'anew';
    isLost = true;
    await comesBack();
    isLost = false;
    await comesBack();
    t.strictSame([[...written], [...table.entries('domain')].length], [[subject], 1]);
  },
);
