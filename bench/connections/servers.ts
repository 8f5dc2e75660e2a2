/** What the benchmark of many connections measures: a NATS server and a NexTalk server with workers, and what they are compared with. */
import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { apikey, domain } from '../clients/nextalk.js';
import { processTree } from '../meter.js';
import { freePort } from '../targets.js';
import { tethered } from '../tether.js';

const startLimitMs = 60_000;

/** Clients are spread over the addresses of loopback. */
const everyAddress = '0.0.0.0';

/** A process that runs until it is stopped. */
export interface Running {
  readonly port: number;
  /** The process and all that it has started so far. */
  pids(): readonly number[];
  stop(): Promise<void>;
}

/** Starts the Debian package's nats-server, on loopback; `store`: the folder of its JetStream, absent: it has none. */
export async function startNats(store?: string): Promise<Running> {
  const port = await freePort();
  const jetstream = store === undefined ? [] : ['--jetstream', '--store_dir', store];
  const args = ['-a', '127.0.0.1', '-p', String(port), ...jetstream];
  const child = spawn(...tethered('nats-server', ...args), { stdio: ['ignore', 'ignore', 'pipe'] });
  await untilSaid(child, child.stderr, /Server is ready/);
  return running(child, port);
}

/** Starts a process of bare uWebSockets.js: what the platform can do on this machine. */
export async function startBare(): Promise<Running> {
  const port = await freePort();
  const program = join(import.meta.dirname, '../peers/uws.ts');
  const child = spawn(...tethered(process.execPath, '--import', 'tsx', program, String(port)), {
    env: { ...process.env, LISTEN_ADDRESS: everyAddress },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  await untilSaid(child, child.stdout, /listening/);
  return running(child, port);
}

/** Starts `program` (a main.js, or main.ts) with as many workers on a NATS server. Resolves when all of them serve. */
export async function startWorkers(
  program: string,
  workers: number,
  nats: number,
  flags: readonly string[] = [],
): Promise<Running> {
  const port = await freePort();
  const runs = program.endsWith('.ts') ? ['--import', 'tsx'] : [];
  const own = ['--host', everyAddress, '--port', String(port), '--data', 'none'];
  const off = ['--mqtt-port', '0', '--admin-port', '0'];
  const many = ['--workers', String(workers), '--nats', `nats://127.0.0.1:${nats}`, '--domain', `${domain}:${apikey}`];
  const child = spawn(...tethered(process.execPath, ...runs, program, ...own, ...off, ...many, ...flags), {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  await untilSaid(child, child.stdout, /"event":"started"/);
  return running(child, port);
}

function running(child: ChildProcess, port: number): Running {
  return { port, pids: () => processTree(child.pid ?? 0), stop: () => stop(child) };
}

/** Resolves when the process has written what matches; later errors and warnings of its log go to stderr. */
function untilSaid(child: ChildProcess, output: NodeJS.ReadableStream, wanted: RegExp): Promise<void> {
  const said: string[] = [];
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => failed('did not start in time'), startLimitMs);
    const failed = (why: string): void => {
      child.kill('SIGKILL');
      reject(new Error(`${child.spawnargs.join(' ')} ${why}: ${said.slice(-20).join('\n')}`));
    };
    const take = (line: string): void => {
      if (said.length < 1000) said.push(line);
      if (/"level":"(error|warn)"/.test(line)) process.stderr.write(`${line}\n`);
      if (!wanted.test(line)) return;
      clearTimeout(timer);
      resolve();
    };
    createInterface({ input: output }).on('line', take);
    if (child.stderr && child.stderr !== output) createInterface({ input: child.stderr }).on('line', take);
    child.once('error', (error) => failed(error.message));
    child.once('exit', (code) => failed(`ended with ${code}`));
  });
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const pids = processTree(child.pid ?? 0);
  const exited = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGTERM');
  const timer = setTimeout(() => {
    for (const pid of pids) kill(pid);
  }, 15_000);
  await exited;
  clearTimeout(timer);
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended by itself in the meantime.
  }
}
