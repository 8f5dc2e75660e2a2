/** Endpoints of nodes that are gone, whose adopter dies as well, or fails, before it has a record of its own. */
import t from 'tap';
import type { Address } from '../../src/actors/address.js';
import type { EndpointMessage } from '../../src/actors/endpoint.js';
import { Packet } from '../../src/actors/packet.js';
import { hashOf } from '../../src/actors/tickets.js';
import type { ClusteredDomain } from '../../src/cluster/domain.js';
import { HeldMessages } from '../../src/cluster/held-messages.js';
import { LeftQueues, leftText } from '../../src/cluster/left-queues.js';
import { NumberedPackets } from '../../src/cluster/numbered-packets.js';
import { Orphans } from '../../src/cluster/orphans.js';
import type { Peer } from '../../src/cluster/peer.js';
import { MOST_WAITING } from '../../src/cluster/takeovers.js';
import { TicketRecords } from '../../src/cluster/ticket-records.js';
import type { ClusterMetrics } from '../../src/metrics.js';
import { MemoryStream } from '../support/memory-stream.js';

const name = 'a.example';
const address = '/domain/a.example/uid/jack' as Address;
/** A ticket's token that the node n1 has issued. */
const token = `${Buffer.from('n1').toString('hex')}${'0'.repeat(32)}`;
const kept = {
  ...{ nick: 'jack', show: 'available' as const, status: '', buddies: [], rooms: [], isAway: false },
  clients: [{ hash: hashOf(token), name: 'one', isNamed: false, isAway: false }],
};

const tooMany = (): void => void t.fail('there is room to wait');

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Resolves when a node is dead that dies as it takes an endpoint over. */
async function end(node: Node): Promise<void> {
  for (let turns = 0; turns < 1000 && !node.isDead; turns++) await turn();
}

/** One node; the nodes before it are gone. */
class Node {
  readonly held: HeldMessages;
  readonly records: TicketRecords;
  readonly orphans: Orphans;
  readonly given: string[] = [];
  /** What its endpoint's first client has queued. */
  readonly queued: string[] = [];
  /** The eras that its endpoint's clients go on in; null: the one before. */
  readonly eras: (string | null)[] = [];
  readonly queues: LeftQueues;
  /** Called for what its endpoint's actor is told; a node that dies does not come to write its record. */
  onKeep: () => void = () => undefined;
  birth = 0;
  readonly domains = new Map<string, ClusteredDomain>();
  /** The parts of the endpoint that its tracker knows. */
  parts: readonly { readonly node: Pick<Peer, 'name' | 'up'>; readonly hidden: boolean }[] = [];
  readonly peers = new Map<string, Peer>();
  isDead = false;

  constructor(
    readonly nodeName: string,
    tickets: MemoryStream,
    messages: MemoryStream,
    answersFromDisk = true,
  ) {
    const incarnation = 1;
    const jetstream = { available: true, watchers: new Set<(available: boolean) => void>() };
    const options = {
      jetstream,
      stream: tickets.portOf(this),
      node: nodeName,
      incarnation,
      keptMs: Number.POSITIVE_INFINITY,
      now: () => 0,
      onConflict: () => undefined,
    };
    this.records = new TicketRecords(options);
    this.held = new HeldMessages(messages.portOf(this), { name: nodeName, mesh: { incarnation, peers: this.peers } });
    this.queues = new LeftQueues(new MemoryStream().portOf(this));
    const tell = (message: EndpointMessage): void => {
      if (message.kind === 'pass') message.done();
      if (message.kind === 'keep') this.onKeep();
      if (message.kind !== 'adopt') return;
      const { moved, packetOf, era } = message;
      this.eras.push(era);
      for (const number of moved.queues?.unseen ?? []) this.given.push(bodyOf(packetOf(number)));
      for (const number of moved.queues?.clients[0]?.entries ?? [])
        this.queued.push(bodyOf(packetOf(number as number)));
      this.birth = 1;
      message.done(true);
    };
    const domain = {
      ...{ name, answersFromDisk, shortage: null, settings: { durability: 'always' } },
      tickets: { find: () => null },
      tracker: { records: { get: () => ({ birth: this.birth, parts: this.parts }) } },
      endpoint: () => ({ tell }),
    };
    const items = { tookOver: () => '' };
    const tracker = { records: new Map() };
    const { domains } = this;
    domains.set(name, { domain, items, tracker } as unknown as ClusteredDomain);
    this.orphans = new Orphans({
      ...{ name: nodeName, records: this.records, held: this.held, domains },
      mesh: {
        peers: this.peers,
        send: () => undefined,
        broadcast: () => undefined,
        barrier: (done) => done(),
        incarnation,
      },
      rpc: { call: (_peer, _kind, _fields, _ms, done) => void setImmediate(done, null) },
      isYoung: () => true,
      now: () => 0,
      isFirst: () => false,
      isQuiet: () => false,
      left: this.queues,
      leaversOf: () => new Set(),
      metrics: { adopted: 0, adoptionsDelayed: 0 } as ClusterMetrics,
    });
    this.cluster = domains.get(name) as ClusteredDomain;
  }

  readonly cluster: ClusteredDomain;

  hold(body: string): void {
    const packet = packetOf(body);
    this.held.hold(name, address, packet, () => `[${wireOf(packet)},0,0]`);
  }

  /** Ends in order, with messages that wait. */
  leave(...bodies: readonly string[]): void {
    const packets = new NumberedPackets(wireOf);
    const unseen = bodies.map((body) => packets.numberOf(packetOf(body)));
    const queues = { node: 'uid', id: 'jack', clients: [], turns: [], unseen };
    this.records.put(name, address, kept, leftText(queues, packets, 0));
  }

  find(): Promise<unknown> {
    return new Promise((done) => this.orphans.find(this.cluster, address, token, done));
  }
}

function packetOf(body: string): Packet {
  const fields = { from: 'anna', to: 'jack', nick: 'anna', timestamp: '1', type: 'chat', body, style: '', id: body };
  return new Packet('message', fields as never, address, null);
}

function wireOf({ fields }: Packet): string {
  return JSON.stringify(['message', address, null, fields]);
}

function bodyOf(packet: Packet | null): string {
  return packet ? (packet.fields as { readonly body: string }).body : '';
}

t.test(
  'an adopter dies before its record is written: the next one has all messages, of the first node and of the adopter',
  async (t) => {
    const [tickets, messages] = [new MemoryStream(), new MemoryStream()];
    const [n1, n2, n3, n4] = ['n1', 'n2', 'n3', 'n4'].map((one) => new Node(one, tickets, messages)) as [
      Node,
      Node,
      Node,
      Node,
    ];
    n1.records.put(name, address, kept);
    for (const body of ['one', 'two']) n1.hold(body);
    const dies = (node: Node, body: string) => () => {
      node.hold(body);
      node.isDead = true;
    };
    n2.onKeep = dies(n2, 'three');
    n3.onKeep = dies(n3, 'four');
    n4.onKeep = () => n4.records.put(name, address, kept);
    for (const node of [n2, n3]) {
      void node.find();
      await end(node);
    }
    t.strictSame(n3.given, ['one', 'two', 'three']);
    t.equal(await n4.find(), 'here');
    t.strictSame(n4.given, ['one', 'two', 'three', 'four']);
    await turn();
    t.equal(messages.records.size, 0, 'what was taken over is forgotten');
    t.equal(tickets.scans, 0, 'records are found by the names of their nodes');
  },
);

t.test('a client has what its connection gave back before its node died, and what waited behind that', async (t) => {
  const [tickets, messages] = [new MemoryStream(), new MemoryStream()];
  const [n1, n2] = ['n1', 'n2'].map((one) => new Node(one, tickets, messages)) as [Node, Node];
  const [one, two] = [packetOf('one'), packetOf('two')];
  const hold = (packet: Packet): void => n1.held.hold(name, address, packet, () => `[${wireOf(packet)},0,0]`);
  hold(one);
  hold(two);
  // The connection takes the first, by which it counts as confirmed, and cannot get it out.
  n1.held.release(address, one);
  hold(one);
  const from = n1.held.firstOf(address, [one, two]);
  n1.records.put(name, address, { ...kept, clients: kept.clients.map((client) => ({ ...client, from })) });
  n2.onKeep = () => n2.records.put(name, address, kept);
  t.equal(await n2.find(), 'here');
  t.strictSame(n2.queued.sort(), ['one', 'two']);
});

t.test('who asks for an endpoint that is being taken over waits until it has been', async (t) => {
  const [tickets, messages] = [new MemoryStream(), new MemoryStream()];
  const [n1, n2] = ['n1', 'n2'].map((one) => new Node(one, tickets, messages)) as [Node, Node];
  n1.records.put(name, address, kept);
  n2.onKeep = () => n2.records.put(name, address, kept);
  const found = n2.find();
  const births: number[] = [];
  n2.orphans.whenTaken(address, () => births.push(n2.birth), tooMany);
  t.strictSame(births, [], 'not while it is being read');
  t.equal(await found, 'here');
  n2.orphans.whenTaken(address, () => births.push(n2.birth), tooMany);
  t.strictSame(births, [1, 1]);
});

t.test(
  'of too many who ask for an endpoint that is being taken over the last are not told that it is not there',
  async (t) => {
    const n2 = new Node('n2', new MemoryStream(), new MemoryStream());
    const found = n2.find();
    let settled = 0;
    for (let n = 0; n < MOST_WAITING; n++) n2.orphans.whenTaken(address, () => void settled++, tooMany);
    let isFull = false;
    n2.orphans.whenTaken(
      address,
      () => t.fail('it is being taken over still'),
      () => {
        isFull = true;
      },
    );
    t.ok(isFull);
    const answers: boolean[] = [];
    const finder = n2.orphans.of(n2.cluster.domain);
    for (const addresses of [[address], null]) finder.whenTaken(addresses, (isTaken) => answers.push(isTaken));
    t.strictSame(answers, [false, false], 'what waits for endpoints of a domain is told so, too');
    await found;
    t.equal(settled, MOST_WAITING);
    finder.whenTaken(null, (isTaken) => answers.push(isTaken));
    t.strictSame(answers, [false, false, true]);
  },
);

t.test('a takeover that JetStream has failed half-way is done again by the same node', async (t) => {
  const [tickets, messages] = [new MemoryStream(), new MemoryStream()];
  const [n1, n2] = ['n1', 'n2'].map((one) => new Node(one, tickets, messages)) as [Node, Node];
  n1.records.put(name, address, kept);
  n1.hold('one');
  n2.onKeep = () => n2.records.put(name, address, kept);
  messages.isLost = true;
  t.equal(await n2.find(), 'later');
  messages.isLost = false;
  t.equal(await n2.find(), 'here');
  t.strictSame(n2.given, ['one']);
});

t.test(
  'a node that has started since a death takes over whom a message is for, though nobody has told it of them',
  async (t) => {
    const [tickets, messages] = [new MemoryStream(), new MemoryStream()];
    const [n1, n2] = ['n1', 'n2'].map((one) => new Node(one, tickets, messages)) as [Node, Node];
    n1.records.put(name, address, kept);
    n1.hold('one');
    n2.onKeep = () => n2.records.put(name, address, kept);
    const finder = n2.orphans.of(n2.cluster.domain);
    const found = await new Promise((done) => t.ok(finder.revive(address, done)));
    t.strictSame([found, n2.given], ['here', ['one']]);
    t.notOk(
      finder.revive(address, () => undefined),
      'it is here now',
    );
  },
);

t.test('a message for an endpoint that another node is taking over is for that node, not for nobody', async (t) => {
  const [tickets, messages] = [new MemoryStream(), new MemoryStream()];
  const [n1, n2, n3] = ['n1', 'n2', 'n3'].map((one) => new Node(one, tickets, messages)) as [Node, Node, Node];
  n1.records.put(name, address, kept);
  n2.onKeep = () => {
    n2.isDead = true;
  };
  void n2.find();
  await end(n2);
  const taker = { name: 'n2', up: true, incarnation: 1 } as unknown as Peer;
  n3.peers.set('n2', taker);
  const found = await new Promise((done) => t.ok(n3.orphans.of(n3.cluster.domain).revive(address, done)));
  t.strictSame([(found as { readonly peer: Peer }).peer === taker, n3.given], [true, []]);
});

t.test('of many nodes only the record of the one that is gone is read, where it says all', async (t) => {
  const [tickets, messages] = [new MemoryStream(), new MemoryStream()];
  const [n1, n2, n3] = ['n1', 'n2', 'n3'].map((one) => new Node(one, tickets, messages, false)) as [Node, Node, Node];
  for (let n = 2; n < 12; n++) {
    const peer = { name: `n${n}`, up: true, incarnation: 1 } as unknown as Peer;
    for (const node of [n2, n3]) if (`n${n}` !== (node === n2 ? 'n2' : 'n3')) node.peers.set(`n${n}`, peer);
  }
  n1.records.put(name, address, kept);
  n2.onKeep = () => n2.records.put(name, address, kept);
  t.equal(await n2.find(), 'here');
  t.equal(tickets.reads, 1);
  const found = (await n3.find()) as { readonly peer: Peer };
  t.equal(found.peer.name, 'n2', 'who comes to another node then is sent to the one that has the endpoint');
  t.equal(tickets.scans, 0);
});

t.test(
  'what a node that ended in order has left goes on in the era before; where its adopter has died, in a new one, with what that held',
  async (t) => {
    const [tickets, messages] = [new MemoryStream(), new MemoryStream()];
    const [n1, n2, n3] = ['n1', 'n2', 'n3'].map((one) => new Node(one, tickets, messages)) as [Node, Node, Node];
    n1.leave('one', 'two');
    n2.onKeep = () => {
      n2.hold('two');
      n2.hold('three');
      n2.isDead = true;
    };
    void n2.find();
    await end(n2);
    t.strictSame([n2.given, n2.eras], [['one', 'two'], [null]]);
    n3.onKeep = () => n3.records.put(name, address, kept);
    t.equal(await n3.find(), 'here');
    t.strictSame(n3.given, ['one', 'two', 'three']);
    t.match(n3.eras, [/^j/]);
  },
);

t.test(
  'who has what a node left that was sent more, and could not write that, is told that something may be missed',
  async (t) => {
    const [tickets, messages] = [new MemoryStream(), new MemoryStream()];
    const [n1, n2] = ['n1', 'n2'].map((one) => new Node(one, tickets, messages, false)) as [Node, Node];
    n1.leave('one');
    await n2.queues.end(name, ['n1', 1], 'e', [address]);
    n2.onKeep = () => n2.records.put(name, address, kept);
    t.equal(await n2.find(), 'here');
    t.strictSame(n2.given, ['one']);
    t.match(n2.eras, [/^j/], 'positions are of a new era');
  },
);

t.test(
  'whom a node that has ended was not known to have handed over is taken over from the node that had the user, when that dies',
  async (t) => {
    for (const how of ['ticket', 'message']) {
      const [tickets, messages] = [new MemoryStream(), new MemoryStream()];
      const [n1, n2, n3] = ['n1', 'n2', 'n3'].map((one) => new Node(one, tickets, messages)) as [Node, Node, Node];
      n1.records.put(name, address, kept);
      n2.records.put(name, address, kept);
      n2.hold('one');
      n3.onKeep = () => n3.records.put(name, address, kept);
      // Of these it has heard.
      n3.parts = [n1, n2].map(({ nodeName }) => ({ node: { name: nodeName, up: false }, hidden: false }));
      const finder = n3.orphans.of(n3.cluster.domain);
      const found = how === 'ticket' ? n3.find() : new Promise((done) => t.ok(finder.revive(address, done)));
      t.strictSame([await found, n3.given], ['here', ['one']], `by a ${how}`);
    }
  },
);

t.test('who waits for a takeover that fails is told to come later, and does not try it again by itself', async (t) => {
  const [tickets, messages] = [new MemoryStream(), new MemoryStream()];
  const n2 = new Node('n2', tickets, messages);
  tickets.isLost = true;
  const found = await Promise.all(Array.from({ length: 500 }, () => n2.find()));
  t.strictSame([...new Set(found)], ['later']);
  t.ok(tickets.reads < 10, `JetStream was asked ${tickets.reads} times`);
});

t.test('of those who wait for one endpoint each finds what its own ticket is for', async (t) => {
  const [tickets, messages] = [new MemoryStream(), new MemoryStream()];
  const n2 = new Node('n2', tickets, messages);
  const found = await Promise.all(Array.from({ length: 5 }, () => n2.find()));
  t.strictSame(found, [null, null, null, null, null], 'nobody has it');
  const order: string[] = [];
  void n2.find().then(() => order.push('first'));
  n2.orphans.whenTaken(address, () => order.push('none is being taken over'), tooMany);
  void n2.find().then(() => order.push('second'));
  await turn();
  await turn();
  t.strictSame(order.sort(), ['first', 'none is being taken over', 'second']);
});

t.test(
  'a message for somebody whose node has died, and who is online to others still, has the endpoint taken over also where nothing is durable',
  async (t) => {
    const [tickets, messages] = [new MemoryStream(), new MemoryStream()];
    const [n1, n2] = ['n1', 'n2'].map((one) => new Node(one, tickets, messages, false)) as [Node, Node];
    n1.records.put(name, address, kept);
    const finder = n2.orphans.of(n2.cluster.domain);
    const revive = (done: (found: unknown) => void = () => undefined) => finder.revive(address, done);
    t.notOk(revive(), 'nobody knows of the endpoint');
    n2.parts = [{ node: { name: 'n1', up: true }, hidden: false }];
    t.notOk(revive(), 'its node is there');
    n2.parts = [{ node: { name: 'n1', up: false }, hidden: true }];
    t.notOk(revive(), 'it is offline to others');
    n2.parts = [{ node: { name: 'n1', up: false }, hidden: false }];
    n2.onKeep = () => n2.records.put(name, address, kept);
    t.equal(await new Promise((done) => t.ok(revive(done))), 'here');
    t.match(n2.eras, [/^j/]);
    t.equal(tickets.scans, 0);
  },
);

t.test(
  'to a domain that is removed, or a node that ends, while it takes an endpoint over, the endpoint does not come',
  async (t) => {
    for (const leaveOff of [(node: Node) => node.domains.clear(), (node: Node) => node.orphans.close()]) {
      const [tickets, messages] = [new MemoryStream(), new MemoryStream()];
      const [n1, n2, n3] = ['n1', 'n2', 'n3'].map((one) => new Node(one, tickets, messages)) as [Node, Node, Node];
      n1.leave('one');
      n2.onKeep = () => n2.records.put(name, address, kept);
      const found = n2.find();
      leaveOff(n2);
      t.equal(await found, 'later');
      t.equal(await n2.find(), 'later', 'nor afterwards');
      t.strictSame(n2.given, []);
      n3.onKeep = () => n3.records.put(name, address, kept);
      t.equal(await n3.find(), 'here', 'another node takes it over');
      t.strictSame(n3.given, ['one']);
    }
  },
);

t.test(
  'of an endpoint that came to a node which ends before it was written the record is kept for others',
  async (t) => {
    const [tickets, messages] = [new MemoryStream(), new MemoryStream()];
    const [n1, n2, n3] = ['n1', 'n2', 'n3'].map((one) => new Node(one, tickets, messages)) as [Node, Node, Node];
    n1.leave('one');
    n2.onKeep = () => n2.orphans.close();
    t.equal(await n2.find(), 'here');
    n3.onKeep = () => n3.records.put(name, address, kept);
    t.equal(await n3.find(), 'here');
  },
);
