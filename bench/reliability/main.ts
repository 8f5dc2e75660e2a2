/**
 * `npm run bench:reliability`: users whose connections break in every way, on this server by each of its transports and on
 * its peers, and what became of the messages that were answered ok. Each user's link can go silent before it breaks.
 */
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { loadavg } from 'node:os';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { drawTable } from '../table.js';
import { builtProgram } from '../targets.js';
import type { Apart, Outcome } from './ledger.js';
import { run, scenarios } from './run.js';
import { targets } from './servers.js';

const usage = `npm run bench:reliability [-- FLAGS]
  --scenarios A,B   of ${[...scenarios.keys()].join(', ')} (all)
  --targets A,B     of ${[...targets.keys()].join(', ')} (all)
  --nodes N         of our server: several are a cluster on one nats-server, which keeps their tickets in its JetStream (1)
  --clients N       users, each with one connection (200)
  --seconds N       of each run, beside connecting and settling (20)
  --rate N          messages a second to each user (2)
  --seeds A,B       a run for each; the same seed breaks links at the same times (1)
  --durability WORD of the domain, where the server knows it: none, restart, always
  --server FILE     measure this main.js instead of building this checkout
  --json FILE       write every run
`;

const { values: flags } = parseArgs({
  options: {
    scenarios: { type: 'string' },
    targets: { type: 'string' },
    nodes: { type: 'string', default: '1' },
    clients: { type: 'string', default: '200' },
    seconds: { type: 'string', default: '20' },
    rate: { type: 'string', default: '2' },
    seeds: { type: 'string', default: '1' },
    durability: { type: 'string' },
    server: { type: 'string' },
    json: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
});

const note = (text: string): void => void process.stderr.write(`${text}\n`);

interface Run {
  readonly scenario: string;
  readonly target: string;
  readonly seed: number;
  /** The machine's load of the last minute when it ended, in processes that want a core. */
  readonly load: number;
  readonly outcome: Outcome & { readonly apart: Apart | null };
}

function chosen<T>(names: string | undefined, known: ReadonlyMap<string, T>): [string, T][] {
  const wanted = names?.split(',') ?? [...known.keys()];
  for (const name of wanted) if (!known.has(name)) throw new Error(`${name} is none of ${[...known.keys()]}`);
  return [...known].filter(([name]) => wanted.includes(name));
}

const ms = (value: number | null): string => (value === null || Number.isNaN(value) ? '–' : `${Math.round(value)} ms`);

/** A row for each run. */
function resultsTable(runs: readonly Run[]): string {
  const rows = runs.map(({ scenario, target, outcome }) => {
    const { accepted, once, lost, told, toldUnknown, untold } = outcome;
    const share = accepted === 0 ? '–' : `${(Math.floor((once / accepted) * 10_000) / 100).toFixed(2)}%`;
    const said = untold > 0 ? `${untold} clients not` : lost === 0 ? '–' : toldUnknown > 0 ? 'yes' : `${told}`;
    return [
      ...[scenario, targets.get(target)?.title ?? target, String(accepted), share, String(lost), said],
      ...[outcome.doubled, outcome.known, outcome.disordered].map(String),
      ...[`${ms(outcome.replayP50)} / ${ms(outcome.replayP99)}`, ms(outcome.back99)],
      ...[outcome.refused, outcome.unanswered, outcome.onlineAgain].map(String),
      outcome.apart ? `${ms(outcome.apart.before.p99)} / ${ms(outcome.apart.after.p99)}` : '–',
    ];
  });
  const head = ['scenario', 'clients by', 'accepted', 'once', 'lost', 'told', 'doubled', 'again, known by id'];
  head.push('out of order', 'replay p50 / p99', '99% back', 'refused', 'unanswered', 'online again');
  head.push('p99 elsewhere before / after a death');
  return drawTable(head, rows);
}

async function main(): Promise<void> {
  if (flags.help) {
    process.stdout.write(usage);
    return;
  }
  if (flags.server === undefined) {
    const cwd = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
    const { status, stdout, stderr } = spawnSync('npm', ['run', 'build'], { cwd, encoding: 'utf8' });
    if (status !== 0) throw new Error(`npm run build failed:\n${stdout}${stderr}`);
  }
  const [clients, seconds, rate] = [Number(flags.clients), Number(flags.seconds), Number(flags.rate)];
  const nodeCount = Number(flags.nodes);
  const program = flags.server ?? builtProgram;
  const runs: Run[] = [];
  for (const [scenario, { title }] of chosen(flags.scenarios, scenarios)) {
    note(`${scenario}: ${title}`);
    for (const [name, target] of chosen(flags.targets, targets)) {
      if (nodeCount > 1 && !target.isOurs) continue;
      for (const seed of flags.seeds.split(',').map(Number)) {
        const { durability } = flags;
        const job = { name, target, scenario, clients, seconds, rate, seed, program, durability, nodeCount };
        const outcome = await run(job).catch((error: Error) => note(`  ${target.title} failed: ${error.message}`));
        if (!outcome) continue;
        const load = loadavg()[0] ?? 0;
        runs.push({ scenario, target: name, seed, load, outcome });
        note(`  ${target.title}, seed ${seed}: ${JSON.stringify(outcome)}, load ${load.toFixed(1)}`);
        const results = { date: new Date().toISOString(), nodes: nodeCount, clients, seconds, rate, runs };
        if (flags.json !== undefined) writeFileSync(flags.json, `${JSON.stringify(results, null, 1)}\n`);
      }
    }
  }
  process.stdout.write(
    `${nodeCount} nodes, ${clients} users, ${rate} messages a second each, ${seconds} s\n\n${resultsTable(runs)}\n`,
  );
}

main().then(
  () => process.exit(0),
  (error: unknown) => {
    note(error instanceof Error ? error.message : String(error));
    process.exit(1);
  },
);
