/** A shell as a reader has it open: variables last from block to block, and what is running goes on printing. */
import { type ChildProcess, spawn } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import { childEnvironment } from './process.js';

const SILENCE_MS = 40_000;

export class Terminal {
  readonly #shell: ChildProcess;
  readonly #changed = new EventEmitter();
  #out = '';
  #blocks = 0;
  err = '';

  constructor(folder: string, env: Readonly<Record<string, string>> = {}) {
    // A process group of its own: what it started ends with it.
    this.#shell = spawn('bash', ['--norc', '-s'], { cwd: folder, env: childEnvironment(env), detached: true });
    this.#shell.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.#out += text;
      this.#changed.emit('change');
    });
    this.#shell.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.err += text;
    });
    this.#shell.once('close', () => this.#changed.emit('change'));
  }

  /** Starts a block and does not wait for its end. */
  start(block: string): void {
    this.#shell.stdin?.write(`{\n${block}\n} </dev/null\n`);
  }

  /** Runs a block to its end; answers what it printed and the exit code of its last command. */
  async run(block: string): Promise<{ out: string; code: number }> {
    const mark = `=== end of block ${++this.#blocks}:`;
    this.start(block);
    this.#shell.stdin?.write(`echo "${mark}$?"\n`);
    const found = await this.take((out) => {
      const at = out.indexOf(mark);
      const end = out.indexOf('\n', at);
      return at < 0 || end < 0
        ? null
        : { length: end + 1, value: [out.slice(0, at), out.slice(at + mark.length, end)] };
    });
    return { out: found[0] ?? '', code: Number(found[1]) };
  }

  /**
   * Waits until `find` finds something in what was printed and not yet taken, and takes it. Gives up when nothing more was
   * printed for a long time.
   */
  async take<T>(find: (out: string) => { readonly length: number; readonly value: T } | null): Promise<T> {
    for (;;) {
      const found = find(this.#out);
      if (found) {
        this.#out = this.#out.slice(found.length);
        return found.value;
      }
      if (this.#shell.exitCode !== null || this.#shell.signalCode !== null) {
        throw new Error(`the terminal ended after printing ${JSON.stringify(this.#out)}; ${this.err}`);
      }
      await once(this.#changed, 'change', { signal: AbortSignal.timeout(SILENCE_MS) }).catch(() => {
        throw new Error(`nothing more came after ${JSON.stringify(this.#out)}; ${this.err}`);
      });
    }
  }

  async close(): Promise<void> {
    const { pid, exitCode, signalCode } = this.#shell;
    if (pid === undefined || exitCode !== null || signalCode !== null) return;
    const closed = once(this.#shell, 'close');
    process.kill(-pid, 'SIGKILL');
    await closed;
  }
}
