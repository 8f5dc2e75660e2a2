/** The package as npm delivers it: packed, installed into an empty folder, started from there. */
import { execFile } from 'node:child_process';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import t from 'tap';
import { PACKAGING } from './support/pages.js';
import { childEnvironment, nextalk, pristine, tether } from './support/process.js';
import { startRegistry } from './support/registry.js';

const root = join(import.meta.dirname, '..');
const npm = process.env.npm_execpath ?? '/usr/lib/node_modules/npm/bin/npm-cli.js';
const run = promisify(execFile);
/** The bound for a command of npm: an npm that does not end is an error, not a test that hangs. */
const NPM_MS = 250_000;

/** Runs a command of npm's as the documentation has it, with flags that keep it within this test. */
async function npmIn(cwd: string, command: string, ...flags: readonly string[]): Promise<void> {
  const args = command.split(' ').slice(1);
  const [first = '', ...rest] = [...tether, 'env', ...pristine, process.execPath, npm, ...args, ...flags];
  await run(first, rest, { cwd, env: childEnvironment(), timeout: NPM_MS });
}

t.test('the packed package installs into an empty folder and runs there', { timeout: 800_000 }, async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'nextalk-package-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  // The package is packed from a copy: packing builds anew, and other tests run what has been built here.
  const source = join(folder, 'source');
  const { files } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  const copied = ['package.json', 'tsconfig.json', 'tsconfig.build.json', 'src', 'scripts', 'client', ...files];
  for (const name of copied.filter((name) => name !== 'dist')) {
    cpSync(join(root, name), join(source, name), { recursive: true });
  }
  symlinkSync(join(root, 'node_modules'), join(source, 'node_modules'));
  await npmIn(source, PACKAGING.pack, '--silent', '--pack-destination', folder);
  const registry = ['--registry', await startRegistry(t, root), '--cache', join(folder, 'cache')];
  await npmIn(folder, PACKAGING.install, '--prefix', folder, ...registry, '--no-audit', '--no-fund');
  const installed = join(folder, 'lib/node_modules/nextalk');
  t.strictSame(
    readdirSync(installed)
      .filter((name) => name !== 'node_modules')
      .sort(),
    ['CHANGELOG.md', 'LICENSE', 'README.md', 'deploy', 'dist', 'docs', 'package.json'],
    'and holds nothing else',
  );
  const bin = [join(folder, 'bin/nextalk')];
  const server = nextalk(t, ['--port', '0', '--mqtt-port', '0', '--admin-port', '-1'], { program: bin });
  const { url, admin } = await server.event('started');
  const answer = await fetch(`${url}/v5/presences/online`, {
    method: 'POST',
    headers: { authorization: `Basic ${Buffer.from('localhost:public').toString('base64')}` },
    body: new URLSearchParams({ name: '1', nick: 'One' }),
  });
  t.match(await answer.json(), { success: true });
  t.equal((await fetch(`${admin}/readyz`)).status, 200);
  server.kill('SIGTERM');
  t.equal(await server.ended, 0);
});
