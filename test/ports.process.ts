/** Ports of tests that run at the same time. */
import { join } from 'node:path';
import t from 'tap';
import { freePort } from './support/ports.js';
import { nextalk } from './support/process.js';

const many = 400;

const source = `
  import { freePort } from '${join(import.meta.dirname, 'support/ports.ts')}';
  const ports = [];
  while (ports.length < ${many}) ports.push(await freePort());
  console.log('ports ' + ports.join());
  setInterval(() => undefined, 1000);`;

t.test('no two tests are given the same port, also where nobody listens there yet', async (t) => {
  const node = ['--import', 'tsx'];
  const other = nextalk(t, [], { program: ['--input-type=module', '-e', source], node });
  const own: number[] = [];
  while (own.length < many) own.push(await freePort());
  const [, line = ''] = await other.line(/^ports (.*)$/m);
  const all = [...own, ...line.split(',').map(Number)];
  t.equal(all.length, 2 * many);
  t.equal(new Set(all).size, all.length);
});
