/**
 * The admin port of a server with workers. Each worker has one of its own, on loopback, with a token that only the parent
 * knows; here their answers are put together.
 */
import { createServer, get, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { answer, answerError, answerJson, answerText } from '../admin/answer.js';
import { Guard } from '../admin/guard.js';
import type { Config } from '../config.js';
import { packageVersion } from '../version.js';
import { joinTexts, type Statistics, sumMetrics } from './numbers.js';

/** How long a worker may take. One that does not answer counts as not ready, and its numbers are left out. */
const answerMs = 2000;
const requestMs = 30_000;

const textType = 'text/plain; version=0.0.4; charset=utf-8';

/** A worker's own admin port. */
export interface WorkerPort {
  readonly name: string;
  /** Null while it does not serve. */
  readonly url: string | null;
  readonly token: string;
  /** How often this worker has been replaced. */
  readonly restarts: number;
}

export interface WorkersAdmin {
  readonly port: number;
  close(): Promise<void>;
}

class Workers {
  constructor(readonly ports: () => readonly WorkerPort[]) {}

  async isReady(): Promise<boolean> {
    const answers = await this.#askAll('/readyz');
    return answers.size === this.ports().length && [...answers.values()].every(({ status }) => status === 200);
  }

  async metrics(): Promise<string> {
    const texts = new Map([...(await this.#askAll('/metrics'))].map(([name, { body }]) => [name, body]));
    return `${joinTexts(texts)}\n${this.#ownMetrics()}`;
  }

  async statistics(): Promise<object> {
    const all = new Map<string, Statistics>();
    for (const [name, { body }] of await this.#askAll('/api/stats')) all.set(name, JSON.parse(body));
    const nodes = [...all.values()].map(({ node }) => node);
    return {
      node: {
        version: packageVersion(),
        runtime: `Node ${process.versions.node}`,
        pid: process.pid,
        startedAt: Math.round(performance.timeOrigin),
        ready: nodes.length === this.ports().length && nodes.every(({ ready }) => ready === true),
      },
      workers: this.ports().map(({ name, restarts }) => ({ name, restarts, ...all.get(name)?.node })),
      metrics: sumMetrics([...all.values()].map(({ metrics }) => metrics)),
    };
  }

  #ownMetrics(): string {
    const ports = this.ports();
    const restarts = ports.map(({ name, restarts }) => `nextalk_worker_restarts_total{worker="${name}"} ${restarts}`);
    return [
      '# HELP nextalk_workers Worker processes of this server.',
      '# TYPE nextalk_workers gauge',
      `nextalk_workers ${ports.length}`,
      '',
      '# HELP nextalk_worker_restarts_total Processes that ended unasked and were replaced.',
      '# TYPE nextalk_worker_restarts_total counter',
      ...restarts,
      '',
    ].join('\n');
  }

  /** The answers by the names of the workers; those who do not answer in time are left out. */
  async #askAll(path: string): Promise<Map<string, WorkerAnswer>> {
    const answers = new Map<string, WorkerAnswer>();
    const ask = async ({ name, url, token }: WorkerPort): Promise<void> => {
      const answered = url === null ? null : await askWorker(`${url}${path}`, token);
      if (answered) answers.set(name, answered);
    };
    await Promise.all(this.ports().map(ask));
    return answers;
  }
}

interface WorkerAnswer {
  readonly status: number;
  readonly body: string;
}

/** Null where it is ending, or too busy to answer in time. */
function askWorker(url: string, token: string): Promise<WorkerAnswer | null> {
  return new Promise((resolve) => {
    const headers = { authorization: `Bearer ${token}` };
    const request = get(url, { headers, agent: false, signal: AbortSignal.timeout(answerMs) }, (response) => {
      text(response).then(
        (body) => resolve({ status: response.statusCode ?? 0, body }),
        () => resolve(null),
      );
    });
    request.once('error', () => resolve(null));
  });
}

type Handler = (response: ServerResponse) => Promise<void>;

function routesOf(workers: Workers): ReadonlyMap<string, Handler> {
  return new Map<string, Handler>([
    ['/metrics', async (response) => answer(response, 200, textType, await workers.metrics())],
    ['/api/stats', async (response) => answerJson(response, await workers.statistics())],
  ]);
}

async function respond(
  workers: Workers,
  routes: ReadonlyMap<string, Handler>,
  guard: Guard,
  message: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const path = message.url?.split('?')[0] ?? '';
  if (path === '/healthz') return answerText(response, 200, 'ok');
  if (path === '/readyz') {
    const isReady = await workers.isReady();
    return answerText(response, isReady ? 200 : 503, isReady ? 'ok' : 'not ready');
  }
  const verdict = guard.check(message);
  if (verdict.kind === 'foreign') return answerError(response, 403, 'the request does not come from here');
  if (verdict.kind === 'blocked') {
    return answerError(response, 429, 'too many wrong tokens', { 'retry-after': String(verdict.waitS) });
  }
  if (verdict.kind === 'unknown') {
    return answerError(response, 401, 'a token is needed', { 'www-authenticate': 'Bearer realm="nextalk"' });
  }
  const handler = message.method === 'GET' || message.method === 'HEAD' ? routes.get(path) : undefined;
  if (!handler) return answerError(response, 404, 'not found');
  await handler(response);
}

/** Answers null while it is off. Rejects with the system's `code` and the `address` where the port cannot be had. */
export async function startWorkersAdmin(
  config: () => Config,
  ports: () => readonly WorkerPort[],
): Promise<WorkersAdmin | null> {
  const { host, port } = config().admin;
  if (port === 0) return null;
  const workers = new Workers(ports);
  const routes = routesOf(workers);
  const guard = new Guard(() => config().admin.token, Date.now);
  const server = createServer({ requestTimeout: requestMs }, (message, response) => {
    respond(workers, routes, guard, message, response).catch(() => response.destroy());
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => reject(Object.assign(error, { address: `${host}:${port}` })));
    server.listen(Math.max(port, 0), host, resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
}
