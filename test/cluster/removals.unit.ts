/** Removals that JetStream has not carried out. */
import t from 'tap';
import { JetStreamError } from '../../src/cluster/jetstream-port.js';
import { AT_ONCE, type Removal, Removals } from '../../src/cluster/removals.js';

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

function setUp() {
  const removed: Removal[] = [];
  const state = { error: null as JetStreamError | null, forgotten: 0 };
  const removals = new Removals(
    async (what) => {
      if (state.error) throw state.error;
      removed.push(what);
    },
    () => {
      state.forgotten += 1;
    },
  );
  return { removed, removals, state };
}

t.test('what could not be removed while JetStream was lost is removed when it is back', async (t) => {
  const { removed, removals, state } = setUp();
  t.teardown(() => removals.close());
  state.error = new JetStreamError('unavailable', 'lost');
  removals.add(7);
  removals.add('a.b.>');
  await turn();
  removals.retry();
  await turn();
  t.strictSame(removed, []);
  state.error = null;
  removals.retry();
  removals.retry();
  t.strictSame(removed, [7, 'a.b.>'], 'each once');
});

t.test('what is not there any more is not removed again, nor a sequence of a stream that was made anew', async (t) => {
  const { removed, removals, state } = setUp();
  t.teardown(() => removals.close());
  state.error = new JetStreamError('notFound', 'gone');
  removals.add(1);
  await turn();
  state.error = new JetStreamError('unavailable', 'lost');
  removals.add(2);
  removals.add('key');
  await turn();
  state.error = null;
  removals.forgetSequences();
  removals.retry();
  t.strictSame(removed, ['key']);
});

t.test('many removals that wait are tried again some at a time, as what is read waits behind them', async (t) => {
  let [isLost, open, most, removed] = [true, 0, 0, 0];
  const removals = new Removals(
    async () => {
      if (isLost) throw new JetStreamError('unavailable', 'lost');
      open += 1;
      most = Math.max(most, open);
      await turn();
      open -= 1;
      removed += 1;
    },
    () => undefined,
  );
  t.teardown(() => removals.close());
  for (let n = 0; n < 2 * AT_ONCE + 1; n++) removals.add(n);
  await turn();
  isLost = false;
  removals.retry();
  while (removed < 2 * AT_ONCE + 1) await turn();
  t.equal(most, AT_ONCE);
});

t.test('of more removals than may wait the others are counted', async (t) => {
  const { removals, state } = setUp();
  t.teardown(() => removals.close());
  state.error = new JetStreamError('unavailable', 'lost');
  for (let n = 0; n < 100_010; n++) removals.add(n);
  await turn();
  t.equal(state.forgotten, 10);
});
