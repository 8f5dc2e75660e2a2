/** What is said, and who comes, while a node dies and the others do not know it yet: whole domains of three nodes. PROTOCOL.md sections 11 and 20. */
import t from 'tap';
import type { Address } from '../../src/actors/address.js';
import type { NamedClient } from '../../src/actors/client.js';
import type { Asked } from '../../src/actors/position.js';
import type { CountedFrame, Transport } from '../../src/actors/transport.js';
import { chosenBy } from '../../src/cluster/rendezvous.js';
import { isReplyError } from '../../src/errors.js';
import { online } from '../../src/protocols/commands.js';
import type { Context } from '../../src/protocols/context.js';
import { locateTicket } from '../../src/protocols/credentials.js';
import { push } from '../../src/protocols/messages.js';
import { login } from '../../src/protocols/mqtt/login.js';
import type { Connect } from '../../src/protocols/mqtt/packets.js';
import { turn } from '../mqtt/support/device.js';
import { DOMAIN, type Durability, type ModelNode, Network } from '../support/model-cluster.js';
import { parameters, settle } from '../support/model-steps.js';
import type { Cleaner } from '../support/server.js';

const bob = `/domain/${DOMAIN}/uid/bob` as Address;
const ada = `/domain/${DOMAIN}/uid/ada` as Address;

/** A cluster of so many nodes, which are closed after the test. */
function networkOf(t: Cleaner, count: number, durability?: Durability): Network {
  const network = new Network(count, durability);
  t.teardown(() => {
    for (const node of network.nodes) node.close();
  });
  return network;
}

/** Connects a client that keeps a position; answers what it is told: bodies of messages, and `missed`. */
function connect(client: NamedClient, asked: Asked): { readonly log: string[]; position: Asked } {
  const heard: { readonly log: string[]; position: Asked } = { log: [], position: asked };
  const resumed = (at: Asked): void => {
    heard.position = at;
  };
  const send = ({ packets, missed }: CountedFrame, n: number, era: string): boolean => {
    if (missed !== 0) heard.log.push('missed');
    for (const { kind, fields } of packets) if (kind === 'message') heard.log.push((fields as { body: string }).body);
    resumed({ era, n });
    return true;
  };
  const transport: Transport = {
    kind: 'websocket',
    counting: { asked, resumed, send },
    deliver: () => 0,
    close: () => [],
  };
  client.endpoint.tell({ kind: 'attach', client, transport });
  return heard;
}

/** Sends the message; answers whether the call has been answered `ok`, or null where it has not been answered. */
function say(node: ModelNode, named: Readonly<Record<string, string>> = { id: 'm1' }): () => boolean | null {
  let answer: boolean | null = null;
  push(node.domain, parameters({ from: 'bob', to: 'ada', body: 'hello', ...named }), (result) => {
    answer = !result || !isReplyError(result);
  });
  return () => answer;
}

t.test('a call that is repeated is not answered ok while the first one may have died with its node', async (t) => {
  const network = networkOf(t, 3, 'restart');
  const home = network.nodes.find((node) => chosenBy(node, bob) === null) as ModelNode;
  const [dying, other] = network.nodes.filter((node) => node !== home) as [ModelNode, ModelNode];
  online(home.domain, parameters({ name: 'ada', nick: 'Ada' }), () => undefined);
  await settle(network);
  const waiting = () =>
    [...home.domain.tickets.values()].flatMap(({ queued }) => queued.filter(({ kind }) => kind === 'message'));
  const first = say(dying);
  // The node that remembers bob's ids has noted this one, and its answer does not arrive any more.
  await settle(network, (stream) => stream === `items ${home.name} ${dying.name}`);
  t.equal(first(), null);
  network.kill(dying);
  const isLost = (stream: string): boolean => stream.startsWith(`items ${dying.name} `);
  const second = say(other);
  await settle(network, isLost);
  t.equal(second(), null, 'it is not known what has become of it');
  await settle(network);
  t.equal(second(), false, 'nobody knows');
  const third = say(other);
  await settle(network);
  t.strictSame([third(), waiting().length], [true, 1]);
});

t.test(
  'a client that is taken over comes in when no node sends to the dead one any more, and hears of losses then',
  async (t) => {
    const network = networkOf(t, 3, 'restart');
    const [dying, taking] = network.nodes as [ModelNode, ModelNode];
    let ticket = '';
    online(dying.domain, parameters({ name: 'ada', nick: 'Ada' }), (result) => {
      if (!isReplyError(result)) ticket = result.ticket;
    });
    await settle(network);
    network.clock.advance(200);
    await settle(network);
    network.kill(dying);
    let comings = 0;
    const come = () => locateTicket(taking.domain, ticket, true, (client) => (comings += client ? 1 : 0));
    // The third node takes the dead one for alive still, and has not heard who has taken ada over.
    const isLate = (stream: string): boolean => stream === 'items n1 n3' || stream === 'items n2 n3';
    const context = { domains: new Map([[DOMAIN, taking.domain]]) } as unknown as Context;
    const isLetInByMqtt = (): boolean => {
      const connect = { username: DOMAIN, password: Buffer.from(ticket) } as Connect;
      const who = login(context, connect, { origin: '', address: '' });
      return typeof who === 'object' && who.client !== null;
    };
    come();
    await settle(network, isLate);
    t.equal(taking.domain.tickets.size, 1);
    come();
    await settle(network, isLate);
    t.strictSame([comings, isLetInByMqtt()], [0, false]);
    await settle(network);
    t.strictSame([comings, isLetInByMqtt()], [2, true]);
  },
);

t.test(
  "a message that waits for an earlier one to arrive is not lost where its receiver's node dies meanwhile",
  async (t) => {
    const network = networkOf(t, 3);
    const [first, dying, sender] = network.nodes as [ModelNode, ModelNode, ModelNode];
    await adaOnTwo(network);
    network.clock.advance(200);
    await settle(network);
    const say = (body: string) => push(sender.domain, parameters({ from: 'bob', to: 'ada', body }), () => undefined);
    say('1');
    await settle(network);
    // Her oldest part ends, so that what is said next waits until all that went through it has arrived.
    const actor = first.domain.tracker.actor(ada);
    const [client] = [...first.domain.tickets.values()];
    actor?.tell({ kind: 'offline', client: client as NamedClient, reply: () => undefined });
    await turn();
    if (actor) first.domain.runtime.grace.cancel(actor);
    actor?.tell({ kind: 'graceEnded' });
    await settle(network);
    say('2');
    await turn();
    network.kill(dying);
    await settle(network, (stream) => stream === 'items n3 n1');
    await settle(network);
    const queued = network.living.flatMap(({ domain }) => [...domain.tickets.values()].map(({ queued }) => queued));
    t.strictSame(
      queued.map((packets) => packets.map(({ fields }) => (fields as { readonly body: string }).body)),
      [['1', '2']],
    );
  },
);

/** A user with a client on each of the first two nodes, and the second one's client. */
async function adaOnTwo(network: Network): Promise<NamedClient> {
  const [dying, other] = network.nodes as [ModelNode, ModelNode];
  for (const { domain } of [dying, other]) {
    online(domain, parameters({ name: 'ada', nick: 'Ada' }), () => undefined);
    await settle(network);
  }
  const [client] = [...other.domain.tickets.values()];
  return client as NamedClient;
}

async function tell(network: Network, node: ModelNode, body: string): Promise<void> {
  push(node.domain, parameters({ from: 'bob', to: 'ada', body }), () => undefined);
  await settle(network);
}

for (const isConnected of [true, false]) {
  const how = isConnected ? 'connected' : 'that comes again';
  t.test(`a client ${how} on a living node hears of what went through its user's part on the dead one`, async (t) => {
    const network = networkOf(t, 3, 'restart');
    const client = await adaOnTwo(network);
    const [dying, , sending] = network.nodes as [ModelNode, ModelNode, ModelNode];
    const before = connect(client, 'first');
    await tell(network, sending, 'one');
    t.strictSame(before.log, ['one']);
    const say = (body: string) => push(sending.domain, parameters({ from: 'bob', to: 'ada', body }), () => undefined);
    // The node that dies may have had this one, but not the next.
    say('two');
    await turn();
    network.kill(dying);
    const { position } = before;
    say('three');
    await settle(network);
    await tell(network, sending, 'four');
    t.strictSame(before.log, ['one', 'missed', 'three', 'four']);
    if (isConnected) return;
    const after = connect(client, position);
    await settle(network);
    t.strictSame(
      after.log,
      ['missed', 'one', 'three', 'four'],
      'where its connection broke before; with what it had not confirmed',
    );
    const again = connect(client, after.position);
    await settle(network);
    t.strictSame(again.log, []);
  });
}

t.test('a client hears of what a node that dies has sent through another one that dies', async (t) => {
  const network = networkOf(t, 4, 'restart');
  const heard = connect(await adaOnTwo(network), 'first');
  const [dying, , sending, other] = network.nodes as [ModelNode, ModelNode, ModelNode, ModelNode];
  network.kill(dying);
  push(sending.domain, parameters({ from: 'bob', to: 'ada', body: 'one' }), () => undefined);
  await turn();
  network.kill(sending);
  await settle(network);
  await tell(network, other, 'two');
  t.strictSame(heard.log, ['missed', 'two']);
});

/** Ada has a client on a node that ends; another one has taken it, which the first one does not know yet. */
async function adaMoves(network: Network) {
  const [ending, ...others] = network.nodes as [ModelNode, ModelNode, ModelNode];
  let ticket = '';
  online(ending.domain, parameters({ name: 'ada', nick: 'Ada' }), (result) => {
    if (!isReplyError(result)) ticket = result.ticket;
  });
  await settle(network);
  const [client] = [...ending.domain.tickets.values()];
  const before = connect(client as NamedClient, 'first');
  network.clock.advance(200);
  await settle(network);
  void ending.leave();
  const hasAda = ({ domain }: ModelNode): boolean => domain.tickets.size > 0;
  while (!others.some(hasAda)) await settle(network, (stream) => stream === 'items n2 n1' || stream === 'items n3 n1');
  const [taking, other] = others.toSorted((a, b) => Number(hasAda(b)) - Number(hasAda(a))) as [ModelNode, ModelNode];
  return { ending, taking, other, ticket, before };
}

t.test(
  'what a node that ends forwards to one that is killed is not answered ok, and the user goes on elsewhere',
  async (t) => {
    const network = networkOf(t, 3);
    const { taking, other: saying, ticket } = await adaMoves(network);
    const first = say(saying, {});
    await settle(network, (stream) => stream === `items ${taking.name} n1`);
    // What is forwarded is on its way.
    await settle(network, (stream) => stream === `items n1 ${taking.name}`);
    t.equal(first(), null, 'nobody but the node that ends has it');
    network.kill(taking);
    await settle(network);
    t.equal(first(), false);
    const second = say(saying, {});
    await settle(network);
    t.equal(second(), true);
    let found: NamedClient | null = null;
    locateTicket(saying.domain, ticket, true, (client) => {
      found = client;
    });
    await settle(network);
    t.ok(found, 'her ticket holds');
    const queued = [...saying.domain.tickets.values()].flatMap(({ queued }) => queued.map(({ kind }) => kind));
    t.strictSame(queued, ['message']);
  },
);

t.test(
  'a user whom a node that ends has handed over goes on where the new node is killed before it has written a record',
  async (t) => {
    const network = networkOf(t, 3, 'restart');
    const [ending, ...others] = network.nodes as [ModelNode, ModelNode, ModelNode];
    let ticket = '';
    online(ending.domain, parameters({ name: 'ada', nick: 'Ada' }), (result) => {
      if (!isReplyError(result)) ticket = result.ticket;
    });
    await settle(network);
    network.clock.advance(200);
    await settle(network);
    void ending.leave();
    const isLate = (stream: string): boolean => stream === 'js n2 jetstream' || stream === 'js n3 jetstream';
    const hasAda = ({ domain }: ModelNode): boolean => domain.tickets.size > 0;
    while (!others.some(hasAda)) await settle(network, isLate);
    await settle(network, isLate);
    const [taking, other] = others.toSorted((a, b) => Number(hasAda(b)) - Number(hasAda(a))) as [ModelNode, ModelNode];
    network.kill(taking);
    for (await settle(network); !ending.isDead; await settle(network)) network.clock.advance(10);
    const answer = say(other, {});
    await settle(network);
    t.equal(answer(), true);
    let found: NamedClient | null = null;
    locateTicket(other.domain, ticket, true, (client) => {
      found = client;
    });
    await settle(network);
    t.ok(found, 'her ticket holds');
    const queued = [...other.domain.tickets.values()].flatMap(({ queued }) => queued.map(({ kind }) => kind));
    t.strictSame(queued, ['message']);
  },
);

t.test('a call of a user who is on one node alone is answered when that node has sent the message', async (t) => {
  const network = networkOf(t, 2, 'restart');
  const [dying, other] = network.nodes as [ModelNode, ModelNode];
  online(other.domain, parameters({ name: 'ada', nick: 'Ada' }), () => undefined);
  online(dying.domain, parameters({ name: 'bob', nick: 'Bob' }), () => undefined);
  await settle(network);
  const answer = say(dying, {});
  t.equal(answer(), null, 'a node that is killed now has not sent it');
  await turn();
  t.equal(answer(), true, 'nobody has to have it');
  network.kill(dying);
  await settle(network);
  const [client] = [...other.domain.tickets.values()];
  t.equal(client?.queued.filter(({ kind }) => kind === 'message').length, 1);
});

t.test(
  'a client that has come from a node that ends hears of what that node still had when it was killed',
  async (t) => {
    const network = networkOf(t, 3, 'restart');
    const { ending, taking, other, before } = await adaMoves(network);
    const [client] = [...taking.domain.tickets.values()];
    const isLate = (stream: string): boolean => stream === `items ${taking.name} n1`;
    push(ending.domain, parameters({ from: 'bob', to: 'ada', body: 'one' }), () => undefined);
    await settle(network, isLate);
    network.kill(ending);
    await settle(network);
    const heard = connect(client as NamedClient, before.position);
    await settle(network);
    await tell(network, other, 'two');
    t.strictSame(heard.log, ['missed', 'two']);
  },
);

t.test(
  'a client that has come from a node that ends hears of what that node was told meanwhile that it may have missed',
  async (t) => {
    const network = networkOf(t, 3, 'restart');
    const { ending, taking, other, before } = await adaMoves(network);
    const [client] = [...taking.domain.tickets.values()];
    ending.receive(other.name, ['M', DOMAIN, `/domain/${DOMAIN}/uid/ada`]);
    await settle(network);
    const heard = connect(client as NamedClient, before.position);
    await settle(network);
    await tell(network, other, 'one');
    t.strictSame(heard.log, ['missed', 'one']);
  },
);

t.test(
  'who signs out for all from another node while a node that ends hands the user over is signed out',
  async (t) => {
    const network = networkOf(t, 3, 'restart');
    const { ending, taking, other } = await adaMoves(network);
    t.equal(taking.domain.tickets.size, 1);
    // It has not heard yet that the user has come to the node that takes the user.
    ending.receive(other.name, ['O', DOMAIN, ada]);
    await settle(network);
    t.equal(taking.domain.tickets.size, 0);
  },
);

t.test(
  'what a client confirms while a node that ends hands its user over does not come to the next client',
  async (t) => {
    const network = networkOf(t, 3, 'restart');
    const client = await adaOnTwo(network);
    const [ending, taking, sending] = network.nodes as [ModelNode, ModelNode, ModelNode];
    network.clock.advance(200);
    await settle(network);
    push(sending.domain, parameters({ from: 'bob', to: 'ada', body: 'one', id: 'm1' }), () => undefined);
    await settle(network);
    void ending.leave();
    const isLate = (stream: string): boolean => stream === `items ${ending.name} ${taking.name}`;
    const isOffered = (): boolean => network.streams.get(`items ${ending.name} ${taking.name}`)?.length !== 0;
    for (await settle(network, isLate); !isOffered(); await settle(network, isLate));
    const heard = connect(client, 'first');
    await settle(network, isLate);
    const again = connect(client, heard.position);
    client.endpoint.tell({ kind: 'offline', client, reply: () => undefined });
    await settle(network, isLate);
    await settle(network);
    t.strictSame([heard.log, again.log], [['one'], []]);
    online(taking.domain, parameters({ name: 'ada', nick: 'Ada' }), () => undefined);
    await settle(network);
    const next = [...taking.domain.tickets.values()].at(-1);
    t.strictSame(
      next?.queued.filter(({ kind }) => kind === 'message'),
      [],
    );
  },
);
