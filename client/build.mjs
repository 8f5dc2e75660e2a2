// Bundles the library (a module, a script for script tags, what shares a connection among tabs), the widget, and the types.
import { spawnSync } from 'node:child_process';
import { readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const here = dirname(fileURLToPath(import.meta.url));
const [folder = join(here, 'dist'), ...flags] = process.argv.slice(2);
const out = resolve(folder);
const { version } = JSON.parse(readFileSync(join(here, 'package.json'), 'utf8'));
const tabs = `./client-tabs-${version}.js`;

const common = {
  absWorkingDir: here,
  bundle: true,
  minify: true,
  // Private names as browsers have had them since 2021.
  target: 'es2022',
  legalComments: 'none',
  banner: { js: `/*! nextalk-client ${version}, MIT */` },
  external: [tabs],
  define: { TABS: JSON.stringify(tabs) },
};

rmSync(out, { recursive: true, force: true });
await build({ ...common, entryPoints: ['src/client.ts'], outfile: join(out, 'client.js'), format: 'esm' });
await build({ ...common, entryPoints: ['src/tabs.ts'], outfile: join(out, tabs), format: 'esm' });
await build({
  ...common,
  entryPoints: ['widget/src/widget.ts'],
  outfile: join(out, 'widget.js'),
  format: 'esm',
  banner: { js: `/*! nextalk-chat ${version}, MIT */` },
});
await build({
  ...common,
  entryPoints: ['src/global.ts'],
  outfile: join(out, 'client.global.js'),
  format: 'iife',
});

if (!flags.includes('--no-types')) {
  const compiler = join(dirname(createRequire(import.meta.url).resolve('typescript/package.json')), 'bin', 'tsc');
  const emit = ['--noEmit', 'false', '--declaration', '--emitDeclarationOnly', '--outDir', join(out, 'types')];
  const { status } = spawnSync(process.execPath, [compiler, '-p', here, ...emit], { stdio: 'inherit' });
  process.exitCode = status ?? 1;
}
