// `npm start`: compiles (about a second) and runs the server in this same process, so that signals reach it directly.
import { spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');

function compiler() {
  try {
    return join(dirname(createRequire(import.meta.url).resolve('typescript/package.json')), 'bin', 'tsc');
  } catch {
    process.stderr.write('nextalk: the packages are not installed: run `npm install` first\n');
    process.exit(1);
  }
}

const build = spawnSync(process.execPath, [compiler(), '-p', join(root, 'tsconfig.build.json')], {
  cwd: root,
  stdio: ['ignore', 2, 2],
});
if (build.status !== 0) {
  process.stderr.write('nextalk: the server does not compile; nothing was started\n');
  process.exit(1);
}
await import('./copy-page.mjs');
await import('../dist/main.js');
