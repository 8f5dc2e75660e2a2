import { execFile } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import t from 'tap';
import { importsOf, type Sources, violations } from './support/architecture.js';
import { circlesIn, TYPES_ONLY } from './support/circles.js';

const root = join(import.meta.dirname, '..');
const run = promisify(execFile);

function sourcesIn(...folders: readonly string[]): Sources {
  const found = new Map<string, string>();
  for (const folder of folders) {
    for (const entry of readdirSync(join(root, folder), { recursive: true, withFileTypes: true })) {
      if (!entry.isFile() || !/\.(ts|mts|js|mjs)$/.test(entry.name)) continue;
      const path = join(entry.parentPath, entry.name);
      found.set(path.slice(root.length + 1), readFileSync(path, 'utf8'));
    }
  }
  return found;
}

const existing = readdirSync(root, { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map(({ name }) => name);
const folders = ['src', 'test', 'bench', 'client', 'examples', 'scripts', 'sdk'].filter((name) =>
  existing.includes(name),
);

t.test('the source keeps its rules', async (t) => {
  const sources = sourcesIn(...folders);
  t.ok(sources.size > 20, 'finds the source');
  t.strictSame(violations(sources), []);
});

t.test('no page has a merge that is not resolved', async (t) => {
  const pages = ['', 'docs'].flatMap((folder) =>
    readdirSync(join(root, folder)).flatMap((name) => (name.endsWith('.md') ? [join(folder, name)] : [])),
  );
  t.ok(pages.length > 10, `finds ${pages.length} pages`);
  const unresolved = pages.filter((page) => /^(?:<{7}|>{7}) /m.test(readFileSync(join(root, page), 'utf8')));
  t.strictSame(unresolved, []);
});

const bad: readonly (readonly [rule: string, path: string, text: string])[] = [
  ['actors import no protocol', 'src/actors/user.ts', "import { a } from '../protocols/frame.js';"],
  ['actors import no http', 'src/actors/user.ts', "import type { A } from '../http/app.js';"],
  ['a dynamic import counts', 'src/actors/user.ts', "await import('../http/app.js');"],
  ['an import over several lines counts', 'src/actors/user.ts', "import {\n  a,\n} from '../http/app.js';"],
  ['a reexport counts', 'src/actors/user.ts', "export { a } from '../http/app.js';"],
  ['protocols import no http', 'src/protocols/mqtt/tcp.ts', "import { a } from '../../http/app.js';"],
  ['leaves import leaves only', 'src/config.ts', "import { a } from './actors/address.js';"],
  ['nobody below imports the server', 'src/http/app.ts', "import { startServer } from '../server.js';"],
  ['nobody imports main', 'src/run.ts', "import './main.js';"],
  ['the server does not import the process', 'src/server.ts', "import { run } from './run.js';"],
  ['a file has a layer', 'src/misc/a.ts', ''],
  ['an adapter knows no other', 'src/protocols/jsonp.ts', "import { a } from './websocket.js';"],
  ['an adapter knows no other, in a folder', 'src/protocols/mqtt/tcp.ts', "import { a } from '../websocket.js';"],
  ['nact is behind system', 'src/actors/room.ts', "import { spawn } from 'nact';"],
  ['native builds are behind uws', 'src/http/app.ts', "import uws from 'uws-node20';"],
  ['sockets are for adapters', 'src/protocols/frame.ts', "import type { HttpResponse } from '../uws.js';"],
  ['stdout belongs to the log', 'src/http/app.ts', "console.log('x');"],
  ['a file has at most 400 lines', 'src/http/app.ts', 'a();\n'.repeat(401)],
  ['the budget holds for tests too', 'test/a.test.ts', 'a();\n'.repeat(401)],
  ['no unfinished work', 'src/http/app.ts', `// TO${'DO'}: later`],
  ['no silenced compiler', 'test/a.test.ts', `// @ts-${'ignore'}`],
  ['no class named for nothing', 'src/http/app.ts', `class Room${'Manager'} {}`],
  ['no barrels', 'src/actors/all.ts', `export ${'*'} from './room.js';`],
  ['no enums', 'src/actors/a.ts', `export ${'enum'} A {}`],
];

for (const [rule, path, text] of bad) {
  t.test(`refuses: ${rule}`, async (t) => {
    t.equal(violations(new Map([[path, text]])).length, 1);
  });
}

t.test('accepts what the rules allow', async (t) => {
  const good: Sources = new Map([
    ['src/main.ts', "await import('./run.js');"],
    ['src/run.ts', "import { startServer } from './server.js';"],
    ['src/server.ts', "import { a } from './http/app.js';\nimport { loadUws } from './uws.js';"],
    ['src/http/app.ts', "import { a } from '../protocols/jsonp.js';\nimport { b } from './routes.js';"],
    ['src/protocols/jsonp.ts', "import { a } from '../actors/client.js';\nimport { b } from '../uws.js';"],
    ['src/protocols/mqtt/tcp.ts', "import { a } from './session.js';"],
    ['src/actors/system.ts', "import { spawn } from 'nact';\nimport { log } from '../log.js';"],
    ['src/http/full.ts', 'a();\n'.repeat(400)],
  ]);
  t.strictSame(violations(good), []);
});

t.test('imports are found as paths and package names', async (t) => {
  const text =
    "import a from 'x';\nimport type {\n  B,\n} from '../b.js';\nimport './c.js';\nconst d = import('../../d.js');";
  t.strictSame(importsOf('src/http/deep/a.ts', text), ['x', 'src/http/b.ts', 'src/http/deep/c.ts', 'src/d.ts']);
});

/** Folders whose files may still import types in circles. */
const circlesOfTypes = ['src/actors', 'src/protocols/mqtt'];

t.test('no files import each other in a circle', async (t) => {
  const sources = sourcesIn('src');
  t.strictSame(circlesIn(sources, false), [], 'neither values, in any folder');
  const mended = circlesIn(sources, true).filter(
    (circle) => !circle.every((file) => circlesOfTypes.includes(dirname(file))),
  );
  t.strictSame(mended, [], 'nor types, in the folders that are free of it');
});

t.test('circles are found over any number of files, and types count where they are to', async (t) => {
  const circle: Sources = new Map([
    ['src/a/a.ts', "import { b } from './b.js';"],
    ['src/a/b.ts', "import { type X, c } from '../c/c.js';"],
    ['src/c/c.ts', "import {\n  type D,\n} from './d.js';\nimport { a } from '../a/a.js';"],
    ['src/c/d.ts', "import type { C } from './c.js';"],
    ['src/e.ts', "import { a } from './a/a.js';"],
  ]);
  t.strictSame(circlesIn(circle, false), [['src/a/a.ts', 'src/a/b.ts', 'src/c/c.ts']]);
  t.strictSame(circlesIn(circle, true), [['src/a/a.ts', 'src/a/b.ts', 'src/c/c.ts', 'src/c/d.ts']]);
});

t.test('a server that starts loads only packages that every server needs: what one loads it keeps', async (t) => {
  const sources = sourcesIn('src');
  const loaded = new Set(['src/server.ts']);
  for (const path of loaded) {
    const atStart = (sources.get(path) ?? '').replace(TYPES_ONLY, '').replace(/\bimport\('[^']+'\)/g, '');
    for (const name of importsOf(path, atStart)) loaded.add(name);
  }
  const packages = [...loaded].filter((name) => /^(?!src\/|node:)[@\w/.-]+$/.test(name));
  t.strictSame(packages.sort(), ['ajv', 'fast-json-stringify', 'mqtt-packet', 'nact', 'pino']);
});

const biome = join(root, 'node_modules/@biomejs/biome/bin/biome');

async function longFunctions(...where: readonly string[]): Promise<string[]> {
  const rule = '--only=complexity/noExcessiveLinesPerFunction';
  const args = ['lint', rule, '--vcs-enabled=false', '--reporter=github', `--config-path=${root}`, ...where];
  const { stdout } = await run(process.execPath, [biome, ...args], { cwd: root }).catch((error: unknown) => {
    if (error instanceof Error && 'stdout' in error) return { stdout: String(error.stdout) };
    throw error;
  });
  return stdout.split('\n').filter((line) => line.includes('noExcessiveLinesPerFunction'));
}

t.test('no function has more than 60 lines', async (t) => {
  t.strictSame(await longFunctions(...folders.filter((name) => name !== 'test')), []);
});

t.test('refuses: a function of 61 lines', async (t) => {
  const body = (lines: number): string => `export function a() {\n${'  a();\n'.repeat(lines)}}\n`;
  const folder = t.testdir({ 'long.ts': body(61), 'short.ts': body(58) });
  const found = await longFunctions(folder);
  t.equal(found.length, 1);
  t.match(found[0], /long\.ts/);
});
