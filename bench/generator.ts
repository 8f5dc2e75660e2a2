/**
 * The load generator: a process of its own, on a core of its own, that runs one scenario once, against one server or against
 * several that take turns.
 */
import { scenarios } from './catalogue.js';
import { positions } from './clients/nextalk.js';
import { useTls } from './clients/wire.js';
import type { Context, Figure, Job, Work } from './scenario.js';
import { takeTurns } from './turns.js';

/** What the conductor and the generator tell each other: the figures of each job, in order. */
export type Report =
  | { readonly kind: 'figures'; readonly figures: readonly (readonly Figure[])[] }
  | { readonly kind: 'restart' };
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

async function measure({ jobs, turns }: Work): Promise<readonly (readonly Figure[])[]> {
  const [job] = jobs;
  const scenario = scenarios.find(({ id }) => id === job?.scenario);
  if (job === undefined || scenario === undefined) throw new Error(`no scenario ${job?.scenario}`);
  if (job.tls) useTls();
  positions.kept = job.positions;
  if (turns === undefined) return [await scenario.run(contextOf(job))];
  if (scenario.paired === undefined) throw new Error(`${scenario.id} is not measured in turns`);
  return takeTurns(scenario.paired, jobs.map(contextOf), turns);
}

// The conductor has ended.
process.once('disconnect', () => process.exit());
const figures = await measure(JSON.parse(process.argv[2] ?? '{}') as Work);
if (process.send === undefined) process.exit(0);
process.send({ kind: 'figures', figures } satisfies Report, () => process.exit(0));
