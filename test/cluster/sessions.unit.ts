/** Claims of MQTT sessions by three nodes, which hear of each other's claims later, and in the order of each node. */
import t from 'tap';
import type { Domain } from '../../src/actors/domain.js';
import type { SessionStore } from '../../src/cluster/adopted.js';
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
    store: SessionStore | null = null,
  ) {
    const domain = { name: 'a.example', settings: { durability: 'restart' } };
    const mesh = { broadcast, barrier: (done: () => void) => done() };
    const items = new Items('a.example', { name, encode: () => '' }, () => 0);
    this.sessions = new Sessions(items, mesh, { next: stamp, heard: () => undefined }, domain as Domain, store);
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

/** A node that has taken over what is its own of nodes that it has never heard of, and another one. */
function nodeWithStore() {
  const store = { recordsOf: () => null, forget: () => undefined } as unknown as SessionStore;
  let stamp = 0;
  const next = (): number => ++stamp;
  const { sessions } = new Node('n1', next, () => undefined, store);
  sessions.isSwept = true;
  const peer = (name: string): Peer => new Peer(name, 1, 0, false);
  return { sessions, next, peer };
}

t.test('whether lost nodes have left sessions is found out without a look at each session of the others', async (t) => {
  const { sessions, next, peer } = nodeWithStore();
  const other = peer('n2');
  for (let n = 0; n < 1000; n += 1) sessions.told(other, `session ${n}`, next());
  let looks = 0;
  Object.defineProperty(other, 'up', {
    get: () => {
      looks += 1;
      return true;
    },
  });
  t.equal(sessions.mayBeLeft, false);
  t.ok(looks <= 1, `${looks} looks`);
});

t.test('sessions of a lost node are left until a living node, or this one, has them', async (t) => {
  const { sessions, next, peer } = nodeWithStore();
  const [two, three] = [peer('n2'), peer('n3')];
  for (const clientId of ['a', 'b', 'c']) sessions.told(two, clientId, next());
  t.equal(sessions.mayBeLeft, false);
  two.up = false;
  t.equal(sessions.mayBeLeft, true);
  sessions.told(three, 'a', next());
  sessions.adopt('b', next());
  t.equal(sessions.mayBeLeft, true);
  two.up = true;
  t.equal(sessions.mayBeLeft, false, 'it is heard of again');
  two.up = false;
  sessions.expect(two);
  sessions.told(two, 'a', 1);
  sessions.settle(two);
  t.equal(sessions.mayBeLeft, false, 'the third has ended');
  sessions.release('b');
  t.equal(sessions.mayBeLeft, false);
  three.up = false;
  t.equal(sessions.mayBeLeft, true);
  for (const lost of [two, three]) sessions.drop(lost);
  t.equal(sessions.mayBeLeft, false);
});

t.test('a session that no living node has is never taken for one that somebody has', async (t) => {
  for (let seed = 1; seed <= RUNS; seed += 1) {
    const roll = dice(seed);
    const { sessions, next, peer } = nodeWithStore();
    const peers = [peer('n2'), peer('n3'), peer('n4')];
    for (let step = 0; step < STEPS; step += 1) {
      const one = peers[roll(3)] as Peer;
      const clientId = clientIds[roll(2)] as string;
      const chance = roll(6);
      if (chance === 0) one.up = !one.up;
      else if (chance === 1) sessions.adopt(clientId, next());
      else if (chance === 2) sessions.release(clientId);
      else if (chance === 3) sessions.drop(one);
      else sessions.told(one, clientId, roll(3) === 0 ? 0 : next());
      const claimed = new Set(peers.flatMap((one) => sessions.claimedBy(one)));
      const isLeft = [...claimed].some((id) => sessions.stampOf(id) === 0 && sessions.home(id) === null);
      const areAllThere = claimed.size === 0 || peers.every(({ up }) => up);
      if (isLeft ? sessions.mayBeLeft : !(areAllThere && sessions.mayBeLeft)) continue;
      t.fail(`seed ${seed}, step ${step}: ${isLeft ? 'one is left' : 'none is left'}`);
      return;
    }
  }
  t.pass(`${RUNS} runs`);
});
