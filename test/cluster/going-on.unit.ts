/** What is said to users of a node that is dead, before the others know it: whole domains of several nodes. PROTOCOL.md sections 5 and 20. */
import t from 'tap';
import { takeBack } from '../../src/cluster/endpoint-packets.js';
import { Peer } from '../../src/cluster/peer.js';
import { StreamSender } from '../../src/cluster/stream-sender.js';
import { isReplyError } from '../../src/errors.js';
import { ClusterMetrics } from '../../src/metrics.js';
import { online } from '../../src/protocols/commands.js';
import { locateTicket } from '../../src/protocols/credentials.js';
import { push } from '../../src/protocols/messages.js';
import { ManualClock } from '../mqtt/support/clock.js';
import { turn } from '../mqtt/support/device.js';
import { dice } from '../support/dice.js';
import { type ModelNode, Network } from '../support/model-cluster.js';
import { parameters, settle } from '../support/model-steps.js';

for (const durability of ['restart', 'always'] as const) {
  t.test(
    `${durability}: what is said to a user of a dead node before the others know comes when they do, once and in order`,
    async (t) => {
      for (const isAtOnce of [true, false]) {
        const network = new Network(3, durability);
        t.teardown(() => {
          for (const node of network.nodes) node.close();
        });
        const [dying, one, other] = network.nodes as [ModelNode, ModelNode, ModelNode];
        online(dying.domain, parameters({ name: 'ada', nick: 'Ada' }), () => undefined);
        await settle(network);
        network.clock.advance(200);
        await settle(network);
        const answers: (boolean | null)[] = [];
        const tell = (node: ModelNode, ...bodies: readonly string[]): void => {
          for (const body of bodies) {
            const at = answers.push(null) - 1;
            push(node.domain, parameters({ from: `by${node.name}`, to: 'ada', body }), (result) => {
              answers[at] = !result || !isReplyError(result);
            });
          }
        };
        // This one is on its way when the node dies, which may have had it.
        tell(one, 'lost');
        await turn();
        network.kill(dying);
        tell(one, '1', '2', '3');
        tell(other, '1', '2', '3');
        await settle(network, (stream) => stream.startsWith(`items ${dying.name} `));
        // The lease ends on both nodes at once, or on one first.
        if (isAtOnce)
          for (const name of [one.name, other.name]) network.streams.get(`items ${dying.name} ${name}`)?.shift()?.();
        else await settle(network, (stream) => stream === `items ${dying.name} ${other.name}`);
        tell(one, '4', '5');
        await settle(network);
        tell(other, '4', '5');
        tell(one, '6');
        await settle(network);
        const tickets = [one, other].flatMap(({ domain }) => [...domain.tickets.values()]);
        const queued = tickets.flatMap(({ queued }) =>
          queued.map(({ fields }) => fields as { from: string; body: string }),
        );
        const from = ({ name }: ModelNode): string =>
          queued.flatMap((message) => (message.from === `by${name}` ? [message.body] : [])).join(' ');
        t.strictSame([tickets.length, from(one), from(other)], [1, '1 2 3 4 5 6', '1 2 3 4 5']);
        t.ok(
          answers.slice(1).every((answer) => answer === true),
          'each call is answered',
        );
      }
    },
  );
}

for (const isElsewhereToo of [false, true]) {
  const where = isElsewhereToo ? 'who has a client on a living node too' : 'whose only node is dead';
  t.test(
    `what is said to a user ${where}, by one node after another, comes in the order in which it was said`,
    async (t) => {
      for (let seed = 1; seed <= 10; seed += 1) {
        const roll = dice(seed * 7919);
        const network = new Network(4, 'restart');
        const [dying, ...living] = network.nodes as [ModelNode, ...ModelNode[]];
        for (const { domain } of isElsewhereToo ? [dying, living[0] as ModelNode] : [dying]) {
          online(domain, parameters({ name: 'ada', nick: 'Ada' }), () => undefined);
          await settle(network);
        }
        network.clock.advance(200);
        await settle(network);
        let count = 0;
        const tell = async (): Promise<void> => {
          const { domain } = living[roll(living.length)] as ModelNode;
          push(domain, parameters({ from: 'bob', to: 'ada', body: String(count++) }), () => undefined);
          await turn();
        };
        network.kill(dying);
        for (let n = 0; n < 8; n += 1) await tell();
        for (let moving = network.moving; moving.length > 0; moving = network.moving) {
          moving[roll(moving.length)]?.shift()?.();
          await turn();
        }
        for (let n = 0; n < 4; n += 1) {
          await tell();
          await settle(network);
        }
        const queued = living.flatMap(({ domain }) => [...domain.tickets.values()]);
        const bodies = queued
          .at(-1)
          ?.queued.filter(({ kind }) => kind === 'message')
          .map(({ fields }) => Number((fields as { body: string }).body));
        t.strictSame(
          bodies,
          Array.from({ length: count }, (_, number) => number),
          `seed ${seed}`,
        );
        for (const node of network.nodes) node.close();
      }
    },
  );
}

t.test(
  'a user of a dead node goes on where the client comes, though other nodes have messages for the user',
  async (t) => {
    const network = new Network(4, 'restart');
    const [dying, home, ...others] = network.nodes as [ModelNode, ModelNode, ...ModelNode[]];
    let ticket = '';
    online(dying.domain, parameters({ name: 'ada', nick: 'Ada' }), (result) => {
      if (!isReplyError(result)) ticket = result.ticket;
    });
    await settle(network);
    network.clock.advance(200);
    await settle(network);
    network.kill(dying);
    const say = (node: ModelNode, body: string): void =>
      push(node.domain, parameters({ from: 'bob', to: 'ada', body }), () => undefined);
    const said = ['0', '1', '2', '3'];
    for (const [at, body] of said.entries()) {
      say(others[at % others.length] as ModelNode, body);
      await turn();
    }
    // The lease is over; the clients have their time still.
    await settle(network, (stream) => stream.startsWith('time '));
    t.strictSame([...home.domain.tickets.values()], []);
    locateTicket(home.domain, ticket, true, () => undefined);
    await settle(network, (stream) => stream.startsWith('time '));
    const bodies = (): unknown[] =>
      [...home.domain.tickets.values()].flatMap(({ queued }) =>
        queued.flatMap(({ kind, fields }) => (kind === 'message' ? [(fields as { body: string }).body] : [])),
      );
    t.strictSame(bodies(), said, 'what waits comes with the client, in order');
    say(others[0] as ModelNode, '4');
    await settle(network);
    t.strictSame(bodies(), [...said, '4'], 'nothing comes again as the time of the clients ends');
    t.strictSame(
      network.nodes.map(({ metrics }) => metrics.cluster.adopted),
      [0, 1, 0, 0],
    );
    for (const node of network.nodes) node.close();
  },
);

t.test('for all that goes on at once on a living node the others are asked once what they have', async (t) => {
  const network = new Network(3, 'restart');
  const [dying, home, other] = network.nodes as [ModelNode, ModelNode, ModelNode];
  const names = ['ada', 'bob', 'eve'];
  for (const { domain } of [dying, home]) {
    for (const name of names) online(domain, parameters({ name, nick: name }), () => undefined);
    await settle(network);
  }
  network.kill(dying);
  for (const to of names) push(home.domain, parameters({ from: 'carl', to, body: 'hello' }), () => undefined);
  await turn();
  let asked = 0;
  other.rpc.handle('arrived', (_peer, _fields, reply) => {
    asked += 1;
    reply(true);
  });
  await settle(network);
  const queued = [...home.domain.tickets.values()].map((client) => client.queued.length);
  t.strictSame([queued, asked], [[1, 1, 1], 1]);
  for (const node of network.nodes) node.close();
});

t.test(
  'what a node that is cut off itself has for a dead one goes on when it is connected again, and that one is still not heard of',
  (t) => {
    for (const isBack of [false, true]) {
      const clock = new ManualClock();
      const mesh = { connected: false };
      const wentOn: unknown[] = [];
      const packets = {
        letClientsFirst: () => () => undefined,
        goOn: (kind: string, _fields: unknown, isSure: boolean) => wentOn.push([kind, isSure]) > 0,
      };
      const domains = new Map([['a.example', { relays: { lost: () => undefined }, packets: packets as never }]]);
      const peer = new Peer('n2', 1, 0, false);
      peer.stream = new StreamSender(
        () => 1,
        () => mesh.connected,
        () => undefined,
        new ClusterMetrics(),
      );
      peer.stream.send('["e","a.example"]');
      peer.stream.flush();
      peer.up = false;
      takeBack({ mesh, timers: clock, domains }, peer, false);
      clock.advance(60_000);
      mesh.connected = true;
      clock.advance(5000);
      t.strictSame(wentOn, [], 'the other node may be heard of yet');
      if (isBack) peer.up = true;
      clock.advance(60_000);
      t.strictSame(wentOn, isBack ? [] : [['e', true]]);
      t.equal(peer.stream.backlog > 0, isBack, 'what another node has had leaves the stream');
    }
    t.end();
  },
);
