#!/usr/bin/env node
/** The entry of the process. Signals come first; nothing else is loaded before the version is known to do. */
import { pauseOptimizer } from './engine.js';
import { rememberHangups } from './hangup.js';
import { nodeProblem } from './node-version.js';

rememberHangups();
const problem = nodeProblem(process.versions.node);
if (problem === undefined) {
  pauseOptimizer();
  const { run } = await import('./run.js');
  await run(process.argv.slice(2), process.env);
} else {
  process.stderr.write(`${problem}\n`);
  process.exitCode = 1;
}
