// Compiles the server and bundles the library and the widget where their sources have changed (some seconds). Run by itself it
// does that and no more.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const stamp = join(root, 'dist/.built');
const library = ['client/src', 'client/widget/src', 'client/build.mjs', 'client/package.json'];
const sources = ['src', 'scripts', 'package.json', 'package-lock.json', 'tsconfig.json', 'tsconfig.build.json'];

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

export function isBuilt() {
  const at = builtAt();
  const found = [...sources, ...library.filter((name) => existsSync(join(root, name)))];
  return found.every((name) => latest(join(root, name)) < at);
}

/** A file of a package that only a clone has. */
export function find(name) {
  try {
    return createRequire(import.meta.url).resolve(name);
  } catch {
    process.stderr.write('nextalk: the packages are not installed: run `npm install` first\n');
    process.exit(1);
  }
}

export async function build() {
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

if (process.argv[1] === fileURLToPath(import.meta.url) && !isBuilt()) await build();
