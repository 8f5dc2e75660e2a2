/** Who has what a node that ends forwards for an endpoint, where a client of the endpoint comes by itself while it moves. */
import t from 'tap';
import { type Address, parseTarget, type Target } from '../src/actors/address.js';
import type { IsMet } from '../src/actors/arriving.js';
import type { Client } from '../src/actors/client.js';
import type { KeptQueues } from '../src/actors/kept.js';
import type { Moved, MovingMessage, Passed } from '../src/actors/moving.js';
import { Packet } from '../src/actors/packet.js';
import type { Deliver } from '../src/actors/router.js';
import type { Transport } from '../src/actors/transport.js';
import { Peer } from '../src/cluster/peer.js';
import { CLOSE } from '../src/errors.js';
import { findTicket } from '../src/protocols/credentials.js';
import { own, TestBroker, testMachine } from './mqtt/support/broker.js';
import { turn } from './mqtt/support/device.js';
import type { Cleaner } from './support/server.js';

const target = parseTarget(own.domain, 'ada') as Target;
const { address } = target;
const elsewhere = new Peer('n3', 1, 0, false);
const profile = { nick: 'Ada', show: 'available', status: '', stamp: 1, shown: 1 } as const;

/** A connection that keeps the messages that it is given. */
class Connection implements Transport {
  readonly kind = 'websocket';
  readonly bodies: string[] = [];

  constructor(private readonly isStuck = false) {}

  deliver(packets: readonly Packet[]): number {
    if (this.isStuck) return 0;
    for (const { fields } of packets) this.bodies.push(bodyOf(fields));
    return packets.length;
  }

  close(): readonly Packet[] {
    return [];
  }
}

function bodyOf(fields: object): string {
  return (fields as { readonly body: string }).body;
}

function textOf(one: Packet | string): string {
  return typeof one === 'string' ? one : bodyOf(one.fields);
}

function message(body: string): Packet {
  const fields = { id: body, from: 'bob', to: 'ada', nick: 'Bob', timestamp: '1', type: 'chat', body, style: '' };
  return new Packet('message', fields as never, address, '/domain/a.example/uid/bob' as Address);
}

/** What another node hands over: a client that is not connected, and messages that it has not had. */
function moved(waiting: readonly number[], cameAt?: number): Moved {
  const came = cameAt === undefined ? {} : { cameAt };
  const client = { hash: 'x'.repeat(43), name: 'tab', isNamed: false, isAway: false, ...came };
  const queue = { accepted: waiting.length, sent: 0, entries: waiting, elders: null, given: [], connectedMs: null };
  const queues: KeptQueues = {
    node: 'uid',
    id: 'ada',
    turns: [],
    unseen: [],
    clients: [{ ...queue, name: 'tab', session: null }],
  };
  return {
    kept: { nick: 'Ada', show: 'available', status: '', buddies: [], rooms: [], isAway: false, clients: [client] },
    queues,
  };
}

function adoption(bodies: readonly string[], isMet: IsMet, era: string | null, cameAt?: number): MovingMessage {
  const packets = bodies.map(message);
  const packetOf = (number: number) => packets[number] ?? null;
  return { kind: 'adopt', moved: moved([...packets.keys()], cameAt), isMet, era, packetOf, done: () => undefined };
}

const nobody: IsMet = () => false;
const everybody: IsMet = () => true;

/** A node that takes an endpoint over; the test says what comes, and in which order. */
function setUp(t: Cleaner, cameAt?: number) {
  const { host, domain } = testMachine(t);
  const broker = new TestBroker({} as never, host.context, host.context.domains as never);
  const told: string[] = [];
  domain.cluster.giveLate = (_record, { name }, packets) =>
    void told.push(...packets.map(({ fields }) => `${name} late ${bodyOf(fields)}`));
  domain.cluster.relay = ({ parts }, { packet }, isFor) => {
    if (parts.length > 0 && isFor?.(elsewhere)) told.push(`n3 relayed ${bodyOf(packet.fields)}`);
  };
  const actor = () => domain.endpoint(target);
  return {
    domain,
    told,
    actor,
    adopt: (isMet: IsMet, ...bodies: readonly string[]) => actor().tell(adoption(bodies, isMet, null, cameAt)),
    /** The record of a node that is gone, which had the same client, is taken over. */
    adoptAnew: (...bodies: readonly string[]) => actor().tell(adoption(bodies, everybody, 'anew')),
    forward: (body: string, relayed?: true) => {
      const deliver: Deliver = { kind: 'deliver', packet: message(body), only: null, ...(relayed ? { relayed } : {}) };
      actor().tell({ kind: 'forwarded', deliver });
    },
    deliver: (body: string) => actor().tell({ kind: 'deliver', packet: message(body), only: null, relayed: true }),
    passed: () => actor().tell({ kind: 'adopted' }),
    /** A client comes by itself. */
    online: async () => findTicket(domain, await broker.online('ada')) as Client,
    /** `isStuck`: the connection takes nothing. */
    connect: async (client: Client, isStuck = false) => {
      const transport = new Connection(isStuck);
      client.endpoint.tell({ kind: 'attach', client, transport });
      await turn();
      return transport;
    },
    /** Another node, which the node that ends may have met, has a part. */
    partCame: () => {
      domain.tracker.up(address, elsewhere, 1, profile, []);
      const met = (unseen: readonly (Packet | string)[], isOwed: boolean) => {
        if (isOwed) told.push(...unseen.map((one) => `n3 owed ${textOf(one)}`));
      };
      actor().tell({ kind: 'partCame', node: elsewhere, met });
    },
  };
}

t.test(
  'a client that has come before its endpoint has what waits and what is forwarded, in order and once',
  async (t) => {
    const { adopt, forward, deliver, passed, online, connect } = setUp(t);
    const client = await online();
    adopt(nobody, '1');
    forward('2');
    const { bodies } = await connect(client);
    forward('3');
    passed();
    deliver('4');
    await turn();
    t.strictSame(bodies, ['1', '2', '3', '4']);
  },
);

t.test('a client that came by itself later than what waits does not have that behind what it has had', async (t) => {
  const { adopt, deliver, online, connect } = setUp(t);
  const client = await online();
  deliver('3');
  adopt(nobody, '1', '2', '3', '4');
  const { bodies } = await connect(client);
  t.strictSame(bodies, ['3', '4']);
  const next = await connect(await online());
  t.strictSame(next.bodies, ['1', '2'], 'what nobody has had waits for the next client');
});

t.test(
  'a client that is here keeps its queue and its position when a node dies that had the client before',
  async (t) => {
    const { domain, adopt, adoptAnew, passed } = setUp(t);
    adopt(everybody, '2', '3');
    passed();
    adoptAnew('1', '2');
    await turn();
    const [client] = [...domain.tickets.values()] as [Client];
    t.strictSame(
      client.queued.map(({ fields }) => bodyOf(fields)),
      ['2', '3'],
    );
    t.strictSame([client.accepted, client.queue.era], [2, domain.runtime.era]);
  },
);

t.test('what is forwarded behind a message that waits for the next client waits as well', async (t) => {
  const { adopt, forward, online, connect } = setUp(t);
  const client = await online();
  adopt(nobody, '1');
  await connect(client, true);
  forward('2');
  const { bodies } = await connect(await online());
  t.strictSame(bodies, ['1', '2']);
});

t.test('a client that comes behind its endpoint has what is forwarded after that, too', async (t) => {
  const { adopt, forward, deliver, passed, online, connect } = setUp(t);
  adopt(nobody, '1');
  forward('2');
  const client = await online();
  forward('3');
  const { bodies } = await connect(client);
  forward('4');
  passed();
  deliver('5');
  await turn();
  t.strictSame(bodies, ['1', '2', '3', '4', '5']);
});

t.test('a client that came by itself has once what its own node has too, whichever way is the faster', async (t) => {
  const { adopt, forward, deliver, passed, online, connect } = setUp(t);
  const client = await online();
  adopt(nobody);
  const { bodies } = await connect(client);
  forward('1');
  deliver('1');
  deliver('2');
  forward('2');
  passed();
  await turn();
  t.strictSame(bodies, ['1', '2']);
  const next = await connect(await online());
  t.strictSame(next.bodies, [], 'nothing of it waits for the next client');
});

t.test('a client whose part the old node has met has what that relays, and nothing twice', async (t) => {
  const { adopt, forward, deliver, passed, online, connect } = setUp(t);
  const client = await online();
  const { bodies } = await connect(client);
  adopt(everybody, '0');
  deliver('1');
  forward('1');
  forward('2');
  deliver('2');
  passed();
  await turn();
  t.strictSame(bodies, ['1', '2']);
});

t.test('a part on a third node that the old node has not met has what waits and what is forwarded', async (t) => {
  const { domain, told, adopt, forward, passed } = setUp(t);
  domain.tracker.up(address, elsewhere, 1, profile, []);
  adopt(nobody, '1');
  forward('2');
  forward('3', true);
  passed();
  await turn();
  t.strictSame(told, ['n3 late 1', 'n3 relayed 2'], 'and what comes by another part comes from there');
});

t.test('a part that comes while the old node forwards has what waits and what is forwarded', async (t) => {
  const { told, adopt, forward, partCame } = setUp(t);
  adopt(nobody, '1');
  forward('2');
  await turn();
  partCame();
  forward('3');
  await turn();
  t.strictSame(told, ['n3 owed 1', 'n3 owed 2', 'n3 relayed 3']);
});

t.test('a part that the old node has met has nothing from the node that takes its endpoint over', async (t) => {
  const { domain, told, adopt, forward, partCame } = setUp(t);
  domain.tracker.up(address, elsewhere, 1, profile, []);
  adopt(everybody, '1');
  forward('2');
  partCame();
  await turn();
  t.strictSame(told, []);
});

t.test('a part that comes while its endpoint cannot be handed over has what waits when it stays', async (t) => {
  const { domain, actor, deliver, online } = setUp(t);
  const client = await online();
  const forwards: Passed[] = [];
  actor().tell({
    kind: 'handOver',
    reason: CLOSE.shutdown,
    numberOf: () => 0,
    forward: (one) => forwards.push(one),
    done: () => undefined,
  });
  deliver('1');
  const gave: string[] = [];
  const met = (unseen: readonly (Packet | string)[]) => void gave.push(...unseen.map(textOf));
  domain.tracker.up(address, elsewhere, 1, profile, []);
  actor().tell({ kind: 'partCame', node: elsewhere, met });
  await turn();
  t.strictSame(gave, []);
  actor().tell({ kind: 'handedOver', missed: forwards, done: () => undefined });
  await turn();
  t.strictSame(gave, ['1']);
  t.equal(client.queued.length, 1);
});

t.test('what comes and goes elsewhere while an endpoint is handed over takes no memory for each time', async (t) => {
  const { domain, actor, deliver, online } = setUp(t);
  await online();
  deliver('1');
  await turn();
  const nobody = () => undefined;
  actor().tell({ kind: 'handOver', reason: CLOSE.shutdown, numberOf: () => 0, forward: nobody, done: nobody });
  domain.tracker.up(address, elsewhere, 1, profile, []);
  const told: string[] = [];
  for (let n = 1; n <= 1000; n += 1) {
    const met = (unseen: readonly (Packet | string)[]) => void told.push(`${n}: ${unseen.length}`);
    actor().tell({ kind: 'partCame', node: elsewhere, met });
    actor().tell({ kind: 'seen' });
  }
  await turn();
  actor().tell({ kind: 'handedOver', missed: [], done: nobody });
  await turn();
  t.strictSame(told, ['1000: 1']);
});

t.test(
  'a message that the part here has sent to the node that ends keeps its place when it is forwarded',
  async (t) => {
    const { adopt, forward, deliver, passed, online, connect } = setUp(t);
    await online();
    deliver('1');
    deliver('2');
    adopt(everybody, '1');
    deliver('3');
    forward('2', true);
    forward('3', true);
    passed();
    await turn();
    const { bodies } = await connect(await online());
    t.strictSame(bodies, ['1', '2', '3']);
  },
);

t.test('what is handed over comes before what waits at the node that takes it over', async (t) => {
  const { adopt, deliver, passed, online, connect } = setUp(t);
  await online();
  deliver('2');
  adopt(nobody, '1');
  passed();
  await turn();
  const { bodies } = await connect(await online());
  t.strictSame(bodies, ['1', '2']);
});

t.test(
  'who was signed out by name on the way to another node is signed out there, and who came after that is not',
  async (t) => {
    const now = Date.now();
    const ticketsOf = async (cameAt?: number): Promise<number> => {
      const { domain, adopt } = setUp(t, cameAt);
      domain.signOuts.add(address, now, false);
      adopt(nobody, '1');
      await turn();
      return domain.tickets.size;
    };
    t.equal(await ticketsOf(now - 1), 0);
    t.equal(await ticketsOf(now + 1), 1);
    t.equal(await ticketsOf(), 1, 'when the client came is not known');
  },
);
