/**
 * What a restart costs: brings users online, each with buddies, rooms and a message that waits, ends the server in order and
 * starts it again. Says how long that took, and what the journal costs while users come online, beside a server that keeps
 * nothing of them. `npm run bench:restarts -- --users 100000`. Needs a build (`npm run build`).
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import { HttpPool } from './clients/http.js';
import { apikey, bringOnline, domain, restRequest, ringBuddies, userId } from './clients/nextalk.js';
import { each } from './clients/wire.js';
import { cpuMicros, residentBytes } from './meter.js';
import { tethered } from './tether.js';

const program = join(import.meta.dirname, '../dist/main.js');
const width = 16;

interface Running {
  readonly child: ChildProcess;
  readonly port: number;
  /** From the start of the process to the log line `started`. */
  readonly startMs: number;
  /** The log line `restored`; null: nothing was. */
  readonly restored: { readonly endpoints: number; readonly ms: number } | null;
}

async function start(data: string, durability: string): Promise<Running> {
  const startedAt = performance.now();
  const domains = JSON.stringify([{ domain, apikey, durability }]);
  const settings = [`domains=${domains}`, 'mqtt.port=0', 'presence.clientIdleMs=3600000', 'limits.bytesPerDomain=0'];
  const flags = ['--port', '0', '--admin-port', '0', '--data', data, ...settings.flatMap((set) => ['--set', set])];
  const child = spawn(...tethered(process.execPath, '--max-old-space-size=4096', program, ...flags), {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  if (!child.stdout) throw new Error('the server has no output');
  let restored: Running['restored'] = null;
  for await (const line of createInterface({ input: child.stdout })) {
    const event = JSON.parse(line) as { event?: string; url?: string; endpoints?: number; ms?: number };
    if (event.event === 'restored') restored = { endpoints: event.endpoints ?? 0, ms: event.ms ?? 0 };
    if (event.event !== 'started') continue;
    child.stdout.resume();
    const port = Number(new URL(event.url ?? '').port);
    return { child, port, startMs: performance.now() - startedAt, restored };
  }
  throw new Error('the server has not started');
}

/** Answers the milliseconds that it took. */
async function end({ child }: Running): Promise<number> {
  const at = performance.now();
  child.kill('SIGTERM');
  await once(child, 'exit');
  return performance.now() - at;
}

async function load({ child, port }: Running, users: number): Promise<{ onlineMicros: number; mebibytes: number }> {
  const pid = child.pid ?? 0;
  const pool = await HttpPool.open(port, width);
  const before = cpuMicros(pid);
  await bringOnline(pool, users, (index) => ({
    buddies: ringBuddies(index, users, 20),
    rooms: `r${index % 1000},s${index % 100}`,
  }));
  const onlineMicros = (cpuMicros(pid) - before) / users;
  await each(users, width, async (index) => {
    await pool.next().ask(restRequest('messages', { from: 'site', to: userId(index), body: 'It waits for a while.' }));
  });
  pool.close();
  return { onlineMicros, mebibytes: residentBytes(pid) / 1024 / 1024 };
}

const HELP = `npm run bench:restarts -- [--users N]

Brings N users online (100000), ends the server in order and starts it again; needs npm run build.`;

const { values } = parseArgs({ options: { users: { type: 'string', default: '100000' }, help: { type: 'boolean' } } });
const users = Number(values.users);
const print = (text: string): void => void process.stdout.write(`${text}\n`);
if (values.help) {
  print(HELP);
  process.exit();
}
for (const durability of ['none', 'restart']) {
  const data = mkdtempSync(join(tmpdir(), 'nextalk-restarts-'));
  try {
    const first = await start(data, durability);
    const { onlineMicros, mebibytes } = await load(first, users);
    print(
      `${durability}: ${users} users, ONLINE ${onlineMicros.toFixed(0)} µs of CPU each, ${mebibytes.toFixed(0)} MiB`,
    );
    const endMs = await end(first);
    const bytes = statSync(join(data, 'data.mdb')).size / 1024 / 1024;
    print(`${durability}: ended in ${(endMs / 1000).toFixed(1)} s, ${bytes.toFixed(0)} MiB on disk`);
    const second = await start(data, durability);
    const cpu = cpuMicros(second.child.pid ?? 0) / 1e6;
    const read = second.restored ? `, ${second.restored.endpoints} users read in ${second.restored.ms / 1000} s` : '';
    print(`${durability}: started in ${(second.startMs / 1000).toFixed(1)} s, ${cpu.toFixed(1)} s of CPU${read}`);
    await end(second);
  } finally {
    rmSync(data, { recursive: true, force: true });
  }
}
