/**
 * `npm run bench:connections -- --connections 100000`: holds that many WebSockets, each an online user with buddies, on
 * one server with workers, and lets them write to each other meanwhile; before that as many on bare uWebSockets.js, since
 * seconds and milliseconds say little of a machine one does not know. Clients are spread over processes, because a process
 * has so many files, and each over addresses of the server of its own, because a client has so many ports towards one.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { cpuMicros, memoryBytes, readBytes } from '../meter.js';
import { builtProgram } from '../targets.js';
import type { Share } from './holder.js';
import { Holders, type Totals } from './holders.js';
import { type Running, startBare, startNats, startWorkers } from './servers.js';

/** Connections for which one process, of the server or of clients, has files enough when its share is not quite even. */
const perProcess = 17_000;

/**
 * Connections of one process to one address. Far fewer than there are ports: connect() tries one port after the other
 * until it finds a free one, and half of them before the other half.
 */
const perAddress = 4000;

const { values: flags } = parseArgs({
  options: {
    connections: { type: 'string', default: '100000' },
    workers: { type: 'string' },
    holders: { type: 'string' },
    buddies: { type: 'string', default: '10' },
    rate: { type: 'string', default: '2000' },
    'warm-up': { type: 'string', default: '30' },
    seconds: { type: 'string', default: '20' },
    width: { type: 'string', default: '48' },
    jetstream: { type: 'boolean', default: false },
    server: { type: 'string' },
    bare: { type: 'boolean', default: false },
    json: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
});

const usage = `npm run bench:connections [-- FLAGS]
  --connections N   WebSockets to hold, each of a user of its own (100000)
  --workers N       server processes (as many as files allow)
  --holders N       processes of clients (as many as files allow)
  --buddies N       buddies of each user (10)
  --rate N          messages a second among them (2000)
  --warm-up N       seconds of that before it is measured: new processes compile what they run often (30)
  --seconds N       seconds of it that are measured (20)
  --width N         users that each process brings online at the same time (48)
  --jetstream       what must outlive a worker is kept in JetStream (cluster.store): the journal of tickets among it
  --bare            the same on bare uWebSockets.js first, a process for each process of clients
  --server FILE     measure this main.js instead of building this checkout
  --json FILE       write the figures
`;

const connections = Number(flags.connections);
const workers = Number(flags.workers ?? Math.max(2, Math.ceil(connections / perProcess)));
const holderCount = Number(flags.holders ?? Math.max(2, Math.ceil(connections / perProcess)));
const rate = Number(flags.rate);
const warmUpMs = Number(flags['warm-up']) * 1000;
const talkMs = Number(flags.seconds) * 1000;

const note = (text: string): void => void process.stderr.write(`${text}\n`);

/** Processes of clients, each towards its own of the ports, or all towards the one. */
function shares(target: Share['target'], ports: readonly number[]): Share[] {
  const size = Math.ceil(connections / holderCount);
  return Array.from({ length: holderCount }, (_, holder) => ({
    target,
    holder,
    port: ports[holder % ports.length] ?? 0,
    hosts: Array.from({ length: Math.ceil(size / perAddress) }, (_, address) => `127.0.${holder}.${address + 1}`),
    first: holder * size,
    count: Math.min(size, connections - holder * size),
    users: connections,
    buddies: Number(flags.buddies),
    width: Number(flags.width),
  }));
}

/** Waits until everything that was sent has arrived, or nothing more arrives. */
async function settled(holders: Holders): Promise<Totals> {
  let before = -1;
  for (;;) {
    const totals = await holders.all({ kind: 'count' }, 30_000);
    if (totals.received >= totals.sent - totals.refused || totals.received === before) return totals;
    before = totals.received;
    await sleep(2000);
  }
}

/** Waits until no presence is on its way any more. */
async function quiet(holders: Holders): Promise<Totals> {
  let before = -1;
  for (;;) {
    const totals = await holders.all({ kind: 'count' }, 60_000);
    if (totals.presences === before) return totals;
    before = totals.presences;
    await sleep(1000);
  }
}

function quantile(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

/** What is measured: processes, and the folder that NATS writes to. */
interface Measured {
  pids(): readonly number[];
  /** Of nats-server; none where there is no NATS. */
  readonly natsPids: readonly number[];
  readonly folder: string | null;
}

const mib = 2 ** 20;
const cpuSeconds = (pids: readonly number[]): number => pids.reduce((total, pid) => total + cpuMicros(pid), 0) / 1e6;
const bytesRead = (pids: readonly number[]): number => pids.reduce((total, pid) => total + readBytes(pid), 0);

function bytesIn(folder: string | null): number {
  if (folder === null) return 0;
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return files.reduce((total, { parentPath, name }) => total + statSync(join(parentPath, name)).size, 0);
}

/** Brings the users online and connects them. */
async function connect({ pids, natsPids, folder }: Measured, holders: Holders): Promise<Record<string, number>> {
  // All processes of clients have started, and have made their requests.
  await holders.all({ kind: 'count' }, 60_000);
  const empty = memoryBytes(pids());
  const [server, nats, read] = [cpuSeconds(pids()), cpuSeconds(natsPids), bytesRead(natsPids)];
  const clients = cpuSeconds(holders.pids);
  const startMs = performance.now();
  const connected = await holders.all({ kind: 'connect' }, 600_000);
  const seconds = (performance.now() - startMs) / 1000;
  note(`${connected.held} held after ${seconds.toFixed(1)} s, load ${loadavg()[0]?.toFixed(1)}`);
  for (const [why, count] of Object.entries(connected.failures)) note(`${count} failed: ${why}`);
  const { presences } = await quiet(holders);
  return {
    seconds,
    serverMicrosPerUser: ((cpuSeconds(pids()) - server) * 1e6) / connections,
    natsMicrosPerUser: ((cpuSeconds(natsPids) - nats) * 1e6) / connections,
    clientMicrosPerUser: ((cpuSeconds(holders.pids) - clients) * 1e6) / connections,
    natsReadPerUser: (bytesRead(natsPids) - read) / connections,
    journalBytesPerUser: bytesIn(folder) / connections,
    presences,
    emptyMiB: empty.proportional / mib,
    idleMiB: memoryBytes(pids()).proportional / mib,
  };
}

async function measure(measured: Measured, holders: Holders): Promise<Record<string, number>> {
  const { pids, natsPids } = measured;
  const connected = await connect(measured, holders);
  note(`talking at ${rate} a second for ${(warmUpMs + talkMs) / 1000} s`);
  const task = { kind: 'talk', rate: rate / holderCount, ms: warmUpMs + talkMs, warmUpMs } as const;
  const [server, nats, read] = [cpuSeconds(pids()), cpuSeconds(natsPids), bytesRead(natsPids)];
  const clients = cpuSeconds(holders.pids);
  await holders.all(task, task.ms + 120_000);
  await settled(holders);
  const [serverSeconds, natsSeconds] = [cpuSeconds(pids()) - server, cpuSeconds(natsPids) - nats];
  const clientSeconds = cpuSeconds(holders.pids) - clients;
  const after = memoryBytes(pids());
  const end = await holders.all({ kind: 'report' }, 60_000);
  const latencies = Float64Array.from(end.latencies).sort();
  const sorted = [...latencies];
  return {
    held: end.held,
    ...connected,
    afterMiB: after.proportional / mib,
    afterResidentMiB: after.resident / mib,
    bytesPerUser: (after.proportional - (connected.emptyMiB ?? 0) * mib) / connections,
    sent: end.sent,
    refused: end.refused,
    lost: end.sent - end.refused - (end.received - end.duplicates),
    duplicates: end.duplicates,
    serverMicrosPerMessage: (serverSeconds * 1e6) / end.sent,
    natsMicrosPerMessage: (natsSeconds * 1e6) / end.sent,
    clientMicrosPerMessage: (clientSeconds * 1e6) / end.sent,
    natsReadPerMessage: (bytesRead(natsPids) - read) / end.sent,
    p50Ms: quantile(sorted, 0.5),
    p99Ms: quantile(sorted, 0.99),
    maxMs: quantile(sorted, 1),
    load: loadavg()[0] ?? 0,
  };
}

function build(): void {
  const { status, stdout, stderr } = spawnSync('npm', ['run', 'build'], {
    cwd: join(import.meta.dirname, '../..'),
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`npm run build failed:\n${stdout}${stderr}`);
}

async function measureBare(): Promise<Record<string, number>> {
  const servers: Running[] = [];
  let holders: Holders | undefined;
  try {
    for (let i = 0; i < holderCount; i++) servers.push(await startBare());
    const ports = servers.map(({ port }) => port);
    holders = new Holders(shares('uws', ports));
    const pids = () => servers.flatMap((server) => server.pids());
    return await measure({ pids, natsPids: [], folder: null }, holders);
  } finally {
    holders?.close();
    for (const server of servers) await server.stop();
  }
}

async function measureOwn(): Promise<Record<string, number>> {
  const folder = flags.jetstream ? mkdtempSync(join(tmpdir(), 'nextalk-connections-')) : null;
  const nats = await startNats(folder ?? undefined);
  let server: Running | undefined;
  let holders: Holders | undefined;
  try {
    const more = folder === null ? [] : ['--set', 'cluster.store=jetstream'];
    server = await startWorkers(flags.server ?? builtProgram, workers, nats.port, more);
    const { pids, port } = server;
    holders = new Holders(shares('nextalk', [port]));
    const natsPids = nats.pids();
    const figures = await measure({ pids, natsPids, folder }, holders);
    return { ...figures, natsMiB: memoryBytes(natsPids).proportional / mib };
  } finally {
    holders?.close();
    await server?.stop();
    await nats.stop();
    if (folder !== null) rmSync(folder, { recursive: true, force: true });
  }
}

function table(columns: readonly Readonly<Record<string, number>>[]): string {
  const cell = (value: number | undefined): string =>
    value === undefined ? '' : Number.isInteger(value) ? String(value) : value.toFixed(2);
  const names = [...new Set(columns.flatMap((column) => Object.keys(column)))];
  return names
    .map((name) => `${name.padEnd(23)}${columns.map((column) => cell(column[name]).padStart(12)).join('')}\n`)
    .join('');
}

const isWhole = (figures: Readonly<Record<string, number>>): boolean =>
  figures.held === connections && figures.lost === 0 && figures.duplicates === 0;

async function main(): Promise<void> {
  if (flags.help) return void process.stdout.write(usage);
  if (flags.server === undefined) build();
  const bare = flags.bare ? await measureBare() : undefined;
  const own = await measureOwn();
  const title = `${connections} connections, ${workers} workers`;
  process.stdout.write(`${title.padEnd(23)}\n${' '.repeat(28)}NexTalk${bare ? '    bare uWS' : ''}\n`);
  process.stdout.write(table(bare ? [own, bare] : [own]));
  if (flags.json !== undefined)
    writeFileSync(flags.json, `${JSON.stringify({ connections, workers, own, bare }, null, 1)}\n`);
  if (!isWhole(own)) process.exitCode = 1;
}

await main();
