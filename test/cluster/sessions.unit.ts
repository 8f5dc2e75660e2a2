/** Claims of MQTT sessions by three nodes, which hear of each other's claims later, and in the order of each node. */
import t from 'tap';
import type { Domain } from '../../src/actors/domain.js';
import { Items } from '../../src/cluster/items.js';
import { Peer } from '../../src/cluster/peer.js';
import { Sessions } from '../../src/cluster/sessions.js';
import { dice } from '../support/dice.js';

const RUNS = 300;
const STEPS = 60;
const clientIds = ['a', 'b'];

type Told = readonly [kind: string, domain: string, clientId: string, stamp: number];

class Node {
  /** The sessions that this node has. */
  readonly has = new Set<string>();
  readonly sessions: Sessions;
  /** The other nodes as this one knows them. */
  readonly peers = new Map<string, Peer>();

  constructor(
    readonly name: string,
    stamp: () => number,
    broadcast: (item: string) => void,
  ) {
    const domain: Pick<Domain, 'name'> = { name: 'a.example' };
    const mesh = { broadcast, barrier: (done: () => void) => done() };
    const items = new Items('a.example', { name, encode: () => '' }, () => 0);
    this.sessions = new Sessions(items, mesh, { next: stamp, heard: () => undefined }, domain as Domain, null);
    this.sessions.onLost = (clientId) => void this.has.delete(clientId);
  }
}

function threeNodes() {
  let stamp = 0;
  const nodes: Node[] = [];
  /** By sender and receiver: what is on its way. */
  const streams = new Map<string, (() => void)[]>();
  const post = (from: string, item: string): void => {
    const [, , clientId, stamp] = JSON.parse(item) as Told;
    for (const to of nodes) {
      if (to.name === from) continue;
      const key = `${from} ${to.name}`;
      const stream = streams.get(key) ?? [];
      streams.set(key, stream);
      stream.push(() => to.sessions.told(to.peers.get(from) as Peer, clientId, stamp));
    }
  };
  for (const name of ['n1', 'n2', 'n3'])
    nodes.push(
      new Node(
        name,
        () => ++stamp,
        (item) => post(name, item),
      ),
    );
  for (const { name, peers } of nodes) {
    for (const other of nodes) if (other.name !== name) peers.set(other.name, new Peer(other.name, 1, 0, false));
  }
  const moving = () => [...streams.values()].filter(({ length }) => length > 0);
  return { nodes, moving };
}

t.test('when all claims are known everywhere each session is on one node at most, and all agree which', async (t) => {
  for (let seed = 1; seed <= RUNS; seed += 1) {
    const roll = dice(seed);
    const { nodes, moving } = threeNodes();
    for (let step = 0; step < STEPS; step += 1) {
      const node = nodes[roll(3)] as Node;
      const clientId = clientIds[roll(2)] as string;
      const chance = roll(6);
      // A session that lives elsewhere is taken over by that node, not claimed a second time.
      if (chance === 0 && node.sessions.home(clientId) === null) {
        node.has.add(clientId);
        node.sessions.claim(clientId, () => undefined);
      } else if (chance === 1 && node.has.delete(clientId)) node.sessions.release(clientId);
      else {
        const streams = moving();
        streams[roll(streams.length || 1)]?.shift()?.();
      }
    }
    for (let streams = moving(); streams.length > 0; streams = moving()) streams[roll(streams.length)]?.shift()?.();
    for (const clientId of clientIds) {
      const owners = nodes.filter(({ has }) => has.has(clientId)).map(({ name }) => name);
      const homes = nodes.map(({ sessions, name, has }) =>
        has.has(clientId) ? name : (sessions.home(clientId)?.name ?? null),
      );
      const expected = Array(nodes.length).fill(owners[0] ?? null);
      if (owners.length <= 1 && String(homes) === String(expected)) continue;
      t.strictSame([owners, homes], [owners.slice(0, 1), expected], `seed ${seed}, session ${clientId}`);
      return;
    }
  }
  t.pass(`${RUNS} runs`);
});

t.test('of two claims at the same time the earlier one has the session', async (t) => {
  const { nodes, moving } = threeNodes();
  const [one, two] = nodes as [Node, Node, Node];
  for (const node of [one, two]) {
    node.has.add('a');
    node.sessions.claim('a', () => undefined);
  }
  for (let streams = moving(); streams.length > 0; streams = moving()) streams[0]?.shift()?.();
  t.strictSame([[...one.has], [...two.has], two.sessions.home('a')?.name], [['a'], [], 'n1']);
});
