/** CPU and memory of the server and of the load generator itself, from the outside. */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Figure } from './scenario.js';

/** Linux counts in hundredths of a second (USER_HZ), whatever the kernel's own tick. */
const tickMicros = 10_000;

/** CPU time of a process in microseconds, its ended threads included. 0 when it is gone. */
export function cpuMicros(pid: number): number {
  const stat = readOrEmpty(`/proc/${pid}/stat`);
  // The name may hold spaces and brackets: fields are counted from the last bracket. 14 is user, 15 system time.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11] ?? 0) + Number(fields[12] ?? 0)) * tickMicros;
}

/**
 * CPU time of a process in microseconds, to the nanosecond, of the threads that it has now: servers keep theirs. A window of
 * a fraction of a second is too short for the hundredths that /proc/PID/stat counts in.
 */
export function exactMicros(pid: number): number {
  const threads = listOrEmpty(`/proc/${pid}/task`);
  return (
    sum(threads.map((thread) => Number(readOrEmpty(`/proc/${pid}/task/${thread}/schedstat`).split(' ')[0] ?? 0))) / 1000
  );
}

/** Bytes that a process has read so far: from sockets for the most part where it is a server that does not read files. */
export function readBytes(pid: number): number {
  return Number(/^rchar: (\d+)/m.exec(readOrEmpty(`/proc/${pid}/io`))?.[1] ?? 0);
}

/** Resident memory of a process in bytes. */
export function residentBytes(pid: number): number {
  const match = /^VmRSS:\s+(\d+) kB/m.exec(readOrEmpty(`/proc/${pid}/status`));
  return Number(match?.[1] ?? 0) * 1024;
}

/**
 * Memory of processes together, in bytes: what is resident, where a page that several share counts for each of them, and
 * proportional, where it counts once.
 */
export function memoryBytes(pids: readonly number[]): { readonly resident: number; readonly proportional: number } {
  const total = (file: string, pattern: RegExp): number =>
    sum(pids.map((pid) => Number(pattern.exec(readOrEmpty(`/proc/${pid}/${file}`))?.[1] ?? 0) * 1024));
  return {
    resident: total('status', /^VmRSS:\s+(\d+) kB/m),
    proportional: total('smaps_rollup', /^Pss:\s+(\d+) kB/m),
  };
}

/** A process and all that it started. */
export function processTree(pid: number): number[] {
  const children: number[] = [];
  for (const task of listOrEmpty(`/proc/${pid}/task`)) {
    const listed = readOrEmpty(`/proc/${pid}/task/${task}/children`).trim();
    if (listed !== '') children.push(...listed.split(' ').map(Number));
  }
  return [pid, ...children.flatMap(processTree)];
}

function readOrEmpty(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

function listOrEmpty(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}

/** CPU time of all processes and of interrupts, since the machine started, and what its host took away. */
function machineMicros(): number {
  const fields = readOrEmpty('/proc/stat').split('\n', 1)[0]?.trim().split(/\s+/).slice(1).map(Number) ?? [];
  // The fourth and fifth are idle time; guests' are counted in user time already.
  return sum(fields.slice(0, 8).filter((_, field) => field !== 3 && field !== 4)) * tickMicros;
}

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);

/** One stretch of time, and who spent how much CPU in it. */
export class Meter {
  readonly #pids: readonly number[];
  #startedMs = 0;
  #serverMicros = 0;
  #machineMicros = 0;
  #own: NodeJS.CpuUsage = process.cpuUsage();

  constructor(pids: readonly number[]) {
    this.#pids = pids;
    this.start();
  }

  start(): void {
    this.#serverMicros = sum(this.#pids.map(exactMicros));
    this.#machineMicros = machineMicros();
    this.#own = process.cpuUsage();
    this.#startedMs = performance.now();
  }

  /** Rate and cost of `count` pieces of work done since the start, and the share of a core that each side used. */
  stop(mode: string, count: number): Figure[] {
    const seconds = (performance.now() - this.#startedMs) / 1000;
    const own = process.cpuUsage(this.#own);
    const server = sum(this.#pids.map(exactMicros)) - this.#serverMicros;
    const ownMicros = own.user + own.system;
    const others = Math.max(0, machineMicros() - this.#machineMicros - server - ownMicros);
    return [
      { mode, metric: 'rate', value: count / seconds },
      { mode, metric: 'cost', value: server / count },
      { mode, metric: 'server', value: server / 1e6 / seconds },
      { mode, metric: 'generator', value: ownMicros / 1e6 / seconds },
      { mode, metric: 'others', value: others / 1e6 / seconds },
    ];
  }
}

/** Whether a process runs node. Its command line may hide that: a server that hides the keys in it gives itself a title. */
function isNode(pid: number): boolean {
  try {
    return readlinkSync(`/proc/${pid}/exe`) === process.execPath;
  } catch {
    return false;
  }
}

/** Resident bytes of the server as it stands, and once its garbage is collected (where it is a Node process). */
export async function measureMemory(pids: readonly number[]): Promise<{ standing: number; collected: number }> {
  await sleep(500);
  const standing = sum(pids.map(residentBytes));
  for (const pid of pids) {
    if (isNode(pid)) process.kill(pid, 'SIGUSR2');
  }
  await sleep(1500);
  return { standing, collected: sum(pids.map(residentBytes)) };
}
