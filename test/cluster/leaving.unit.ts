/** Who waits for the end of an endpoint's move to another node, and for how long a node that ends waits for such ends. */
import t from 'tap';
import type { Address } from '../../src/actors/address.js';
import type { EndpointJournal } from '../../src/actors/cluster.js';
import type { EndpointMessage } from '../../src/actors/endpoint.js';
import type { ClusteredDomain } from '../../src/cluster/domain.js';
import { Leaving, type LeavingNode } from '../../src/cluster/leaving.js';
import { Peer } from '../../src/cluster/peer.js';
import { MOST_WAITERS } from '../../src/cluster/waiters.js';
import type { ClusterMetrics } from '../../src/metrics.js';
import { ManualClock } from '../mqtt/support/clock.js';
import { turn } from '../mqtt/support/device.js';

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
    isKept: () => false,
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
  for (let n = 0; n < MOST_WAITERS; n++) ask();
  t.equal(answered, 0);
  ask();
  t.equal(answered, 1, 'one too many');
  end();
  t.equal(answered, MOST_WAITERS + 1);
  ask();
  t.equal(answered, MOST_WAITERS + 2, 'it does not move any more');
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
  for (let n = 0; n < MOST_WAITERS; n++) leaving.whenMoved(address, () => undefined);
  let isDone = false;
  leaving.whenAllMoved(() => {
    isDone = true;
  });
  sessionsMoved();
  t.ok(isDone);
});

/** A node that ends, with endpoints that stop at once, and another node that answers when the test says so. `journal`: null: it has none. */
function setUpWith(
  endpoints: number,
  sessions: Promise<number>,
  journal: Pick<EndpointJournal, 'written'> | null = null,
) {
  let stopped = 0;
  const actor = {
    tell: (message: EndpointMessage): void => {
      if (message.kind === 'handedOver') setImmediate(message.done);
      if (message.kind !== 'handOver') return;
      stopped += 1;
      message.done({ kept: {}, queues: null } as never);
    },
  };
  const here = Array.from({ length: endpoints }, (_, n) => ({ address: `${address}${n}`, birth: 1, connected: 1 }));
  const cluster = {
    domain: { name: 'a.example' },
    nodesOf: () => [],
    items: {},
    journal,
    tracker: { here: () => here, actor: () => actor, records: new Map() },
  } as unknown as ClusteredDomain;
  const peer = new Peer('n2', 1, 0, false);
  peer.stream = { backlog: 0 } as typeof peer.stream;
  const offered: ((answer: unknown) => void)[] = [];
  const node = {
    name: 'n1',
    mesh: { peers: new Map([['n2', peer]]), send: () => undefined, barrier: (done: () => void) => done() },
    rpc: {
      call: (_peer: Peer, kind: string, _fields: unknown, _ms: number, done: (answer: unknown) => void) => {
        if (kind === 'adopt') offered.push(done);
        else setImmediate(done, true);
      },
    },
    domains: new Map([['a.example', cluster]]),
    isKept: () => false,
  } as unknown as LeavingNode;
  const clock = new ManualClock();
  const metrics = { handoversRefused: 0, handedOver: 0 } as ClusterMetrics;
  const leaving = new Leaving(node, clock, metrics, { handOver: () => sessions, whenMoved: (done) => done() });
  let isOver = false;
  void leaving.handOver(1000).then(() => {
    isOver = true;
  });
  /** Lets time go by, in steps in which everything is done that is to be done. */
  const pass = async (ms: number): Promise<void> => {
    for (let passed = 0; passed < ms; passed += 25) {
      for (let n = 0; n < 10; n++) await turn();
      clock.advance(25);
    }
    for (let n = 0; n < 10; n++) await turn();
  };
  const refuse = (): void => {
    for (const answer of offered.splice(0)) answer(null);
  };
  return { pass, refuse, offered, stopped: () => stopped, isOver: () => isOver };
}

t.test(
  'endpoints are handed over when JetStream has their records, which else would be later than those of the other node',
  async (t) => {
    const written: (() => void)[] = [];
    const { pass, offered } = setUpWith(2, Promise.resolve(0), { written: (_address, done) => written.push(done) });
    await pass(50);
    written.shift()?.();
    await pass(50);
    t.equal(offered.length, 0, 'the second record is not written');
    written.shift()?.();
    await pass(25);
    t.equal(offered.length, 1);
  },
);

t.test('endpoints are handed over though JetStream does not answer', async (t) => {
  const { pass, offered } = setUpWith(2, Promise.resolve(0), { written: () => undefined });
  await pass(475);
  t.equal(offered.length, 0);
  await pass(50);
  t.equal(offered.length, 1);
});

t.test('a node that ends goes on with further endpoints as soon as those on their way have been refused', async (t) => {
  const { pass, refuse, stopped } = setUpWith(3000, Promise.resolve(0));
  await pass(800);
  const before = stopped();
  t.ok(before >= 1000 && before < 3000, 'no more are on their way at a time');
  refuse();
  await pass(100);
  t.ok(stopped() > before);
});

t.test('a node that ends waits for answers up to its time, however many endpoints are on their way', async (t) => {
  const { pass, isOver } = setUpWith(3000, Promise.resolve(0));
  await pass(5900);
  t.notOk(isOver());
  await pass(200);
  t.ok(isOver());
});

t.test('a node that ends waits no longer for MQTT sessions on their way than for endpoints', async (t) => {
  const { pass, isOver } = setUpWith(0, new Promise(() => undefined));
  await pass(5900);
  t.notOk(isOver());
  await pass(200);
  t.ok(isOver());
});
