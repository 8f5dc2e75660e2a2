// Reads the TAP of a whole run (a file named on the command line) and prints `N passed, N failed`, with `, N skipped` if
// any were. A test is one that has no tests inside; one that fails beside its inner tests counts as well. Before that line
// stands each test that failed, with its file, its titles and what tap found: the end of a log must tell what failed.
import { createReadStream } from 'node:fs';
import { Parser } from 'tap-parser';

const counts = { passed: 0, failed: 0, skipped: 0 };

/** What failed: the titles that lead to each test, and what tap found. */
const failures = [];

const limits = { named: 50, lines: 80, linesOfOne: 16, characters: 200 };

function count({ ok, skip, todo }) {
  if (skip || todo) counts.skipped += 1;
  else if (ok) counts.passed += 1;
  else counts.failed += 1;
}

/** Counts below one test; answers how many tests and failures were found. */
function watch(parser, depth) {
  const seen = { tests: 0, failed: 0, asserts: [], bailed: false };
  let last;
  parser.on('child', (child) => {
    last = watch(child, depth + 1);
  });
  parser.on('bailout', () => {
    seen.bailed = true;
  });
  parser.on('assert', (result) => {
    const inner = last;
    last = undefined;
    const hasFailed = !result.ok && !result.skip && !result.todo;
    const isTest = inner !== undefined || depth <= 1;
    if (!isTest && !result.skip && !result.todo) {
      if (hasFailed) seen.asserts.push(result);
      return;
    }
    seen.tests += 1;
    const before = counts.failed;
    if (inner === undefined || inner.tests === 0) count(result);
    else if (!result.ok && (inner.asserts.length > 0 || inner.failed === 0)) counts.failed += 1;
    if (counts.failed > before) {
      const asserts = inner?.asserts ?? [];
      failures.push({ titles: result.fullname, found: asserts.length > 0 ? asserts : [result] });
    }
    if (hasFailed) seen.failed += 1;
  });
  return seen;
}

/** A diagnostic as lines: the place first; the source around it is in the repository. */
function* linesOf(diagnostic) {
  const { at, source, compare, ...rest } = diagnostic;
  if (at?.fileName !== undefined) yield `at ${at.fileName}:${at.lineNumber}:${at.columnNumber}`;
  for (const [key, value] of Object.entries(rest)) {
    const lines = (typeof value === 'string' ? value : (JSON.stringify(value) ?? '')).trimEnd().split('\n');
    if (lines.length === 1) yield `${key}: ${lines[0]}`;
    else yield* [`${key}:`, ...lines.map((line) => `  ${line}`)];
  }
}

function* detailsOf({ titles, found }) {
  for (const { name, fullname, diag } of found) {
    if (fullname !== titles) yield `  ${name}`;
    for (const line of linesOf(diag ?? {})) yield `    ${line}`;
  }
}

function short(line) {
  return line.length > limits.characters ? `${line.slice(0, limits.characters)}…` : line;
}

function report() {
  let left = limits.lines;
  for (const failure of failures.slice(0, limits.named)) {
    process.stdout.write(`*** failed: ${short(failure.titles)}\n`);
    const details = [...detailsOf(failure)];
    const shown = details.slice(0, Math.min(left, limits.linesOfOne));
    left -= shown.length;
    for (const line of shown) process.stdout.write(`${short(line)}\n`);
    if (shown.length < details.length) process.stdout.write('    …\n');
  }
  if (failures.length > limits.named) process.stdout.write(`*** failed: ${failures.length - limits.named} more\n`);
}

const parser = new Parser();
const run = watch(parser, 0);
parser.on('complete', (results) => {
  if (counts.failed === 0 && (!results.ok || run.bailed)) {
    counts.failed += 1;
    const diag = { bailout: results.bailout, errors: results.failures.map(({ tapError }) => tapError) };
    failures.push({ titles: 'the run itself', found: [{ fullname: 'the run itself', diag }] });
  }
  report();
  const skipped = counts.skipped > 0 ? `, ${counts.skipped} skipped` : '';
  process.stdout.write(`${counts.passed} passed, ${counts.failed} failed${skipped}\n`);
});
createReadStream(process.argv[2] ?? '').pipe(parser);
