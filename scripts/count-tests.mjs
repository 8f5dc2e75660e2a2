// Reads the TAP of a whole run (a file named on the command line) and prints `N passed, N failed`, with `, N skipped` if
// any were. A test is one that has no tests inside; one that fails beside its inner tests counts as well.
import { createReadStream } from 'node:fs';
import { Parser } from 'tap-parser';

const counts = { passed: 0, failed: 0, skipped: 0 };

function count({ ok, skip, todo }) {
  if (skip || todo) counts.skipped += 1;
  else if (ok) counts.passed += 1;
  else counts.failed += 1;
}

/** Counts below one test; answers how many tests and failures were found. */
function watch(parser, depth) {
  const seen = { tests: 0, failed: 0, assertFailed: false, bailed: false };
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
    const isTest = inner !== undefined || depth <= 1;
    if (!isTest && !result.skip && !result.todo) {
      seen.assertFailed ||= !result.ok;
      return;
    }
    seen.tests += 1;
    if (inner === undefined || inner.tests === 0) count(result);
    else if (!result.ok && (inner.assertFailed || inner.failed === 0)) counts.failed += 1;
    if (!result.ok && !result.skip && !result.todo) seen.failed += 1;
  });
  return seen;
}

const parser = new Parser();
const run = watch(parser, 0);
parser.on('complete', (results) => {
  if (!results.ok && counts.failed === 0) counts.failed += 1;
  if (run.bailed && counts.failed === 0) counts.failed += 1;
  const skipped = counts.skipped > 0 ? `, ${counts.skipped} skipped` : '';
  process.stdout.write(`${counts.passed} passed, ${counts.failed} failed${skipped}\n`);
});
createReadStream(process.argv[2] ?? '').pipe(parser);
