/** The servers whose clients lose their connections: how each is started, of one node or of several, and sent a message for a user. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { httpRequest } from '../clients/http.js';
import { apikey, domain, restRequest } from '../clients/nextalk.js';
import { type Running, startNats } from '../connections/servers.js';
import type { Called } from './calls.js';
import { type Client, EventsClient, MqttPhone, type Person, PollClient, SocketClient } from './clients.js';
import { BenchNode, lastingPort } from './node.js';
import { BareClient, SocketIoClient } from './peer-clients.js';

const peers = join(dirname(dirname(fileURLToPath(import.meta.url))), 'peers');

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

/** What is started. */
export interface Setup {
  readonly name: string;
  readonly target: Target;
  /** Our main.js. */
  readonly program: string;
  readonly durability: string | undefined;
  /** More than one: a cluster, whose tickets are kept in the JetStream of one nats-server. */
  readonly nodeCount: number;
}

/** A server of one node, or several behind a balancer that knows at once which of them are there. */
export class BenchServer {
  readonly nodes: BenchNode[] = [];
  readonly #folder = mkdtempSync(join(tmpdir(), 'nextalk-reliability-'));
  #nats: Running | null = null;
  #turn = 0;

  private constructor(readonly setup: Setup) {}

  static async start(setup: Setup): Promise<BenchServer> {
    const server = new BenchServer(setup);
    try {
      if (setup.nodeCount > 1) server.#nats = await startNats(join(server.#folder, 'jetstream'));
      for (let number = 0; number < setup.nodeCount; number += 1) await server.#add(`n${number}`);
    } catch (error) {
      await server.close();
      throw error;
    }
    return server;
  }

  async #add(name: string): Promise<void> {
    const [port, mqttPort] = [await lastingPort(), await lastingPort()];
    const command = this.#command(name, port, mqttPort);
    const node = new BenchNode({ name, port, mqttPort, command, log: join(this.#folder, `${name}.log`) });
    this.nodes.push(node);
    await node.start();
  }

  get pids(): readonly number[] {
    return this.nodes.map(({ pid }) => pid);
  }

  get natsPid(): number {
    return this.#nats?.pids()[0] ?? 0;
  }

  /** The next node that takes connections; the first one where none does. */
  get next(): BenchNode {
    const serving = this.nodes.filter(({ serves }) => serves);
    this.#turn += 1;
    return (serving[this.#turn % serving.length] ?? this.nodes[0]) as BenchNode;
  }

  async close(): Promise<void> {
    for (const node of this.nodes) await node.close();
    await this.#nats?.stop();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  /** The ticket of a user who comes online through a node; of a peer the user's name is enough. */
  async online(user: string, node: BenchNode): Promise<string> {
    if (!this.setup.target.isOurs) return user;
    const fields = { name: user, nick: user, show: 'invisible' };
    const called = await node.calls.call(restRequest('presences/online', fields));
    const ticket = typeof called === 'object' ? /"ticket":"([^"]+)"/.exec(called.body)?.[1] : undefined;
    if (ticket === undefined) throw new Error(`ONLINE: ${typeof called === 'object' ? called.body : called}`);
    return ticket;
  }

  send(user: string, body: string): Promise<Called> {
    const request = this.setup.target.isOurs
      ? restRequest('messages', { from: 'site', to: user, body })
      : httpRequest(`/send/${user}`, 'Content-Type: text/plain\r\n', body);
    return this.next.calls.call(request);
  }

  #command(name: string, port: number, mqttPort: number): string[] {
    const { target, program } = this.setup;
    if (!target.isOurs) {
      const isSocketIo = this.setup.name.startsWith('socketio');
      const recovery = this.setup.name === 'socketio-recovery' ? ['recovery'] : [];
      return ['--import', 'tsx', join(peers, isSocketIo ? 'socketio-users.ts' : 'uws.ts'), String(port), ...recovery];
    }
    return [
      ...[program, '--port', String(port), '--mqtt-port', String(mqttPort), '--admin-port', '0'],
      ...['--data', join(this.#folder, name), '--config', this.#config(name)],
    ];
  }

  /** Writes the configuration of one node. */
  #config(node: string): string {
    const { durability } = this.setup;
    const file = join(this.#folder, `${node}.json`);
    const nats = this.#nats && [`nats://127.0.0.1:${this.#nats.port}`];
    const settings = {
      domains: [{ domain, apikey, ...(durability === undefined ? {} : { durability }) }],
      ...(nats ? { cluster: { nats, node, store: 'jetstream' } } : {}),
    };
    writeFileSync(file, JSON.stringify(settings));
    return file;
  }
}
