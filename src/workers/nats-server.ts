/**
 * A nats-server of this machine's workers alone: on loopback, on a port that the system chooses, with a password made for it.
 * It is started again when it ends, and ends with this process, however that ends.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { log } from '../log.js';
import { NATS_SERVER as NAME } from '../nats-program.js';
import { removeLeft, takeFolder } from '../store/folder.js';

/** A shell ends what it has started when its standard input is closed, as the kernel does for a process that is killed. */
const TETHER = 'exec 3<&0; "$0" -c "$1" 3<&- & pid=$!; (cat <&3 >/dev/null; kill $pid) 2>/dev/null & wait $pid';

const START_MS = 10_000;
/** Where a nats-server with JetStream writes its process id, in the folder of its files. */
const PID_FILE = 'nats.pid';
const FIRST_DELAY_MS = 100;
const LONGEST_DELAY_MS = 10_000;
const PROVEN_MS = 30_000;
const LINE_CHARACTERS = 500;
const LOOK_MS = 50;

/** A folder for one run. Those that killed servers of this machine have left are removed: their passwords and records are in them. */
function temporaryFolder(): string {
  // Of containers that share the folder, one does not see the processes of another.
  const prefix = `nextalk-nats-${hostname()}-`;
  removeLeft(tmpdir(), prefix);
  return mkdtempSync(join(tmpdir(), prefix));
}

/** Waits until the nats-server of a server that was killed has closed its files: two must not have them. */
async function untilEnded(file: string): Promise<void> {
  const isThere = (): boolean => {
    try {
      return readFileSync(`/proc/${Number(readFileSync(file, 'utf8'))}/comm`, 'utf8').startsWith(NAME);
    } catch {
      return false;
    }
  };
  for (let waitedMs = 0; waitedMs < START_MS && isThere(); waitedMs += LOOK_MS) await sleep(LOOK_MS);
}

export class NatsServer {
  readonly #password = randomBytes(24).toString('base64url');
  readonly #ending = new AbortController();
  readonly #folder = temporaryFolder();
  readonly #release = takeFolder(this.#folder);
  #child: ChildProcess | null = null;
  #ended: Promise<unknown> = Promise.resolve();
  /** The system's choice at the first start; the same at every later one, so that workers find it again. */
  #port = -1;

  constructor(
    private readonly program: string,
    /** JetStream's settings, null: the server runs without JetStream. `folder` null: a temporary folder, removed with the server. */
    private readonly jetstream: { readonly folder: string | null } | null = null,
  ) {}

  /** With its password: for workers, never for a log. */
  get url(): string {
    return `nats://nextalk:${this.#password}@127.0.0.1:${this.#port}`;
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  /** Resolves when it takes connections; rejects where it cannot start. */
  async start(): Promise<void> {
    try {
      const folder = this.jetstream?.folder;
      if (folder) {
        mkdirSync(folder, { recursive: true, mode: 0o700 });
        await untilEnded(join(folder, PID_FILE));
      }
      await this.#launch();
    } catch (error) {
      await this.close();
      throw error;
    }
    void this.#keep();
  }

  async close(): Promise<void> {
    this.#ending.abort();
    this.#child?.stdin?.end();
    await this.#ended;
    this.#release();
    if (this.jetstream?.folder) rmSync(join(this.jetstream.folder, PID_FILE), { force: true });
    rmSync(this.#folder, { recursive: true, force: true });
  }

  async #keep(): Promise<void> {
    const { signal } = this.#ending;
    for (let failures = 0; ; ) {
      const startedMs = performance.now();
      await this.#ended;
      if (signal.aborted) return;
      if (performance.now() - startedMs >= PROVEN_MS) failures = 0;
      const delayMs = Math.min(FIRST_DELAY_MS * 2 ** failures, LONGEST_DELAY_MS);
      failures += 1;
      log.error({ event: 'nats-server-ended', delayMs }, `${NAME} ended: it is started again`);
      await sleep(delayMs, undefined, { signal }).catch(() => undefined);
      if (signal.aborted) return;
      await this.#launch().catch((error: Error) => log.error({ event: 'nats-server-failed' }, error.message));
    }
  }

  async #launch(): Promise<void> {
    const file = join(this.#folder, 'nats.conf');
    const user = `{ user: "nextalk", password: "${this.#password}" }`;
    const { jetstream } = this;
    const stored = jetstream?.folder ?? this.#folder;
    const pid = JSON.stringify(join(stored, PID_FILE));
    const store = jetstream && `jetstream { store_dir: ${JSON.stringify(stored)} }\npid_file: ${pid}\n`;
    const lines = `listen: "127.0.0.1:${this.#port}"\nauthorization ${user}\n${store ?? ''}`;
    writeFileSync(file, lines, { mode: 0o600 });
    // A process group of its own: Ctrl+C is for the parent, whose workers say goodbye over NATS first.
    const child = spawn('/bin/sh', ['-c', TETHER, this.program, file], {
      stdio: ['pipe', 'ignore', 'pipe'],
      detached: true,
    });
    this.#child = child;
    this.#ended = new Promise((resolve) => child.once('close', resolve).once('error', resolve));
    child.stdin.on('error', () => undefined);
    void this.#ended.then(() => child.stdin.destroy());
    await this.#listening(child);
  }

  /** Reads the program's log: its port, and what it warns of. */
  async #listening(child: ChildProcess): Promise<void> {
    let last = '';
    const ready = new Promise<void>((resolve, reject) => {
      void this.#ended.then(() => reject(new Error(`${this.program} ended while it started${last && `: ${last}`}`)));
      if (!child.stderr) return;
      createInterface({ input: child.stderr }).on('line', (line) => {
        const port = /Listening for client connections on .*:(\d+)$/.exec(line)?.[1];
        if (port !== undefined) this.#port = Number(port);
        if (/Server is ready/.test(line)) resolve();
        const [, level, text = line] = /\[(WRN|ERR|FTL)\] (.*)/.exec(line) ?? [];
        if (level === undefined && line.startsWith('[')) return;
        // The password is made for this start, and in a file of this user alone.
        if (text.startsWith('Plaintext passwords')) return;
        last = text.slice(0, LINE_CHARACTERS);
        log.warn({ event: 'nats-server', line: last }, `${NAME}: ${last}`);
      });
    });
    const timer = setTimeout(() => child.stdin?.end(), START_MS);
    await ready.finally(() => clearTimeout(timer));
  }
}
