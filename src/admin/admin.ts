/** The admin port: health, metrics, statistics and the dashboard. OPERATING.md, "Admin port". */
import type { Context } from '../protocols/context.js';
import { clusterView } from './cluster.js';
import { Door, type Health } from './door.js';
import type { Source } from './families.js';
import { FREE_ATTEMPTS, Guard } from './guard.js';
import { History } from './history.js';
import { listen } from './listener.js';
import { readAssets } from './page.js';
import { openRoutes, protectedRoutes } from './routes.js';
import { Tracing } from './tracing.js';

export interface Admin {
  readonly port: number;
  close(): Promise<void>;
}

/** Answers null while it is off. `isWorkers`: it is for the process that has started this one alone. */
export async function startAdmin(context: Context, isWorkers: boolean): Promise<Admin | null> {
  const { host, port } = context.config().admin;
  if (port === 0) return null;
  const { metrics, clock } = context.runtime;
  const history = new History(metrics);
  const { node } = context;
  const source: Source = {
    metrics,
    history,
    isReady: () => !context.isDraining(),
    cluster: () => node && clusterView(node, metrics.cluster, clock.now()),
  };
  const guard = new Guard(
    () => context.config().admin.token,
    () => clock.now(),
    // Its token is 128 random bits: whoever tries is no danger, and must not keep the parent out.
    isWorkers ? Number.POSITIVE_INFINITY : FREE_ATTEMPTS,
  );
  const tracing = new Tracing(clock);
  const assets = readAssets();
  const health = (): Health => ({
    ready: source.isReady(),
    // It serves its own clients all the same: taking every node out at once would help nobody.
    remark: node && !node.mesh.connected ? 'no connection to NATS: only clients of this node are reached' : '',
  });
  const door = new Door(health, guard, openRoutes(guard, assets), protectedRoutes(context, source, tracing, assets));
  const listener = await listen(host, port, metrics.admin, door.respond).catch((error: unknown) => {
    history.close();
    throw error;
  });
  const close = (): Promise<void> => {
    history.close();
    tracing.stop();
    return listener.close();
  };
  return { port: listener.port, close };
}
