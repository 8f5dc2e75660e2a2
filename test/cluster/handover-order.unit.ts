/**
 * The order of packets while the part of an endpoint that they go through moves from node to node: four nodes, whose
 * streams and mailboxes move on when the test says so.
 */
import t from 'tap';
import type { Address } from '../../src/actors/address.js';
import type { EndpointMessage } from '../../src/actors/endpoint.js';
import { Handover } from '../../src/cluster/handover.js';
import { Peer } from '../../src/cluster/peer.js';
import { dice } from '../support/dice.js';

const RUNS = 150;
const STEPS = 300;

const address = '/domain/a.example/uid/ada' as Address;

type Done = (answer: unknown) => void;
type Task = () => void;

/** A packet by its sender and its number. */
interface Sent {
  readonly from: string;
  readonly number: number;
}

class Node {
  /** When the endpoint's parts came, by their nodes, as far as this node knows. */
  readonly births = new Map(['n1', 'n2', 'n3', 'n4'].map((name, at) => [name, at]));
  readonly peers = new Map<string, Peer>();
  /** What waits for the endpoint's actor here. */
  readonly mailbox: Task[] = [];
  /** Packets that the endpoint's clients here have been given. */
  readonly given: Sent[] = [];
  readonly handover: Handover;
  count = 0;

  constructor(
    readonly name: string,
    private readonly network: Network,
  ) {
    const call = (peer: Peer, kind: string, fields: readonly unknown[], _ms: number, done: Done) =>
      network.call(name, peer.name, kind, fields, done);
    const tell = (message: EndpointMessage) => void this.mailbox.push(() => message.kind === 'pass' && message.done());
    this.handover = new Handover({
      domain: 'a.example',
      node: {
        name,
        rpc: { call },
        mesh: { peers: this.peers },
        leaving: { movesTo: () => null, whenPassedOn: (_address, done) => done() },
      },
      now: () => network.now,
      actor: () => ({ tell }),
      peersOf: () => [...this.peers.values()],
    });
  }

  send(): void {
    this.count += 1;
    this.#go({ from: this.name, number: this.count });
  }

  /** As `PacketRelays.toEndpoint`: to the oldest part, wherever that is when the packet's turn comes. */
  #go(packet: Sent): void {
    const { primary } = this;
    const peer = primary === this.name ? null : (this.peers.get(primary) ?? null);
    if (this.handover.mustWait(address, peer, 1, () => this.#go(packet))) return;
    if (peer) this.network.post(this.name, primary, () => this.network.node(primary).arrive(packet));
    else this.take(packet);
  }

  /** As `PacketRelays.toPrimary`: a packet that comes when the oldest part has moved on follows it. */
  arrive(packet: Sent): void {
    const { primary } = this;
    if (primary === this.name || this.network.primary !== null) this.take(packet);
    else this.network.post(this.name, primary, () => this.network.node(primary).arrive(packet));
  }

  /** The node of the endpoint's oldest part. */
  get primary(): string {
    if (this.network.primary !== null) return this.network.primary;
    return [...this.births].reduce((one, other) => (other[1] < one[1] ? other : one))[0];
  }

  /** A part has ended, as its node tells, and has come again. */
  follow(name: string, birth: number): void {
    this.births.set(name, birth);
    this.handover.moved(address, this.peers.get(name) ?? null);
  }

  /** A sender says something by this node, and is answered when the endpoint's nodes have it. */
  say(packet: Sent, answered: () => void): void {
    const before = this.primary;
    this.#go(packet);
    this.handover.whenNoneWaits([address], () => {
      const nodes = new Set([before, this.primary]);
      let missing = nodes.size;
      const arrived = (): void => {
        missing -= 1;
        if (missing === 0) answered();
      };
      for (const name of nodes) this.network.settle(this.name, name, arrived);
    });
  }

  /** The endpoint's actor gives a packet to its clients, and relays it to the other parts. */
  take(packet: Sent): void {
    this.mailbox.push(() => {
      this.given.push(packet);
      for (const other of this.network.nodes) {
        if (other === this) continue;
        this.network.post(this.name, other.name, () => other.mailbox.push(() => other.given.push(packet)));
      }
    });
  }
}

class Network {
  readonly nodes: Node[] = [];
  now = 0;
  /** The node of the oldest part, which all nodes know at once; null: each knows what it has been told. */
  primary: string | null = null;
  #birth = 10;
  /** By sender and receiver: what is on its way, in order. */
  readonly streams = new Map<string, Task[]>();

  constructor() {
    for (const name of ['n1', 'n2', 'n3', 'n4']) this.nodes.push(new Node(name, this));
    for (const { name, peers } of this.nodes) {
      for (const other of this.nodes) if (other.name !== name) peers.set(other.name, new Peer(other.name, 1, 0, false));
    }
  }

  node(name: string): Node {
    return this.nodes.find((node) => node.name === name) as Node;
  }

  post(from: string, to: string, task: Task): void {
    const key = `${from} ${to}`;
    const stream = this.streams.get(key) ?? [];
    this.streams.set(key, stream);
    stream.push(task);
  }

  /** A node that has the oldest part, as far as it knows, ends it, and has the youngest from then on. */
  move(): void {
    const from = this.nodes.find(({ name, primary }) => name === primary);
    if (!from) return;
    this.#birth += 1;
    const birth = this.#birth;
    from.follow(from.name, birth);
    for (const other of this.nodes) {
      if (other !== from) this.post(from.name, other.name, () => other.follow(from.name, birth));
    }
  }

  /** Calls `done` when a node has handled all that `from` has sent to it. */
  settle(from: string, to: string, done: Task): void {
    if (from === to) return void this.node(to).mailbox.push(done);
    this.post(from, to, () => this.node(to).mailbox.push(() => this.post(to, from, done)));
  }

  call(from: string, to: string, kind: string, fields: readonly unknown[], done: Done): void {
    const reply = () => this.post(to, from, () => done(true));
    this.post(from, to, () => {
      if (kind === 'arrived') reply();
      else this.node(to).handover.pass(fields[1] as Address, fields[2] as string, reply);
    });
  }

  /** All that can move on: streams that are not empty, and mailboxes. */
  moving(): Task[][] {
    return [...this.streams.values(), ...this.nodes.map(({ mailbox }) => mailbox)].filter(({ length }) => length > 0);
  }
}

/** Numbers of one sender's packets in the order in which a node's clients were given them. */
function numbersOf({ given }: Node, from: string): number[] {
  return given.filter((packet) => packet.from === from).map(({ number }) => number);
}

t.test('packets of a sender come in order and once to all parts, however the oldest part moves', async (t) => {
  for (let seed = 1; seed <= RUNS; seed += 1) {
    const roll = dice(seed);
    const network = new Network();
    network.primary = 'n1';
    const someNode = () => network.nodes[roll(network.nodes.length)] as Node;
    for (let step = 0; step < STEPS; step += 1) {
      const chance = roll(10);
      const moving = network.moving();
      if (chance < 3) someNode().send();
      else if (chance < 4) network.primary = someNode().name;
      else moving[roll(moving.length || 1)]?.shift()?.();
    }
    for (;;) {
      const moving = network.moving();
      if (moving.length === 0) break;
      moving[roll(moving.length)]?.shift()?.();
    }
    for (const from of network.nodes) {
      const sent = Array.from({ length: from.count }, (_, at) => at + 1);
      for (const to of network.nodes) {
        if (String(numbersOf(to, from.name)) === String(sent)) continue;
        t.strictSame(numbersOf(to, from.name), sent, `seed ${seed}: from ${from.name} to ${to.name}`);
        return;
      }
    }
  }
  t.pass(`${RUNS} runs`);
});

t.test('what somebody says by one node after another comes in order, however the oldest part moves', async (t) => {
  for (let seed = 1; seed <= RUNS; seed += 1) {
    const roll = dice(seed);
    const network = new Network();
    const someNode = () => network.nodes[roll(network.nodes.length)] as Node;
    let said = 0;
    let isAnswered = true;
    const say = (): void => {
      said += 1;
      isAnswered = false;
      someNode().say({ from: 'bob', number: said }, () => {
        isAnswered = true;
      });
    };
    for (let step = 0; step < STEPS; step += 1) {
      const moving = network.moving();
      if (isAnswered) say();
      else if (roll(8) === 0) network.move();
      else moving[roll(moving.length || 1)]?.shift()?.();
    }
    for (let moving = network.moving(); moving.length > 0; moving = network.moving()) {
      moving[roll(moving.length)]?.shift()?.();
    }
    const sent = Array.from({ length: said }, (_, at) => at + 1);
    for (const to of network.nodes) {
      if (String(numbersOf(to, 'bob')) === String(sent)) continue;
      t.strictSame(numbersOf(to, 'bob'), sent, `seed ${seed}: to ${to.name}`);
      return;
    }
  }
  t.pass(`${RUNS} runs`);
});
