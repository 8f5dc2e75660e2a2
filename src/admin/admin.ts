/** The admin port: health, metrics, statistics and the dashboard. OPERATING.md, "Admin port". */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { log } from '../log.js';
import type { Context } from '../protocols/context.js';
import { answerError, answerText, type Handler, type Request, redirect } from './answer.js';
import { clusterView } from './cluster.js';
import type { Source } from './families.js';
import { Guard } from './guard.js';
import { History } from './history.js';
import { readAssets } from './page.js';
import { openRoutes, protectedRoutes } from './routes.js';
import { Tracing } from './tracing.js';

export interface Admin {
  readonly port: number;
  close(): Promise<void>;
}

/** An answer that nobody takes is no reason to keep its memory. */
const REQUEST_MS = 30_000;

/** For reading the paths of requests. */
const BASE = 'http://admin';

/** By method and path. */
type Routes = ReadonlyMap<string, Handler>;

/** Health is everybody's to know: a load balancer has no token. */
function answerHealth(path: string, source: Source, response: ServerResponse): boolean {
  if (path !== '/healthz' && path !== '/readyz') return false;
  const isWell = path === '/healthz' || source.isReady();
  const remark = path === '/readyz' ? source.remark() : '';
  answerText(response, isWell ? 200 : 503, isWell ? ['ok', remark].filter(Boolean).join('\n') : 'not ready');
  return true;
}

class Door {
  constructor(
    private readonly source: Source,
    private readonly guard: Guard,
    private readonly open: Routes,
    private readonly closed: Routes,
  ) {}

  readonly respond = (message: IncomingMessage, response: ServerResponse): void => {
    const path = message.url ?? '';
    if (!URL.canParse(path, BASE)) return answerError(response, 400, 'bad request');
    const url = new URL(path, BASE);
    if (answerHealth(url.pathname, this.source, response)) return;
    const name = `${message.method === 'HEAD' ? 'GET' : message.method} ${url.pathname}`;
    const verdict = this.guard.check(message);
    if (verdict.kind === 'foreign') return answerError(response, 403, 'the request does not come from here');
    const open = this.open.get(name);
    if (open) return run(open, { message, response, url });
    switch (verdict.kind) {
      case 'blocked':
        return answerError(response, 429, 'too many wrong tokens', { 'retry-after': String(verdict.waitS) });
      case 'unknown':
        if (name === 'GET /') return redirect(response, '/login');
        return answerError(response, 401, 'a token is needed', { 'www-authenticate': 'Bearer realm="nextalk"' });
      case 'welcome': {
        const handler = this.closed.get(name);
        if (handler) run(handler, { message, response, url });
        else answerError(response, 404, 'not found');
      }
    }
  };
}

/** Whether reading the request failed since whoever sent it has gone. */
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

/** Answers null while it is off. */
export async function startAdmin(context: Context): Promise<Admin | null> {
  const { host, port } = context.config().admin;
  if (port === 0) return null;
  const { metrics, clock } = context.runtime;
  const history = new History(metrics);
  const { node } = context;
  const source: Source = {
    metrics,
    history,
    isReady: () => !context.isDraining(),
    // It serves its own clients all the same: taking every node out at once would help nobody.
    remark: () => (node && !node.mesh.connected ? 'no connection to NATS: only clients of this node are reached' : ''),
    cluster: () => node && clusterView(node, metrics.cluster, clock.now()),
  };
  const guard = new Guard(
    () => context.config().admin.token,
    () => clock.now(),
  );
  const tracing = new Tracing(clock);
  const assets = readAssets();
  const door = new Door(source, guard, openRoutes(guard, assets), protectedRoutes(context, source, tracing, assets));
  const server = createServer({ requestTimeout: REQUEST_MS }, door.respond);
  const close = (): Promise<void> =>
    new Promise((resolve) => {
      history.close();
      tracing.stop();
      server.closeAllConnections();
      server.close(() => resolve());
    });
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: Error & { address?: string }) => {
      history.close();
      reject(Object.assign(error, { address: `${host}:${port}` }));
    });
    server.listen(Math.max(port, 0), host, resolve);
  });
  return { port: (server.address() as AddressInfo).port, close };
}
