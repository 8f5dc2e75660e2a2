/** Writes that JetStream did not take: which of them are sent again, and when they count as committed. */
import t from 'tap';
import { JetStreamError } from '../../src/cluster/jetstream-port.js';
import { Commits } from '../../src/store/commits.js';
import { type Write, Writes } from '../../src/store/writes.js';

type Answer = (answer: number | JetStreamError) => void;

/** Writes to a JetStream that answers when the test says so. */
function setUp() {
  const sent: { readonly text: string; readonly answer: Answer }[] = [];
  const latest = new Map<string, Write>();
  const commits = new Commits();
  const jetstream = {
    available: true,
    watchers: new Set<(available: boolean) => void>(),
    doubt: () => {
      jetstream.available = false;
    },
  };
  const writes = new Writes(
    jetstream,
    commits,
    (write) => latest.get(write.subject) === write,
    () => undefined,
    () => undefined,
  );
  const stream = { write: (_key: string, text: string, answer: Answer) => void sent.push({ text, answer }) };
  let number = 0;
  return {
    sent,
    commits,
    put(subject: string, text: string): void {
      number += 1;
      const key = ['a', subject] as const;
      const commit = commits.begin();
      const write: Write = { stream, subject, key, value: text, text, number, commit, sequence: 0, heard: 0 };
      latest.set(subject, write);
      writes.add(write);
    },
    /** All messages under way fail, and JetStream is there again. */
    failAll(): void {
      const failed = sent.splice(0);
      for (const { answer } of failed) answer(new JetStreamError('unavailable', 'lost'));
      jetstream.available = true;
      for (const watcher of jetstream.watchers) watcher(true);
    },
  };
}

t.test('nothing is called committed while JetStream has none of the writes of its key', async (t) => {
  const { sent, commits, put, failAll } = setUp();
  const done: string[] = [];
  for (const text of ['one', 'two', 'three']) {
    put('key', text);
    commits.after(() => done.push(text));
  }
  t.equal(sent.length, 3, 'all are under way');
  failAll();
  t.strictSame(done, [], 'none is stored');
  t.strictSame(
    sent.map(({ text }) => text),
    ['three'],
    'the latest is sent again',
  );
  sent[0]?.answer(7);
  t.strictSame(done, ['one', 'two', 'three']);
});

t.test('writes that failed are committed with a later one that was never sent', async (t) => {
  const { sent, commits, put, failAll } = setUp();
  const done: string[] = [];
  for (const text of ['one', 'two']) {
    put('key', text);
    commits.after(() => done.push(text));
  }
  // With these, as many writes are under way as may be at once, and the last one of the key waits.
  for (let n = 0; n < 998; n++) put(`other ${n}`, '');
  put('key', 'three');
  t.equal(sent.length, 1000);
  failAll();
  t.strictSame(done, [], 'none is stored');
  const again = sent.splice(0);
  t.strictSame([again.length, again.at(-1)?.text], [999, 'three']);
  for (const { answer } of again) answer(1);
  t.strictSame(done, ['one', 'two']);
});
