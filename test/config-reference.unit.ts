import { readFileSync } from 'node:fs';
import t from 'tap';
import { configurationPage, PAGE } from '../scripts/config-reference.js';
import { loadConfig } from '../src/config.js';
import { type ConfigSchema, configSchema } from '../src/config-schema.js';
import { flags } from '../src/flags.js';

const page = configurationPage();

t.test('docs/configuration.md is what `npm run docs:config` makes', async (t) => {
  t.equal(readFileSync(PAGE, 'utf8'), page, 'run `npm run docs:config` and commit the page');
});

/** The description of each leaf of the schema, found by a walk of the test's own. */
function leaves(schema: ConfigSchema, name: string): [name: string, description: string][] {
  const below = [
    ...Object.entries(schema.properties ?? {}),
    ...(schema.items?.properties ? Object.entries(schema.items.properties) : []),
    ...(typeof schema.additionalProperties === 'object' ? [['ID', schema.additionalProperties] as const] : []),
  ];
  if (below.length === 0) return [[name, schema.description ?? '']];
  return below.flatMap(([key, child]) => leaves(child, key));
}

t.test('every key has a row with its meaning, and every flag its environment name', async (t) => {
  const rows = page.split('\n').filter((line) => line.startsWith('| `'));
  for (const [name, description] of leaves(configSchema, '')) {
    t.ok(
      description !== '' && rows.some((row) => new RegExp(`[\`.]${name}\``).test(row) && row.includes(description)),
      `${name} is described`,
    );
  }
  for (const { path, env } of flags) if (path !== undefined) t.ok(page.includes(`\`${env}\``), `${env} is named`);
  const reloaded = rows.filter((row) => row.endsWith('| SIGHUP |'));
  t.ok(reloaded.every((row) => /^\| `((domains\[\]|limits|lockout|tls)\.|admin\.token)/.test(row)));
  t.ok(reloaded.length > 20 && reloaded.length < rows.length - 15, 'the others need a restart');
});

t.test('the example in it is a valid configuration', async (t) => {
  const example = /```json\n([\s\S]*?)```/.exec(page)?.[1] ?? '';
  t.match(loadConfig(JSON.parse(example)), { config: { host: '0.0.0.0' } });
});
