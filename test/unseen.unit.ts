/** What waits for the next client of an endpoint while clients that are connected have not confirmed it. PROTOCOL.md section 12. */
import t from 'tap';
import { type Address, parseTarget, type Target } from '../src/actors/address.js';
import type { Client } from '../src/actors/client.js';
import { Packet } from '../src/actors/packet.js';
import type { Transport } from '../src/actors/transport.js';
import { nameOf } from '../src/actors/unseen.js';
import { Peer } from '../src/cluster/peer.js';
import { findTicket } from '../src/protocols/credentials.js';
import { own, TestBroker, testMachine } from './mqtt/support/broker.js';
import { turn } from './mqtt/support/device.js';
import type { Cleaner } from './support/server.js';

const target = parseTarget(own.domain, 'ada') as Target;
const { address } = target;
const elsewhere = new Peer('n2', 1, 0, false);

function message(body: string): Packet {
  const fields = { id: body, from: 'bob', to: 'ada', nick: 'Bob', timestamp: '1', type: 'chat', body, style: '' };
  return new Packet('message', fields as never, address, '/domain/a.example/uid/bob' as Address);
}

function setUp(t: Cleaner) {
  const { host, domain } = testMachine(t);
  const broker = new TestBroker({} as never, host.context, host.context.domains as never);
  const actor = () => domain.endpoint(target);
  return {
    domain,
    actor,
    deliver: (...bodies: readonly string[]) => {
      for (const body of bodies) actor().tell({ kind: 'deliver', packet: message(body), only: null });
    },
    /** A client comes from a killed node, with what JetStream has of its queue. */
    adopt: async (...bodies: readonly string[]): Promise<Client> => {
      const packets = bodies.map(message);
      const numbers = [...packets.keys()];
      const hash = 'x'.repeat(43);
      const kept = { nick: 'Ada', show: 'available', status: '', buddies: [], rooms: [], isAway: false } as const;
      const client = { name: 'tab', accepted: numbers.length, sent: 0, entries: numbers, elders: null, given: [] };
      actor().tell({
        kind: 'adopt',
        moved: {
          kept: { ...kept, clients: [{ hash, name: 'tab', isNamed: false, isAway: false }] },
          queues: {
            node: 'uid',
            id: 'ada',
            turns: [],
            unseen: [],
            clients: [{ ...client, connectedMs: null, session: null }],
          },
        },
        isMet: () => true,
        era: 'j1',
        packetOf: (number) => packets[number] ?? null,
        done: () => undefined,
      });
      await turn();
      return [...domain.tickets.values()].find(({ name }) => name === 'tab') as Client;
    },
    offline: async (client: Client) => {
      actor().tell({ kind: 'offline', client, reply: () => undefined });
      await turn();
    },
    online: async () => findTicket(domain, await broker.online('ada')) as Client,
    /** Connects a client that keeps a position and confirms nothing. Answers the bodies of the messages that it is sent. */
    connect: async (client: Client): Promise<string[]> => {
      const bodies: string[] = [];
      const transport: Transport = {
        kind: 'websocket',
        counting: {
          asked: 'first',
          resumed: () => undefined,
          send: ({ packets }) => {
            for (const { kind, fields } of packets) {
              if (kind === 'message') bodies.push((fields as { readonly body: string }).body);
            }
            return true;
          },
        },
        deliver: () => 0,
        close: () => [],
      };
      client.endpoint.tell({ kind: 'attach', client, transport });
      await turn();
      return bodies;
    },
  };
}

t.test(
  'a client that comes while another has not confirmed what waited has that, and nothing of it is behind later messages',
  async (t) => {
    const { deliver, online, connect } = setUp(t);
    const first = await online();
    deliver('1', '2');
    await connect(first);
    deliver('3');
    const bodies = await connect(await online());
    deliver('4');
    await turn();
    t.strictSame(bodies, ['1', '2', '3', '4']);
  },
);

t.test('a message waits until a client has confirmed it, though one is connected to another node', async (t) => {
  const { domain, actor, deliver, online, connect } = setUp(t);
  await online();
  deliver('1');
  await turn();
  const profile = { nick: 'Ada', show: 'available', status: '', stamp: 1, shown: 1 } as const;
  domain.tracker.up(address, elsewhere, 1, profile, []);
  const [part] = domain.tracker.records.get(address)?.parts ?? [];
  Object.assign(part ?? {}, { connected: 1 });
  actor().tell({ kind: 'seen' });
  deliver('2');
  t.strictSame(await connect(await online()), ['1', '2']);
  actor().tell({ kind: 'confirmedElsewhere', names: ['bob\nada\n1', 'bob\nada\n2'], isConfirmed: true });
  t.strictSame(await connect(await online()), []);
});

t.test(
  'of what waits on another node a client has nothing that stands before what it has, and the next client all',
  async (t) => {
    const { actor, deliver, online, connect } = setUp(t);
    const bodies = await connect(await online());
    deliver('3', '4');
    await turn();
    actor().tell({ kind: 'unseen', messages: ['1', '2', '3', '5'].map(message) });
    await turn();
    t.strictSame(bodies, ['3', '4', '5']);
    t.strictSame(await connect(await online()), ['1', '2', '3', '5']);
  },
);

t.test('what has been confirmed in between tells which of what waits on another node a client may have', async (t) => {
  const { domain, actor, deliver, online, connect } = setUp(t);
  const first = await online();
  deliver('1', '2', '3');
  await connect(first);
  actor().tell({ kind: 'confirmedElsewhere', names: ['bob\nada\n2', 'bob\nada\n3'], isConfirmed: true });
  const given: (Packet | string)[] = [];
  domain.tracker.up(address, elsewhere, 1, { nick: 'Ada', show: 'available', status: '', stamp: 1, shown: 1 }, []);
  actor().tell({ kind: 'partCame', node: elsewhere, met: (messages) => void given.push(...messages) });
  deliver('4');
  await turn();
  t.strictSame(
    given.map((one) => (typeof one === 'string' ? one : nameOf(one))),
    ['1', '2', '3'].map((id) => `bob\nada\n${id}`),
  );
  const there = setUp(t);
  const bodies = await there.connect(await there.online());
  there.deliver('2', '3');
  await turn();
  there.actor().tell({ kind: 'unseen', messages: given });
  await turn();
  t.strictSame(bodies, ['2', '3'], 'the first one would be behind these');
});

t.test('a client of a killed node has nothing of what waits here that stands before what it has', async (t) => {
  const { deliver, online, connect, adopt } = setUp(t);
  await online();
  deliver('1', '2', '3', '4');
  const adopted = await adopt('2', '3');
  t.strictSame(await connect(adopted), ['2', '3', '4']);
  t.strictSame(await connect(await online()), ['1', '2', '3', '4']);
});

t.test(
  'a client of a killed node has what another one there had before it came, and no more of it, when that one ends',
  async (t) => {
    const { domain, actor, connect, offline } = setUp(t);
    const packets = ['1', '2', '3'].map(message);
    const client = { sent: 0, entries: [], elders: null, given: [], connectedMs: null, session: null } as const;
    // What the first one had confirmed in between is a gap of two numbers; the second one came before the third message, and has confirmed it.
    const first = { ...client, name: 'first', accepted: 7, entries: [[2, 0], 0, 1, 2] as const };
    const second = { ...client, name: 'second', accepted: 1, elders: [['first', 6]] as const };
    const clients = [first, second].map(({ name }) => ({
      hash: name.padEnd(43, 'x'),
      name,
      isNamed: false,
      isAway: false,
    }));
    actor().tell({
      kind: 'adopt',
      moved: {
        kept: { nick: 'Ada', show: 'available', status: '', buddies: [], rooms: [], isAway: false, clients },
        queues: { node: 'uid', id: 'ada', turns: [], unseen: [], clients: [first, second] },
      },
      isMet: () => true,
      era: 'j1',
      packetOf: (number) => packets[number] ?? null,
      done: () => undefined,
    });
    await turn();
    const [elder, later] = [...domain.tickets.values()] as [Client, Client];
    const bodies = await connect(later);
    await offline(elder);
    t.strictSame(bodies, ['1', '2']);
  },
);
