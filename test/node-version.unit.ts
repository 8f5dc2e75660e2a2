import { readFileSync } from 'node:fs';
import t from 'tap';
import { nodeProblem, oldestNode } from '../src/node-version.js';

t.test('a Node that is old enough is accepted, an older one refused with a message', async (t) => {
  for (const version of ['20.11.0', '20.20.2', '22.0.0', '100.1.1']) t.equal(nodeProblem(version), undefined, version);
  for (const version of ['20.10.9', '18.20.0', '4.0.0']) {
    t.match(nodeProblem(version), new RegExp(`needs Node ${oldestNode} or later, this is ${version}`));
  }
});

t.test('package.json asks for the same Node version as the check at start', async (t) => {
  const file: unknown = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
  t.match(file, { engines: { node: `>=${oldestNode}` } });
});
