import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import t from 'tap';
import { childEnvironment } from './support/process.js';

const script = join(import.meta.dirname, '../scripts/count-tests.mjs');

/** What is printed for a run of one test file with these lines inside. */
async function printed(t: Test, lines: readonly string[], ok = true): Promise<string> {
  const inner = lines.map((line) => `    ${line}\n`).join('');
  const tap = `TAP version 14\n1..1\n# Subtest: a.test.ts\n${inner}${ok ? 'ok' : 'not ok'} 1 - a.test.ts\n`;
  const file = join(t.testdir({ 'run.tap': tap }), 'run.tap');
  const { stdout } = await promisify(execFile)(process.execPath, [script, file], { env: childEnvironment() });
  return stdout;
}

/** The last line of what is printed. */
async function count(t: Test, lines: readonly string[], ok = true): Promise<string> {
  return /(.*\n)$/.exec(await printed(t, lines, ok))?.[0] ?? '';
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

const diagnostic = [
  '  ---',
  '  at:',
  '    fileName: test/a.ts',
  '    lineNumber: 7',
  '    columnNumber: 5',
  '  diff: |',
];

t.test('each failed test is named with its file, its titles and what tap found, before the last line', async (t) => {
  const found = ['not ok 1 - same', ...diagnostic, '    -1', '    +2', '  ...', 'not ok 2 - found', '1..2'];
  const group = child('group', 1, ...child('x', 1, ...found), ...child('y', 2, 'ok 1', '1..1'), '1..2');
  t.equal(
    await printed(t, [...group, '1..1'], false),
    `*** failed: a.test.ts > group > x
  same
    at test/a.ts:7:5
    diff:
      -1
      +2
  found
1 passed, 1 failed
`,
  );
});

t.test('a file that failed by itself is named', async (t) => {
  const lines = await printed(t, [...child('x', 1, 'ok 1', '1..1'), '1..1'], false);
  t.equal(lines, '*** failed: a.test.ts\n1 passed, 1 failed\n');
});

t.test('a run whose end is missing is named', async (t) => {
  const lines = await printed(t, ['Bail out! the disk is full']);
  t.match(lines, /^\*\*\* failed: the run itself\n.*the disk is full/);
});

t.test('however much failed, the end of the log stays short', async (t) => {
  const found = Array.from({ length: 100 }, (_, at) => `    ${at} ${'x'.repeat(1000)}`);
  const failed = Array.from({ length: 100 }, (_, at) =>
    child(`x${at}`, at + 1, 'not ok 1 - y', ...diagnostic, ...found, '  ...', '1..1'),
  );
  const lines = (await printed(t, [...failed.flat(), '1..100'], false)).trimEnd().split('\n');
  t.equal(lines.filter((line) => line.startsWith('*** failed: a.test.ts > x')).length, 50);
  t.match(lines.slice(-2), ['*** failed: 50 more', '0 passed, 100 failed']);
  t.ok(lines.length < 200);
  t.ok(lines.every((line) => line.length < 250));
});
