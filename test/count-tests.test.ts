import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import t from 'tap';
import { childEnvironment } from './support/process.js';

const script = join(import.meta.dirname, '../scripts/count-tests.mjs');

/** Counts a run of one test file with these lines inside. */
async function count(t: Test, lines: readonly string[], ok = true): Promise<string> {
  const inner = lines.map((line) => `    ${line}\n`).join('');
  const tap = `TAP version 14\n1..1\n# Subtest: a.test.ts\n${inner}${ok ? 'ok' : 'not ok'} 1 - a.test.ts\n`;
  const file = join(t.testdir({ 'run.tap': tap }), 'run.tap');
  const { stdout } = await promisify(execFile)(process.execPath, [script, file], { env: childEnvironment() });
  return stdout;
}

interface Test {
  testdir(content: Record<string, string>): string;
}

const child = (name: string, number: number, ...lines: readonly string[]): string[] => [
  `# Subtest: ${name}`,
  ...lines.map((line) => `    ${line}`),
  `${lines.some((line) => line.startsWith('not')) ? 'not ' : ''}ok ${number} - ${name}`,
];

t.test('a test counts once, however many assertions it has', async (t) => {
  const lines = [...child('x', 1, 'ok 1', 'ok 2', '1..2'), ...child('y', 2, '1..0'), '1..2'];
  t.equal(await count(t, lines), '2 passed, 0 failed\n');
});

t.test('a group counts by what is inside', async (t) => {
  const group = child('group', 1, ...child('x', 1, 'ok 1', '1..1'), ...child('y', 2, 'ok 1', '1..1'), '1..2');
  t.equal(await count(t, [...group, '1..1']), '2 passed, 0 failed\n');
});

t.test('a failed test counts once, its groups do not', async (t) => {
  const group = child('group', 1, ...child('x', 1, 'not ok 1', '1..1'), ...child('y', 2, 'ok 1', '1..1'), '1..2');
  t.equal(await count(t, [...group, '1..1'], false), '1 passed, 1 failed\n');
});

t.test('an assertion that fails beside tests counts too', async (t) => {
  const group = child('group', 1, ...child('x', 1, 'ok 1', '1..1'), 'not ok 2', '1..2');
  t.equal(await count(t, [...group, '1..1'], false), '1 passed, 1 failed\n');
});

t.test('skipped tests are named, at any depth', async (t) => {
  const group = child('group', 1, 'ok 1 - x # SKIP needs chromium', '1..1');
  t.equal(await count(t, [...group, 'ok 2 - y # SKIP', '1..2']), '0 passed, 0 failed, 2 skipped\n');
});

t.test('a file that crashed before its first test is one failure', async (t) => {
  t.equal(await count(t, ['1..0 # no tests found'], false), '0 passed, 1 failed\n');
});

t.test('a file that failed after its last test is one failure', async (t) => {
  t.equal(await count(t, [...child('x', 1, 'ok 1', '1..1'), '1..1'], false), '1 passed, 1 failed\n');
});

t.test('a run cut short is a failure', async (t) => {
  t.equal(await count(t, [...child('x', 1, 'ok 1', '1..1'), '1..3'], false), '1 passed, 1 failed\n');
});
