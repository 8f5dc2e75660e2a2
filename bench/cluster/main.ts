/**
 * `npm run bench:cluster -- --nodes 10 --users 1000000`: the control traffic of a cluster without its clients. Nodes run
 * the server's own mesh and tracker on a real NATS; the users are simulated. Measures what a known user costs, how fast
 * a change is everywhere, and how long the others take to agree when a node dies and when it is back. With `--jetstream`
 * the users' tickets are kept there, and the others take the users of the node that dies over.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { startNats } from '../connections/servers.js';
import { cpuMicros } from '../meter.js';
import type { Part, Task, Told, View } from './node.js';

const { values: flags } = parseArgs({
  options: {
    nodes: { type: 'string', default: '10' },
    users: { type: 'string', default: '1000000' },
    rate: { type: 'string', default: '1000' },
    seconds: { type: 'string', default: '10' },
    lease: { type: 'string', default: '5000' },
    jetstream: { type: 'boolean', default: false },
    json: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
});

const usage = `npm run bench:cluster [-- FLAGS]
  --nodes N     nodes of the cluster (10)
  --users N     users online, over all nodes (1000000)
  --rate N      changes of presence a second, over all nodes (1000)
  --seconds N   for how long (10)
  --lease MS    after which a silent node counts as gone (5000)
  --jetstream   keep the users' tickets in JetStream, and have the others take over the users of a node that dies
  --json FILE   write the figures
`;

const nodes = Number(flags.nodes);
const share = Math.floor(Number(flags.users) / nodes);
const users = share * nodes;
const rate = Number(flags.rate);
const changeMs = Number(flags.seconds) * 1000;
const isKept = flags.jetstream;
const limitMs = 600_000;

const note = (text: string): void => void process.stderr.write(`${text}\n`);

class Node {
  readonly #child: ChildProcess;

  constructor(readonly part: Part) {
    const file = fileURLToPath(new URL('./node.ts', import.meta.url));
    this.#child = fork(file, [JSON.stringify(part)], { execArgv: ['--import', 'tsx', '--max-old-space-size=6000'] });
  }

  do(task: Task): Promise<View> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`${this.part.name} took too long to ${task.kind}`)), limitMs);
      const settled = (): void => {
        clearTimeout(timer);
        this.#child.off('message', onMessage).off('exit', onExit);
      };
      const onMessage = (told: Told): void => {
        if (told.kind !== task.kind && told.kind !== 'failed') return;
        settled();
        if (told.kind === 'failed') reject(new Error(`${this.part.name}: ${told.why}`));
        else resolve(told.view);
      };
      const onExit = (code: number | null): void => {
        settled();
        reject(new Error(`${this.part.name} ended with ${code}`));
      };
      this.#child.on('message', onMessage).on('exit', onExit);
      this.#child.send(task);
    });
  }

  kill(): void {
    this.#child.kill('SIGKILL');
  }
}

/** Resolves with the time it took, in seconds, until every node sees what is wanted. */
async function until(all: readonly Node[], what: string, wanted: (view: View) => boolean): Promise<number> {
  const startMs = performance.now();
  for (;;) {
    const views = await Promise.all(all.map((node) => node.do({ kind: 'look' })));
    const seconds = (performance.now() - startMs) / 1000;
    if (views.every(wanted)) {
      note(`${what}: ${seconds.toFixed(1)} s`);
      return seconds;
    }
    if (seconds * 1000 > limitMs) throw new Error(`${what}: not within ${limitMs} ms`);
    await sleep(100);
  }
}

/** Users of one node that are away after so many changes: each change is the next user's, there and back. */
function awayAfter(changes: number): number {
  const rest = changes % share;
  return Math.floor(changes / share) % 2 === 0 ? rest : share - rest;
}

const views = (all: readonly Node[]): Promise<View[]> => Promise.all(all.map((node) => node.do({ kind: 'look' })));
const mean = (numbers: readonly number[]): number => numbers.reduce((sum, n) => sum + n, 0) / numbers.length;

async function measure(all: Node[], natsPid: number): Promise<Record<string, number>> {
  const startMs = performance.now();
  await Promise.all(all.map((node) => node.do({ kind: 'join' })));
  const [empty, natsEmpty] = [await views(all), cpuMicros(natsPid)];
  await Promise.all(all.map((node) => node.do({ kind: 'populate' })));
  await until(all, 'all know all users', ({ online }) => online === users);
  const populated = (performance.now() - startMs) / 1000;
  const full = await views(all);
  const natsMicrosPerUser = (cpuMicros(natsPid) - natsEmpty) / users;

  const changesOfNode = Math.round(((rate / nodes) * changeMs) / 1000);
  const natsBefore = cpuMicros(natsPid);
  await Promise.all(all.map((node) => node.do({ kind: 'change', rate: rate / nodes, ms: changeMs })));
  const changed = await until(all, 'all know all changes', ({ away }) => away === awayAfter(changesOfNode) * nodes);
  const busy = await views(all);
  const changes = changesOfNode * nodes;
  const cpuOfChanges = mean(busy.map(({ cpuMs }, i) => cpuMs - (full[i]?.cpuMs ?? 0)));

  return {
    nodes,
    users,
    populatedSeconds: populated,
    heapBytesPerUser: mean(full.map(({ heapBytes }, i) => (heapBytes - (empty[i]?.heapBytes ?? 0)) / users)),
    residentBytesPerUser: mean(
      full.map(({ residentBytes }, i) => (residentBytes - (empty[i]?.residentBytes ?? 0)) / users),
    ),
    cpuMicrosPerUserKnown: mean(full.map(({ cpuMs }, i) => ((cpuMs - (empty[i]?.cpuMs ?? 0)) * 1000) / users)),
    natsMicrosPerUser,
    changes,
    cpuMicrosPerChange: (cpuOfChanges * 1000) / changes,
    natsMicrosPerChange: (cpuMicros(natsPid) - natsBefore) / changes,
    changedSeconds: changed,
    ...(isKept ? await takeOver(all, natsPid) : await dieAndComeBack(all)),
  };
}

/** A node dies, its users are offline to the others, and it is started again. */
async function dieAndComeBack(all: Node[]): Promise<Record<string, number>> {
  const [victim, ...others] = all;
  if (!victim) throw new Error('no nodes');
  victim.kill();
  const died = await until(others, 'the others take its users for offline', ({ online }) => online === users - share);
  const replacement = new Node(victim.part);
  all[0] = replacement;
  await replacement.do({ kind: 'join' });
  const rejoined = await until(
    [replacement],
    'it is back and knows the others',
    ({ online }) => online >= users - share,
  );
  await replacement.do({ kind: 'populate' });
  const back = await until(all, 'its users are online everywhere again', ({ online }) => online === users);
  return { diedSeconds: died, rejoinedSeconds: rejoined, backSeconds: back };
}

/** A node dies, and its users come to the others at once, each with a ticket that is in JetStream. */
async function takeOver(all: Node[], natsPid: number): Promise<Record<string, number>> {
  const [victim, ...others] = all;
  if (!victim) throw new Error('no nodes');
  victim.kill();
  const startMs = performance.now();
  await sleep(Number(flags.lease) + 2000);
  // What a hop costs in a second in which nothing happens.
  await views(others);
  await sleep(1000);
  const [before, natsBefore] = [await views(others), cpuMicros(natsPid)];
  const { name, first } = victim.part;
  const each = Math.ceil(share / others.length);
  const cameMs = performance.now();
  const adopts = others.map((node, i) => {
    const from = Math.min(share, i * each);
    return node.do({ kind: 'adopt', node: name, first: first + from, users: Math.min(each, share - from) });
  });
  let isOver = false;
  // Where a node fails, that is the error to be told of, not that the others are ended then.
  const [after, { least, hopsMs }] = await Promise.all([
    Promise.all(adopts).finally(() => {
      isOver = true;
    }),
    watch(others, () => isOver),
  ]);
  const [adoptedMs, nats] = [performance.now(), cpuMicros(natsPid) - natsBefore];
  note(`the others have taken its users over: ${((adoptedMs - startMs) / 1000).toFixed(1)} s`);
  const sum = (of: (view: View) => number): number =>
    after.reduce((total, view, i) => total + of(view) - of(before[i] as View), 0);
  return {
    takenOver: sum(({ adopted }) => adopted),
    toldToComeLater: sum(({ delayed }) => delayed),
    takenOverSeconds: (adoptedMs - cameMs) / 1000,
    cpuMicrosPerTakeOver: (sum(({ cpuMs }) => cpuMs) * 1000) / share,
    natsMicrosPerTakeOver: nats / share,
    leastOnline: least,
    hopMsBefore: p99(before.flatMap((view) => view.hopsMs)),
    hopMsMeanwhile: p99([...hopsMs, ...after.flatMap((view) => view.hopsMs)]),
  };
}

/** The fewest users that any node has taken for online, looked at once a second, and how long hops have taken. */
async function watch(all: readonly Node[], isOver: () => boolean): Promise<{ least: number; hopsMs: number[] }> {
  let least = Number.POSITIVE_INFINITY;
  const hopsMs: number[] = [];
  while (!isOver()) {
    const seen = await views(all);
    least = Math.min(least, ...seen.map(({ online }) => online));
    hopsMs.push(...seen.flatMap((view) => view.hopsMs));
    await sleep(1000);
  }
  return { least, hopsMs };
}

function p99(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length * 0.99)] ?? Number.NaN;
}

async function main(): Promise<void> {
  if (flags.help) return void process.stdout.write(usage);
  const folder = isKept ? mkdtempSync(join(tmpdir(), 'nextalk-cluster-')) : undefined;
  const nats = await startNats(folder);
  const all = Array.from(
    { length: nodes },
    (_, i) =>
      new Node({
        name: `n${i}`,
        nats: `nats://127.0.0.1:${nats.port}`,
        leaseMs: Number(flags.lease),
        first: i * share,
        users: share,
        isKept,
      }),
  );
  try {
    const figures = await measure(all, nats.pids()[0] ?? 0);
    for (const [name, value] of Object.entries(figures)) {
      process.stdout.write(`${name.padEnd(22)} ${Number.isInteger(value) ? value : value.toFixed(2)}\n`);
    }
    if (flags.json !== undefined) writeFileSync(flags.json, `${JSON.stringify(figures, null, 1)}\n`);
  } finally {
    for (const node of all) node.kill();
    await nats.stop();
    if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
  }
}

await main();
