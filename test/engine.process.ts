import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import t from 'tap';

const engine = join(import.meta.dirname, '..', 'src', 'engine.ts');

/** Objects that live long in bursts, then 200,000 of 48 bytes from the same place that do not. Says by how much the old generation has grown. */
const program = `
  import { getHeapSpaceStatistics } from 'node:v8';
  const { tuneEngine } = await import(${JSON.stringify(engine)});
  tuneEngine();
  const old = () => getHeapSpaceStatistics().find(({ space_name }) => space_name === 'old_space').space_used_size;
  const make = (n) => ({ kind: 'send', n, more: null });
  let held = [];
  for (let burst = 0; burst < 12; burst += 1) {
    held = [];
    for (let n = 0; n < 300_000; n += 1) held.push(make(n));
  }
  held = [];
  globalThis.gc();
  const before = old();
  for (let n = 0; n < 200_000; n += 1) globalThis.last = make(n);
  process.stdout.write(String(old() - before));
`;

t.test('objects that live briefly are made in the young generation, also after bursts of others', async (t) => {
  const flags = ['--expose-gc', '--import', 'tsx', '--input-type=module', '-e', program];
  const { stdout } = await promisify(execFile)(process.execPath, flags);
  t.ok(Number(stdout) < 5_000_000, `the old generation has grown by ${stdout} bytes`);
});
