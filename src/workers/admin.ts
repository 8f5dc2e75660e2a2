/**
 * The admin port of a server with workers, which answers as that of a single server does. It merges what the workers
 * answer on their own admin ports, and what they report each second.
 */
import type { ServerResponse } from 'node:http';
import { answer, answerError, answerJson, type Handler, maySee, type Request } from '../admin/answer.js';
import { Auth } from '../admin/auth.js';
import { readText } from '../admin/body.js';
import { Dispatcher, type Health } from '../admin/dispatch.js';
import type { DomainPage } from '../admin/domain-list.js';
import { type DomainState, mergeStates } from '../admin/domain-state.js';
import { FORWARDED, pageLimitOf } from '../admin/domains.js';
import type { Value } from '../admin/family.js';
import { History } from '../admin/history.js';
import { type Listener, listen } from '../admin/listener.js';
import { type Lookup, NOT_SERVED, type Rooms } from '../admin/lookup.js';
import { sampleOf } from '../admin/measures.js';
import { NamedDomains } from '../admin/named-domains.js';
import { readAssets } from '../admin/page.js';
import { type Described, PROMETHEUS_TYPE, prometheusText } from '../admin/prometheus.js';
import { reloadRoute } from '../admin/reload.js';
import { limitOf, openRoutes, pageRoute } from '../admin/routes.js';
import { Stream } from '../admin/stream.js';
import { mergeWebhooks, TEST_EVENT, type WebhookRows } from '../admin/webhooks.js';
import { systemClock } from '../clock.js';
import type { Config } from '../config.js';
import type { Viewer } from '../directory/operations.js';
import { AdminMetrics } from '../metrics.js';
import type { ReloadAnswer } from '../protocols/context.js';
import type { RecentSummary } from '../recent-errors.js';
import type { Heartbeats } from './heartbeats.js';
import { byWorker, type MetricValues, mergeMetrics, type Statistics } from './merge-metrics.js';
import { type ByWorker, mergeDomains, mergeErrors, mergeLookups, mergeRooms } from './merge-views.js';
import { type Answers, Requests, type WorkerPort } from './requests.js';
import { type ServerView, serverView } from './server-view.js';
import { SharedTracing } from './tracing.js';

class Workers {
  constructor(
    readonly requests: Requests,
    readonly heartbeats: Heartbeats,
    private readonly admin: AdminMetrics,
    private readonly named: NamedDomains,
  ) {}

  /** The server as the latest heartbeats show it. */
  node(): ServerView {
    return serverView(this.requests.ports(), this.heartbeats);
  }

  async health(): Promise<Health> {
    const answers = await this.requests.readiness();
    const remarks = answers.flatMap(({ name, answer }) =>
      answer === null
        ? `${name} does not answer: it starts, has ended or hangs`
        : answer.body.trim().split('\n').slice(1),
    );
    return {
      ready: answers.length > 0 && answers.every(({ answer }) => answer?.status === 200),
      remarks: [...new Set(remarks)],
    };
  }

  async metrics(viewer: Viewer | null): Promise<string> {
    const { counted, notCounted } = await this.requests.as(viewer).sendJson<Statistics>('/api/stats');
    const values = new Map([...counted].map(([worker, { metrics }]) => [worker, metrics]));
    if (viewer?.domains) return prometheusText(byWorker(values, {}).filter(([, its]) => its.length > 0));
    const families = this.named.bound(() => byWorker(values, this.#adminMetrics()));
    return prometheusText([...families, ...this.#workerMetrics(new Set(notCounted))]);
  }

  async statistics(viewer: Viewer | null): Promise<object> {
    const { counted, notCounted } = await this.requests.as(viewer).sendJson<Statistics>('/api/stats');
    const all = [...counted.values()];
    const ready = notCounted.length === 0 && all.every(({ node }) => node.ready === true);
    if (viewer?.domains) {
      const metrics = Object.entries(mergeMetrics(all.map(({ metrics }) => metrics)));
      const node = { ...all[0]?.node, ready };
      return { node, notCounted, metrics: Object.fromEntries(metrics.filter(([, values]) => values.length > 0)) };
    }
    return {
      node: { ...this.node(), ready },
      notCounted,
      metrics: { ...mergeMetrics(all.map(({ metrics }) => metrics)), ...this.#adminMetrics() },
    };
  }

  /** What the parent counts itself, under the names that a server without workers has. */
  #adminMetrics(): MetricValues {
    const { connections, dropped } = this.admin;
    return {
      nextalk_admin_connections: [{ labels: {}, value: connections }],
      nextalk_admin_connections_dropped_total: [{ labels: {}, value: dropped }],
    };
  }

  /** Metrics that only a server with workers has. */
  #workerMetrics(notCounted: ReadonlySet<string>): Described[] {
    const ports = this.requests.ports();
    const ofEach = (read: (port: WorkerPort) => number): Value[] =>
      ports.map((port) => ({ labels: { worker: port.name }, value: read(port) }));
    return [
      [
        { name: 'nextalk_workers', type: 'gauge', help: 'Worker processes of this server.' },
        [{ labels: {}, value: ports.length }],
      ],
      [
        {
          name: 'nextalk_worker_counted',
          type: 'gauge',
          help: 'Whether the numbers of a worker are in this answer: 1, or 0 where it gave none.',
        },
        ofEach(({ name }) => (notCounted.has(name) ? 0 : 1)),
      ],
      [
        {
          name: 'nextalk_worker_restarts_total',
          type: 'counter',
          help: 'Processes that ended unasked and were replaced.',
        },
        ofEach(({ restarts }) => restarts),
      ],
    ];
  }
}

/** Answers what the workers hold together, and names those that gave no answer. */
function answerMerged<T>(
  response: ServerResponse,
  { counted, notCounted, refused }: Answers<T>,
  join: (counted: ByWorker<T>) => object | null,
): void {
  if (counted.size > 0) answerJson(response, { ...join(counted), notCounted });
  else if (refused !== null) answerError(response, 400, refused);
  else answerError(response, 503, 'no worker gives an answer');
}

function viewRoutes(requests: Requests): [string, Handler][] {
  return [
    [
      'GET /api/domains',
      async ({ response, url, viewer }) => {
        const answers = await requests.as(viewer).sendJson<DomainPage>(`/api/domains${url.search}`);
        answerMerged(response, answers, (all) => mergeDomains(all, pageLimitOf(url)));
      },
    ],
    [
      'GET /api/domains/{domain}/state',
      async ({ response, url, viewer }) => {
        const answers = await requests.as(viewer).sendJson<DomainState>(url.pathname);
        if (answers.counted.size === 0) return answerError(response, 404, 'not found');
        answerMerged(response, answers, (all) => [...all.values()].reduce((a, b) => mergeStates(a, b)));
      },
    ],
    [
      'GET /api/rooms',
      async ({ response, url, viewer }) => {
        const answers = await requests.as(viewer).sendJson<Rooms>(`/api/rooms${url.search}`);
        answerMerged(response, answers, (all) => mergeRooms(all, limitOf(url)));
      },
    ],
    [
      'GET /api/webhooks',
      async ({ response, viewer }) => {
        const answers = await requests.as(viewer).sendJson<WebhookRows>('/api/webhooks');
        answerMerged(response, answers, (all) => mergeWebhooks(all.values()));
      },
    ],
    [
      'GET /api/errors',
      async ({ response, viewer }) => {
        const read = (body: string) => (JSON.parse(body) as { errors: readonly RecentSummary[] }).errors;
        answerMerged(response, await requests.as(viewer).send('/api/errors', read), (all) => ({
          errors: mergeErrors(all),
        }));
      },
    ],
    [
      'GET /api/endpoint',
      async ({ response, url, viewer }) =>
        answerMerged(response, await requests.as(viewer).sendJson<Lookup>(`/api/endpoint${url.search}`), mergeLookups),
    ],
  ];
}

function traceRoutes(tracing: SharedTracing): [string, Handler][] {
  const viewTrace: Handler = async (request) => {
    const { trace, notCounted } = await tracing.view(Number(request.url.searchParams.get('after')) || 0);
    answerJson(request.response, { trace: trace && maySee(request, trace.domain) ? trace : null, notCounted });
  };
  /** Whether a trace of somebody else's domain runs, which the one who asks must not end. */
  const isTaken = (request: Request): boolean => {
    const { running } = tracing;
    return running !== null && !maySee(request, running);
  };
  return [
    ['GET /api/trace', viewTrace],
    [
      'POST /api/trace',
      async (request) => {
        const { response, url } = request;
        if (!maySee(request, url.searchParams.get('domain') ?? '')) return answerError(response, 400, NOT_SERVED);
        if (isTaken(request)) return answerError(response, 400, 'another trace is running: try again later');
        const started = await tracing.start(url.search);
        if (started.counted.size > 0) await viewTrace(request);
        else answerMerged(response, started, () => null);
      },
    ],
    [
      'DELETE /api/trace',
      async (request) => {
        if (!isTaken(request)) await tracing.stop();
        await viewTrace(request);
      },
    ],
  ];
}

/** Domains at run time: any worker can be asked, and the others hear of it. */
function domainRoutes(requests: Requests): [string, Handler][] {
  const forward: Handler = async ({ message, response, url, viewer }) => {
    const body = await readText(message);
    if (body === null) return answerError(response, 400, 'the body is too long');
    const path = `${url.pathname}${url.search}`;
    const forwarded = await requests.as(viewer).forward({ method: message.method ?? 'GET', path, body });
    if (!forwarded) return answerError(response, 503, 'no worker gives an answer');
    answer(response, forwarded.status, forwarded.type, forwarded.body);
  };
  return [...FORWARDED, TEST_EVENT].map((name) => [name, forward]);
}

function protectedRoutes(workers: Workers, history: History, tracing: SharedTracing): [string, Handler][] {
  const stream = new Stream(history, () => workers.node());
  return [
    [
      'GET /metrics',
      async ({ response, viewer }) => answer(response, 200, PROMETHEUS_TYPE, await workers.metrics(viewer)),
    ],
    ['GET /api/stats', async ({ response, viewer }) => answerJson(response, await workers.statistics(viewer))],
    [
      'GET /api/stream',
      ({ response, viewer }) => {
        if (viewer?.domains) answerError(response, 403, 'owners see no numbers of the whole server');
        else stream.watch(response);
      },
    ],
    ...viewRoutes(workers.requests),
    ...domainRoutes(workers.requests),
    ...traceRoutes(tracing),
  ];
}

/** Answers null where the admin port is off. Rejects with the system's `code` and the `address` where the port cannot be had. */
export async function startWorkersAdmin(
  config: () => Config,
  ports: () => readonly WorkerPort[],
  heartbeats: Heartbeats,
  reload: () => ReloadAnswer | null,
): Promise<Listener | null> {
  const { host, port } = config().admin;
  if (port === 0) return null;
  const metrics = new AdminMetrics();
  // A domain has a series for each worker, so the number of named domains is divided by the number of workers.
  const mostNamed = (): number => Math.ceil(config().admin.metricsDomains / Math.max(1, ports().length));
  const named = new NamedDomains(mostNamed, systemClock);
  const workers = new Workers(new Requests(ports), heartbeats, metrics, named);
  const history = new History(() => sampleOf(heartbeats.all(ports().map(({ name }) => name))));
  const tracing = new SharedTracing(workers.requests);
  const auth = new Auth(() => config().admin.token, Date.now);
  const assets = readAssets();
  const closed = new Map([pageRoute(assets), ...protectedRoutes(workers, history, tracing), reloadRoute(reload)]);
  const dispatcher = new Dispatcher(() => workers.health(), auth, openRoutes(auth, assets), closed);
  const listener = await listen(host, port, metrics, dispatcher.respond);
  const close = (): Promise<void> => {
    history.close();
    tracing.close();
    return listener.close();
  };
  return { port: listener.port, close };
}
