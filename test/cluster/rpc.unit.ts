/** Answers of another node that do not come. */
import t from 'tap';
import type { Peer } from '../../src/cluster/peer.js';
import { MOST_DUE, Rpc } from '../../src/cluster/rpc.js';

const peer = (name: string): Peer => ({ name, up: true }) as unknown as Peer;

t.test('a silent node holds so many answers and timers and no more, and other nodes are asked as ever', async (t) => {
  const timers: (() => void)[] = [];
  const clock = {
    after(_ms: number, task: () => void) {
      timers.push(task);
      return () => undefined;
    },
  };
  const metrics = { answersGivenUp: 0 };
  const rpc = new Rpc({ send: () => undefined }, clock, metrics);
  const [silent, other] = [peer('silent'), peer('other')];
  const answers: unknown[] = [];
  for (let n = 0; n < MOST_DUE + 100; n++) rpc.expect(silent, 2000, (answer) => answers.push(answer));
  t.strictSame(
    [timers.length, metrics.answersGivenUp, answers.length],
    [MOST_DUE, 100, 0],
    'and nobody is answered at once',
  );
  await new Promise((resolve) => setImmediate(resolve));
  t.strictSame(answers, Array(100).fill(null));
  let heard: unknown = null;
  const id = rpc.expect(other, 2000, (answer) => {
    heard = answer;
  });
  rpc.received(other, ['!', id, 'delivered']);
  t.equal(heard, 'delivered');
  for (const task of timers.splice(0)) task();
  t.equal(answers.length, MOST_DUE + 100);
  rpc.expect(silent, 2000, () => undefined);
  t.equal(metrics.answersGivenUp, 100, 'there is room again');
  rpc.close();
});
