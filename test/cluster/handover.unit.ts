/**
 * The order of packets while the part of an endpoint that they go through moves from node to node: three nodes, whose
 * streams and mailboxes move on when the test says so.
 */
import t from 'tap';
import type { Address } from '../../src/actors/address.js';
import type { EndpointMessage } from '../../src/actors/endpoint.js';
import { Handover, MANY_WAYS, MAX_ASKING, MAX_WAITING, MAX_WAITING_BYTES } from '../../src/cluster/handover.js';
import { Peer } from '../../src/cluster/peer.js';
import { dice } from '../support/dice.js';

const RUNS = 150;
const STEPS = 300;
/** Longer than anything is on its way. */
const LONG_MS = 3000;

const address = '/domain/a.example/uid/ada' as Address;

type Done = (answer: unknown) => void;
type Task = () => void;

/** A packet by its sender and its number. */
interface Sent {
  readonly from: string;
  readonly number: number;
}

class Node {
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
      node: { name, rpc: { call }, mesh: { peers: this.peers } },
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
    const { primary } = this.network;
    const peer = primary === this.name ? null : (this.peers.get(primary) ?? null);
    if (this.handover.mustWait(address, peer, 1, () => this.#go(packet))) return;
    if (peer) this.network.post(this.name, primary, () => this.network.node(primary).take(packet));
    else this.take(packet);
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
  primary = 'n1';
  /** By sender and receiver: what is on its way, in order. */
  readonly streams = new Map<string, Task[]>();

  constructor() {
    for (const name of ['n1', 'n2', 'n3']) this.nodes.push(new Node(name, this));
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

/** A handover whose calls the test answers. */
function single() {
  const calls: { readonly to: string; readonly kind: string; readonly fields: readonly unknown[]; done: Done }[] = [];
  const peers = new Map(['n2', 'n3'].map((name) => [name, new Peer(name, 1, 0, false)]));
  const state = { now: 0 };
  const call = ({ name: to }: Peer, kind: string, fields: readonly unknown[], _ms: number, done: Done) =>
    void calls.push({ to, kind, fields, done });
  const handover = new Handover({
    domain: 'a.example',
    node: { name: 'n1', rpc: { call }, mesh: { peers } },
    now: () => state.now,
    actor: () => null,
    peersOf: () => [],
  });
  const [second, third] = [...peers.values()] as [Peer, Peer];
  return { handover, calls, state, second, third };
}

const never = (): void => undefined;

t.test('the node of the old way is asked to pass everything on to the new one', async (t) => {
  const { handover, calls, second, third } = single();
  t.equal(handover.mustWait(address, second, 1, never), false);
  let released = 0;
  t.equal(
    handover.mustWait(address, third, 1, () => (released += 1)),
    true,
  );
  t.match(calls, [{ to: 'n2', kind: 'pass', fields: ['a.example', address, 'n3'] }]);
  t.equal(released, 0);
  calls[0]?.done(null);
  t.equal(released, 1, 'also where nobody has answered');
  t.equal(handover.mustWait(address, third, 1, never), false);
});

t.test('nothing waits where nothing can be on its way by the old one', async (t) => {
  const { handover, calls, state, second, third } = single();
  t.equal(handover.mustWait(address, second, 1, never), false);
  state.now += LONG_MS;
  t.equal(handover.mustWait(address, third, 1, never), false, 'the last packet is long ago');
  third.up = false;
  t.equal(handover.mustWait(address, second, 1, never), false, 'the node has gone');
  t.equal(calls.length, 0);
});

t.test('packets beyond the bound go at once instead of waiting', async (t) => {
  const { handover, second, third } = single();
  handover.mustWait(address, second, 1, never);
  for (let waiting = 0; waiting < MAX_WAITING; waiting += 1) handover.mustWait(address, third, 1, never);
  t.equal(handover.mustWait(address, third, 1, never), false);
});

t.test('so do those beyond the bound of bytes, however few they are', async (t) => {
  const { handover, second, third } = single();
  handover.mustWait(address, second, 1, never);
  t.equal(handover.mustWait(address, third, MAX_WAITING_BYTES - 1, never), true);
  t.equal(handover.mustWait(address, third, 1, never), true);
  t.equal(handover.mustWait(address, third, 1, never), false);
});

t.test('packets that wait are not lost where there are too many of them and the oldest part moves again', async (t) => {
  const { handover, calls, second, third } = single();
  let released = 0;
  const again = () => {
    released += 1;
  };
  handover.mustWait(address, second, 1, never);
  for (let waiting = 0; waiting < MAX_WAITING; waiting += 1) handover.mustWait(address, third, 1, again);
  t.equal(handover.mustWait(address, null, 1, again), false, 'goes at once');
  for (const { done } of calls) done(null);
  t.equal(released, MAX_WAITING);
});

t.test('ways of long ago are forgotten when there are many', async (t) => {
  const { handover, state, second } = single();
  const way = (n: number) => handover.mustWait(`/domain/a.example/uid/u${n}` as Address, second, 1, never);
  for (let n = 1; n < MANY_WAYS; n += 1) way(n);
  state.now += LONG_MS + 1;
  way(0);
  t.equal(handover.size, 1);
});

t.test(
  'who asks whether packets wait is answered when they have gone, also where they have to wait again',
  async (t) => {
    const { handover, calls, second, third } = single();
    const told: string[] = [];
    const ask = (name: string) => handover.whenNoneWaits([`${address}2` as Address, address], () => told.push(name));
    ask('nothing was sent');
    handover.mustWait(address, second, 1, never);
    ask('nothing waits');
    t.strictSame(told, ['nothing was sent', 'nothing waits']);
    const again = () => void handover.mustWait(address, second, 1, () => told.push('packet'));
    handover.mustWait(address, third, 1, again);
    ask('one waits');
    calls[0]?.done(null);
    t.equal(told.length, 2, 'the endpoint has moved once more');
    calls[1]?.done(null);
    t.strictSame(told.slice(2), ['packet', 'one waits']);
  },
);

t.test(
  'who asks whether packets wait takes no room from packets, and of too many the last are answered at once',
  async (t) => {
    const { handover, calls, second, third } = single();
    let told = 0;
    const ask = () =>
      handover.whenNoneWaits([address], () => {
        told += 1;
      });
    handover.mustWait(address, second, 1, never);
    handover.mustWait(address, third, 1, () => undefined);
    for (let asked = 0; asked < MAX_ASKING; asked += 1) ask();
    t.equal(told, 0);
    ask();
    t.equal(told, 1, 'one too many');
    t.equal(
      handover.mustWait(address, third, 1, () => undefined),
      true,
      'a packet has room',
    );
    for (const { done } of calls) done(null);
    t.equal(told, MAX_ASKING + 1);
  },
);
