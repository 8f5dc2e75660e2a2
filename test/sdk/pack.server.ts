/** The Node library as npm delivers it: packed, installed into an empty folder, run and type-checked from there. */
import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { cp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import t from 'tap';
import { childEnvironment, pristine, tether } from '../support/process.js';
import { testServer } from '../support/server.js';
import { firstExample } from './readme.js';

const root = join(import.meta.dirname, '../..');
const npm = process.env.npm_execpath ?? '/usr/lib/node_modules/npm/bin/npm-cli.js';
const run = promisify(execFile);
const TIMEOUT_MS = 250_000;

async function node(cwd: string, ...args: readonly string[]): Promise<string> {
  const [first = '', ...rest] = [...tether, 'env', ...pristine, process.execPath, ...args];
  return (await run(first, rest, { cwd, env: childEnvironment(), timeout: TIMEOUT_MS })).stdout;
}

/** Packed from a copy, so that no other test meets its build. */
async function packed(folder: string): Promise<string> {
  const source = join(folder, 'source/sdk/node');
  await cp(join(root, 'sdk/node'), source, { recursive: true, filter: (path) => !path.endsWith('/dist') });
  await cp(join(root, 'tsconfig.json'), join(folder, 'source/tsconfig.json'));
  symlinkSync(join(root, 'node_modules'), join(folder, 'source/node_modules'));
  await node(source, npm, 'pack', '--silent', '--pack-destination', folder);
  return join(folder, 'nextalk-site-1.0.0.tgz');
}

const consumer = `import { NexTalk, NexTalkError, parseEvents, type Sent } from 'nextalk-site';
const chat = new NexTalk({ server: 'http://localhost', domain: 'd', apiKey: 'k' });
export const sent: Promise<Sent> = chat.send({ from: 1, to: ['a', 'b'], body: 'x', data: { y: 1 } });
export const map: Promise<Map<string, string>> = chat.presences(['a', 2]);
for (const event of parseEvents('{}').events) {
  if (event.kind === 'undelivered') event.outcome satisfies string;
  if (event.kind === 'offline') event.since satisfies number;
}
export const results: Promise<(Sent | NexTalkError)[]> = chat.sendBatch([{ ticket: 't', to: 1, body: 'x' }]);
// @ts-expect-error a message is from somebody
chat.send({ to: 'a', body: 'x' });
// @ts-expect-error an unknown show
chat.show({ name: 'a' }, 'asleep');
`;

t.test('the packed Node library installs into an empty folder, runs there and brings its types', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'nextalk-sdk-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const site = join(folder, 'site');
  mkdirSync(site);
  writeFileSync(join(site, 'package.json'), '{"type":"module"}');
  await node(site, npm, 'install', await packed(folder), '--offline', '--no-audit', '--no-fund');
  const installed = join(site, 'node_modules/nextalk-site');
  t.strictSame(
    readdirSync(installed).sort(),
    ['LICENSE', 'README.md', 'dist', 'package.json'],
    'and holds nothing else',
  );
  const { dependencies, scripts } = JSON.parse(readFileSync(join(installed, 'package.json'), 'utf8'));
  t.strictSame([dependencies, Object.keys(scripts)], [undefined, ['prepack']], 'needs nothing and runs nothing');

  const server = await testServer(t, { domains: [{ domain: 'localhost', apikey: 'public' }] });
  writeFileSync(join(site, 'first.js'), firstExample('node', `http://${server.host}`));
  t.match(await node(site, 'first.js'), /^uid:jack:[0-9a-f]+ ws:\S+\nMap\(1\) \{ 'jack' => 'available' \}\n$/);

  const strict = { strict: true, module: 'NodeNext', target: 'ES2022', noEmit: true, types: [] };
  writeFileSync(join(site, 'tsconfig.json'), JSON.stringify({ compilerOptions: strict, files: ['consumer.ts'] }));
  writeFileSync(join(site, 'consumer.ts'), consumer);
  await node(site, join(root, 'node_modules/typescript/bin/tsc'), '-p', site);
});
