/** deploy/alerts.yml and deploy/grafana.json name nothing that the server does not have. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { FAMILIES } from '../src/admin/families.js';
import { CONDITION_NAMES } from '../src/conditions.js';
import { DROP_REASONS, REFUSAL_REASONS } from '../src/metrics.js';

const read = (name: string): string => readFileSync(join(import.meta.dirname, '../deploy', name), 'utf8');

/** Metrics that only the parent of workers has. */
const ofWorkers = ['nextalk_worker_restarts_total', 'nextalk_workers', 'nextalk_worker_counted'];
const known = new Set([
  ...ofWorkers,
  ...FAMILIES.flatMap(({ name, type }) =>
    type === 'histogram' ? ['_bucket', '_sum', '_count'].map((end) => name + end) : [name],
  ),
]);

/** Metrics in an expression: names that a selector, a bracket or an operator may follow. */
function metricsIn(expression: string): string[] {
  return expression.match(/\b(?:nextalk|process|nodejs)_[a-z0-9_]+/g) ?? [];
}

/** The expression of each alert, which is on a line of its own. */
const alerts = [...read('alerts.yml').matchAll(/^ {8}expr: (.+)$/gm)].map(([, expression = '']) => expression);

interface Board {
  readonly templating: { readonly list: readonly { readonly query: string }[] };
  readonly panels: readonly { readonly title: string; readonly targets: readonly { readonly expr: string }[] }[];
}
const board: Board = JSON.parse(read('grafana.json'));
const plots = board.panels.flatMap(({ targets }) => targets.map(({ expr }) => expr));

t.test('each alert and each plot reads metrics that exist', async (t) => {
  t.ok(alerts.length >= 10, 'finds the alerts');
  t.ok(plots.length >= 20, 'finds the plots');
  for (const expression of [...alerts, ...plots, ...board.templating.list.map(({ query }) => query)]) {
    t.strictSame(
      metricsIn(expression).filter((name) => !known.has(name)),
      [],
      expression,
    );
  }
});

t.test('each alert and each plot names a metric and closes its brackets', async (t) => {
  for (const expression of [...alerts, ...plots]) {
    t.ok(metricsIn(expression).length > 0 || expression.startsWith('up{'), expression);
    for (const [open, close] of ['()', '{}', '[]'].map((pair) => [...pair] as [string, string])) {
      t.equal(expression.split(open).length, expression.split(close).length, `${expression}: ${open}${close}`);
    }
  }
});

t.test('the reasons and conditions that alerts and plots select exist', async (t) => {
  const lists: readonly (readonly [label: string, values: readonly string[]])[] = [
    ['reason', [...DROP_REASONS, ...REFUSAL_REASONS]],
    ['name', CONDITION_NAMES],
  ];
  for (const [label, values] of lists) {
    const selected = [...alerts, ...plots].flatMap((expression) =>
      [...expression.matchAll(new RegExp(`\\b${label}!?=~?"([^"]+)"`, 'g'))].flatMap(([, list = '']) =>
        list.split('|'),
      ),
    );
    t.ok(selected.length > 0, `finds ${label}`);
    t.strictSame(
      selected.filter((value) => !values.includes(value)),
      [],
    );
  }
});

t.test('every alert has a name of its own and says what is the matter', async (t) => {
  const text = read('alerts.yml');
  const names = [...text.matchAll(/^ {6}- alert: (\S+)$/gm)].map(([, name]) => name);
  t.equal(names.length, alerts.length);
  t.equal(new Set(names).size, names.length);
  t.equal([...text.matchAll(/^ {10}summary: ".+"$/gm)].length, names.length);
});
