/**
 * What somebody finds who opens the server in a browser: a page that says that it works, a favicon, and the browser
 * library and the widget under `/v5/client.js` and `/v5/widget.js` (CLIENT.md of the contract), as `npm run build` and
 * `npm start` have built them.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Metrics } from '../metrics.js';
import { whenSound } from '../protocols/headers.js';
import { KEEP_ALIVE, type TemplatedApp } from '../uws.js';
import { asset, hash, serveAsset } from './reference.js';
import { addFrames, FRAMES } from './welcome-frames.js';

/** Beside the compiled server, whether this runs from there or from the sources. */
export const LIBRARY_FOLDER = join(import.meta.dirname, '../../dist/client');
/** A name with a version always has the same bytes. */
const FOR_EVER = 'public, max-age=31536000, immutable';
const FOR_A_WHILE = 'public, max-age=300';
const OPEN = [['Access-Control-Allow-Origin', '*']] as const;
/** Modules that are served under a name with their version as well. */
const MAIN: ReadonlySet<string> = new Set(['client.js', 'widget.js']);
const NOT_BUILT = 'The browser library is not built. Run `npm run build`, or start the server with `npm start`.\n';

const ICON = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><path fill="#2563eb" d="M6 5h20a3 3 0 0 1 3 3v12a3 3 0 0 1-3 3H15l-7 6v-6H6a3 3 0 0 1-3-3V8a3 3 0 0 1 3-3z"/><path fill="#fff" d="M9 11h14v2H9zm0 5h9v2H9z"/></svg>`;
const STYLE =
  'body{font:16px/1.6 system-ui,sans-serif;max-width:38rem;margin:12vh auto;padding:0 1.5rem;color:#1f2937;background:#fff}' +
  'h1{font-size:1.5rem}a{color:#1d4ed8}code{background:#f1f5f9;padding:.1em .3em;border-radius:.2em}' +
  '@media(prefers-color-scheme:dark){body{color:#e5e7eb;background:#111827}a{color:#93c5fd}code{background:#1f2937}}';
/** Two frames side by side, on phones one above the other. */
const FRAMES_STYLE =
  '.two{display:flex;flex-wrap:wrap;gap:16px;width:min(60rem,100vw - 3rem);margin-inline:calc(50% - min(30rem,50vw - 1.5rem))}' +
  'iframe{flex:1 1 300px;height:460px;border:0}';

function policy(style: string): string {
  return [
    "default-src 'none'",
    `style-src 'sha256-${hash(style)}'`,
    "img-src 'self'",
    "frame-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join('; ');
}

/** The welcome page. Its links are relative, so that they also work where a proxy serves it below a path. */
function page(style: string, chat: string): string {
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>NexTalk</title>
<link rel="icon" href="favicon.svg" type="image/svg+xml">
<style>${style}</style>
<h1>The NexTalk message server works.</h1>
<p>Sites bring their users online by REST or with a signed token, and pages receive messages, presence and statuses by WebSocket, server-sent events,
long polling or MQTT.</p>
${chat}<ul>
<li><a href="v5/docs">The API, to read</a>, and <a href="v5/openapi.json">for generators of clients</a> (OpenAPI 3.1)</li>
<li>Chat for any page: <a href="v5/widget.js"><code>v5/widget.js</code></a>, which brings <code>&lt;nextalk-chat&gt;</code></li>
<li>The browser library: <a href="v5/client.js"><code>v5/client.js</code></a>, a module; <a href="v5/client.global.js"><code>v5/client.global.js</code></a> for script tags</li>
</ul>
</html>
`;
}

const CHAT = `<p>Two users of the development domain, on this page:</p>
<div class="two">
${FRAMES}
</div>
`;

export interface LibraryFile {
  /** Below `/v5/`. */
  readonly path: string;
  readonly text: string;
  /** Whether the file's name contains its version. */
  readonly isVersioned: boolean;
}

/** The files of the built library, under the names that pages ask for; none where it is not built. */
export function libraryFiles(folder: string): readonly LibraryFile[] {
  let names: string[];
  try {
    names = readdirSync(folder).filter((name) => name.endsWith('.js'));
  } catch {
    return [];
  }
  const files = names.map((path) => ({
    path,
    text: readFileSync(join(folder, path), 'utf8'),
    isVersioned: /-\d+\.\d+\.\d+\.js$/.test(path),
  }));
  const versioned = files.flatMap(({ path, text }) => {
    const version = MAIN.has(path) ? /^\/\*! nextalk-\w+ (\d+\.\d+\.\d+),/.exec(text)?.[1] : undefined;
    return version === undefined ? [] : [{ path: path.replace('.js', `-${version}.js`), text, isVersioned: true }];
  });
  return [...files, ...versioned];
}

/** `isDevelopment`: the development domain is served, whose users the page may show. */
export function addWelcome(app: TemplatedApp, metrics: Metrics, isDevelopment: boolean, folder = LIBRARY_FOLDER): void {
  const files = libraryFiles(folder);
  const hasChat = isDevelopment && files.some(({ path }) => path === 'widget.js');
  const style = hasChat ? STYLE + FRAMES_STYLE : STYLE;
  const welcome = asset(page(style, hasChat ? CHAT : ''), 'text/html', [['Content-Security-Policy', policy(style)]]);
  serveAsset(app, metrics, '/', () => welcome);
  if (isDevelopment) addFrames(app, metrics);
  const icon = asset(ICON, 'image/svg+xml', []);
  for (const name of ['/favicon.svg', '/favicon.ico']) serveAsset(app, metrics, name, () => icon);
  for (const { path, text, isVersioned } of files) {
    const file = asset(text, 'text/javascript', OPEN);
    serveAsset(app, metrics, `/v5/${path}`, () => file, isVersioned ? FOR_EVER : FOR_A_WHILE);
  }
  if (files.length > 0) return;
  const missing = whenSound(metrics, (res) => {
    metrics.refused.notFound += 1;
    res
      .writeStatus('404 Not Found')
      .writeHeader('Content-Type', 'text/plain; charset=utf-8')
      .writeHeader('Access-Control-Allow-Origin', '*')
      .writeHeader('Cache-Control', 'no-store')
      .writeHeader(...KEEP_ALIVE)
      .end(NOT_BUILT);
  });
  for (const name of ['client.js', 'client.global.js', 'widget.js']) app.get(`/v5/${name}`, missing);
}
