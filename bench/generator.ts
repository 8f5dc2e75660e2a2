/** The load generator: a process of its own, on a core of its own, that runs one scenario once against one server. */
import { scenarios } from './catalogue.js';
import { positions } from './clients/nextalk.js';
import { useTls } from './clients/wire.js';
import type { Context, Figure, Job } from './scenario.js';

/** What the conductor and the generator tell each other. */
export type Report = { readonly kind: 'figures'; readonly figures: readonly Figure[] } | { readonly kind: 'restart' };
export interface Restarted {
  readonly pids: readonly number[];
}

function restart(job: Job): Promise<Context> {
  return new Promise((resolve) => {
    process.once('message', ({ pids }: Restarted) => resolve(contextOf({ ...job, pids })));
    process.send?.({ kind: 'restart' } satisfies Report);
  });
}

function contextOf(job: Job): Context {
  return { ...job, restart: () => restart(job) };
}

const job = JSON.parse(process.argv[2] ?? '{}') as Job;
const scenario = scenarios.find(({ id }) => id === job.scenario);
if (scenario === undefined) throw new Error(`no scenario ${job.scenario}`);
if (job.tls) useTls();
positions.kept = job.positions;
const figures = await scenario.run(contextOf(job));
if (process.send === undefined) process.exit(0);
process.send({ kind: 'figures', figures } satisfies Report, () => process.exit(0));
