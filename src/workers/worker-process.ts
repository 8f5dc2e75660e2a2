/** One worker as its parent sees it: the process, the messages to and from it, and its log. */
import cluster, { type Worker } from 'node:cluster';
import { createInterface } from 'node:readline';
import type { Measured } from '../admin/admin.js';
import type { Config } from '../config.js';
import { relayLine } from '../log.js';
import { workerEnvironment } from './exec-argv.js';
import type { Order, Ports, Report } from './messages.js';

/** How a worker ended: its exit code, or the signal. */
export type End = number | NodeJS.Signals;

export class WorkerProcess {
  /** Resolves once the worker serves; rejects where it cannot start or ends before. */
  readonly started: Promise<Ports>;
  readonly ended: Promise<End>;
  readonly #worker: Worker;
  #config: Config;
  #isReloaded: boolean;

  constructor(
    readonly name: string,
    config: Config,
    isReloaded: boolean,
    siblings: ReadonlySet<string>,
    measured: (measured: Measured) => void,
  ) {
    this.#config = config;
    this.#isReloaded = isReloaded;
    this.#worker = cluster.fork(workerEnvironment(process.env));
    const { stdout } = this.#worker.process;
    if (stdout) createInterface({ input: stdout }).on('line', relayLine);
    // Sending to a worker that has just ended fails: `exit` follows.
    this.#worker.on('error', () => undefined);
    this.ended = new Promise((resolve) => {
      this.#worker.once('exit', (code, signal) => {
        resolve((signal as NodeJS.Signals | null) ?? code);
      });
    });
    this.started = new Promise((resolve, reject) => {
      this.#worker.on('message', (report: Report) => {
        if (report.kind === 'loaded') this.#begin(siblings);
        else if (report.kind === 'started') resolve(report.ports);
        else if (report.kind === 'measured') measured(report.measured);
        else reject(new Error(report.problem));
      });
      void this.ended.then((end) => reject(new Error(`worker ${name} ended with ${end} while it started`)));
    });
  }

  get pid(): number | undefined {
    return this.#worker.process.pid;
  }

  reload(config: Config): void {
    this.#config = config;
    this.#isReloaded = true;
    this.#send({ kind: 'reload', config });
  }

  refuseReload(): void {
    this.#isReloaded = false;
    this.#send({ kind: 'refuseReload' });
  }

  drain(): void {
    this.#send({ kind: 'drain' });
  }

  kill(): void {
    this.#worker.process.kill('SIGKILL');
  }

  #begin(siblings: ReadonlySet<string>): void {
    this.#send({ kind: 'start', name: this.name, config: this.#config, siblings, isReloaded: this.#isReloaded });
  }

  #send(order: Order): void {
    if (this.#worker.isConnected()) this.#worker.send(order);
  }
}
