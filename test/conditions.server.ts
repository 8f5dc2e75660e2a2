import t from 'tap';
import { Conditions } from '../src/conditions.js';
import { exchange } from './support/http.js';
import { testServer } from './support/server.js';

t.test('a condition is raised once, keeps its time, and ends when it is cleared', async (t) => {
  const conditions = new Conditions();
  t.ok(conditions.ready);
  t.ok(conditions.raise('disk', 'the disk is nearly full', { ready: true }));
  const [first] = conditions.list();
  t.notOk(conditions.raise('disk', 'the disk is full', { ready: true }));
  t.strictSame(conditions.list(), [{ ...first, detail: 'the disk is full' }]);
  t.ok(conditions.clear('disk'));
  t.notOk(conditions.clear('disk'));
  t.strictSame(conditions.list(), []);
});

t.test('what keeps clients out comes first, and makes the process not ready', async (t) => {
  const conditions = new Conditions();
  conditions.raise('cluster', 'no connection', { ready: true });
  t.ok(conditions.ready);
  conditions.raise('heap', 'memory is nearly used up', { ready: false });
  t.notOk(conditions.ready);
  t.strictSame(
    conditions.list().map(({ name }) => name),
    ['heap', 'cluster'],
  );
});

t.test('/readyz, /metrics and /api/stats say what is the matter', async (t) => {
  const server = await testServer(t, { admin: { port: -1 } });
  const ask = (path: string) => exchange(server.adminPort, { path }).answer;
  const { conditions } = server.metrics;
  conditions.raise('disk', 'the disk is nearly full: nothing is kept', { ready: true });
  const impaired = await ask('/readyz');
  t.equal(impaired.status, 200);
  t.equal(impaired.text, 'ok\nthe disk is nearly full: nothing is kept\n');
  conditions.raise('heap', 'memory is nearly used up', { ready: false });
  const refused = await ask('/readyz');
  t.equal(refused.status, 503);
  t.equal(refused.text, 'not ready\nmemory is nearly used up\nthe disk is nearly full: nothing is kept\n');
  const { text } = await ask('/metrics');
  t.match(text, /^nextalk_ready 0$/m);
  t.match(text, /^nextalk_condition\{name="disk"\} 1$/m);
  t.match(text, /^nextalk_condition\{name="cluster"\} 0$/m);
  const { node } = JSON.parse((await ask('/api/stats')).text);
  t.strictSame(node.conditions, conditions.list());
  conditions.clear('heap');
  t.equal((await ask('/readyz')).status, 200);
});
