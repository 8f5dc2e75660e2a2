import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';

const root = join(import.meta.dirname, '..');
const page = readFileSync(join(root, 'docs/architecture.md'), 'utf8');

t.test('every path on the architecture page is there', async (t) => {
  const paths = [...page.matchAll(/`((?:src|test|bench|examples|scripts)\/[\w./-]*)`/g)].map(([, path = '']) => path);
  t.ok(paths.length > 50, `${paths.length} paths`);
  for (const path of new Set(paths)) t.ok(existsSync(join(root, path)), path);
});

const names: readonly (readonly [name: string, file: string])[] = [
  ['dispatch', 'src/actors/dispatch.ts'],
  ['appearance', 'src/actors/tracker.ts'],
  ['class Outbox', 'src/actors/client.ts'],
  ['class Timeouts', 'src/clock.ts'],
  ["kind: 'attach'", 'src/actors/endpoint.ts'],
  ["kind: 'drained'", 'src/actors/endpoint.ts'],
  ["kind: 'detach'", 'src/actors/endpoint.ts'],
  ["kind: 'send'", 'src/actors/endpoint.ts'],
  ["kind: 'deliver'", 'src/actors/router.ts'],
  ['interface Transport', 'src/actors/transport.ts'],
];

t.test('what the page names in the code is there', async (t) => {
  for (const [name, file] of names) t.ok(readFileSync(join(root, file), 'utf8').includes(name), `${name} in ${file}`);
});
