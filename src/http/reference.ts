/**
 * The API's own description: `/v5/openapi.json`, and a page to read at `/v5/docs`. Both are made once, when they are first asked for, need
 * no authentication, may be kept by caches, and load nothing from anywhere.
 */
import { createHash } from 'node:crypto';
import type { Metrics } from '../metrics.js';
import { type Headers, whenSound } from '../protocols/headers.js';
import { type HttpRequest, type HttpResponse, KEEP_ALIVE, type TemplatedApp } from '../uws.js';
import { openApiDocument } from './openapi/document.js';
import { page, STYLE } from './openapi/page.js';

/** How long a cache may serve the description; after an upgrade of the server the cache asks with the old ETag. */
const CACHE_CONTROL = 'public, max-age=300';

export interface Asset {
  readonly body: Buffer;
  readonly tag: string;
  readonly headers: readonly (readonly [name: string, value: string])[];
}

export function hash(text: string | Buffer): string {
  return createHash('sha256').update(text).digest('base64');
}

export function asset(text: string, type: string, headers: Asset['headers']): Asset {
  const body = Buffer.from(text);
  const common = [
    ['Content-Type', `${type}; charset=utf-8`],
    ['X-Content-Type-Options', 'nosniff'],
  ] as const;
  return { body, tag: `"${hash(body).slice(0, 22)}"`, headers: [...common, ...headers] };
}

/** The reference page's content security policy: only its own style is allowed, since the page has no script, form or frame. */
const POLICY = [
  "default-src 'none'",
  `style-src 'sha256-${hash(STYLE)}'`,
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

/**
 * Whether If-None-Match names the tag, weak or not (RFC 9110 section 13.1.2). Tags hold no quotes, so that a quoted one
 * which is found anywhere is one of the list.
 */
export function namesTag(ifNoneMatch: string, tag: string): boolean {
  return ifNoneMatch.includes(tag) || ifNoneMatch === '*';
}

/** Answers GET and HEAD with a file that does not change while the server runs; `served` is asked for it with each request. */
export function serveAsset(
  app: TemplatedApp,
  metrics: Metrics,
  path: string,
  served: () => Asset,
  cacheControl = CACHE_CONTROL,
): void {
  const answer = whenSound(metrics, (res, req, headers) => send(res, req, headers, served(), cacheControl));
  app.get(path, answer).head(path, answer).options(path, whenSound(metrics, preflight));
}

function send(
  res: HttpResponse,
  req: HttpRequest,
  { ifNoneMatch }: Headers,
  { body, tag, headers }: Asset,
  cacheControl: string,
): void {
  const isKnown = namesTag(ifNoneMatch, tag);
  const isHead = req.getMethod() === 'head';
  res.cork(() => {
    res.writeStatus(isKnown ? '304 Not Modified' : '200 OK');
    for (const [name, value] of headers) res.writeHeader(name, value);
    res
      .writeHeader('Cache-Control', cacheControl)
      .writeHeader('ETag', tag)
      .writeHeader(...KEEP_ALIVE);
    if (isKnown) res.endWithoutBody();
    // `endWithoutBody` with a length leaves the response open in uWebSockets.js 20.30, which then ends the process.
    else if (isHead) res.writeHeader('Content-Length', String(body.length)).endWithoutBody();
    else res.end(body);
  });
}

function preflight(res: HttpResponse): void {
  res
    .writeStatus('204 No Content')
    .writeHeader('Access-Control-Allow-Origin', '*')
    .writeHeader('Access-Control-Allow-Methods', 'GET, HEAD, OPTIONS')
    .writeHeader('Access-Control-Allow-Headers', '*')
    .writeHeader(...KEEP_ALIVE)
    .endWithoutBody();
}

/** Most processes are never asked for their description, which takes half a MiB. */
function once(make: () => Asset): () => Asset {
  let made: Asset | undefined;
  return () => {
    made ??= make();
    return made;
  };
}

/** `publicUrl`: where clients reach the server, as configured. */
export function addReference(app: TemplatedApp, metrics: Metrics, version: string, publicUrl: string | null): void {
  const json = once(() => {
    const text = JSON.stringify(openApiDocument(version, publicUrl));
    return asset(text, 'application/json', [['Access-Control-Allow-Origin', '*']]);
  });
  const html = once(() =>
    asset(page(openApiDocument(version, publicUrl)), 'text/html', [
      ['Access-Control-Allow-Origin', '*'],
      ['Content-Security-Policy', POLICY],
      ['Referrer-Policy', 'no-referrer'],
    ]),
  );
  for (const base of ['/v5', '/v4']) {
    for (const [name, served] of [
      ['openapi.json', json],
      ['docs', html],
    ] as const) {
      for (const end of ['', '/']) {
        serveAsset(app, metrics, `${base}/${name}${end}`, served);
      }
    }
  }
}
