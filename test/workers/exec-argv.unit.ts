/** Flags of Node that workers are started with. */
import { readFileSync } from 'node:fs';
import t from 'tap';
import { workerExecArgv } from '../../src/workers/exec-argv.js';
import { skipWithout } from '../support/programs.js';
import { started, workersOf } from './support/workers.js';

const smaller = '--max-semi-space-size=8';

t.test('workers get a smaller young generation, unless the operator has given a size', async (t) => {
  t.strictSame(workerExecArgv([], ''), [smaller]);
  t.strictSame(workerExecArgv(['--import', 'tsx'], '--enable-source-maps'), ['--import', 'tsx', smaller]);
  for (const given of ['--max-semi-space-size=32', '--max_semi_space_size=32', '--min-semi-space-size=1']) {
    t.strictSame(workerExecArgv([given], ''), [given]);
    t.strictSame(workerExecArgv(['--inspect'], `--no-warnings ${given}`), ['--inspect']);
  }
});

t.test(
  'worker processes are started with the smaller young generation',
  { skip: skipWithout('nats-server') },
  async (t) => {
    const { server } = await started(t, []);
    const workers = workersOf(server);
    t.equal(workers.length, 2);
    for (const pid of workers) t.ok(readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').includes(smaller));
  },
);
