import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import t from 'tap';
import { Fifo } from '../src/fifo.js';
import { Receipts } from '../src/protocols/mqtt/receipts.js';
import { Commits } from '../src/store/commits.js';

/** How many of these are still there after a collection of garbage. */
async function alive(held: readonly WeakRef<object>[]): Promise<number> {
  // What a WeakRef has been made of stays until the present turn has ended.
  await new Promise(setImmediate);
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
  return held.filter((ref) => ref.deref() !== undefined).length;
}

t.test('items leave in the order in which they came, however many wait', async (t) => {
  const fifo = new Fifo<number>();
  const model: number[] = [];
  t.equal(fifo.shift(), undefined);
  for (let step = 0, next = 0; step < 3000; step++) {
    for (let n = 0; step < 1500 && n < step % 7; n++) {
      model.push(next);
      fifo.push(next++);
    }
    for (let n = 0; n < 3; n++) {
      if (fifo.first !== model[0] || fifo.shift() !== model.shift()) t.fail('another item left');
    }
    if (fifo.length !== model.length) t.fail('another number of items waits');
  }
  t.equal(fifo.length, 0);
});

t.test('what is written without a pause keeps nothing of those who have been told that it is on disk', async (t) => {
  const commits = new Commits();
  const told: WeakRef<object>[] = [];
  let last = commits.begin();
  for (let n = 0; n < 1000; n++) {
    const next = commits.begin();
    const answer = { isSent: false };
    told.push(new WeakRef(answer));
    commits.after(() => {
      answer.isSent = true;
    });
    commits.end(last);
    last = next;
  }
  t.ok((await alive(told)) < 100);
  commits.after(() => undefined);
});

t.test('a client that publishes without a pause leaves none of its acknowledged publications behind', async (t) => {
  const receipts = new Receipts();
  const sent: WeakRef<object>[] = [];
  let ready = receipts.add(() => undefined);
  for (let n = 0; n < 1000; n++) {
    const publication = { isAcknowledged: false };
    sent.push(new WeakRef(publication));
    const next = receipts.add(() => {
      publication.isAcknowledged = true;
    });
    ready();
    ready = next;
  }
  t.ok((await alive(sent)) < 100);
  t.equal(receipts.waiting, 1);
});
