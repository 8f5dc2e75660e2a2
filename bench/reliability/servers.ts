/** The servers whose clients lose their connections: how each is started, started again, and sent a message for a user. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { apikey, domain } from '../clients/nextalk.js';
import { freePort } from '../targets.js';
import { type Client, EventsClient, MqttPhone, type Person, PollClient, SocketClient } from './clients.js';
import { BareClient, SocketIoClient } from './peer-clients.js';

const peers = join(dirname(dirname(fileURLToPath(import.meta.url))), 'peers');
const START_MS = 60_000;
const STOP_MS = 15_000;
const CALL_MS = 15_000;

export interface Target {
  readonly title: string;
  readonly isOurs: boolean;
  readonly isMqtt: boolean;
  connect(person: Person): Client;
}

const ours = (title: string, connect: Target['connect'], isMqtt = false): Target => ({
  title,
  isOurs: true,
  isMqtt,
  connect,
});
const peer = (title: string, connect: Target['connect']): Target => ({ title, isOurs: false, isMqtt: false, connect });

export const targets: ReadonlyMap<string, Target> = new Map([
  ['websocket', ours('WebSocket', (person) => new SocketClient(person))],
  ['events', ours('server-sent events', (person) => new EventsClient(person))],
  ['poll', ours('long poll', (person) => new PollClient(person))],
  ['mqtt', ours('MQTT, QoS 1', (person) => new MqttPhone(person), true)],
  ['socketio-recovery', peer('Socket.IO with recovery', (person) => new SocketIoClient(person))],
  ['socketio', peer('Socket.IO', (person) => new SocketIoClient(person))],
  ['uws', peer('bare uWebSockets.js', (person) => new BareClient(person))],
]);

/** What a call came to; `unanswered`: the server may have done it. */
export type Called = { readonly status: number; readonly body: string } | 'refused' | 'unanswered';

export class BenchServer {
  readonly #folder = mkdtempSync(join(tmpdir(), 'nextalk-reliability-'));
  readonly #agent = new http.Agent({ keepAlive: true, maxSockets: 64 });
  #child: ChildProcess | null = null;

  private constructor(
    private readonly name: string,
    readonly target: Target,
    private readonly program: string,
    private readonly durability: string | undefined,
    readonly port: number,
    readonly mqttPort: number,
  ) {}

  static async start(name: string, target: Target, program: string, durability?: string): Promise<BenchServer> {
    const server = new BenchServer(name, target, program, durability, await freePort(), await freePort());
    await server.start();
    return server;
  }

  get pid(): number {
    return this.#child?.pid ?? 0;
  }

  /** Resolves when it takes connections. */
  async start(): Promise<void> {
    const log = join(this.#folder, 'log');
    const output = openSync(log, 'a');
    const child = spawn(process.execPath, this.#command(), { stdio: ['ignore', output, output] });
    this.#child = child;
    const until = performance.now() + START_MS;
    while (performance.now() < until && child.exitCode === null) {
      if (await accepts(this.port)) return;
      await sleep(20);
    }
    throw new Error(`${this.name} did not start: ${readFileSync(log, 'utf8').slice(-1000)}`);
  }

  /** Resolves when the process has ended. */
  async stop(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    const child = this.#child;
    this.#child = null;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const exited = new Promise((resolve) => child.once('exit', resolve));
    child.kill(signal);
    const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
    await exited;
    clearTimeout(timer);
  }

  async close(): Promise<void> {
    await this.stop('SIGKILL');
    this.#agent.destroy();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  /** The ticket of a user who comes online; of a peer the user's name is enough. */
  async online(user: string): Promise<string> {
    if (!this.target.isOurs) return user;
    const called = await this.#call('/v5/presences/online', { domain, name: user, nick: user, show: 'invisible' });
    const ticket = typeof called === 'object' ? /"ticket":"([^"]+)"/.exec(called.body)?.[1] : undefined;
    if (ticket === undefined) throw new Error(`ONLINE: ${typeof called === 'object' ? called.body : called}`);
    return ticket;
  }

  send(user: string, body: string): Promise<Called> {
    if (!this.target.isOurs) return this.#call(`/send/${user}`, body);
    return this.#call('/v5/messages', { domain, from: 'site', to: user, body });
  }

  #command(): string[] {
    const { target, port, mqttPort } = this;
    if (!target.isOurs) {
      const [file, ...words] = this.name.startsWith('socketio') ? ['socketio-users.ts', 'recovery'] : ['uws.ts'];
      const more = this.name === 'socketio-recovery' ? words : [];
      return ['--import', 'tsx', join(peers, file ?? ''), String(port), ...more];
    }
    return [
      ...[this.program, '--port', String(port), '--mqtt-port', String(mqttPort), '--admin-port', '0'],
      ...['--data', join(this.#folder, 'data'), ...this.#domainFlags()],
    ];
  }

  #domainFlags(): string[] {
    if (this.durability === undefined) return ['--domain', `${domain}:${apikey}`];
    const file = join(this.#folder, 'config.json');
    writeFileSync(file, JSON.stringify({ domains: [{ domain, apikey, durability: this.durability }] }));
    return ['--config', file];
  }

  #call(path: string, fields: Readonly<Record<string, string>> | string): Promise<Called> {
    const body = typeof fields === 'string' ? fields : new URLSearchParams(fields).toString();
    const headers = {
      Authorization: `Basic ${Buffer.from(`${domain}:${apikey}`).toString('base64')}`,
      'Content-Type': 'application/x-www-form-urlencoded',
      'Content-Length': Buffer.byteLength(body),
    };
    const { port } = this;
    const options = { host: '127.0.0.1', port, path, method: 'POST', agent: this.#agent, headers, timeout: CALL_MS };
    return new Promise((resolve) => {
      const request = http.request(options, (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (part) => {
          text += part;
        });
        response.on('error', () => resolve('unanswered'));
        response.on('end', () => {
          const status = response.statusCode ?? 0;
          resolve(status === 503 ? 'refused' : { status, body: text });
        });
      });
      request.on('timeout', () => request.destroy());
      request.on('error', (error: NodeJS.ErrnoException) => {
        resolve(error.code === 'ECONNREFUSED' ? 'refused' : 'unanswered');
      });
      request.end(body);
    });
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
