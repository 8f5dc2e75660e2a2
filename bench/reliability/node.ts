/** One process of a server whose clients lose their connections: started, ended by a signal, and started again with the same ports. */
import { type ChildProcess, spawn } from 'node:child_process';
import { openSync, readFileSync } from 'node:fs';
import http from 'node:http';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

const START_MS = 60_000;
const STOP_MS = 15_000;

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
  readonly agent = new http.Agent({ keepAlive: true, maxSockets: 64 });
  #child: ChildProcess | null = null;

  constructor(private readonly options: NodeOptions) {}

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
    const child = spawn(process.execPath, command, { stdio: ['ignore', output, output] });
    this.#child = child;
    const until = performance.now() + START_MS;
    while (performance.now() < until && child.exitCode === null) {
      this.serves = await accepts(port);
      if (this.serves) return;
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
    this.agent.destroy();
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
