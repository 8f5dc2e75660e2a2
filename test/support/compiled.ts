/** The server as `npm test` has compiled it, in a folder that no build writes: tests build, too, while others run. */
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';

const root = join(import.meta.dirname, '../..');
const compiled = join(root, '.compiled');

function changedAt(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}

/** Whether the compiled server is complete, and none of its sources has changed since. */
function isFresh(): boolean {
  const source = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' }).map((name) => join('src', name));
  const names = ['tsconfig.json', 'package-lock.json', 'src', ...source];
  const last = Math.max(...names.map((name) => changedAt(join(root, name))));
  return last < changedAt(join(compiled, 'complete'));
}

/** The server's program: compiled where that is fresh, else its source, which takes twice as long to start. */
export const SERVER = isFresh() ? join(compiled, 'main.js') : join(root, 'src/main.ts');
