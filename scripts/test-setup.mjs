// What `npm test` needs and npm does not install: tap's test class with this project's plugins; the server compiled, for
// tests that start it as a process; and programs that some tests drive (a browser, other brokers). Costs a second or two
// when all is there; what cannot be had is named, and its tests skip.
import { spawnSync } from 'node:child_process';
import { accessSync, constants, cpSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { delimiter, dirname, join, relative } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const minuteMs = 60_000;

/** Program and the Debian packages that bring it. test/support/programs.ts finds them in the same places. */
const programs = new Map([
  ['chromium', 'chromium'],
  ['curl', 'curl'],
  ['firefox-esr', 'firefox-esr'],
  ['mosquitto', 'mosquitto'],
  ['mosquitto_pub', 'mosquitto-clients'],
  ['nats-server', 'nats-server'],
  ['nginx', 'nginx'],
  ['php', 'php-cli php-curl'],
  ['python3', 'python3'],
]);

function find(name) {
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/bin', '/usr/sbin', '/usr/local/bin'];
  return folders.some((folder) => {
    try {
      accessSync(join(folder, name), constants.X_OK);
      return folder !== '';
    } catch {
      return false;
    }
  });
}

/** What the tests take in place of a program where they can: Chromium without windows costs them a third of the processor time. */
const lighter = new Map([['chromium', 'chromium-headless-shell']]);

function missing() {
  return [...programs].filter(([name]) => !find(name) && !find(lighter.get(name) ?? name));
}

function say(text) {
  process.stderr.write(`${text}\n`);
}

// The first run after an install would build the class on the fly, but still load the plugins it was shipped with, of
// which @tapjs/typescript cannot work with TypeScript 7.
function buildTap() {
  const built = join(root, 'node_modules/@tapjs/test/test-built/dist/esm/index.js');
  const signature = existsSync(built)
    ? (/export const signature = `([^`]*)`/.exec(readFileSync(built, 'utf8'))?.[1] ?? '')
    : '';
  const plugins = signature.split('\n');
  const ready = plugins.includes('@tapjs/tsx') && !plugins.includes('@tapjs/typescript');
  if (ready && existsSync(join(root, '.tap/plugins/node_modules'))) return;
  say('Preparing tap with its plugins, once after an install…');
  const tap = join(root, 'node_modules/tap/dist/esm/run.mjs');
  const result = spawnSync(process.execPath, [tap, 'build'], { cwd: root, stdio: ['ignore', 2, 2] });
  if (result.status !== 0) process.exit(1);
}

// Debian starts the brokers it installs as services; here their ports must stay free.
function withoutServices(work) {
  const policy = '/usr/sbin/policy-rc.d';
  const ours = !existsSync(policy);
  if (ours) writeFileSync(policy, '#!/bin/sh\nexit 101\n', { mode: 0o755 });
  try {
    return work();
  } finally {
    if (ours) rmSync(policy, { force: true });
  }
}

function aptGet(...args) {
  const patience = ['-o', 'Acquire::Retries=2', '-o', 'Acquire::http::Timeout=30', '-o', 'DPkg::Lock::Timeout=120'];
  const { status } = spawnSync('apt-get', [...patience, ...args], {
    stdio: ['ignore', 2, 2],
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
    timeout: 10 * minuteMs,
  });
  return status === 0;
}

/** Whether apt knows the package without asking anybody. */
function isOffered(name) {
  return spawnSync('apt-cache', ['show', name], { stdio: 'ignore' }).status === 0;
}

function installPrograms() {
  const wanted = missing().map(([name, packages]) => lighter.get(name) ?? packages);
  for (const name of lighter.values()) if (!find(name) && !wanted.includes(name) && isOffered(name)) wanted.push(name);
  if (wanted.length === 0) return;
  if (process.getuid?.() === 0 && find('apt-get')) {
    say(`Installing what some tests need: ${wanted.join(', ')}`);
    withoutServices(() => {
      aptGet('update', '-qq');
      const install = (names) => aptGet('install', '-y', '-qq', '--no-install-recommends', ...names.split(' '));
      if (install(wanted.join(' '))) return;
      for (const names of wanted) install(names);
      for (const [, packages] of missing()) install(packages);
    });
  }
  const left = missing();
  if (left.length === 0) return;
  say('');
  say('*** Some tests will be SKIPPED, because these programs are missing:');
  for (const [name, from] of left) say(`***   ${name} (Debian: apt-get install ${from})`);
  say('');
}

// Each process that a test starts would compile for itself (test/support/compiled.ts). Where this fails they do. Bundled,
// since a start from hundreds of files costs twice the processor time; dist/ is not, and test/package.process.ts starts that.
async function compileServer() {
  const [source, compiled] = [join(root, 'src'), join(root, '.compiled')];
  const complete = join(compiled, 'complete');
  rmSync(compiled, { recursive: true, force: true });
  // What a module finds beside itself is where it would be if each were a file.
  const placed = {
    name: 'placed',
    setup({ onLoad }) {
      onLoad({ filter: /\.ts$/ }, ({ path }) => {
        const file = join(compiled, relative(source, path)).replace(/\.ts$/, '.js');
        const contents = readFileSync(path, 'utf8')
          .replaceAll('import.meta.url', JSON.stringify(pathToFileURL(file).href))
          .replaceAll('import.meta.dirname', JSON.stringify(dirname(file)));
        return { contents, loader: 'ts' };
      });
    },
  };
  // Modules that tests put others in place of, and that processes begin with, stay files of their names.
  const entries = ['main', 'run', 'server', 'workers/worker'];
  try {
    const { build } = await import('esbuild');
    await build({
      entryPoints: entries.map((name) => join(source, `${name}.ts`)),
      outdir: compiled,
      outbase: source,
      bundle: true,
      splitting: true,
      format: 'esm',
      platform: 'node',
      target: 'node20',
      external: ['lmdb'],
      // Packages that are CommonJS require modules of node.
      banner: {
        js: "import { createRequire as requiring } from 'node:module'; const require = requiring(import.meta.url);",
      },
      plugins: [placed],
      logLevel: 'error',
    });
  } catch {
    return;
  }
  cpSync(join(source, 'admin/page'), join(compiled, 'admin/page'), { recursive: true });
  writeFileSync(complete, '');
}

buildTap();
installPrograms();
await compileServer();
