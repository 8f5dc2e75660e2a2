/** `npm run bench:compare A.json B.json`: what changed from one branch's results to another's. */
import { readFileSync } from 'node:fs';
import type { Results } from './results.js';
import { comparisonTable } from './table.js';

const [first, second] = process.argv.slice(2);
if (first === undefined || second === undefined) {
  process.stderr.write('usage: npm run bench:compare A.json B.json\n');
  process.exit(2);
}
const [a, b] = [first, second].map((path) => JSON.parse(readFileSync(path, 'utf8')) as Results);
if (a !== undefined && b !== undefined) {
  if (a.machine !== b.machine) process.stdout.write('The two were measured on different machines.\n');
  process.stdout.write(`A: ${first}, ${a.date}, ${a.runs} runs\nB: ${second}, ${b.date}, ${b.runs} runs\n\n`);
  process.stdout.write(`${comparisonTable(a, b)}\n`);
}
