/** The files of the dashboard: a page, a form to log in, their scripts and styles. All from here, none from elsewhere. */
import { readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';

const TYPES: ReadonlyMap<string, string> = new Map([
  ['.html', 'text/html; charset=utf-8'],
  ['.css', 'text/css; charset=utf-8'],
  ['.js', 'text/javascript; charset=utf-8'],
  ['.svg', 'image/svg+xml'],
]);

/** The plotting library, as it was built. */
const PLOTS = ['uPlot.iife.min.js', 'uPlot.min.css'] as const;

export interface Asset {
  readonly type: string;
  readonly body: Buffer;
}

function read(path: string): Asset {
  return { type: TYPES.get(extname(path)) ?? 'application/octet-stream', body: readFileSync(path) };
}

/** By name: `dashboard.html`, `login.html`, and what these name as `/assets/…`. */
export function readAssets(): ReadonlyMap<string, Asset> {
  const folder = fileURLToPath(new URL('./page/', import.meta.url));
  const { resolve } = createRequire(import.meta.url);
  return new Map([
    ...readdirSync(folder).map((name) => [name, read(folder + name)] as const),
    ...PLOTS.map((name) => [name, read(resolve(`uplot/dist/${name}`))] as const),
  ]);
}
