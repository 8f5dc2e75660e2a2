/**
 * The example site: a page, and the few calls the page makes. See README.md beside this file.
 */
import { readdirSync, readFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:http';
import { extname } from 'node:path';
import type { Body, Site } from './api.js';
import { answer, Refused } from './api.js';
import { Community } from './community.js';
import { Webim, WebimError } from './webim.js';

export interface SiteOptions {
  /** 0 takes a free port. */
  port: number;
  host?: string;
  /** Where the site's backend reaches the message server. */
  server: string;
  /** The origin browsers reach the message server under, where that is another one. */
  publicServer?: string;
  domain: string;
  apikey: string;
}

export interface RunningSite {
  url: string;
  close(): Promise<void>;
}

interface StaticFile {
  type: string;
  content: Buffer;
}

const BODY_BYTES = 64 * 1024;

const TYPES = new Map([
  ['.html', 'text/html'],
  ['.css', 'text/css'],
  ['.js', 'text/javascript'],
  ['.svg', 'image/svg+xml'],
]);

/** Starts the site. Rejects when the port is taken. */
export async function startSite(options: SiteOptions): Promise<RunningSite> {
  const site: Site = { webim: new Webim(options), community: new Community() };
  const files = loadPage();
  const headers = pageHeaders(new URL(options.publicServer ?? options.server));
  const server = createServer((request, response) => {
    respond(site, files, headers, request, response).catch((error: unknown) => {
      console.error(error);
      response.destroy();
    });
  });
  const host = options.host ?? '127.0.0.1';
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port, host, resolve);
  });
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : options.port;
  return {
    url: `http://${host}:${port}/`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** The page's files, read once; what is no file of the page can not be asked for. */
function loadPage(): Map<string, StaticFile> {
  const folder = new URL('page/', import.meta.url);
  const files = new Map<string, StaticFile>();
  for (const name of readdirSync(folder)) {
    const type = TYPES.get(extname(name));
    if (!type) continue;
    const file = { type: `${type}; charset=utf-8`, content: readFileSync(new URL(name, folder)) };
    files.set(name === 'index.html' ? '/' : `/${name}`, file);
  }
  return files;
}

/** The page may load from itself, and hold its long connection (script tags included) to the message server alone. */
function pageHeaders({ protocol, host, origin }: URL): Record<string, string> {
  const socket = `${protocol === 'https:' ? 'wss' : 'ws'}://${host}`;
  const policy = [
    "default-src 'none'",
    `script-src 'self' ${origin}`,
    `connect-src 'self' ${origin} ${socket}`,
    "style-src 'self'",
    "img-src 'self'",
    "form-action 'self'",
    "base-uri 'none'",
    "frame-ancestors 'none'",
  ];
  return {
    'content-security-policy': policy.join('; '),
    'x-content-type-options': 'nosniff',
    'referrer-policy': 'no-referrer',
    'cache-control': 'no-cache',
  };
}

async function respond(
  site: Site,
  files: Map<string, StaticFile>,
  headers: Record<string, string>,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const path = (request.url ?? '/').split('?', 1)[0] ?? '/';
  const file = files.get(path);
  if (file && (request.method === 'GET' || request.method === 'HEAD')) {
    response.writeHead(200, { ...headers, 'content-type': file.type, 'content-length': file.content.length });
    response.end(request.method === 'HEAD' ? undefined : file.content);
    return;
  }
  const call = /^\/api\/(\w+)$/.exec(path)?.[1];
  if (call && request.method === 'POST') return respondToCall(site, call, request, response);
  response.writeHead(404, { 'content-type': 'text/plain; charset=utf-8' }).end('not found\n');
}

async function respondToCall(
  site: Site,
  call: string,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const [status, content] = await readBody(request)
    .then((body) => answer(site, call, body))
    .then((result): [number, unknown] => [200, result])
    .catch(errorAnswer);
  response.writeHead(status, { 'content-type': 'application/json; charset=utf-8', 'cache-control': 'no-store' });
  response.end(JSON.stringify(content));
}

function errorAnswer(error: unknown): [number, { error: string }] {
  if (error instanceof Refused || error instanceof WebimError) return [error.status, { error: error.message }];
  console.error(error);
  return [500, { error: 'The site made a mistake.' }];
}

async function readBody(request: IncomingMessage): Promise<Body> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request) {
    const bytes: Buffer = chunk;
    size += bytes.length;
    if (size > BODY_BYTES) throw new Refused(413, 'That is too much.');
    chunks.push(bytes);
  }
  try {
    const body: unknown = JSON.parse(Buffer.concat(chunks).toString());
    if (typeof body === 'object' && body !== null && !Array.isArray(body)) return body as Body;
  } catch {
    // Not JSON at all: refused like anything else that is no object.
  }
  throw new Refused(400, 'That is no JSON object.');
}
