/** A message finds its receiver at every moment of coming and going: connected, on the way, or in the offline store. */
import { join } from 'node:path';
import t from 'tap';
import { addressOf } from '../src/actors/address.js';
import { Mailboxes } from '../src/actors/mailboxes.js';
import type { Packet } from '../src/actors/packet.js';
import type { Transport } from '../src/actors/transport.js';
import { isReplyError } from '../src/errors.js';
import { online } from '../src/protocols/commands.js';
import { findTicket } from '../src/protocols/credentials.js';
import { Parameters } from '../src/protocols/parameters.js';
import { openLmdb } from '../src/store/lmdb.js';
import { own, TestBroker, testMachine } from './mqtt/support/broker.js';
import { ManualClock } from './mqtt/support/clock.js';
import { turn } from './mqtt/support/device.js';
import { dice } from './support/dice.js';
import type { Cleaner } from './support/server.js';

/** Takes a few packets at a time, and gives back those that it has not got out. */
class Line implements Transport {
  readonly kind = 'websocket';
  readonly #taken: Packet[] = [];

  constructor(
    private readonly seen: (packet: Packet) => void,
    private readonly takes: number,
  ) {}

  deliver(packets: readonly Packet[]): number {
    const taken = packets.slice(0, this.takes);
    this.#taken.push(...taken);
    return taken.length;
  }

  /** Lets the packets that the connection has taken reach the client. */
  getOut(): void {
    for (const packet of this.#taken.splice(0)) this.seen(packet);
  }

  close(): readonly Packet[] {
    return this.#taken.splice(0);
  }
}

async function keeping(t: Cleaner & { testdir(): string }) {
  const data = join(t.testdir(), 'data');
  const store = openLmdb(data);
  t.teardown(() => store.close());
  const clock = new ManualClock();
  const limits = { queuePackets: 0, queueBytes: 0, comingsPerMinute: 0 };
  const presence = { clientIdleMs: 1000, graceMs: 100 };
  const domains = [{ ...own, offline: true }];
  const machine = testMachine(t, { data, domains, limits, presence }, clock, store);
  t.teardown(() => machine.domain.end());
  const broker = new TestBroker({} as never, machine.host.context, machine.host.context.domains as never);
  return { ...machine, broker, clock, store };
}

type Keeping = Awaited<ReturnType<typeof keeping>>;

/** Bodies of messages, in the order in which a client of `name` had them. */
class User {
  readonly had: string[] = [];
  sent = 0;
  #line: Line | null = null;
  #ticket: string | null = null;
  #coming = false;

  constructor(
    private readonly server: Keeping,
    readonly name: string,
  ) {}

  get isAway(): boolean {
    return this.#ticket === null && !this.#coming;
  }

  /** Calls ONLINE, and does not wait for the answer. */
  come(): void {
    this.#coming = true;
    void this.server.broker.online(this.name).then((ticket) => {
      this.#ticket = ticket;
      this.#coming = false;
    });
  }

  connect(takes: number): void {
    const { domain } = this.server;
    const client = findTicket(domain, this.#ticket ?? '');
    if (!client) return;
    this.#line?.getOut();
    this.#line = new Line((packet) => this.had.push('body' in packet.fields ? packet.fields.body : ''), takes);
    client.endpoint.tell({ kind: 'attach', client, transport: this.#line });
  }

  disconnect(): void {
    const { domain } = this.server;
    const client = findTicket(domain, this.#ticket ?? '');
    if (!client || !this.#line) return;
    const unsent = this.#line.close();
    client.endpoint.tell({ kind: 'detach', client, transport: this.#line, unsent });
    this.#line = null;
  }

  /** Calls OFFLINE: what the connection had taken and did not get out before is lost to the client. */
  go(): void {
    if (this.#ticket === null) return;
    void this.server.broker.offline(this.#ticket).catch(() => undefined);
    this.#ticket = null;
  }

  getOut(): void {
    this.#line?.getOut();
  }

  push(): void {
    this.server.broker.push('a', this.name, String(this.sent++));
  }
}

t.test('4,000 comings and goings with 9,000 messages lose none, double none and keep their order', async (t) => {
  const server = await keeping(t);
  const { clock, domain } = server;
  const roll = dice(14);
  const users = Array.from({ length: 40 }, (_, n) => new User(server, `u${n}`));
  let [comings, goings, messages] = [0, 0, 0];
  while (comings < 4000 || messages < 9000) {
    const user = users[roll(users.length)] as User;
    switch (roll(7)) {
      case 0:
      case 1:
        if (user.isAway) {
          comings += 1;
          user.come();
        } else {
          goings += 1;
          user.getOut();
          user.go();
        }
        break;
      case 2:
        user.connect(1 + roll(3));
        break;
      case 3:
        user.getOut();
        if (roll(2) === 0) user.disconnect();
        break;
      case 4:
        if (roll(3) === 0) clock.advance(30 + roll(100));
        break;
      default:
        messages += 1;
        user.push();
    }
    if (roll(5) === 0) await turn();
  }
  for (const user of users) {
    user.getOut();
    user.go();
  }
  await turn();
  clock.advance(100);
  await turn();
  for (const user of users) user.come();
  await turn();
  for (const user of users) user.connect(1_000_000);
  await turn();
  for (const user of users) user.getOut();
  t.ok(
    goings > 1000 && comings >= 4000 && messages >= 9000,
    `${comings} comings, ${goings} goings, ${messages} messages`,
  );
  let missing = 0;
  for (const { had, sent } of users) missing += sent - new Set(had).size;
  t.equal(missing, 0, 'messages that nobody has had');
  t.equal(domain.metrics.dropped.offline, 0);
  for (const { name, had, sent } of users)
    if (had.length !== sent || had.some((body, n) => body !== String(n))) t.fail(`${name}: ${had.join(' ')}`);
});

t.test('a message that is on its way when its receiver’s domain ends goes to the offline store', async (t) => {
  const { broker, clock, domain, store } = await keeping(t);
  await broker.online('b');
  broker.push('a', 'b', 'kept by the endpoint');
  await turn();
  await broker.online('sender');
  broker.push('a', 'b', 'on its way to the endpoint');
  broker.push('sender', 'b', 'on its way to its sender’s endpoint');
  domain.end();
  await turn();
  await turn();
  await store.flush();
  const boxes = new Mailboxes(domain, clock, store);
  t.teardown(() => boxes.close());
  const kept = boxes.read(addressOf('a.example', 'uid', 'b'));
  t.strictSame(
    kept.map(({ fields }) => 'body' in fields && fields.body),
    ['kept by the endpoint', 'on its way to the endpoint', 'on its way to its sender’s endpoint'],
  );
  t.equal(domain.metrics.dropped.offline, 0);
});

t.test('a room that the router does not know yet has the messages to it', async (t) => {
  const server = await keeping(t);
  const { domain, broker } = server;
  const fields = new Parameters([
    ['name', 'b'],
    ['nick', 'B'],
    ['rooms', 'r'],
  ]);
  const answered = new Promise<string>((resolve, reject) => {
    online(domain, fields, (result) => {
      if (isReplyError(result)) return reject(new Error(result.detail));
      // The message is sent in the turn in which the router is told of the room.
      broker.push('a', 'r', 'to the room', 'grpchat');
      resolve(result.ticket);
    });
  });
  const client = findTicket(domain, await answered);
  await turn();
  t.match(client?.queued, [{ fields: { body: 'to the room' } }]);
});
