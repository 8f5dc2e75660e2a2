/** Firefox as Debian has it, driven by WebDriver BiDi (W3C) over a WebSocket of its own: as much of it as tests use. */
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { WebSocket } from 'ws';
import { HANG_MS } from './hang.js';
import { childEnvironment, spawnTethered } from './process.js';
import { program } from './programs.js';
import type { Cleaner } from './server.js';

type Json = Readonly<Record<string, unknown>>;

interface Answer {
  readonly id?: number;
  readonly type: 'success' | 'error' | 'event';
  readonly result?: Json;
  readonly error?: string;
  readonly message?: string;
}

interface Waiting {
  resolve(result: Json): void;
  reject(error: Error): void;
}

/** It asks nobody on the network for anything, and says nothing to the user. */
const PREFERENCES = {
  'app.normandy.enabled': false,
  'app.update.disabledForTesting': true,
  'browser.shell.checkDefaultBrowser': false,
  'datareporting.policy.dataSubmissionEnabled': false,
  'network.captive-portal-service.enabled': false,
  'network.connectivity-service.enabled': false,
  'services.settings.server': 'data:,#remote-settings-dummy/v1',
  'toolkit.telemetry.reportingpolicy.firstRun': false,
};

const ENTER = '\uE007';

export class Firefox {
  #id = 0;
  readonly #waiting = new Map<number, Waiting>();

  private constructor(private readonly socket: WebSocket) {
    socket.on('message', (data) => this.#onAnswer(JSON.parse(String(data))));
    socket.on('close', () => {
      for (const { reject } of this.#waiting.values()) reject(new Error('Firefox has ended'));
    });
  }

  static async launch(t: Cleaner): Promise<Firefox> {
    const profile = mkdtempSync(join(tmpdir(), 'nextalk-firefox-'));
    const lines = Object.entries(PREFERENCES).map(([name, value]) => `user_pref("${name}", ${JSON.stringify(value)});`);
    writeFileSync(join(profile, 'user.js'), lines.join('\n'));
    const flags = ['--headless', '--no-remote', '--profile', profile, '--remote-debugging-port', '0'];
    const child = spawnTethered(program('firefox-esr') ?? '', flags, {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: childEnvironment({ HOME: profile }),
    });
    const ended = once(child, 'close');
    t.teardown(async () => {
      child.kill('SIGKILL');
      await ended;
      rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
    });
    if (!child.stderr) throw new Error('the process has no pipes');
    const address = await new Promise<string>((resolve, reject) => {
      createInterface({ input: child.stderr as NodeJS.ReadableStream })
        .on('line', (line) => {
          const found = /^WebDriver BiDi listening on (ws:\S+)$/.exec(line)?.[1];
          if (found) resolve(found);
        })
        .on('close', () => reject(new Error('Firefox ended before it listened')));
    });
    const socket = new WebSocket(`${address}/session`);
    await once(socket, 'open');
    const firefox = new Firefox(socket);
    await firefox.send('session.new', { capabilities: {} });
    return firefox;
  }

  /** A page in a window of its own, which therefore is not hidden. */
  async visit(url: string): Promise<FirefoxPage> {
    const { context } = await this.send('browsingContext.create', { type: 'window' });
    const page = new FirefoxPage(this, String(context));
    await this.send('browsingContext.navigate', { context, url, wait: 'complete' });
    return page;
  }

  send(method: string, params: Json): Promise<Json> {
    this.#id += 1;
    const id = this.#id;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`Firefox does not answer ${method}`)), HANG_MS);
      const settle =
        <T>(done: (value: T) => void) =>
        (value: T): void => {
          clearTimeout(timer);
          this.#waiting.delete(id);
          done(value);
        };
      this.#waiting.set(id, { resolve: settle(resolve), reject: settle(reject) });
      this.socket.send(JSON.stringify({ id, method, params }));
    });
  }

  #onAnswer({ id = 0, type, result = {}, error, message }: Answer): void {
    if (type === 'success') this.#waiting.get(id)?.resolve(result);
    else if (type === 'error') this.#waiting.get(id)?.reject(new Error(`${error}: ${message}`));
  }
}

export class FirefoxPage {
  constructor(
    private readonly firefox: Firefox,
    private readonly context: string,
  ) {}

  /** What an expression comes to in the page, a promise when it is settled; it has to have a form in JSON. */
  async evaluate(expression: string): Promise<unknown> {
    const { result, exceptionDetails } = await this.firefox.send('script.evaluate', {
      expression: `Promise.resolve(${expression}).then((value) => JSON.stringify(value ?? null))`,
      target: { context: this.context },
      awaitPromise: true,
    });
    if (exceptionDetails) throw new Error(`in the page: ${(exceptionDetails as Json).text}`);
    return JSON.parse(String((result as Json).value));
  }

  /** Waits until an expression is true in the page. */
  async until(expression: string): Promise<void> {
    const look = `const look = () => ((${expression}) ? resolve(true) : setTimeout(look, 20)); look();`;
    await this.evaluate(`new Promise((resolve) => { ${look} })`);
  }

  async reload(): Promise<void> {
    await this.firefox.send('browsingContext.reload', { context: this.context, wait: 'complete' });
  }

  /** Presses keys one after another, and Enter after them, wherever the focus is. */
  async type(text: string): Promise<void> {
    const actions = [...text, ENTER].flatMap((value) => [
      { type: 'keyDown', value },
      { type: 'keyUp', value },
    ]);
    const keys = { type: 'key', id: 'keyboard', actions };
    await this.firefox.send('input.performActions', { context: this.context, actions: [keys] });
  }

  /** Presses the mouse on the element that an expression names. */
  async click(expression: string): Promise<void> {
    await this.until(expression);
    const { result } = await this.firefox.send('script.evaluate', {
      expression,
      target: { context: this.context },
      awaitPromise: false,
    });
    const origin = { type: 'element', element: { sharedId: (result as Json).sharedId } };
    const actions = [
      { type: 'pointerMove', x: 0, y: 0, origin },
      { type: 'pointerDown', button: 0 },
      { type: 'pointerUp', button: 0 },
    ];
    const mouse = { type: 'pointer', id: 'mouse', actions };
    await this.firefox.send('input.performActions', { context: this.context, actions: [mouse] });
  }
}
