/**
 * The admin port of a server with workers: the same to whoever asks as that of a single server. What the workers answer
 * on their own ports is put together here.
 */
import { answer, answerJson, type Handler } from '../admin/answer.js';
import { Door, type Health } from '../admin/door.js';
import { Guard } from '../admin/guard.js';
import { type Listener, listen } from '../admin/listener.js';
import { readAssets } from '../admin/page.js';
import { openRoutes } from '../admin/routes.js';
import type { Config } from '../config.js';
import { AdminMetrics } from '../metrics.js';
import { packageVersion } from '../version.js';
import { joinTexts, type Statistics, sumMetrics } from './numbers.js';
import { Questions, type WorkerPort } from './questions.js';

const textType = 'text/plain; version=0.0.4; charset=utf-8';

class Workers {
  constructor(
    readonly questions: Questions,
    private readonly admin: AdminMetrics,
  ) {}

  async health(): Promise<Health> {
    const answers = await this.questions.readiness();
    const remarks = answers.flatMap((answer) => answer?.body.trim().split('\n').slice(1) ?? []);
    return {
      ready: answers.length > 0 && answers.every((answer) => answer?.status === 200),
      remark: [...new Set(remarks)].join('\n'),
    };
  }

  async metrics(): Promise<string> {
    const { counted, notCounted } = await this.questions.ask('/metrics', (body) => body);
    return joinTexts(counted, this.#ownMetrics(new Set(notCounted)));
  }

  async statistics(): Promise<object> {
    const { counted, notCounted } = await this.questions.askJson<Statistics>('/api/stats');
    const all = [...counted.values()];
    const { connections, dropped } = this.admin;
    const own = (value: number) => [{ labels: {}, value }];
    return {
      node: {
        version: packageVersion(),
        runtime: `Node ${process.versions.node}`,
        pid: process.pid,
        startedAt: Math.round(performance.timeOrigin),
        ready: notCounted.length === 0 && all.every(({ node }) => node.ready === true),
      },
      workers: this.questions.ports().map(({ name, restarts }) => {
        const found = counted.get(name);
        return { name, restarts, counted: found !== undefined, ...found?.node };
      }),
      notCounted,
      metrics: {
        ...sumMetrics(all.map(({ metrics }) => metrics)),
        nextalk_admin_connections: own(connections),
        nextalk_admin_connections_dropped_total: own(dropped),
      },
    };
  }

  #ownMetrics(notCounted: ReadonlySet<string>): string {
    const ports = this.questions.ports();
    const ofEach = (family: string, read: (port: WorkerPort) => number): string[] =>
      ports.map((port) => `${family}{worker="${port.name}"} ${read(port)}`);
    return [
      '# HELP nextalk_workers Worker processes of this server.',
      '# TYPE nextalk_workers gauge',
      `nextalk_workers ${ports.length}`,
      '# HELP nextalk_worker_counted Whether the numbers of a worker are in this answer: 1, or 0 where it gave none.',
      '# TYPE nextalk_worker_counted gauge',
      ...ofEach('nextalk_worker_counted', ({ name }) => (notCounted.has(name) ? 0 : 1)),
      '# HELP nextalk_worker_restarts_total Processes that ended unasked and were replaced.',
      '# TYPE nextalk_worker_restarts_total counter',
      ...ofEach('nextalk_worker_restarts_total', ({ restarts }) => restarts),
      '# TYPE nextalk_admin_connections gauge',
      `nextalk_admin_connections ${this.admin.connections}`,
      '# TYPE nextalk_admin_connections_dropped_total counter',
      `nextalk_admin_connections_dropped_total ${this.admin.dropped}`,
    ].join('\n');
  }
}

function protectedRoutes(workers: Workers): ReadonlyMap<string, Handler> {
  return new Map<string, Handler>([
    ['GET /metrics', async ({ response }) => answer(response, 200, textType, await workers.metrics())],
    ['GET /api/stats', async ({ response }) => answerJson(response, await workers.statistics())],
  ]);
}

/** Answers null while it is off. Rejects with the system's `code` and the `address` where the port cannot be had. */
export async function startWorkersAdmin(
  config: () => Config,
  ports: () => readonly WorkerPort[],
): Promise<Listener | null> {
  const { host, port } = config().admin;
  if (port === 0) return null;
  const metrics = new AdminMetrics();
  const workers = new Workers(new Questions(ports), metrics);
  const guard = new Guard(() => config().admin.token, Date.now);
  const door = new Door(() => workers.health(), guard, openRoutes(guard, readAssets()), protectedRoutes(workers));
  return listen(host, port, metrics, door.respond);
}
