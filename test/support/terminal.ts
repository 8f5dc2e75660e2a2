/** A shell as a reader has it open: variables last from block to block, and what is running goes on printing. */
import { type ChildProcess, spawn } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import { HANG_MS } from './hang.js';
import { childEnvironment } from './process.js';

/** Reads what nobody writes: it ends with whoever holds the other side, and then the process group does. */
const SENTINEL = '(read -r -u 3; kill -KILL 0) </dev/null >/dev/null 2>&1 & exec 3<&-';

export class Terminal {
  readonly #shell: ChildProcess;
  readonly #closed: Promise<unknown>;
  readonly #changed = new EventEmitter();
  #out = '';
  #blocks = 0;
  err = '';

  constructor(folder: string, env: Readonly<Record<string, string>> = {}) {
    // A process group of its own: what it started ends with it, and all of it with the test.
    const options = { cwd: folder, env: childEnvironment(env), detached: true };
    this.#shell = spawn('bash', ['--norc', '-s'], { ...options, stdio: ['pipe', 'pipe', 'pipe', 'pipe'] });
    this.#closed = once(this.#shell, 'close');
    // tap's runner puts hooks into NODE_OPTIONS of whatever is spawned.
    this.#shell.stdin?.write(`unset NODE_OPTIONS; ${SENTINEL}\n`);
    this.#shell.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.#out += text;
      this.#changed.emit('change');
    });
    this.#shell.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.err += text;
    });
    this.#shell.once('exit', () => this.#changed.emit('change'));
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
      await once(this.#changed, 'change', { signal: AbortSignal.timeout(HANG_MS) }).catch(() => {
        throw new Error(`nothing more came after ${JSON.stringify(this.#out)}; ${this.err}`);
      });
    }
  }

  async close(): Promise<void> {
    if (this.#shell.pid === undefined) return;
    process.kill(-this.#shell.pid, 'SIGKILL');
    await this.#closed;
  }
}
