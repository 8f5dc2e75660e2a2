/**
 * `npm run bench:isolation [way…]`: domain A floods a server by every way in turn, and domain B's time from REST to WebSocket is taken in
 * short windows, with the flood and without it by turns, so that whatever else the machine does hits both alike. At the moment of each
 * call of B's the same call is made to a bare server (reference.ts): where that one takes more than twice its usual time, the machine
 * or the measuring process was late, and the call does not count. Four processes: the server, the bare one, the one that floods, and this one.
 */
import { type ChildProcess, fork, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import http from 'node:http';
import { createInterface } from 'node:readline';
import type { WebSocket } from 'ws';
import { median } from '../statistics.js';
import { tethered } from '../tether.js';
import { call, socketOf, ticketOf, type Where } from './calls.js';
import { flood, WAYS, type Way } from './flood.js';
import { startReference } from './reference.js';

const WINDOW_MS = Number(process.env.ISOLATION_WINDOW_MS ?? 500);
/** Windows with the flood, and as many without. */
const PAIRS = Number(process.env.ISOLATION_PAIRS ?? 16);
const EVERY_MS = 5;
/** After a change from one kind of window to the other nothing is measured for so long. */
const SETTLE_MS = 100;

/** One side that answers: the server as domain B, or the bare server. */
class Probe {
  readonly #agent = new http.Agent({ keepAlive: true });
  readonly #arrived = new Map<string, (at: number) => void>();
  #next = 0;

  private constructor(
    private readonly port: number,
    private readonly socket: WebSocket,
  ) {
    socket.on('message', (data) => {
      const now = performance.now();
      for (const [, body = ''] of data.toString().matchAll(/"body":"(\d+)"/g)) {
        this.#arrived.get(body)?.(now);
        this.#arrived.delete(body);
      }
    });
  }

  static async of(port: number, ticket: string): Promise<Probe> {
    return new Probe(port, await socketOf(port, 'b', ticket));
  }

  /** Milliseconds from REST to WebSocket. */
  async time(): Promise<number> {
    const body = String(this.#next++);
    const arrived = new Promise<number>((resolve) => this.#arrived.set(body, resolve));
    const at = performance.now();
    void call(this.#agent, this.port, '/v5/messages', { from: 'x', to: 'b1', body }, 'b:k').catch(() => undefined);
    return (await arrived) - at;
  }

  close(): void {
    this.socket.close();
    this.#agent.destroy();
  }
}

interface Pair {
  readonly server: number;
  readonly reference: number;
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

async function window(server: Probe, reference: Probe, into: Pair[]): Promise<void> {
  await sleep(SETTLE_MS);
  const under: Promise<void>[] = [];
  const end = performance.now() + WINDOW_MS;
  for (let n = 0; performance.now() < end; n++) {
    // Which of the two goes first costs the other one some microseconds: they take turns.
    const first = n % 2 === 0 ? server.time() : null;
    const other = reference.time();
    const both = Promise.all([first ?? server.time(), other]);
    under.push(both.then(([a, b]) => void into.push({ server: a, reference: b })));
    await sleep(EVERY_MS);
  }
  await Promise.all(under);
}

function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

/** The times of the server at moments when the bare one took no more than twice its usual time. */
function undisturbed(pairs: readonly Pair[], usual: number): number[] {
  return pairs.filter(({ reference }) => reference <= 2 * usual).map(({ server }) => server);
}

/** A process of this program, once it has said its first word. */
async function part(...args: string[]): Promise<[ChildProcess, unknown]> {
  const child = fork(import.meta.filename, args, { execArgv: ['--import', 'tsx'], detached: true });
  const [word] = await once(child, 'message');
  return [child, word];
}

async function end(child: ChildProcess): Promise<void> {
  const gone = once(child, 'exit');
  child.kill();
  await gone;
}

/** How many tasks a second the flood did. */
async function measure(way: Way, where: Where, server: Probe, reference: Probe): Promise<string[]> {
  const [child] = await part(way, JSON.stringify(where));
  const off: Pair[] = [];
  const on: Pair[] = [];
  let done = 0;
  for (let pair = 0; pair < PAIRS; pair++) {
    await window(server, reference, off);
    child.send('on');
    await window(server, reference, on);
    child.send('off');
    done += ((await once(child, 'message'))[0] as { done: number }).done;
  }
  await end(child);
  const usual = median(off.map(({ reference }) => reference));
  const [alone, beside] = [undisturbed(off, usual), undisturbed(on, usual)];
  const [before, after] = [quantile(alone, 0.99), quantile(beside, 0.99)];
  const ms = (value: number): string => `${value.toFixed(2)} ms`;
  const share = (kept: readonly number[], pairs: readonly Pair[]): string =>
    `${Math.round((100 * kept.length) / pairs.length)}%`;
  const rate = Math.round((done / (PAIRS * (WINDOW_MS + SETTLE_MS))) * 1000);
  return [
    way,
    String(rate),
    `${share(alone, off)}, ${share(beside, on)}`,
    `${ms(median(alone))}, ${ms(median(beside))}`,
    ms(before),
    ms(after),
    (after / before).toFixed(1),
  ];
}

const HEAD = [
  'A floods by',
  'tasks a second',
  'calls that count, alone and beside A',
  'B’s median',
  'B’s 99% alone',
  'beside A',
  'times',
];

async function startServer(hangPort: number): Promise<[ChildProcess, Where]> {
  const services = { hang: { webhook: `http://127.0.0.1:${hangPort}/` } };
  const settings = {
    clientCalls: true,
    clientSend: ['websocket'],
    webhookPrivate: true,
    services,
    limits: { messagesPerSecond: 0 },
  };
  const domains = [
    { domain: 'a', apikey: 'k', ...settings },
    { domain: 'b', apikey: 'k' },
  ];
  const ports = ['--port', '0', '--mqtt-port', '-1', '--admin-port', '0', '--data', 'none'];
  const sets = ['--set', `domains=${JSON.stringify(domains)}`, '--set', 'limits.comingsPerMinute=0'];
  const program = ['--import', 'tsx', 'src/main.ts', ...ports, ...sets];
  const server = spawn(...tethered(process.execPath, ...program), { stdio: ['ignore', 'pipe', 'inherit'] });
  prioritize(20, server.pid);
  const where = await new Promise<Where>((resolve) => {
    createInterface({ input: server.stdout }).on('line', (line) => {
      const { event, url, mqtt: at } = JSON.parse(line) as { event: string; url: string; mqtt: string };
      if (event === 'started') resolve({ http: Number(new URL(url).port), mqtt: Number(at.split(':').at(-1)) });
    });
  });
  return [server, where];
}

async function main(ways: readonly Way[]): Promise<void> {
  const hang = http.createServer(() => undefined).listen(0, '127.0.0.1');
  await once(hang, 'listening');
  const [bare, said] = await part('reference');
  process.stdout.write(`| ${HEAD.join(' | ')} |\n|${' --- |'.repeat(HEAD.length)}\n`);
  for (const way of ways) {
    const [server, where] = await startServer((hang.address() as { port: number }).port);
    const agent = new http.Agent();
    const probe = await Probe.of(where.http, await ticketOf(agent, where.http, 'b1', 'b:k'));
    const reference = await Probe.of((said as { port: number }).port, '');
    for (let warm = 0; warm < 2; warm++) await window(probe, reference, []);
    process.stdout.write(`| ${(await measure(way, where, probe, reference)).join(' | ')} |\n`);
    probe.close();
    reference.close();
    await end(server);
  }
  await end(bare);
  hang.close();
  hang.closeAllConnections();
}

/** Puts a process before all that the machine does besides (SCHED_RR). */
function prioritize(priority: number, pid = process.pid): void {
  const { error, status } = spawnSync('chrt', ['-a', '-r', '-p', String(priority), String(pid)]);
  if (error || status !== 0)
    process.stderr.write('no chrt, or not root: the figures are those of all that the machine does\n');
}

/**
 * The process that floods goes behind the servers and the one that measures, since a real flood comes from other machines and takes
 * no processor from either; and before all else, as far as Linux lets it: as a session of its own.
 */
function goBehind(): void {
  spawnSync('chrt', ['-a', '-o', '-p', '0', String(process.pid)]);
  try {
    writeFileSync('/proc/self/autogroup', '-19');
  } catch {
    // Linux without autogroups, or another system: it floods as fast as it can.
  }
}

const [, , first, where] = process.argv;
const isFlood = where?.startsWith('{') ?? false;
if (isFlood) goBehind();
else prioritize(first === 'reference' ? 20 : 30);
if (first === 'reference') startReference();
else if (isFlood && where) await flood(first as Way, JSON.parse(where) as Where);
else await main(process.argv.length > 2 ? (process.argv.slice(2) as Way[]) : WAYS);
