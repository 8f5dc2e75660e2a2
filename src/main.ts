#!/usr/bin/env node
/** The entry of the process. Nothing but the version check is loaded before the version is known to do. */
import { nodeProblem } from './runtime.js';

const problem = nodeProblem(process.versions.node);
if (problem === undefined) {
  const { run } = await import('./run.js');
  await run(process.argv.slice(2), process.env);
} else {
  process.stderr.write(`${problem}\n`);
  process.exitCode = 1;
}
