/**
 * Dispatches the requests of the admin port to their handlers, and lets in only those who may use it. Servers with and
 * without workers use the same.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { log } from '../log.js';
import { answerError, answerText, type Handler, type Request, redirect } from './answer.js';
import type { Auth } from './auth.js';

/** The base that the paths of requests are resolved against; its host means nothing. */
const BASE = 'http://admin';

export interface Health {
  /** Whether clients are accepted. */
  readonly ready: boolean;
  /** What is wrong with the server, a line for each problem. */
  readonly remarks: readonly string[];
}

/** By method and path; `{name}` in a path stands for any part, which the handler gets decoded. */
export type Routes = ReadonlyMap<string, Handler>;

const NO_PARTS: ReadonlyMap<string, string> = new Map();

interface FoundRoute {
  readonly handler: Handler;
  readonly parts: ReadonlyMap<string, string>;
}

/** The route of a method and path: one of exactly this name, or one with parts. */
function routeOf(routes: Routes, name: string): FoundRoute | null {
  const exact = routes.get(name);
  if (exact) return { handler: exact, parts: NO_PARTS };
  const given = name.split('/');
  for (const [template, handler] of routes) {
    const parts = template.includes('{') ? partsOf(template.split('/'), given) : null;
    if (parts) return { handler, parts };
  }
  return null;
}

function partsOf(template: readonly string[], given: readonly string[]): ReadonlyMap<string, string> | null {
  if (template.length !== given.length) return null;
  const parts = new Map<string, string>();
  for (const [i, part] of template.entries()) {
    const text = given[i] ?? '';
    if (!part.startsWith('{')) {
      if (part !== text) return null;
    } else {
      const decoded = decode(text);
      if (decoded === null) return null;
      parts.set(part.slice(1, -1), decoded);
    }
  }
  return parts;
}

/** null: it is not percent-encoded UTF-8. */
function decode(text: string): string | null {
  try {
    return decodeURIComponent(text);
  } catch {
    return null;
  }
}

export class Dispatcher {
  constructor(
    private readonly health: () => Health | Promise<Health>,
    private readonly auth: Auth,
    /** The routes that are open to everybody: those needed to log in. */
    private readonly open: Routes,
    private readonly closed: Routes,
  ) {}

  readonly respond = (message: IncomingMessage, response: ServerResponse): void => {
    const path = message.url ?? '';
    if (!URL.canParse(path, BASE)) return answerError(response, 400, 'bad request');
    const request = { message, response, url: new URL(path, BASE), viewer: null, parts: NO_PARTS };
    // Health is everybody's to know: a load balancer has no token.
    if (request.url.pathname === '/healthz') return answerText(response, 200, 'ok');
    if (request.url.pathname === '/readyz') return run(() => this.#answerReady(response), request);
    const name = `${message.method === 'HEAD' ? 'GET' : message.method} ${request.url.pathname}`;
    const verdict = this.auth.check(message);
    if (verdict.kind === 'foreign') return answerError(response, 403, 'the request does not come from here');
    const open = this.open.get(name);
    if (open) return run(open, request);
    switch (verdict.kind) {
      case 'blocked':
        return answerError(response, 429, 'too many wrong tokens', { 'retry-after': String(verdict.waitS) });
      case 'unknown':
        if (name === 'GET /') return redirect(response, 'login');
        return answerError(response, 401, 'a token is needed', { 'www-authenticate': 'Bearer realm="nextalk"' });
      case 'welcome': {
        const found = routeOf(this.closed, name);
        if (found) run(found.handler, { ...request, viewer: verdict.viewer, parts: found.parts });
        else answerError(response, 404, 'not found');
      }
    }
  };

  async #answerReady(response: ServerResponse): Promise<void> {
    const { ready, remarks } = await this.health();
    answerText(response, ready ? 200 : 503, [ready ? 'ok' : 'not ready', ...remarks].join('\n'));
  }
}

/** Whether reading a request failed because its sender has gone. */
function hasBrokenOff({ message }: Request, error: unknown): boolean {
  return message.destroyed && !message.complete && (error as NodeJS.ErrnoException).code === 'ECONNRESET';
}

function run(handler: Handler, request: Request): void {
  const { response, url } = request;
  const failed = (err: unknown): void => {
    if (hasBrokenOff(request, err)) {
      log.debug({ event: 'admin', path: url.pathname }, 'a request broke off');
      return;
    }
    log.error({ event: 'admin', path: url.pathname, err }, 'the admin port could not answer');
    if (response.headersSent) response.destroy();
    else answerError(response, 500, 'internal error');
  };
  Promise.resolve()
    .then(() => handler(request))
    .catch(failed);
}
