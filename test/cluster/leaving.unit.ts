/** Who waits for the end of an endpoint's move to another node. */
import t from 'tap';
import type { Address } from '../../src/actors/address.js';
import type { EndpointMessage } from '../../src/actors/endpoint.js';
import type { ClusteredDomain } from '../../src/cluster/domain.js';
import { Leaving, type LeavingNode, MOST_ASKING } from '../../src/cluster/leaving.js';
import { Peer } from '../../src/cluster/peer.js';
import type { ClusterMetrics } from '../../src/metrics.js';
import { ManualClock } from '../mqtt/support/clock.js';

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

const address = '/domain/a.example/uid/ada' as Address;

/** A node that ends, with an endpoint whose move the test lets end, and others that move as long as it asks for nothing more. */
function setUp(others = 0) {
  const told: EndpointMessage[] = [];
  const actor = { tell: (message: EndpointMessage) => void told.push(message) };
  const here = Array.from({ length: others + 1 }, (_, n) => ({
    address: n === 0 ? address : `${address}${n}`,
    birth: 1,
    connected: 1,
  }));
  const cluster = {
    domain: { name: 'a.example' },
    nodesOf: () => [],
    items: {},
    tracker: { here: () => here, actor: () => actor },
  } as unknown as ClusteredDomain;
  const node = {
    name: 'n1',
    mesh: { peers: new Map([['n2', new Peer('n2', 1, 0, false)]]), send: () => undefined, barrier: () => undefined },
    rpc: { call: () => undefined },
    domains: new Map([['a.example', cluster]]),
  } as unknown as LeavingNode;
  let sessionsMoved: () => void = () => undefined;
  const sessions = {
    handOver: async () => 0,
    whenMoved: (done: () => void) => {
      sessionsMoved = done;
    },
  };
  const leaving = new Leaving(node, new ManualClock(), {} as ClusterMetrics, sessions);
  void leaving.handOver(others > 0 ? 0 : 1000);
  const end = (): void => {
    const [first] = told;
    if (first?.kind === 'handOver') first.done(null);
  };
  return { leaving, end, sessionsMoved: () => sessionsMoved() };
}

t.test('of too many who ask for an endpoint that moves the last are answered at once', async (t) => {
  const { leaving, end } = setUp();
  await turn();
  let answered = 0;
  const ask = () => leaving.whenMoved(address, () => void answered++);
  for (let n = 0; n < MOST_ASKING; n++) ask();
  t.equal(answered, 0);
  ask();
  t.equal(answered, 1, 'one too many');
  end();
  t.equal(answered, MOST_ASKING + 1);
  ask();
  t.equal(answered, MOST_ASKING + 2, 'it does not move any more');
});

t.test('whoever waits for all moves waits for those of endpoints and of MQTT sessions', async (t) => {
  const { leaving, end, sessionsMoved } = setUp();
  await turn();
  let isDone = false;
  leaving.whenAllMoved(() => {
    isDone = true;
  });
  end();
  t.notOk(isDone, 'sessions move still');
  sessionsMoved();
  t.ok(isDone);
});

t.test('who waits for the moves of very many endpoints, when no more may wait, is answered', async (t) => {
  const { leaving, sessionsMoved } = setUp(50_000);
  await turn();
  for (let n = 0; n < MOST_ASKING; n++) leaving.whenMoved(address, () => undefined);
  let isDone = false;
  leaving.whenAllMoved(() => {
    isDone = true;
  });
  sessionsMoved();
  t.ok(isDone);
});
