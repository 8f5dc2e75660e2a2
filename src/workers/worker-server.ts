/**
 * What a worker process does: it starts, reloads and drains a server when its parent orders it to. It reads no file and
 * no flag, and never outlives its parent: node:cluster ends a worker that has lost its parent.
 */
import type { Measured } from '../admin/admin.js';
import { systemClock } from '../clock.js';
import { tuneEngine } from '../engine.js';
import { drainAndExit, startProblem, surviveBugs } from '../lifecycle.js';
import { configureLog, log } from '../log.js';
import { type Server, startServer } from '../server.js';
import type { Order, Report } from './messages.js';

let server: Server | undefined;
type ReloadOrder = Extract<Order, { kind: 'reload' | 'refuseReload' }>;
/** Orders that came while the server was starting: the last configuration, and whether another was refused after it. */
let early: readonly ReloadOrder[] = [];
let isDraining = false;

// A report can only fail where the parent is lost, which ends this process.
function report(message: Report): void {
  process.send?.(message, undefined, undefined, () => undefined);
}

async function start({ name, config, siblings, isReloaded }: Extract<Order, { kind: 'start' }>): Promise<void> {
  configureLog({ level: 'info', pretty: false, fields: { worker: name } });
  try {
    const measured = (measured: Measured): void => report({ kind: 'measured', measured });
    server = await startServer(config, systemClock, { siblings, measured });
    tuneEngine();
    surviveBugs();
    if (!isReloaded) server.refuseReload();
    for (const order of early) takeOver(server, order);
    const { port, mqttPort, mqttTlsPort, adminPort } = server;
    report({ kind: 'started', ports: { port, mqttPort, mqttTlsPort, adminPort } });
  } catch (error) {
    report({ kind: 'failed', problem: startProblem(error) });
  }
}

function takeOver(server: Server, order: ReloadOrder): void {
  if (order.kind === 'reload') server.reload(order.config);
  else server.refuseReload();
}

function drain(): void {
  if (isDraining) return;
  isDraining = true;
  log.info({ event: 'draining' }, 'draining');
  void drainAndExit(server ?? { drain: async () => undefined });
}

process.on('message', (order: Order) => {
  switch (order.kind) {
    case 'start':
      return void start(order);
    case 'reload':
    case 'refuseReload':
      if (server) takeOver(server, order);
      else early = order.kind === 'reload' ? [order] : [...early.filter(({ kind }) => kind === 'reload'), order];
      return;
    case 'drain':
      return drain();
  }
});

// An operator may end one worker. A second signal changes nothing: only the parent cuts a drain short.
process.on('SIGTERM', drain);
process.on('SIGINT', drain);
report({ kind: 'loaded' });
