import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import t from 'tap';

const run = promisify(execFile);
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
  const { stdout } = await run(process.execPath, flags);
  t.ok(Number(stdout) < 5_000_000, `the old generation has grown by ${stdout} bytes`);
});

/** Runs a function a thousand times before the modules are loaded, and another one afterwards. Says of each whether V8 has optimized it. */
const loading = `
  const { pauseOptimizer, resumeOptimizer } = await import(${JSON.stringify(engine)});
  const isOptimized = new Function('f', 'return (%GetOptimizationStatus(f) & 16) !== 0');
  const sum = (n) => { let total = 0; for (let i = 0; i < n; i += 1) total += i % 7; return total; };
  const sumToo = (n) => { let total = 0; for (let i = 0; i < n; i += 1) total += i % 5; return total; };
  pauseOptimizer();
  for (let n = 0; n < 1000; n += 1) sum(1000);
  const whilePaused = isOptimized(sum);
  resumeOptimizer();
  for (let n = 0; n < 1000; n += 1) sumToo(1000);
  process.stdout.write(JSON.stringify([whilePaused, isOptimized(sumToo)]));
`;

t.test('nothing is optimized while a server loads its modules, and what runs often is from then on', async (t) => {
  // With its compiler on the thread that runs, V8 has optimized a function when it is next called.
  const flags = ['--allow-natives-syntax', '--no-concurrent-recompilation', '--import', 'tsx', '--input-type=module'];
  const { stdout } = await run(process.execPath, [...flags, '-e', loading]);
  t.strictSame(JSON.parse(stdout), [false, true]);
});
