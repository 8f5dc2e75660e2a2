/** Flags of Node, and what environment, workers are started with. */
import t from 'tap';
import { workerEnvironment, workerExecArgv } from '../../src/workers/exec-argv.js';

const smaller = '--max-semi-space-size=8';
const sooner = '--heap-growing-percent=50';

t.test(
  'workers get a smaller young generation, and an old one that is collected sooner, unless the operator has said otherwise',
  async (t) => {
    t.strictSame(workerExecArgv([], ''), [smaller, sooner]);
    t.strictSame(workerExecArgv(['--import', 'tsx'], '--enable-source-maps'), ['--import', 'tsx', smaller, sooner]);
    for (const given of ['--max-semi-space-size=32', '--max_semi_space_size=32', '--min-semi-space-size=1']) {
      t.strictSame(workerExecArgv([given], ''), [given, sooner]);
      t.strictSame(workerExecArgv(['--inspect'], `--no-warnings ${given}`), ['--inspect', sooner]);
    }
    for (const given of ['--heap-growing-percent=300', '--heap_growing_percent=300']) {
      t.strictSame(workerExecArgv([given], ''), [given, smaller]);
    }
  },
);

t.test('a worker has one arena of memory for all its threads, unless the operator has given a number', async (t) => {
  t.strictSame(workerEnvironment({}), { MALLOC_ARENA_MAX: '1' });
  t.strictSame(workerEnvironment({ MALLOC_ARENA_MAX: '8' }), {});
});
