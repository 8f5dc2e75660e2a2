// `npm start`: compiles where the sources have changed (some seconds) and runs the server in this same process, so that
// signals reach it directly. SIGHUP meanwhile is remembered, as the server does while it starts.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const stamp = join(root, 'dist/.built');
const library = ['client/src', 'client/widget/src', 'client/build.mjs', 'client/package.json'];
const sources = ['src', 'scripts', 'package.json', 'package-lock.json', 'tsconfig.json', 'tsconfig.build.json'];

let isHungUp = false;
process.on('SIGHUP', () => {
  isHungUp = true;
});

/** When the latest of these files and folders changed; a folder changes when a file in it goes. */
function latest(path) {
  const stat = statSync(path);
  if (!stat.isDirectory()) return stat.mtimeMs;
  return readdirSync(path).reduce((ms, name) => Math.max(ms, latest(join(path, name))), stat.mtimeMs);
}

function builtAt() {
  try {
    statSync(join(root, 'dist/main.js'));
    return statSync(stamp).mtimeMs;
  } catch {
    return 0;
  }
}

function isBuilt() {
  const at = builtAt();
  const found = [...sources, ...library.filter((name) => existsSync(join(root, name)))];
  return found.every((name) => latest(join(root, name)) < at);
}

/** A file of a package that only a clone has. */
function find(name) {
  try {
    return createRequire(import.meta.url).resolve(name);
  } catch {
    process.stderr.write('nextalk: the packages are not installed: run `npm install` first\n');
    process.exit(1);
  }
}

async function build() {
  const compiler = join(dirname(find('typescript/package.json')), 'bin', 'tsc');
  // What changes while it compiles is newer than this.
  const startedAt = new Date();
  const { status } = spawnSync(process.execPath, [compiler, '-p', join(root, 'tsconfig.build.json')], {
    cwd: root,
    stdio: ['ignore', 2, 2],
  });
  if (status !== 0) {
    process.stderr.write('nextalk: the server does not compile; nothing was started\n');
    process.exit(1);
  }
  await import('./copy-page.mjs');
  writeFileSync(stamp, '');
  utimesSync(stamp, startedAt, startedAt);
}

const onlyAsks = process.argv.slice(2).some((word) => ['help', '-h', '--help', '-V', '--version'].includes(word));
if (isBuilt()) await import('../dist/main.js');
else if (onlyAsks) {
  // Read as it stands, sooner than it is compiled.
  find('tsx/package.json');
  const { register } = await import('tsx/esm/api');
  register();
  await import('../src/main.ts');
} else {
  await build();
  await import('../dist/main.js');
}
if (isHungUp) process.emit('SIGHUP', 'SIGHUP');
