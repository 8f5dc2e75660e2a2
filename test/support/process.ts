/** The server as a process of its own, as an operator sees it: arguments, signals, output, exit code. */
import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { SERVER } from './compiled.js';
import { program } from './programs.js';

const root = join(import.meta.dirname, '../..');

// tap's runner puts hooks of its own into NODE_OPTIONS of whatever is spawned, and npm and tsc do not survive them.
export const pristine = ['-u', 'NODE_OPTIONS'];

/**
 * The environment for a process under test: nothing of the test runner's, and no NEXTALK_ variable but those given.
 * State is kept nowhere unless a test says so: two tests would share the folder that is the default.
 */
export function childEnvironment(more: Readonly<Record<string, string>> = {}): NodeJS.ProcessEnv {
  const kept = ['PATH', 'HOME', 'TMPDIR', 'LANG'].flatMap((name) => {
    const value = process.env[name];
    return value === undefined ? [] : [[name, value] as const];
  });
  return { ...Object.fromEntries(kept), NEXTALK_DATA: 'none', ...more };
}

const setpriv = program('setpriv');

/**
 * What stands in front of a command on Linux: the kernel kills the command when the process that started it has ended, for
 * whatever reason.
 */
export const tether: readonly string[] = setpriv === undefined ? [] : [setpriv, '--pdeathsig', 'KILL', '--'];

/** Spawns what must not outlive the test: tap kills one that takes too long, and then no teardown runs. */
export function spawnTethered(command: string, args: readonly string[], options: SpawnOptions = {}): ChildProcess {
  const [first = command, ...rest] = [...tether, command, ...args];
  return spawn(first, rest, options);
}

/** What a test hands in: only the part of tap's test object that cleaning up needs. */
interface Cleaner {
  teardown(fn: () => unknown): void;
}

export interface Options {
  readonly env?: Readonly<Record<string, string>>;
  /** Flags of node itself. */
  readonly node?: readonly string[];
  /** Another program than the server, run through node. */
  readonly program?: readonly string[];
  /** A command that runs the program in place of itself. */
  readonly within?: readonly string[];
  /** The working directory, somewhere below the project's; the project's own unless given. */
  readonly cwd?: string;
}

/** One line of the log. */
export type Event = { readonly event?: unknown } & Readonly<Record<string, unknown>>;

export class NexTalkProcess {
  readonly child: ChildProcess;
  /** Resolves with the exit code, or the name of the signal that ended it. */
  readonly ended: Promise<number | string>;
  out = '';
  err = '';
  readonly #events: Event[] = [];
  readonly #output = new EventEmitter();

  constructor(args: readonly string[], options: Options) {
    const { env, node = [], program = [SERVER], within = [], cwd = root } = options;
    const runs = program[0]?.endsWith('.ts') ? ['--import', 'tsx'] : [];
    const command = ['env', ...pristine, process.execPath, ...runs, ...node, ...program, ...args];
    const [first = 'env', ...rest] = [...within, ...command];
    this.child = spawnTethered(first, rest, {
      cwd,
      env: childEnvironment(env),
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const { stdout, stderr } = this.child;
    if (stdout === null || stderr === null) throw new Error('the process has no pipes');
    stderr.setEncoding('utf8').on('data', (text: string) => {
      this.err += text;
    });
    createInterface({ input: stdout }).on('line', (line) => this.#take(line));
    this.ended = once(this.child, 'close').then(([code, signal]) => {
      this.#output.emit('change');
      return code ?? String(signal);
    });
  }

  #take(line: string): void {
    this.out += `${line}\n`;
    if (line.startsWith('{')) this.#log(line);
    this.#output.emit('change');
  }

  #log(line: string): void {
    try {
      this.#events.push(JSON.parse(line));
    } catch (error) {
      // A process that is killed may leave half a line.
      if (!this.child.killed) throw error;
    }
  }

  /** The next line of the log with this event, also a line that was written before; each line is given once. */
  async event(name: string): Promise<Event> {
    for (;;) {
      const at = this.#events.findIndex(({ event }) => event === name);
      const [found] = at < 0 ? [] : this.#events.splice(at, 1);
      if (found !== undefined) return found;
      if (this.child.exitCode !== null) throw new Error(`ended without the event ${name}: ${this.err}${this.out}`);
      await once(this.#output, 'change');
    }
  }

  /** The first line of all output that matches. */
  async line(pattern: RegExp): Promise<RegExpExecArray> {
    for (;;) {
      const found = pattern.exec(this.out);
      if (found) return found;
      if (this.child.exitCode !== null) throw new Error(`ended without ${pattern}: ${this.err}${this.out}`);
      await once(this.#output, 'change');
    }
  }

  kill(signal: NodeJS.Signals): void {
    this.child.kill(signal);
  }
}

/** Starts the server's program; what still runs at the test's end is killed. */
export function nextalk(t: Cleaner, args: readonly string[], options: Options = {}): NexTalkProcess {
  const started = new NexTalkProcess(args, options);
  t.teardown(async () => {
    started.kill('SIGKILL');
    await started.ended;
  });
  return started;
}
