// Compiles the server and bundles the library and the widget where their sources have changed (some seconds). Run by itself it
// does that and no more; with `--anew` whether they have changed or not.
import { spawnSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const dist = join(root, 'dist');
const stamp = join(dist, '.built');
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
    statSync(join(dist, 'main.js'));
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

/** A program's output is what is wrong. */
function run(program, ...words) {
  const { status } = spawnSync(process.execPath, [program, ...words], { cwd: root, stdio: ['ignore', 2, 2] });
  return status === 0;
}

/** Each file at once, so that another process that starts or builds meanwhile never reads half of one. */
function moveFiles(from, to) {
  mkdirSync(to, { recursive: true });
  for (const entry of readdirSync(from, { withFileTypes: true })) {
    const [source, target] = [join(from, entry.name), join(to, entry.name)];
    if (entry.isDirectory()) moveFiles(source, target);
    else renameSync(source, target);
  }
}

/** Compiles and bundles into a folder; answers what does not work, if anything. */
function make(folder) {
  const compiler = join(dirname(find('typescript/package.json')), 'bin', 'tsc');
  if (!run(compiler, '-p', join(root, 'tsconfig.build.json'), '--outDir', folder)) return 'the server does not compile';
  // What the compiler does not put beside the compiled server: the page of the dashboard, and the browser library.
  cpSync(join(root, 'src/admin/page'), join(folder, 'admin/page'), { recursive: true });
  const bundler = join(root, 'client/build.mjs');
  if (existsSync(bundler) && !run(bundler, join(folder, 'client'))) return 'the browser library does not build';
  return undefined;
}

export function build() {
  // What changes while it compiles is newer than this.
  const startedAt = new Date();
  // Beside dist, so that source maps name the sources by the same paths.
  const folder = mkdtempSync(join(root, '.building-'));
  const wrong = make(folder);
  if (wrong === undefined) moveFiles(folder, dist);
  rmSync(folder, { recursive: true, force: true });
  if (wrong !== undefined) {
    process.stderr.write(`nextalk: ${wrong}; nothing was started\n`);
    process.exit(1);
  }
  writeFileSync(stamp, '');
  utimesSync(stamp, startedAt, startedAt);
}

if (process.argv[1] === fileURLToPath(import.meta.url) && (process.argv.includes('--anew') || !isBuilt())) build();
