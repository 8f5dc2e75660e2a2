/** Which node tells the site of messages that nobody was there for, where an endpoint's parts end: src/actors/undelivered.ts. */
import t from 'tap';
import type { Address } from '../src/actors/address.js';
import { Packet } from '../src/actors/packet.js';
import { Undelivered } from '../src/actors/undelivered.js';
import { dice } from './support/dice.js';

const JACK = '/domain/a.example/uid/jack' as Address;

interface Item {
  readonly kind: 'ended' | 'barrier' | 'known';
  readonly from: Node;
  readonly stamp: number;
}

/** A node with a part of the endpoint, whose copy of a message nobody has seen. */
class Node {
  readonly undelivered: Undelivered;
  readonly parts = new Set<string>();
  /** What has come and is not looked at yet; of each peer in order. */
  readonly links = new Map<Node, Item[]>();
  isThere = true;
  told = 0;
  readonly packet = new Packet(
    'message',
    { from: 'anna', to: 'jack', nick: '', timestamp: '1', type: 'chat', body: 'hi', style: '', id: 'one' },
    JACK,
    null,
  );
  #clock = 0;
  #waiting = 0;
  #settle: (() => void) | null = null;

  constructor(
    readonly name: string,
    readonly peers: () => readonly Node[],
  ) {
    const cluster = {
      nodesOf: () => (this.isThere ? [...this.parts, name] : [...this.parts]),
      settled: (done: () => void) => {
        this.#settle = done;
        this.#waiting = peers().length;
        this.#tell('barrier', 0);
      },
    };
    this.undelivered = new Undelivered({ unconfirmed: null, cluster }, () => {
      this.told += 1;
    });
  }

  end(): void {
    const left = [...this.parts];
    this.isThere = false;
    // The stamps of a node differ from those of all others, and are later than all that it has heard of.
    this.#clock = Math.floor(this.#clock) + 1 + Number(this.name.slice(1)) / 10;
    this.#tell('ended', this.#clock);
    if (left.length > 0) this.undelivered.ended(JACK, this.#clock, left, [[this.packet, 'dropped']]);
    else this.undelivered.tell(this.packet, JACK, 'dropped');
  }

  take({ kind, from, stamp }: Item): void {
    if (kind === 'barrier') return void from.links.get(this)?.push({ kind: 'known', from: this, stamp: 0 });
    if (kind === 'known') {
      this.#waiting -= 1;
      if (this.#waiting === 0) this.#settle?.();
      return;
    }
    this.#clock = Math.max(this.#clock, stamp);
    this.parts.delete(from.name);
    this.undelivered.endedElsewhere(JACK, from.name, stamp);
  }

  #tell(kind: Item['kind'], stamp: number): void {
    for (const peer of this.peers()) peer.links.get(this)?.push({ kind, from: this, stamp });
  }
}

function network(count: number): Node[] {
  const nodes: Node[] = [];
  for (let n = 1; n <= count; n++) nodes.push(new Node(`n${n}`, () => nodes.filter((other) => other.name !== `n${n}`)));
  for (const node of nodes) {
    for (const peer of node.peers()) {
      node.parts.add(peer.name);
      node.links.set(peer, []);
    }
  }
  return nodes;
}

t.test(
  'of parts that end in whatever order, each seeing what it has heard by then, one tells the site, once',
  async (t) => {
    for (let seed = 1; seed <= 3000; seed++) {
      const roll = dice(seed);
      const nodes = network(2 + roll(3));
      const steps: string[] = [];
      for (;;) {
        const ends = nodes.filter(({ isThere }) => isThere);
        const links = nodes.flatMap((node) =>
          [...node.links.values()].filter(({ length }) => length > 0).map((link) => ({ node, link })),
        );
        if (ends.length + links.length === 0) break;
        const choice = roll(ends.length + links.length);
        if (choice < ends.length) {
          const node = ends[choice] as Node;
          steps.push(`${node.name} ends`);
          node.end();
        } else {
          const { node, link } = links[choice - ends.length] as (typeof links)[number];
          const item = link.shift() as Item;
          steps.push(`${node.name} hears ${item.kind} of ${item.from.name}`);
          node.take(item);
        }
      }
      const told = nodes.reduce((sum, node) => sum + node.told, 0);
      if (told !== 1) return t.fail(`seed ${seed}: told ${told} times: ${steps.join(', ')}`);
    }
    t.pass('3000 orders');
  },
);

t.test('a node that is lost tells nothing: the part that ended before does', async (t) => {
  const [one, two] = network(2) as [Node, Node];
  two.end();
  // The other one is not heard of any more before it has ended.
  two.parts.delete('n1');
  for (const item of one.links.get(two)?.splice(0) ?? []) if (item.kind === 'barrier') one.take(item);
  for (const item of two.links.get(one)?.splice(0) ?? []) two.take(item);
  t.equal(two.told, 1);
});
