import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { importsOf } from './support/architecture.js';

const root = join(import.meta.dirname, '..');
const page = readFileSync(join(root, 'docs/architecture.md'), 'utf8');

t.test('every path on the architecture page exists', async (t) => {
  const paths = [...page.matchAll(/`((?:src|test|bench|examples|scripts)\/[\w./-]*)`/g)].map(([, path = '']) => path);
  t.ok(paths.length > 50, `${paths.length} paths`);
  for (const path of new Set(paths)) t.ok(existsSync(join(root, path)), path);
});

const names: readonly (readonly [name: string, file: string])[] = [
  ['dispatch', 'src/actors/dispatch.ts'],
  ['appearance', 'src/actors/tracker.ts'],
  ['class Lane', 'src/actors/lane.ts'],
  ['class Timeouts', 'src/clock.ts'],
  ["kind: 'attach'", 'src/actors/endpoint.ts'],
  ["kind: 'drained'", 'src/actors/endpoint.ts'],
  ["kind: 'detach'", 'src/actors/endpoint.ts'],
  ["kind: 'send'", 'src/actors/endpoint.ts'],
  ["kind: 'deliver'", 'src/actors/router.ts'],
  ['interface Transport', 'src/actors/transport.ts'],
];

t.test('every name in code on the architecture page exists in the code', async (t) => {
  for (const [name, file] of names) t.ok(readFileSync(join(root, file), 'utf8').includes(name), `${name} in ${file}`);
});

interface Step {
  readonly file: string;
  /** The port between this step and the one before it; null: one imports the other. */
  readonly port: string | null;
}

/** The numbered lists of the walks, in the order of the page. */
function walksOf(text: string): Step[][] {
  const section = text.slice(text.indexOf('## Four walks'), text.indexOf('## Actors'));
  const lists: Step[][] = [];
  for (const line of section.split('\n')) {
    const [, number, file] = /^(\d+)\. `([^`]+)`/.exec(line) ?? [];
    if (file === undefined) continue;
    if (number === '1') lists.push([]);
    lists.at(-1)?.push({ file, port: /\(Through `([^`]+)`/.exec(line)?.[1] ?? null });
  }
  return lists;
}

function isImported(from: string, to: string): boolean {
  return importsOf(from, readFileSync(join(root, from), 'utf8')).includes(to);
}

function areNeighbours(a: string, b: string): boolean {
  return isImported(a, b) || isImported(b, a);
}

t.test('the walks of the page go from neighbour to neighbour, and come to no file twice on a node', async (t) => {
  const walks = walksOf(page);
  t.ok(walks.length >= 4, `${walks.length} lists`);
  for (const walk of walks) {
    const files = walk.map(({ file }) => file);
    t.equal(new Set(files).size, files.length, `no file twice: ${files.join(' ')}`);
    for (const [at, { file, port }] of walk.entries()) {
      const before = files[at - 1];
      if (before === undefined) continue;
      if (port === null) t.ok(areNeighbours(before, file), `${before} and ${file}`);
      else t.ok(areNeighbours(before, port) && areNeighbours(port, file), `${before} and ${file} through ${port}`);
    }
  }
});
