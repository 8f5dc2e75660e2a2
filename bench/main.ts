/**
 * `npm run bench [-- SCENARIO…]`: the conductor. For every run of a scenario it starts each server in turn on core 0,
 * lets a load generator on core 1 measure it, and ends both: A B C A B C, so that what else the machine does meets all.
 * With `--paired` it starts all of them at once, and one generator has them take turns (`turns.ts`).
 */
import { type ForkOptions, fork, spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { availableParallelism, cpus, release, totalmem } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { scenarios, select } from './catalogue.js';
import type { Report, Restarted } from './generator.js';
import { addFigures, find, type Results, type Series } from './results.js';
import type { Figure, Job, Scenario, TargetName, Work } from './scenario.js';
import { median } from './statistics.js';
import { resultsTable } from './table.js';
import { type Builds, builtProgram, describe, missing, onCore, type Server, startServer } from './targets.js';

const here = dirname(fileURLToPath(import.meta.url));
const runLimitMs = 180_000;
const windowMs = 300;

const usage = `npm run bench [-- FLAGS SCENARIO…]      a scenario may be given by how its name begins
  --list            what can be measured
  --quick           one short run of each, for a first look
  --runs N          runs of each scenario and target, 5 without --quick
  --paired          all servers at once, in turns of 0.3 s; the figure is the median of the turns' quotients
  --windows N       turns of each server, 60 without --quick
  --targets A,B     only these servers: nextalk, before, uws, ws, socketio, nchan, mosquitto, aedes, none
  --server FILE     measure this main.js instead of building this checkout
  --before FILE     an older build's main.js, measured side by side as "before"
  --positions       our WebSockets keep a position and confirm, those of --before do not
  --busy            other processes use the machine: a run that they disturb counts, of which cost says most
  --json FILE       write every value of every run, for npm run bench:compare
`;

const { values: flags, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    list: { type: 'boolean', default: false },
    quick: { type: 'boolean', default: false },
    runs: { type: 'string' },
    paired: { type: 'boolean', default: false },
    windows: { type: 'string' },
    json: { type: 'string' },
    targets: { type: 'string' },
    before: { type: 'string' },
    busy: { type: 'boolean', default: false },
    positions: { type: 'boolean', default: false },
    server: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
});

const builds: Builds = { own: flags.server ?? builtProgram, before: flags.before };
const windows = Number(flags.windows ?? (flags.quick ? 8 : 60));
const runs = flags.paired ? windows : Number(flags.runs ?? (flags.quick ? 1 : 5));
const only = flags.targets?.split(',');
const legend = flags.paired
  ? `Median of ${runs} windows; (×) is the median of their quotients, NexTalk's value divided by the peer's, ± its error.`
  : `Median of ${runs}, ± half the range; (×) is NexTalk's value divided by the peer's.`;
const note = (text: string): void => {
  process.stderr.write(`${text}\n`);
};

/** Runs a scenario once against a server of its own. */
async function runOnce(scenario: Scenario, target: TargetName, offered: number): Promise<readonly Figure[]> {
  let server = await startServer(target, scenario, builds);
  try {
    const { port, mqttPort } = server;
    const [figures] = await generate({ jobs: [jobOf(scenario, target, server, offered)] }, runLimitMs, async () => {
      await server.stop();
      server = await startServer(target, scenario, builds, { port, mqttPort });
      return server;
    });
    return figures ?? [];
  } finally {
    await server.stop();
  }
}

function jobOf(scenario: Scenario, target: TargetName, { port, mqttPort, pids }: Server, offered: number): Job {
  const { quick } = flags;
  const tls = scenario.tls ?? false;
  const positions = flags.positions && target === 'nextalk';
  return { scenario: scenario.id, target, port, mqttPort, pids, quick, tls, positions, offered };
}

/** A run is done again, up to twice, when other processes used more than this many cores. The quietest counts. */
const disturbedAt = 0.25;

async function runQuietly(scenario: Scenario, target: TargetName, offered: number): Promise<readonly Figure[]> {
  let best: readonly Figure[] = [];
  let least = Number.POSITIVE_INFINITY;
  for (let attempt = 0; attempt < (flags.busy ? 1 : 3) && least > disturbedAt; attempt += 1) {
    const figures = await runOnce(scenario, target, offered);
    const others = Math.max(0, ...figures.filter(({ metric }) => metric === 'others').map(({ value }) => value));
    if (others > disturbedAt) note(`  ${target}: other processes used ${others.toFixed(2)} cores`);
    if (others < least) [best, least] = [figures, others];
  }
  return best;
}

/** Answers the figures of each of the jobs. */
function generate(
  work: Work,
  limitMs: number,
  restart: () => Promise<Server>,
): Promise<readonly (readonly Figure[])[]> {
  const command = onCore(1, [process.execPath]);
  const options: ForkOptions = {
    execPath: command[0] ?? process.execPath,
    execArgv: [...command.slice(1), '--import', 'tsx'],
  };
  return new Promise((resolve, reject) => {
    const child = fork(join(here, 'generator.ts'), [JSON.stringify(work)], options);
    const timer = setTimeout(() => {
      child.kill('SIGKILL');
      reject(new Error(`took longer than ${limitMs / 1000} s`));
    }, limitMs);
    child.on('message', (report: Report) => {
      if (report.kind === 'figures') resolve(report.figures);
      else restart().then(({ pids }) => child.send({ pids } satisfies Restarted), reject);
    });
    child.on('exit', (code) => {
      clearTimeout(timer);
      reject(new Error(`the load generator ended with ${code}`));
    });
  });
}

/** The rate to offer: a share of what the slowest of the targets reaches with so many in flight. */
async function offeredRate(scenario: Scenario, targets: readonly TargetName[], series: Series[]): Promise<number> {
  if (scenario.offers === undefined) return 0;
  const { of, mode, share } = scenario.offers;
  const rates: number[] = [];
  for (const target of targets) {
    let known = find(series, of, mode, target, 'rate');
    if (known === undefined) {
      const probe: Series[] = [];
      const [probed] = select([of]);
      if (probed !== undefined) addFigures(probe, of, target, await runQuietly(probed, target, 0));
      known = find(probe, of, mode, target, 'rate');
    }
    if (known !== undefined) rates.push(median(known.values));
  }
  const rate = Math.floor(Math.min(...rates) * share);
  note(`  offering ${rate} a second`);
  return rate;
}

/** Those of the targets that are wanted and can run here. */
function available(targets: readonly TargetName[], skipped: Set<string>): TargetName[] {
  return targets.filter((target) => {
    if (only !== undefined && !only.includes(target)) return false;
    const why = missing(target, builds);
    if (why) skipped.add(`${target}: ${why}`);
    return why === undefined;
  });
}

/** Starts all targets of a scenario on one core, and lets one load generator have them take turns. */
async function measureInTurns(scenario: Scenario, series: Series[], skipped: Set<string>): Promise<void> {
  const { paired } = scenario;
  if (paired === undefined) return;
  note(`${scenario.id}: ${scenario.title}, in turns`);
  const targets = available(paired.targets, skipped);
  const servers: Server[] = [];
  try {
    for (const target of targets) servers.push(await startServer(target, scenario, builds));
    const jobs = servers.map((server, at) => jobOf(scenario, targets[at] ?? 'none', server, 0));
    const limitMs = runLimitMs + windows * paired.loads.length * targets.length * windowMs * 3;
    const figures = await generate({ jobs, turns: { windows, windowMs } }, limitMs, async () => {
      throw new Error('a server that takes turns cannot be started again');
    });
    for (const [at, target] of targets.entries()) addFigures(series, scenario.id, target, figures[at] ?? []);
  } catch (error) {
    skipped.add(`${scenario.id}: ${error instanceof Error ? error.message : String(error)}`);
  } finally {
    for (const server of servers) await server.stop();
  }
}

async function measure(scenario: Scenario, series: Series[], skipped: Set<string>): Promise<void> {
  note(`${scenario.id}: ${scenario.title}`);
  const targets = available(scenario.targets, skipped);
  const broken = new Set<TargetName>();
  const offered = await offeredRate(scenario, targets, series);
  for (let run = 1; run <= runs; run += 1) {
    for (const target of targets.filter((name) => !broken.has(name))) {
      try {
        const figures = await runQuietly(scenario, target, offered);
        addFigures(series, scenario.id, target, figures);
        const shown = figures.filter(({ metric }) => metric === 'rate' || metric === 'memory' || metric === 'cost');
        note(`  ${run} ${target}: ${shown.map(({ mode, value }) => `${mode} ${value.toFixed(2)}`).join(', ')}`);
      } catch (error) {
        broken.add(target);
        skipped.add(`${target} in ${scenario.id}: ${error instanceof Error ? error.message : String(error)}`);
        note(`  ${run} ${target} failed: ${error instanceof Error ? error.message : String(error)}`);
      }
    }
  }
}

/** Measures what is in this checkout, never an older build left in dist. */
function build(): void {
  const { status, stdout, stderr } = spawnSync('npm', ['run', 'build'], { cwd: dirname(here), encoding: 'utf8' });
  if (status === 0) return;
  note(`npm run build failed:\n${stdout}${stderr}`);
  process.exit(1);
}

function machine(): string {
  const memory = Math.round(totalmem() / 2 ** 30);
  const pinned = availableParallelism() > 1 ? 'server on core 0, load generator on core 1' : 'one core for both';
  return `${cpus()[0]?.model ?? '?'}, ${cpus().length} cores, ${memory} GiB, Linux ${release()}, Node ${process.versions.node}; ${pinned}`;
}

async function main(): Promise<void> {
  if (flags.help) {
    process.stdout.write(usage);
    return;
  }
  if (flags.list) {
    for (const { id, title, targets } of scenarios) process.stdout.write(`${id}: ${title} (${targets.join(', ')})\n`);
    return;
  }
  const series: Series[] = [];
  const skipped = new Set<string>();
  const chosen = select(positionals).filter(({ paired }) => !flags.paired || paired !== undefined);
  if (chosen.length === 0) throw new Error(`${positionals.join(', ')}: not measured in turns`);
  if (flags.server === undefined && (only?.includes('nextalk') ?? true)) build();
  for (const scenario of chosen) await (flags.paired ? measureInTurns : measure)(scenario, series, skipped);
  const ran = [...new Set(series.map(({ target }) => target))];
  const results: Results = {
    date: new Date().toISOString(),
    machine: machine(),
    runs,
    quick: flags.quick,
    paired: flags.paired,
    versions: Object.fromEntries(ran.map((target) => [target, describe(target)])),
    skipped: [...skipped],
    series,
  };
  const { versions } = results;
  process.stdout.write(`\n${results.machine}\n${Object.values(versions).join(' · ')}\n`);
  for (const why of skipped) process.stdout.write(`skipped: ${why}\n`);
  process.stdout.write(`\n${legend}\n\n`);
  process.stdout.write(`${resultsTable(results)}\n`);
  if (flags.json !== undefined) writeFileSync(flags.json, `${JSON.stringify(results, null, 1)}\n`);
}

await main();
