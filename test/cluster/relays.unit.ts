/** Which node gets which packet, by the parts of its endpoint and by who watches: each item that is sent, by itself. */
import t from 'tap';
import type { Address } from '../../src/actors/address.js';
import { Alone } from '../../src/actors/alone.js';
import type { RemoteNode } from '../../src/actors/cluster.js';
import { type EndpointRecord, primaryOf } from '../../src/actors/endpoint-record.js';
import { Memory } from '../../src/actors/memory.js';
import { Receipt } from '../../src/actors/outcome.js';
import { Packet } from '../../src/actors/packet.js';
import { Tracker } from '../../src/actors/tracker.js';
import { EndingNodes, MOST_WAITING } from '../../src/cluster/ending-nodes.js';
import { Interest } from '../../src/cluster/interest.js';
import { Items } from '../../src/cluster/items.js';
import { Meetings } from '../../src/cluster/meetings.js';
import { Peer } from '../../src/cluster/peer.js';
import { HOPS, PacketRelays } from '../../src/cluster/relays.js';
import { RoundRobin } from '../../src/cluster/round-robin.js';
import { Metrics } from '../../src/metrics.js';
import { atOnce } from '../../src/slices.js';
import { dice } from '../support/dice.js';

const ada = '/domain/a.example/uid/ada' as Address;
const bob = '/domain/a.example/uid/bob' as Address;
const room = '/domain/a.example/gid/red' as Address;

const profile = { nick: 'Ada', show: 'available', status: '', stamp: 1, shown: 1 } as const;

function packetTo(topic: Address, sender: Address = bob): Packet {
  const fields = { from: 'bob', to: 'x', nick: 'Bob', timestamp: '1', type: 'chat', body: 'hi', style: '' } as const;
  return new Packet('message', fields as never, topic, sender);
}

/** A node of four; what it sends is in `sent`, as `node kind`. */
class Fixture {
  readonly sent: string[] = [];
  /** What it tells its own endpoints. */
  readonly here: (string | null)[] = [];
  /** Packets whose endpoint had gone when they no longer had to wait. */
  readonly nobody: (string | null)[] = [];
  /** What gets the answers of nodes that were asked what becomes of a packet. */
  readonly asked = new Map<string, (answer: unknown) => void>();
  readonly peers = new Map(['n2', 'n3', 'n4'].map((name) => [name, new Peer(name, 1, 0, false)]));
  readonly tracker: Tracker;
  readonly interest: Interest;
  readonly ending = new EndingNodes();
  unmet: readonly Peer[] = [];
  /** This node has no part of an endpoint that it is asked for. */
  gone = false;
  /** Packets that wait for a handover. */
  waiting: (() => void)[] | null = null;
  readonly relays: PacketRelays;

  constructor() {
    const metrics = new Metrics().domain('a.example');
    const memory = new Memory(metrics, () => ({ bytesPerDomain: 0 }));
    const nothing = () => undefined;
    const listener = { changed: nothing, inRoom: nothing, moved: nothing, contradicted: nothing };
    this.tracker = new Tracker(new Alone(() => false), listener, memory, metrics);
    const items = new Items('a.example', { name: 'n1', encode: () => '{}' }, () => 0);
    const mesh = {
      peers: this.peers,
      send: ({ name }: Peer, item: string) => void this.sent.push(`${name} ${JSON.parse(item)[0]}`),
      broadcast: () => undefined,
    };
    this.interest = new Interest(items, mesh);
    this.relays = new PacketRelays({
      domain: { tracker: this.tracker, trace: null, answersFromDisk: false },
      items,
      mesh,
      interest: this.interest,
      handover: {
        mustWait: (_address, _peer, _bytes, again) => this.waiting !== null && this.waiting.push(again) > 0,
        moved: () => undefined,
        through: () => [],
      },
      ending: this.ending,
      roundRobin: new RoundRobin(),
      meetings: { unmet: () => this.unmet },
      toEndpointHere: (_packet, only) => !this.gone && this.here.push(only) > 0,
      sendAnew: (_packet, only) => void this.nobody.push(only),
      rpc: {
        expect: (peer, _ms, done) => {
          this.asked.set(peer.name, done);
          return this.asked.size;
        },
      },
    });
  }

  peer(name: string): Peer {
    return this.peers.get(name) as Peer;
  }

  up(name: string, birth: number, rooms: readonly Address[] = []): EndpointRecord {
    this.tracker.up(
      ada,
      this.peer(name),
      birth,
      profile,
      rooms.map((one) => [one, 1] as const),
    );
    return this.tracker.record(ada);
  }

  own(): EndpointRecord {
    const record = this.tracker.record(ada);
    this.tracker.update(record, profile, [], [], { type: 'join' });
    return record;
  }

  /** What has been sent since the last call, in order of nodes. */
  taken(): string[] {
    return this.sent.splice(0).sort();
  }
}

t.test('a packet goes to the oldest part of its endpoint, which relays it to the others', async (t) => {
  const node = new Fixture();
  node.up('n3', 5);
  const record = node.up('n2', 7);
  t.ok(node.relays.toEndpoint(packetTo(ada), null));
  t.strictSame(node.taken(), ['n3 e']);
  node.relays.relay(record, { kind: 'deliver', packet: packetTo(ada), only: null });
  t.strictSame(node.taken(), ['n2 y', 'n3 y']);
  node.unmet = [node.peer('n2')];
  node.relays.relay(record, { kind: 'deliver', packet: packetTo(ada), only: null });
  t.strictSame(node.taken(), ['n3 y'], 'not to a part that the actor does not know of yet');
  node.peer('n3').up = false;
  t.ok(node.relays.toEndpoint(packetTo(ada), null));
  t.strictSame(node.taken(), ['n2 e'], 'nor by the way of a node that is not heard of');
});

t.test('this node’s part is told here where it is the oldest, and where there is none', async (t) => {
  const node = new Fixture();
  t.ok(node.relays.toEndpoint(packetTo(ada), 'phone'));
  node.own();
  node.up('n2', 1_000_000);
  t.ok(node.relays.toEndpoint(packetTo(ada), null));
  t.strictSame(node.here, ['phone', null]);
  t.strictSame(node.taken(), []);
});

t.test('a packet that waits for a handover goes by the way that holds then', async (t) => {
  const node = new Fixture();
  node.up('n3', 5);
  node.waiting = [];
  t.ok(node.relays.toEndpoint(packetTo(ada), null));
  t.strictSame(node.taken(), []);
  node.tracker.down(ada, node.peer('n3'));
  node.up('n2', 7);
  const [again] = node.waiting;
  node.waiting = null;
  again?.();
  t.strictSame(node.taken(), ['n2 e']);
});

t.test('a packet for an endpoint whose node ends waits until that is gone, and is sent anew', async (t) => {
  const node = new Fixture();
  node.up('n3', 5);
  t.ok(node.relays.toEndpoint(packetTo(ada), null));
  t.strictSame(node.taken(), ['n3 e']);
  const told: boolean[] = [];
  node.ending.whenGone(node.peers.values(), (hasWaited) => told.push(hasWaited));
  node.ending.begin(node.peer('n3'));
  node.ending.whenGone(node.peers.values(), (hasWaited) => told.push(hasWaited));
  let waiting = 0;
  while (waiting < MOST_WAITING && node.relays.toEndpoint(packetTo(ada), null)) waiting += 1;
  t.strictSame([node.taken(), told], [[], [false]]);
  t.ok(node.relays.toEndpoint(packetTo(ada), null));
  t.strictSame(node.taken(), ['n3 e'], 'one too many to wait');
  node.tracker.down(ada, node.peer('n3'));
  node.up('n2', 7);
  node.ending.gone(node.peer('n3'));
  t.equal(node.nobody.length, MOST_WAITING, 'all are sent anew');
  t.strictSame(told, [false, true]);
  node.ending.gone(node.peer('n2'));
});

t.test('a packet is sent on to a part that has moved, and no more often than so many times', async (t) => {
  const node = new Fixture();
  node.up('n2', 7);
  for (let hops = 0; hops < HOPS; hops += 1) t.ok(node.relays.toPrimary(packetTo(ada), null, hops));
  t.equal(node.taken().length, HOPS);
  node.relays.toPrimary(packetTo(ada), null, HOPS);
  t.strictSame([node.taken(), node.here], [[], [null]]);
});

t.test('a room’s packet goes once to each node with members or watchers', async (t) => {
  const node = new Fixture();
  t.notOk(node.relays.toRoom(packetTo(room)));
  node.up('n2', 7, [room]);
  node.interest.told(node.peer('n2'), '#', true);
  node.interest.told(node.peer('n3'), '#', true);
  t.ok(node.relays.toRoom(packetTo(room)));
  t.strictSame(node.taken(), ['n2 g', 'n3 g']);
  node.peer('n2').up = false;
  t.ok(node.relays.toRoom(packetTo(room)));
  t.strictSame(node.taken(), ['n3 g'], 'a node that is not heard of gets nothing');
});

t.test('watchers of an address, everybody, and carbons', async (t) => {
  const node = new Fixture();
  t.notOk(node.relays.toWatchers(packetTo(ada)));
  node.interest.told(node.peer('n4'), '#', true);
  t.ok(node.relays.toWatchers(packetTo(ada)));
  t.strictSame(node.taken(), ['n4 v']);
  node.relays.broadcast(packetTo(ada));
  t.strictSame(node.taken(), ['n2 b', 'n3 b', 'n4 b']);
  node.relays.carbon(node.up('n2', 7), packetTo(ada));
  t.strictSame(node.taken(), ['n2 c']);
});

t.test('a service in turns gives each node as many senders as it has connected clients', async (t) => {
  const node = new Fixture();
  node.own();
  const record = node.up('n2', 1_000_000);
  Object.assign(record.parts[0] ?? {}, { connected: 2 });
  const turn = (sender: number) => {
    const packet = packetTo(ada, `/domain/a.example/uid/s${sender}` as Address);
    return node.relays.takeTurn(record, { kind: 'deliver', packet, only: null }, 1);
  };
  const first = Array.from({ length: 30 }, (_, sender) => turn(sender));
  t.equal(first.filter(Boolean).length, 20, 'two of three');
  t.strictSame(node.taken(), Array(20).fill('n2 y'));
  t.strictSame(
    Array.from({ length: 30 }, (_, sender) => turn(sender)),
    first,
    'a sender stays where it has been',
  );
});

t.test(
  'whatever parts come and go, a packet goes to the oldest living one, and from there once to each other',
  async (t) => {
    const roll = dice(7);
    const node = new Fixture();
    const names = [...node.peers.keys()];
    let birth = 0;
    for (let step = 0; step < 3000; step += 1) {
      const name = names[roll(names.length)] as string;
      const peer = node.peer(name);
      const chance = roll(6);
      if (chance === 0) node.tracker.down(ada, peer);
      else if (chance === 1) node.up(name, ++birth);
      else if (chance === 2) {
        // A node that is hidden is told of again by its snapshot.
        if (peer.up) atOnce(node.tracker.hide(peer));
        peer.up = !peer.up;
      }
      const record = node.tracker.records.get(ada);
      const living = (record?.parts ?? []).filter(({ node: { up }, hidden }) => up && !hidden);
      const [oldest] = [...living].sort((a, b) => a.birth - b.birth);
      node.relays.toEndpoint(packetTo(ada), null);
      const expected = oldest ? [`${oldest.node.name} e`] : [];
      if (String(node.taken()) !== String(expected)) t.fail(`step ${step}: not to the oldest, ${String(expected)}`);
      if (!record) continue;
      if (oldest) t.equal(primaryOf(record), oldest.node as RemoteNode);
      node.relays.relay(record, { kind: 'deliver', packet: packetTo(ada), only: null });
      const relayed = record.parts.filter(({ hidden }) => !hidden).map((part) => `${part.node.name} y`);
      if (String(node.taken()) !== String(relayed.sort())) t.fail(`step ${step}: not relayed to ${String(relayed)}`);
    }
  },
);

t.test('each node that a packet with a receipt goes to is asked what becomes of it', async (t) => {
  const node = new Fixture();
  const outcomes: string[] = [];
  const asking = (asks = true) => {
    const packet = packetTo(ada);
    packet.receipt = new Receipt(asks, (outcome) => outcomes.push(outcome));
    return packet;
  };
  node.up('n3', 5);
  const record = node.up('n2', 7);
  node.relays.toEndpoint(asking(), null);
  t.strictSame([...node.asked.keys()], ['n3'], 'the oldest part, which asks the others itself');
  node.asked.get('n3')?.('queued');
  t.strictSame(outcomes.splice(0), ['queued']);
  const packet = asking();
  node.relays.relay(record, { kind: 'deliver', packet, only: null });
  packet.receipt?.report('dropped');
  node.asked.get('n3')?.(null);
  t.strictSame(outcomes, [], 'another part has not answered yet');
  node.asked.get('n2')?.('no outcome');
  t.strictSame(outcomes.splice(0), ['unknown']);
  node.relays.carbon(record, asking());
  t.equal(node.asked.size, 2, 'the clients of the sender are no receivers');
  node.relays.toEndpoint(asking(false), null);
  t.strictSame(outcomes.splice(0), ['unknown'], 'who waits only for the disk of this node does not ask others');
});

t.test(
  'a packet whose endpoint goes offline while the packet waits for a handover is seen to as one to nobody',
  async (t) => {
    const node = new Fixture();
    node.up('n3', 5);
    node.waiting = [];
    t.ok(node.relays.toEndpoint(packetTo(ada), null));
    t.strictSame(node.nobody, []);
    atOnce(node.tracker.drop(node.peer('n3')));
    const [again] = node.waiting;
    node.waiting = null;
    node.here.length = 0;
    node.gone = true;
    again?.();
    t.strictSame(node.nobody, [null]);
  },
);

t.test('a part hears that it may have missed something when its node is back, not when it comes', (t) => {
  const sent: string[] = [];
  const items = new Items('a.example', { name: 'n1', encode: () => '{}' }, () => 0);
  const meetings = new Meetings(items, { send: ({ name }, item) => void sent.push(`${name} ${item}`) });
  const record = new Fixture().own();
  meetings.begin(record, new Peer('n2', 1, 0, false), false);
  t.strictSame(sent, []);
  meetings.begin(record, new Peer('n3', 1, 0, false), true);
  t.strictSame(sent, [`n3 ["M","a.example","${ada}"]`]);
  t.end();
});

t.test(
  'who may lack what one dead node has sent through another is told once, also where both are there again within the lease',
  (t) => {
    for (const [isStarted, hasParts] of [
      [false, true],
      [true, true],
      [true, false],
    ]) {
      const node = new Fixture();
      const told: string[] = [];
      node.up('n2', -2);
      Object.assign(node.own(), { actor: { tell: ({ kind }: { kind: string }) => told.push(kind) } });
      const lose = (name: string): void => {
        const peer = Object.assign(node.peer(name), { up: false, heardAt: 5000, hiddenAt: isStarted ? 0 : 9000 });
        if (isStarted) node.peers.delete(name);
        node.relays.lost(peer);
        if (!hasParts) atOnce(node.tracker.drop(peer));
      };
      lose('n2');
      t.strictSame(told, [], 'nobody else has sent there what is lost');
      lose('n3');
      t.strictSame(told, ['missed']);
      lose('n4');
      t.strictSame(told, ['missed']);
    }
    t.end();
  },
);

t.test('who may lack what went through a dead node is not told so as another one dies later', (t) => {
  const node = new Fixture();
  const told: string[] = [];
  node.up('n2', -2);
  Object.assign(node.own(), { actor: { tell: ({ kind }: { kind: string }) => told.push(kind) } });
  for (const [name, hiddenAt] of [
    ['n2', 5000],
    ['n3', 50_000],
  ] as const) {
    node.relays.lost(Object.assign(node.peer(name), { up: false, heardAt: hiddenAt - 4000, hiddenAt }));
  }
  t.strictSame(told, []);
  t.end();
});
