// What the compiler does not put beside the compiled server: the page of the dashboard, and the browser library, which
// the server serves.
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');

cpSync(join(root, 'src/admin/page'), join(root, 'dist/admin/page'), { recursive: true });

const library = join(root, 'client/build.mjs');
if (existsSync(library)) {
  const built = spawnSync(process.execPath, [library, join(root, 'dist/client')], { stdio: ['ignore', 2, 2] });
  if (built.status !== 0) throw new Error('the browser library does not build');
}
