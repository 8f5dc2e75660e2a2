/** Answers of the admin port. Every one carries the headers that keep a browser from doing more than it should. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Viewer } from '../directory/operations.js';

/** One request and what it may read of the server. */
export interface Request {
  readonly message: IncomingMessage;
  readonly response: ServerResponse;
  readonly url: URL;
  /** Who asks; null: somebody who need not say. */
  readonly viewer: Viewer | null;
  /** The parts of the path that its route names, decoded. */
  readonly parts: ReadonlyMap<string, string>;
}

/** Whether the one who asks may see a domain. */
export function maySee({ viewer }: Pick<Request, 'viewer'>, domain: string): boolean {
  return viewer !== null && (viewer.domains === null || viewer.domains.has(domain));
}

export type Handler = (request: Request) => void | Promise<void>;

const HEADERS = {
  'cache-control': 'no-store',
  'x-content-type-options': 'nosniff',
  // Not `no-referrer`: with it a browser names no origin for a form, and the login would come from nowhere.
  'referrer-policy': 'same-origin',
  'x-frame-options': 'DENY',
  'cross-origin-resource-policy': 'same-origin',
  'content-security-policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
} as const;

export function answer(
  response: ServerResponse,
  status: number,
  type: string,
  body: string | Buffer,
  headers: Readonly<Record<string, string>> = {},
): void {
  response.writeHead(status, { ...HEADERS, 'content-type': type, ...headers });
  response.end(body);
}

export function answerText(response: ServerResponse, status: number, text: string, headers = {}): void {
  answer(response, status, 'text/plain; charset=utf-8', `${text}\n`, headers);
}

export function answerJson(response: ServerResponse, value: unknown, status = 200): void {
  answer(response, status, 'application/json; charset=utf-8', JSON.stringify(value));
}

/** Redirects to a path relative to the request's: behind a proxy the server does not know its own path. */
export function redirect(response: ServerResponse, location: string, headers = {}): void {
  answer(response, 303, 'text/plain; charset=utf-8', '', { location, ...headers });
}

export function answerError(response: ServerResponse, status: number, message: string, headers = {}): void {
  const body = JSON.stringify({ status: 'error', message });
  answer(response, status, 'application/json; charset=utf-8', body, headers);
}

/** Begins a stream of server-sent events. */
export function beginStream(response: ServerResponse): void {
  response.writeHead(200, { ...HEADERS, 'content-type': 'text/event-stream; charset=utf-8' });
}
