/**
 * The entry of a worker process; imported by nobody. It serves what its parent tells it to, reloads and drains when told.
 * It reads no file and no flag, and it never outlives its parent: node:cluster ends a worker whose channel is lost.
 */
import type { Measured } from '../admin/admin.js';
import { systemClock } from '../clock.js';
import { drainAndExit, startProblem, surviveBugs } from '../lifecycle.js';
import { configureLog, log } from '../log.js';
import { type Server, startServer } from '../server.js';
import type { Order, Report } from './messages.js';

let server: Server | undefined;
let isDraining = false;

// A channel that is lost ends this process, so a report that does not arrive needs no care.
function report(message: Report): void {
  process.send?.(message, undefined, undefined, () => undefined);
}

async function start({ name, config, siblings }: Extract<Order, { kind: 'start' }>): Promise<void> {
  configureLog({ level: 'info', pretty: false, fields: { worker: name } });
  try {
    const measured = (measured: Measured): void => report({ kind: 'measured', measured });
    server = await startServer(config, systemClock, { siblings, measured });
    surviveBugs();
    const { port, mqttPort, mqttTlsPort, adminPort } = server;
    report({ kind: 'started', ports: { port, mqttPort, mqttTlsPort, adminPort } });
  } catch (error) {
    report({ kind: 'failed', problem: startProblem(error) });
  }
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
      return server?.reload(order.config);
    case 'drain':
      return drain();
  }
});

// A whole process group may be signalled, and an operator may end one worker. What a second signal means and what a
// reload reads is the parent's business.
process.on('SIGTERM', drain);
process.on('SIGINT', drain);
process.on('SIGHUP', () => undefined);
report({ kind: 'loaded' });
