/** One process of a server whose clients lose their connections: started, ended by a signal, and started again with the same ports. */
import { type ChildProcess, spawn } from 'node:child_process';
import { openSync, readFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { tethered } from '../tether.js';
import { Calls } from './calls.js';

const START_MS = 60_000;
const STOP_MS = 15_000;
/** How long after its port is open a process may still find that another process has it. */
const PROVE_MS = 200;
/** Ports that the kernel gives to no outgoing connection (net.ipv4.ip_local_port_range), which a process that starts again would find taken. */
const PORTS = [12_000, 32_000] as const;

export interface NodeOptions {
  readonly name: string;
  readonly port: number;
  readonly mqttPort: number;
  /** The words of the command behind `node`. */
  readonly command: readonly string[];
  /** The file for what the process writes. */
  readonly log: string;
}

export class BenchNode {
  /** Whether a balancer sends anybody here: the process runs, and has not been told to end. */
  serves = false;
  /** The calls of the site's backend. */
  readonly calls: Calls;
  #child: ChildProcess | null = null;

  constructor(private readonly options: NodeOptions) {
    this.calls = new Calls(options.port);
  }

  get port(): number {
    return this.options.port;
  }

  get mqttPort(): number {
    return this.options.mqttPort;
  }

  get pid(): number {
    return this.#child?.pid ?? 0;
  }

  /** Resolves when the process takes connections. */
  async start(): Promise<void> {
    const { name, port, command, log } = this.options;
    const output = openSync(log, 'a');
    const child = spawn(...tethered(process.execPath, ...command), { stdio: ['ignore', output, output] });
    this.#child = child;
    const until = performance.now() + START_MS;
    while (performance.now() < until && child.exitCode === null) {
      if (await accepts(port)) {
        await sleep(PROVE_MS);
        this.serves = child.exitCode === null;
        if (this.serves) return;
      }
      await sleep(20);
    }
    throw new Error(`${name} did not start: ${readFileSync(log, 'utf8').slice(-1000)}`);
  }

  /** Resolves when the process has ended. */
  async stop(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    const child = this.#child;
    this.#child = null;
    this.serves = false;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const exited = new Promise((resolve) => child.once('exit', resolve));
    child.kill(signal);
    const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
    await exited;
    clearTimeout(timer);
  }

  async close(): Promise<void> {
    await this.stop('SIGKILL');
    this.calls.close();
  }
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', () => resolve(false));
  });
}

/** A port that is free, and stays free while its process starts again. */
export async function lastingPort(): Promise<number> {
  const [first, last] = PORTS;
  for (;;) {
    const port = first + Math.floor(Math.random() * (last - first));
    const server = createServer();
    const isFree = await new Promise<boolean>((resolve) => {
      server.once('error', () => resolve(false));
      server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
    });
    if (isFree) return port;
  }
}
