/** Flags of Node that workers are started with. */
import t from 'tap';
import { workerExecArgv } from '../../src/workers/exec-argv.js';

const smaller = '--max-semi-space-size=8';

t.test('workers get a smaller young generation, unless the operator has given a size', async (t) => {
  t.strictSame(workerExecArgv([], ''), [smaller]);
  t.strictSame(workerExecArgv(['--import', 'tsx'], '--enable-source-maps'), ['--import', 'tsx', smaller]);
  for (const given of ['--max-semi-space-size=32', '--max_semi_space_size=32', '--min-semi-space-size=1']) {
    t.strictSame(workerExecArgv([given], ''), [given]);
    t.strictSame(workerExecArgv(['--inspect'], `--no-warnings ${given}`), ['--inspect']);
  }
});
