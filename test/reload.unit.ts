import t from 'tap';
import { type Config, loadConfig } from '../src/config.js';
import { planReload } from '../src/reload.js';

function load(input: unknown): Config {
  const loaded = loadConfig(input);
  if ('errors' in loaded) throw new Error(loaded.errors.join('\n'));
  return loaded.config;
}

const a = { domain: 'a', apikey: 'secret-1' };
const b = { domain: 'b', apikey: 'k' };
const c = { domain: 'c', apikey: 'k' };

t.test('reloading an unchanged file changes nothing', async (t) => {
  const plan = planReload(load({ domains: [a] }), load({ domains: [a] }));
  t.strictSame([plan.changes, plan.needRestart], [[], []]);
});

t.test('domains come, go and change, and no key is named by its value', async (t) => {
  const next = load({
    domains: [
      { ...a, apikey: 'secret-2', carbons: true },
      { ...c, services: { help: {} } },
    ],
  });
  const plan = planReload(load({ domains: [a, b] }), next);
  t.strictSame(plan.changes, ['domain a: apikey, carbons', 'domain c: added', 'domain b: removed']);
  t.equal(plan.config.domains, next.domains);
});

t.test('a change inside a service is seen', async (t) => {
  const before = load({ domains: [{ ...a, services: { help: {} } }] });
  const after = load({ domains: [{ ...a, services: { help: { delivery: 'turns' } } }] });
  t.strictSame(planReload(before, after).changes, ['domain a: services']);
});

t.test('limits change with their numbers', async (t) => {
  const plan = planReload(load({}), load({ limits: { messageBytes: 1 } }));
  t.strictSame(plan.changes, ['limits.messageBytes: 8192 → 1']);
  t.equal(plan.config.limits.messageBytes, 1);
});

t.test('a key that needs a restart is named and keeps its value', async (t) => {
  const plan = planReload(load({}), load({ port: 1, presence: { graceMs: 1 } }));
  t.strictSame(plan.needRestart, ['port', 'presence']);
  t.strictSame([plan.config.port, plan.config.presence.graceMs], [8080, 8000]);
  t.ok(Object.isFrozen(plan.config));
});
