/** A server with workers as the tests of a single server know one: sites, clients, the admin port. */
import type { ServerView } from '../../../src/workers/server-view.js';
import { askAdmin } from '../../support/admin.js';
import { type Answer, exchange, type HttpRequest, type Params } from '../../support/http.js';
import type { NexTalkProcess } from '../../support/process.js';
import { siteA, TestServer } from '../../support/server.js';
import type { Person } from '../../support/site.js';
import { until } from '../../support/until.js';
import { type Cleaner, started } from './workers.js';

const names = ['im-1', 'im-2'] as const;
export type WorkerName = (typeof names)[number];

export class WorkersServer extends TestServer {
  constructor(
    readonly process: NexTalkProcess,
    private readonly ports: { readonly http: number; readonly admin: number },
  ) {
    super(undefined as never);
  }

  override get port(): number {
    return this.ports.http;
  }

  override get adminPort(): number {
    return this.ports.admin;
  }

  /** Each call goes on a connection of its own, so that the kernel chooses the worker anew. */
  override request(request: HttpRequest): Promise<Answer> {
    return exchange(this.port, { ...request, agent: false }).answer;
  }

  override async stop(): Promise<void> {
    this.agent.destroy();
  }

  /** A user of `siteA` on a worker of the test's choice: one that comes to the other worker goes offline and tries again. */
  arriveAt(worker: WorkerName, name: string, params: Params = {}): Promise<Person> {
    return until(`${name} at ${worker}`, async () => {
      const person = await this.site().arrive(name, params);
      if (homeOf(person.ticket) === worker) return person;
      await person.offline();
      await person.client.ended;
      return null;
    });
  }
}

/** The process of a worker, once it serves. */
export function processOf(server: WorkersServer, worker: WorkerName): Promise<number> {
  return until(`the process of ${worker}`, async () => {
    const { node } = (await askAdmin(server, '/api/stats')).body as { node: ServerView };
    return node.workers.find(({ name }) => name === worker)?.process?.pid;
  });
}

/** A token begins with the name of its node, in hex. */
function homeOf(ticket: string): string {
  const token = ticket.split(':').at(-1) ?? '';
  return Buffer.from(token.slice(0, -32), 'hex').toString();
}

/** Workers `im-1` and `im-2`, which serve `siteA`. Users who leave are offline at once. */
export async function workersServer(
  t: Cleaner,
  flags: readonly string[] = [],
  nats?: readonly string[],
): Promise<WorkersServer> {
  const { domain, apikey } = siteA;
  const own = ['--domain', `${domain}:${apikey}`, '--set', 'cluster.node=im', '--set', 'presence.graceMs=0'];
  const { server, url, admin } = await started(t, [...own, ...flags], 2, nats);
  const running = new WorkersServer(server, { http: Number(new URL(url).port), admin: Number(new URL(admin).port) });
  t.teardown(() => running.close());
  return running;
}
