/** Every node of a cluster is restarted in turn while people chat: an upgrade as an operator does it. */
import { once } from 'node:events';
import t from 'tap';
import { WebSocket } from 'ws';
import { natsServer } from '../support/nats.js';
import { freePort } from '../support/ports.js';
import { type NexTalkProcess, nextalk } from '../support/process.js';
import { skipWithout } from '../support/programs.js';
import { until } from '../support/until.js';

const skip = skipWithout('nats-server');
const nodeCount = 3;
const usersOfNode = 3;

interface Cleaner {
  teardown(fn: () => unknown): void;
}

class Node {
  server: NexTalkProcess | undefined;
  /** Whether the node takes clients. */
  serves = false;

  constructor(
    readonly name: string,
    readonly port: number,
    readonly nats: string,
  ) {}

  async start(t: Cleaner): Promise<void> {
    const ports = ['--port', String(this.port), '--mqtt-port', '0', '--admin-port', '0', '--data', 'none'];
    const name = ['--set', `cluster.node=${this.name}`];
    // Nodes end in order: no lease ends, however late the machine lets them say that they are there.
    const flags = ['--nats', this.nats, ...name, '--set', 'cluster.leaseMs=60000', '--domain', 'a.com:key'];
    this.server = nextalk(t, [...ports, ...flags]);
    await this.server.event('started');
    this.serves = true;
  }

  /** Calls the node's REST API; answers status and body, status 0 where the node does not answer. */
  async call(path: string, fields: Readonly<Record<string, string>>): Promise<{ status: number; body: string }> {
    const authorization = `Basic ${Buffer.from('a.com:key').toString('base64')}`;
    const query = path === 'presences' ? `?${new URLSearchParams(fields)}` : '';
    try {
      const answer = await fetch(`http://127.0.0.1:${this.port}/v5/${path}${query}`, {
        headers: { authorization, connection: 'close' },
        ...(query === '' ? { method: 'POST', body: new URLSearchParams(fields) } : {}),
      });
      return { status: answer.status, body: await answer.text() };
    } catch {
      return { status: 0, body: '' };
    }
  }
}

/** Somebody with a browser, who comes back through another node whenever the connection ends. */
class Person {
  node: Node | undefined;
  ticket = '';
  /** Whether this person is connected to a node that is not about to be restarted. */
  settled = false;
  returns = 0;
  readonly got = new Map<string, number[]>();
  #socket: WebSocket | undefined;
  #back: Promise<void> = Promise.resolve();
  #isLeaving = false;

  constructor(
    readonly id: string,
    readonly nodes: readonly Node[],
  ) {}

  async arrive(first: Node): Promise<void> {
    let at = this.nodes.indexOf(first);
    await until(`${this.id} at some node`, async () => {
      const node = this.nodes[at++ % this.nodes.length];
      return this.#isLeaving || (node?.serves && (await this.#connect(node)));
    });
    this.settled = true;
  }

  async #connect(node: Node): Promise<boolean> {
    const { status, body } = await node.call('presences/online', { name: this.id, nick: this.id });
    if (status !== 200) return false;
    const { ticket } = JSON.parse(body);
    const socket = new WebSocket(`ws://127.0.0.1:${node.port}/v5/wsocket`);
    socket.on('error', () => undefined);
    const opened = await Promise.race([once(socket, 'open').then(() => true), once(socket, 'close').then(() => false)]);
    if (!opened) return false;
    socket.send(`subscribe a.com ${ticket}`);
    const [answer] = await Promise.race([once(socket, 'message'), once(socket, 'close')]);
    if (String(answer) !== '{"status":"ok"}') return false;
    socket.on('message', (data) => this.#take(JSON.parse(String(data))));
    socket.on('close', () => {
      if (this.#isLeaving) return;
      this.settled = false;
      this.returns += 1;
      this.#back = this.arrive(this.nodes[(this.nodes.indexOf(node) + 1) % this.nodes.length] ?? node);
    });
    Object.assign(this, { node, ticket });
    this.#socket = socket;
    return true;
  }

  #take({ messages = [] }: { messages?: { from: string; body: string }[] }): void {
    for (const { from, body } of messages) {
      const list = this.got.get(from) ?? [];
      list.push(Number(body));
      this.got.set(from, list);
    }
  }

  /** Resolves when this person is connected again. */
  async back(): Promise<void> {
    await this.#back;
  }

  leave(): void {
    this.#isLeaving = true;
    this.#socket?.terminate();
  }
}

/** One person writes to another, each message when the call before has been answered, until told to stop. */
class Conversation {
  /** Messages that were accepted while both were settled: these must arrive. */
  readonly due: number[] = [];
  #number = 0;
  #inFlight: Promise<void> = Promise.resolve();
  #stopped = false;

  constructor(
    readonly from: Person,
    readonly to: Person,
  ) {}

  async run(): Promise<void> {
    while (!this.#stopped) {
      this.#inFlight = this.#say();
      await this.#inFlight;
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }

  async #say(): Promise<void> {
    const { from, to } = this;
    const areSettled = from.settled && to.settled;
    const number = this.#number++;
    const fields = { ticket: from.ticket, to: to.id, body: String(number) };
    const answer = await from.node?.call('messages', fields);
    if (answer?.status === 200 && areSettled && from.settled && to.settled) this.due.push(number);
  }

  /** Resolves when the last call has been answered. */
  async quiet(): Promise<void> {
    await this.#inFlight;
  }

  get missing(): number[] {
    const got = new Set(this.to.got.get(this.from.id));
    return this.due.filter((number) => !got.has(number));
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#inFlight;
  }
}

t.test('nodes restart one by one while people chat: nothing is lost, and everybody comes back', { skip }, async (t) => {
  const { url } = await natsServer(t);
  const nodes: Node[] = [];
  for (let i = 0; i < nodeCount; i += 1) {
    nodes.push(new Node(`n${i}`, await freePort(), url));
  }
  await Promise.all(nodes.map((node) => node.start(t)));
  const people = nodes.flatMap((_, i) =>
    Array.from({ length: usersOfNode }, (_, user) => new Person(`u${i}${user}`, nodes)),
  );
  const everybodyLeaves = (): void => {
    for (const person of people) person.leave();
  };
  t.teardown(everybodyLeaves);
  await Promise.all(people.map((person, i) => person.arrive(nodes[Math.floor(i / usersOfNode)] as Node)));
  // Each person writes to the one of the same number on the next node, who answers.
  const conversations = people.flatMap((person, i) => {
    const other = people[(i + usersOfNode) % people.length] as Person;
    return [new Conversation(person, other), new Conversation(other, person)];
  });
  const running = conversations.map((conversation) => conversation.run());

  for (const node of nodes) {
    const affected = people.filter((person) => person.node === node);
    t.ok(affected.length > 0, `${node.name} has clients`);
    node.serves = false;
    for (const person of affected) person.settled = false;
    await Promise.all(conversations.map((conversation) => conversation.quiet()));
    const toAffected = conversations.filter(({ to }) => affected.includes(to));
    await until('all messages before the restart', () => toAffected.every(({ missing }) => missing.length === 0));
    node.server?.kill('SIGTERM');
    t.equal(await node.server?.ended, 0);
    for (const person of affected) await until(`${person.id} back`, () => person.settled);
    await node.start(t);
    const before = conversations.map(({ due }) => due.length);
    await until('more messages in every conversation', () =>
      conversations.every(({ due }, i) => due.length > (before[i] ?? 0) + 3),
    );
  }

  await Promise.all(conversations.map((conversation) => conversation.stop()));
  await Promise.all(running);
  await until('all messages', () => conversations.every(({ missing }) => missing.length === 0));
  for (const { from, to, due } of conversations) {
    const got = to.got.get(from.id) ?? [];
    const told = `${from.id} to ${to.id}`;
    t.ok(due.length > nodeCount * 3, `${told}: ${due.length} messages`);
    t.equal(new Set(got).size, got.length, `${told}: nothing twice`);
    t.strictSame(
      [...got].sort((a, b) => a - b),
      got,
      `${told}: in order`,
    );
  }
  t.ok(
    people.every(({ returns }) => returns > 0),
    'everybody had to come back',
  );
  const ids = people.map(({ id }) => id).join(',');
  const everybody = Object.fromEntries(people.map(({ id }) => [id, 'available']));
  for (const node of nodes) {
    const { body } = await node.call('presences', { domain: 'a.com', ids });
    t.strictSame(JSON.parse(body), everybody, `${node.name} knows that all are online`);
  }
  everybodyLeaves();
});
