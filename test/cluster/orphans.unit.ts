/** Endpoints of nodes that are gone, whose adopter dies as well, or fails, before it has a record of its own. */
import t from 'tap';
import type { Packet } from '../../src/actors/packet.js';
import type { Peer } from '../../src/cluster/peer.js';
import { MOST_WAITING } from '../../src/cluster/takeovers.js';
import { address, kept, AdoptingNode as Node, name, packetOf, wireOf } from '../support/adopting-node.js';
import { MemoryStream } from '../support/memory-stream.js';

const tooMany = (): void => void t.fail('there is room to wait');

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Resolves when a node is dead that dies as it takes an endpoint over. */
async function end(node: Node): Promise<void> {
  for (let turns = 0; turns < 1000 && !node.isDead; turns++) await turn();
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

t.test('of an adopter that dies with a record of its own nothing is left to be taken over a second time', async (t) => {
  const [tickets, messages] = [new MemoryStream(), new MemoryStream()];
  const [n1, n2, n3] = ['n1', 'n2', 'n3'].map((one) => new Node(one, tickets, messages)) as [Node, Node, Node];
  n1.records.put(name, address, kept);
  n2.onKeep = () => {
    n2.records.put(name, address, kept);
    n2.isDead = true;
  };
  n3.onKeep = () => n3.records.put(name, address, kept);
  void n2.find();
  await end(n2);
  t.equal(await n3.find(), 'here');
  await turn();
  const nodes = [...tickets.records.values()].map(({ data }) => JSON.parse(data) as unknown[]);
  t.strictSame(
    nodes.filter(([, , , , state]) => state !== null).map(([, , node]) => node),
    ['n3'],
  );
});

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
