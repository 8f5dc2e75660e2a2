/**
 * A nats-server of this machine's workers alone: on loopback, on a port that the system chooses, with a password made for it.
 * It is started again when it ends, and ends with this process, however that ends.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { log } from '../log.js';
import { NATS_SERVER as NAME } from '../nats-program.js';

/** A shell ends what it has started when its standard input is closed, as the kernel does for a process that is killed. */
const TETHER = 'exec 3<&0; "$0" -c "$1" 3<&- & pid=$!; (cat <&3 >/dev/null; kill $pid) 2>/dev/null & wait $pid';

const START_MS = 10_000;
const FIRST_DELAY_MS = 100;
const LONGEST_DELAY_MS = 10_000;
const PROVEN_MS = 30_000;
const LINE_CHARACTERS = 500;

export class NatsServer {
  readonly #password = randomBytes(24).toString('base64url');
  readonly #ending = new AbortController();
  readonly #folder = mkdtempSync(join(tmpdir(), 'nextalk-nats-'));
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
    const store = jetstream && `jetstream { store_dir: ${JSON.stringify(jetstream.folder ?? this.#folder)} }\n`;
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
        last = text.slice(0, LINE_CHARACTERS);
        log.warn({ event: 'nats-server', line: last }, `${NAME}: ${last}`);
      });
    });
    const timer = setTimeout(() => child.stdin?.end(), START_MS);
    await ready.finally(() => clearTimeout(timer));
  }
}
