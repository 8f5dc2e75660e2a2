import { readFileSync } from 'node:fs';
import t from 'tap';
import { metricsPage, PAGE } from '../scripts/metrics-reference.js';
import { FAMILIES } from '../src/admin/families.js';
import { DROP_REASONS, REFUSAL_REASONS } from '../src/metrics.js';

const page = metricsPage();

t.test('docs/metrics.md is what `npm run docs:metrics` makes', async (t) => {
  t.equal(readFileSync(PAGE, 'utf8'), page, 'run `npm run docs:metrics` and commit the page');
});

t.test('every metric and every reason has a row', async (t) => {
  const names = [...FAMILIES.map(({ name }) => name), ...DROP_REASONS, ...REFUSAL_REASONS];
  for (const name of names) t.ok(page.includes(`| \`${name}\` |`), name);
});
