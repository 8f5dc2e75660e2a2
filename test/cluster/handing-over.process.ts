/**
 * Every node of a cluster is restarted in turn while people write to each other over every transport: each goes on with the
 * ticket of its first ONLINE, has every message once and in order, and sees nobody come or go.
 */

import { setTimeout as pause } from 'node:timers/promises';
import mqtt from 'mqtt';
import t from 'tap';
import { CountingPoll, CountingSocket, CountingStream } from '../support/counting.js';
import { type Answer, exchange } from '../support/http.js';
import { natsServer } from '../support/nats.js';
import { freePort } from '../support/ports.js';
import { type NexTalkProcess, nextalk } from '../support/process.js';
import { skipWithout } from '../support/programs.js';
import { type Cleaner, siteA } from '../support/server.js';
import { until } from '../support/until.js';

const skip = skipWithout('nats-server');
const WRITE_MS = 100;

class Node {
  process: NexTalkProcess | null = null;
  serves = false;

  constructor(
    readonly name: string,
    readonly port: number,
    private readonly nats: string,
  ) {}

  async start(t: Cleaner): Promise<void> {
    const ports = ['--port', String(this.port), '--mqtt-port', '0', '--admin-port', '0', '--data', 'none'];
    // Nodes end in order: no lease ends, however late the machine lets them say that they are there.
    const settings = { 'cluster.node': this.name, 'cluster.leaveMs': 3000, 'cluster.leaseMs': 60_000 };
    const cluster = Object.entries(settings).flatMap(([path, value]) => ['--set', `${path}=${value}`]);
    const domain = ['--domain', `${siteA.domain}:${siteA.apikey}`];
    this.process = nextalk(t, ['--nats', this.nats, ...ports, ...cluster, ...domain]);
    await this.process.event('started');
    this.serves = true;
  }
}

/** Somebody who comes back through another node whenever the connection ends, and asks for no other ticket. */
interface Person {
  readonly id: string;
  readonly bodies: readonly string[];
  readonly presences: () => number;
  readonly problems: () => readonly unknown[];
  comings: number;
  leave(): void;
}

abstract class Returning {
  comings = 0;
  protected isLeaving = false;
  #at = 0;

  constructor(
    readonly id: string,
    private readonly nodes: readonly Node[],
    first: number,
  ) {
    this.#at = first;
  }

  /** Connects through one node after the other until one takes the connection. */
  protected async come(connect: (port: number) => Promise<void>): Promise<void> {
    await until(`${this.id} at some node`, async () => {
      if (this.isLeaving) return true;
      const node = this.nodes[this.#at % this.nodes.length] as Node;
      try {
        if (node.serves) {
          await connect(node.port);
          this.comings += 1;
          return true;
        }
      } catch {}
      this.#at += 1;
      return false;
    });
  }

  /** Comes through the next node. */
  protected next(): void {
    this.#at += 1;
  }
}

type Counting = CountingSocket | CountingPoll | CountingStream;

class CountingPerson extends Returning implements Person {
  constructor(
    id: string,
    nodes: readonly Node[],
    first: number,
    private readonly client: Counting,
  ) {
    super(id, nodes, first);
  }

  get bodies(): readonly string[] {
    return this.client.bodies;
  }

  readonly presences = (): number =>
    this.client.frames.reduce((sum, { presences }) => sum + (presences?.length ?? 0), 0);

  // A stream pings every 15 s.
  readonly problems = (): readonly unknown[] =>
    this.client.frames.filter(({ status, missed }) => !['ok', 'pong', 'ping'].includes(status) || missed !== undefined);

  async start(): Promise<void> {
    const { client } = this;
    await this.come(async (port) => {
      client.port = port;
      await client.connect();
    });
    if (client instanceof CountingSocket) client.socket?.once('close', () => this.#again());
    else client.onEnd = () => this.#again();
  }

  #again(): void {
    if (this.isLeaving) return;
    this.next();
    void this.start();
  }

  leave(): void {
    this.isLeaving = true;
    this.client.close();
  }
}

class MqttPerson extends Returning implements Person {
  readonly bodies: string[] = [];
  readonly #ids = new Set<string>();
  readonly #problems: unknown[] = [];
  #presences = 0;
  #client: mqtt.MqttClient | null = null;

  constructor(
    id: string,
    nodes: readonly Node[],
    first: number,
    private readonly ticket: string,
  ) {
    super(id, nodes, first);
  }

  readonly presences = (): number => this.#presences;
  readonly problems = (): readonly unknown[] => this.#problems;

  async start(): Promise<void> {
    await this.come(async (port) => {
      const client = mqtt.connect(`ws://127.0.0.1:${port}/mqtt`, {
        protocolVersion: 5,
        ...{ username: siteA.domain, password: this.ticket, clientId: `phone-${this.id}` },
        ...{ clean: false, properties: { sessionExpiryInterval: 60 }, reconnectPeriod: 0 },
      });
      client.on('message', (_topic, payload) => this.#take(JSON.parse(payload.toString())));
      await new Promise<void>((resolve, reject) => {
        client.once('connect', ({ sessionPresent }) => {
          if (this.comings > 0 && !sessionPresent) this.#problems.push('the session has gone');
          resolve();
        });
        client.once('error', reject);
        client.once('close', () => reject(new Error('closed')));
      });
      client.once('close', () => this.#again());
      this.#client = client;
    });
  }

  #again(): void {
    if (this.isLeaving) return;
    this.next();
    void this.start();
  }

  #take(frame: { messages?: { id: string; body: string }[]; presences?: unknown[] }): void {
    this.#presences += frame.presences?.length ?? 0;
    for (const { id, body } of frame.messages ?? []) {
      // What is not acknowledged comes again.
      if (!this.#ids.has(id)) this.bodies.push(body);
      this.#ids.add(id);
    }
  }

  leave(): void {
    this.isLeaving = true;
    this.#client?.end(true);
  }
}

class Site {
  onlines = 0;
  readonly refused: string[] = [];
  #turn = 0;

  constructor(private readonly nodes: readonly Node[]) {}

  async post(path: string, form: Record<string, string>): Promise<Answer> {
    const next = (): Node | false => {
      this.#turn += 1;
      const node = this.nodes[this.#turn % this.nodes.length] as Node;
      return node.serves && node;
    };
    const node = await until('a node that serves', next);
    const answer = await exchange(node.port, { method: 'POST', path, form, auth: siteA }).answer;
    if (answer.status !== 200) this.refused.push(`${path} at ${node.name}: ${answer.status} ${answer.text}`);
    return answer;
  }

  async online(name: string, more: Record<string, string>): Promise<string> {
    this.onlines += 1;
    const { body } = await this.post('/v5/presences/online', { name, nick: name, ...more });
    return (body as { readonly ticket: string }).ticket;
  }
}

/** Writes to somebody directly and in a room by turns, each message when the one before has been answered. */
class Writer {
  sent: string[] = [];
  #isDone = false;

  constructor(
    private readonly site: Site,
    private readonly from: string,
    readonly to: string,
    private readonly fields: Record<string, string> = {},
  ) {}

  async run(): Promise<void> {
    while (!this.#isDone) {
      const body = `${this.from} ${this.sent.length}`;
      const answer = await this.site.post('/v5/messages', { from: this.from, to: this.to, body, ...this.fields });
      if (answer.status === 200) this.sent.push(body);
      await pause(WRITE_MS);
    }
  }

  stop(): void {
    this.#isDone = true;
  }
}

t.test(
  'nodes restart one by one: tickets, messages, positions and presence go on over every transport',
  { skip },
  async (t) => {
    const { url } = await natsServer(t);
    const nodes: Node[] = [];
    for (const name of ['n0', 'n1', 'n2']) nodes.push(new Node(name, await freePort(), url));
    await Promise.all(nodes.map((node) => node.start(t)));
    const site = new Site(nodes);
    const kinds = ['socket', 'poll', 'stream', 'phone'] as const;
    const ids = kinds.flatMap((kind) => [0, 1, 2].map((n) => `${kind}${n}`));
    const tickets = new Map<string, string>();
    // Each lists all others, and is in the room of all; the last one to come hears of nobody.
    for (const id of ids) tickets.set(id, await site.online(id, { buddies: ids.join(','), rooms: 'all' }));
    const people = ids.map((id, i): Person & { start(): Promise<void> } => {
      const ticket = tickets.get(id) as string;
      if (id.startsWith('phone')) return new MqttPerson(id, nodes, i, ticket);
      const Client = id.startsWith('socket') ? CountingSocket : id.startsWith('poll') ? CountingPoll : CountingStream;
      return new CountingPerson(id, nodes, i, new Client(0, ticket));
    });
    t.teardown(() => {
      for (const person of people) person.leave();
    });
    await Promise.all(people.map((person) => person.start()));
    const writers = ids.map((id) => new Writer(site, `to-${id}`, id));
    const speaker = new Writer(site, 'speaker', 'all', { type: 'grpchat' });
    const running = [...writers, speaker].map((writer) => writer.run());
    const due = (id: string) => writers.find(({ to }) => to === id)?.sent.length ?? 0;
    const hasAll = ({ id, bodies }: Person) => bodies.length >= due(id) + speaker.sent.length;
    await until('10 messages', () => speaker.sent.length > 10);
    /** Everybody hears of each who came later, as a buddy and in the room. */
    const heard = (i: number): number => 2 * (ids.length - 1 - i);
    await until('all presences', () => people.every((person, i) => person.presences() >= heard(i)));
    for (const node of nodes) {
      node.serves = false;
      node.process?.kill('SIGTERM');
      t.equal(await node.process?.ended, 0);
      const before = speaker.sent.length;
      await until('10 more messages', () => speaker.sent.length > before + 10);
      await node.start(t);
      const there = speaker.sent.length;
      await until('10 messages more', () => speaker.sent.length > there + 10);
    }
    for (const writer of [...writers, speaker]) writer.stop();
    await Promise.all(running);
    await until('everything with everybody', () => people.every(hasAll));
    for (const [i, person] of people.entries()) {
      const { id, bodies } = person;
      const own = writers.find(({ to }) => to === id)?.sent;
      t.strictSame(
        bodies.filter((body) => body.startsWith('to-')),
        own,
        `${id}: ${bodies.length} messages, each once and in order`,
      );
      t.strictSame(
        bodies.filter((body) => body.startsWith('speaker')),
        speaker.sent,
        `${id}: what was said in the room`,
      );
      t.strictSame(person.problems(), [], `${id} has missed nothing`);
      t.equal(person.presences(), heard(i), `${id} has seen nobody come or go`);
    }
    const comings = people.reduce((sum, person) => sum + person.comings, 0);
    t.ok(comings >= 2 * people.length, `they came ${comings} times`);
    t.equal(site.onlines, ids.length, 'nobody came online again');
    t.strictSame(
      site.refused.filter((what) => !what.endsWith('"unavailable"}')),
      [],
    );
    t.comment(`${site.refused.length} calls were to come again`);
  },
);
