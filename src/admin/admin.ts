/** The admin port: health, metrics, statistics and the dashboard. OPERATING.md, "Admin port". */
import type { Context } from '../protocols/context.js';
import { Auth, LOCKOUT, NO_LOCKOUT } from './auth.js';
import { clusterView } from './cluster.js';
import { Dispatcher, type Health } from './dispatch.js';
import type { Source } from './family.js';
import { History } from './history.js';
import { type Listener, listen } from './listener.js';
import { type Measures, Meter } from './measures.js';
import { readAssets } from './page.js';
import { openRoutes, protectedRoutes } from './routes.js';
import { type NodeView, nodeView } from './stats.js';
import { Tracing } from './tracing.js';

/** What a worker tells its parent each second. */
export interface Measured {
  readonly measures: Measures;
  readonly node: NodeView;
}

/** The process that has started this one, as one of several workers. Their admin ports are for it alone. */
export interface Parent {
  /** Names of the nodes that the other workers are. */
  readonly siblings: ReadonlySet<string>;
  readonly measured: (measured: Measured) => void;
}

/** Starts the admin port; answers null while the configuration has it off. */
export async function startAdmin(context: Context, parent: Parent | null): Promise<Listener | null> {
  const { host, port } = context.config().admin;
  if (port === 0) return null;
  const { metrics, clock } = context.runtime;
  const meter = new Meter(metrics);
  const history = new History(() => meter.sample());
  const { node } = context;
  const source: Source = {
    metrics,
    history,
    cluster: () => node && clusterView(node, metrics.cluster, clock.now()),
  };
  const tellParent = (): void => parent?.measured({ measures: meter.latest, node: nodeView(source) });
  history.watchers.add(tellParent);
  const auth = new Auth(
    () => context.config().admin.token,
    () => clock.now(),
    // A worker's token is 128 random bits: nobody guesses it, and somebody who tries must not keep the parent out.
    parent ? NO_LOCKOUT : LOCKOUT,
    parent !== null,
  );
  const tracing = new Tracing(clock);
  const assets = readAssets();
  const health = (): Health => ({
    ready: metrics.conditions.ready,
    remarks: metrics.conditions.list().map(({ detail }) => detail),
  });
  const dispatcher = new Dispatcher(
    health,
    auth,
    openRoutes(auth, assets),
    protectedRoutes(context, source, tracing, assets),
  );
  const end = (): void => {
    history.close();
    meter.close();
    tracing.stop();
  };
  const listener = await listen(host, port, metrics.admin, dispatcher.respond).catch((error: unknown) => {
    end();
    throw error;
  });
  tellParent();
  const close = (): Promise<void> => {
    end();
    return listener.close();
  };
  return { port: listener.port, close };
}
