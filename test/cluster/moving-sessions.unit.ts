/** MQTT sessions that come from a node which ends, and large ones that go. */
import t from 'tap';
import type { ClusteredDomain } from '../../src/cluster/domain.js';
import { MovingSessions, type SessionNode } from '../../src/cluster/moving-sessions.js';
import type { Peer } from '../../src/cluster/peer.js';
import type { ClusterMetrics } from '../../src/metrics.js';

function setUp() {
  const timers: (() => void)[] = [];
  const clock = {
    after(_ms: number, task: () => void) {
      timers.push(task);
      return () => void timers.splice(timers.indexOf(task), 1);
    },
  };
  const peer = { name: 'other', up: true, stream: { backlog: 0 } } as unknown as Peer;
  const calls: {
    readonly kind: string;
    readonly fields: readonly unknown[];
    readonly done: (answer: unknown) => void;
  }[] = [];
  const sent: string[] = [];
  const node = {
    name: 'this',
    leaving: { isActive: false },
    mesh: {
      peers: new Map([['other', peer]]),
      send: (_peer: Peer, item: string) => void sent.push(item),
      barrier: (done: () => void) => done(),
    },
    rpc: {
      call: (_peer: Peer, kind: string, fields: readonly unknown[], _ms: number, done: (answer: unknown) => void) =>
        void calls.push({ kind, fields, done }),
    },
    domains: new Map<string, ClusteredDomain>(),
  } as unknown as SessionNode & { domains: Map<string, ClusteredDomain> };
  const metrics = { sessionsAdopted: 0, adoptionsRefused: 0, sessionsHandedOver: 0, handoversRefused: 0 };
  const sessions = new MovingSessions(node, clock, metrics as ClusterMetrics);
  return { timers, peer, calls, sent, node, sessions };
}

t.test('a session whose node dies before it has said that all is forwarded gets its publications all the same', (t) => {
  const { timers, peer, sessions } = setUp();
  const passed: string[] = [];
  const mover = {
    adopt: (_moved: unknown, done: (clientId: string | null) => void) => done('backend'),
    passed: (clientId: string) => void passed.push(clientId),
  };
  const cluster = { sessions: { mover } } as unknown as ClusteredDomain;
  const answers: unknown[] = [];
  sessions.receive(peer, cluster, [1, 0, 1, '[{}]'], (answer) => void answers.push(answer));
  t.strictSame([answers, passed], [[[1]], []]);
  for (const task of [...timers]) task();
  t.strictSame(passed, ['backend']);
  sessions.receive(peer, cluster, [2, 0, 1, '[{}]'], () => undefined);
  sessions.close();
  t.equal(timers.length, 1, 'only the timer that has ended is not cancelled');
  t.end();
});

t.test(
  'a long session waits for the stream to the other node, and what comes until that has it goes there then',
  async (t) => {
    const { timers, peer, calls, sent, node, sessions } = setUp();
    const stream = peer.stream as unknown as { backlog: number };
    stream.backlog = 5 * 1024 * 1024;
    let forward: (item: unknown, bytes: number) => void = () => undefined;
    const mover = {
      clientIds: () => ['backend'],
      handOver: (_id: string, pass: typeof forward, done: (moved: unknown) => void) => {
        forward = pass;
        done({ clientId: 'backend' });
      },
      handedOver: (_id: string, _missed: unknown, done: () => void) => done(),
    };
    const domain = { name: 'a.example', metrics: { dropped: { queueOverflow: 0 } } };
    node.domains.set('a.example', { domain, sessions: { mover } } as unknown as ClusteredDomain);
    const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
    const over = sessions.handOver(() => true);
    await turn();
    forward('early', 1);
    t.strictSame([calls.length, sent.length], [0, 0], 'the stream is full');
    for (let n = 1; n < 10_100; n++) forward(n, 1);
    t.equal(domain.metrics.dropped.queueOverflow, 100, 'and only so many publications wait');
    stream.backlog = 0;
    for (const task of timers.splice(0)) task();
    await turn();
    t.strictSame([calls.map(({ kind }) => kind), sent.length], [['sessions'], 0]);
    calls.shift()?.done([1]);
    await turn();
    t.match([sent[0], sent.length], ['early', 10_000]);
    calls.shift()?.done(true);
    t.equal(await over, 1);
  },
);

t.test('publications that wait for a session are bounded by their bytes too', async (t) => {
  const { peer, node, sessions } = setUp();
  const stream = peer.stream as unknown as { backlog: number };
  stream.backlog = 5 * 1024 * 1024;
  const mover = {
    clientIds: () => ['backend'],
    handOver: (_id: string, pass: (item: unknown, bytes: number) => void, done: (moved: unknown) => void) => {
      for (let n = 0; n < 10; n++) pass(n, 1024 * 1024);
      done({ clientId: 'backend' });
    },
  };
  const domain = { name: 'a.example', metrics: { dropped: { queueOverflow: 0 } } };
  node.domains.set('a.example', { domain, sessions: { mover } } as unknown as ClusteredDomain);
  void sessions.handOver(() => true);
  await new Promise((resolve) => setImmediate(resolve));
  t.equal(domain.metrics.dropped.queueOverflow, 6);
});

t.test('a session that one node refuses is offered to another, with what has come meanwhile', async (t) => {
  const { peer, calls, sent, node, sessions } = setUp();
  const third = { name: 'third', up: true, stream: { backlog: 0 } } as unknown as Peer;
  (node.mesh.peers as Map<string, Peer>).set('third', third);
  const offers: Peer[] = [];
  (node.rpc as { call: unknown }).call = (
    to: Peer,
    kind: string,
    _fields: unknown,
    _ms: number,
    done: (a: unknown) => void,
  ) => {
    calls.push({ kind, fields: [], done });
    if (kind === 'sessions') offers.push(to);
    if (kind === 'sessions') setImmediate(() => done(offers.length > 1 ? [1] : null));
    else done(true);
  };
  const missed: unknown[] = [];
  const mover = {
    clientIds: () => ['backend'],
    handOver: (_id: string, pass: (item: unknown, bytes: number) => void, done: (moved: unknown) => void) => {
      done({ clientId: 'backend' });
      pass(`while offer ${offers.length}`, 1);
    },
    handedOver: (_id: string, items: readonly unknown[] | null, done: () => void) => {
      missed.push(items);
      done();
    },
  };
  const domain = { name: 'a.example', metrics: { dropped: { queueOverflow: 0 } } };
  node.domains.set('a.example', { domain, sessions: { mover } } as unknown as ClusteredDomain);
  t.equal(await sessions.handOver(() => true), 1);
  t.strictSame(new Set(offers), new Set([peer, third]));
  t.strictSame(missed, [['while offer 0'], null], 'the session had back what went to the node that refused it');
  t.match(sent.at(-1), 'while offer 1');
});

t.test('a node that ends is told that its session was taken when that is kept, or cannot be kept soon', (t) => {
  const { timers, peer, sessions } = setUp();
  const kept: (() => void)[] = [];
  const mover = { adopt: (_moved: unknown, done: (clientId: string | null) => void) => done('backend') };
  const records = { committed: (_clientId: string, done: () => void) => void kept.push(done) };
  const cluster = { sessions: { mover, records } } as unknown as ClusteredDomain;
  const answers: unknown[] = [];
  for (const id of [1, 2]) sessions.receive(peer, cluster, [id, 0, 1, '[{}]'], (answer) => void answers.push(answer));
  t.strictSame(answers, [], 'a death of this node would lose what the other one has removed');
  kept[0]?.();
  t.strictSame(answers, [[1]]);
  timers.at(-1)?.();
  t.strictSame(answers, [[1], [1]], 'JetStream does not answer');
  kept[1]?.();
  t.equal(answers.length, 2);
  t.end();
});

t.test('many sessions go together, and those of them that are not taken stay', async (t) => {
  const { calls, node, sessions } = setUp();
  const ids = Array.from({ length: 120 }, (_, n) => `backend${n}`);
  const stay: string[] = [];
  const mover = {
    clientIds: () => ids,
    handOver: (clientId: string, _pass: unknown, done: (moved: unknown) => void) => done({ clientId }),
    handedOver: (clientId: string, missed: unknown, done: () => void) => {
      if (missed) stay.push(clientId);
      done();
    },
  };
  node.domains.set('a.example', { domain: { name: 'a.example' }, sessions: { mover } } as unknown as ClusteredDomain);
  const over = sessions.handOver(() => true);
  const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  await turn();
  t.strictSame(
    calls.map(({ kind }) => kind),
    ['sessions', 'sessions', 'sessions'],
  );
  for (const { fields, done } of calls.splice(0)) {
    const list = JSON.parse(fields.at(-1) as string) as { readonly clientId: string }[];
    done(list.map(({ clientId }) => (clientId === 'backend7' ? 0 : 1)));
  }
  await turn();
  for (const { done } of calls.splice(0)) done(true);
  t.equal(await over, 119);
  t.strictSame(stay, ['backend7']);
  t.strictSame(
    calls.map(({ kind }) => kind),
    ['sessionsPassed', 'sessionsPassed', 'sessionsPassed'],
  );
});
