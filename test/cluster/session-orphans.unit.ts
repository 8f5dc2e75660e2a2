/** MQTT sessions whose node is gone, and whose takeover fails half-way. */
import t from 'tap';
import type { SessionMover } from '../../src/actors/cluster.js';
import type { Domain } from '../../src/actors/domain.js';
import type { ClusteredDomain } from '../../src/cluster/domain.js';
import type { KeptStream } from '../../src/cluster/kept-stream.js';
import type { Peer } from '../../src/cluster/peer.js';
import { MOST_WAITING, SessionOrphans } from '../../src/cluster/session-orphans.js';
import { StoredSessions } from '../../src/cluster/session-records.js';
import { Sessions } from '../../src/cluster/sessions.js';
import type { ClusterMetrics } from '../../src/metrics.js';
import { ManualClock } from '../mqtt/support/clock.js';
import { MemoryStream } from '../support/memory-stream.js';

const [name, clientId, incarnation] = ['a.example', 'backend', 1];
const kept = { state: 'what n1 had', subscriptions: null, fresh: [] };

/** One node; the nodes before it are gone. */
function nodeOf(node: string, stream: MemoryStream) {
  const clock = new ManualClock();
  const jetstream = { available: true, watchers: new Set<(available: boolean) => void>() };
  const options = { jetstream, stream: stream as unknown as KeptStream, node, incarnation, clock };
  const records = new StoredSessions(options);
  const mesh = {
    broadcast: () => undefined,
    barrier: (done: () => void) => done(),
    incarnation,
    peers: new Map<string, Peer>(),
  };
  const domain = { name, settings: { durability: 'always' as const }, shortage: null };
  const items = { session: () => '' };
  const sessions = new Sessions(
    items as never,
    mesh,
    { next: () => 100, heard: () => undefined },
    domain as never,
    null,
  );
  // Another node had the session, and is not heard of any more.
  sessions.told({ name: 'n1', up: false } as unknown as Peer, clientId, 50);
  const given: string[] = [];
  const mover = {
    isFull: false,
    isDamaged: false,
    /** Called in place of the end of a takeover. */
    hold: null as ((end: () => void) => void) | null,
    restore: (_clientId: string, { state }: typeof kept, done: (isTaken: boolean | null) => void) => {
      if (mover.isDamaged) return done(null);
      if (!mover.isFull) given.push(state);
      const end = (): void => done(!mover.isFull);
      if (mover.hold) mover.hold(end);
      else end();
    },
  };
  sessions.mover = mover as unknown as SessionMover;
  const metrics = { sessionsAdopted: 0, adoptionsDelayed: 0 } as ClusterMetrics;
  const orphans = new SessionOrphans({ name: node, mesh, records, metrics, isLeaving: () => false });
  const cluster = { domain, sessions } as unknown as ClusteredDomain;
  const find = (): Promise<unknown> => new Promise((done) => orphans.find(cluster, clientId, done));
  return { records, sessions, given, mover, metrics, find, orphans, cluster, domain: domain as unknown as Domain };
}

t.test('a session whose takeover JetStream has failed half-way is taken over by the same node later', async (t) => {
  const stream = new MemoryStream();
  const n1 = nodeOf('n1', stream);
  n1.records.of(n1.sessions.domain).put(clientId, kept);
  const n2 = nodeOf('n2', stream);
  stream.onWrite = () => {
    stream.isLost = true;
  };
  t.strictSame([await n2.find(), n2.given, n2.metrics.adoptionsDelayed], ['later', [], 1]);
  stream.onWrite = () => undefined;
  stream.isLost = false;
  t.strictSame([await n2.find(), n2.given], ['here', ['what n1 had']]);
});

t.test('a session that has no room on the node which takes it over is taken over by it when it has', async (t) => {
  const stream = new MemoryStream();
  const n1 = nodeOf('n1', stream);
  n1.records.of(n1.sessions.domain).put(clientId, kept);
  const n2 = nodeOf('n2', stream);
  n2.mover.isFull = true;
  t.equal(await n2.find(), 'later');
  n2.mover.isFull = false;
  t.strictSame([await n2.find(), n2.given], ['here', ['what n1 had']]);
});

t.test('a session that is damaged is removed, so that its client begins a new one', async (t) => {
  const stream = new MemoryStream();
  const n1 = nodeOf('n1', stream);
  n1.records.of(n1.sessions.domain).put(clientId, kept);
  const n2 = nodeOf('n2', stream);
  n2.mover.isDamaged = true;
  t.equal(await n2.find(), null);
  t.equal(n2.sessions.stampOf(clientId), 0, 'nobody has it');
  await new Promise((resolve) => setImmediate(resolve));
  t.strictSame([...stream.records.keys()], []);
  n2.sessions.claim(clientId, () => undefined);
  t.equal(await n2.find(), null);
  t.equal(n2.sessions.stampOf(clientId), 100, 'whoever has come for it begins a new one');
});

t.test('who deletes messages waits for the MQTT sessions that are being taken over, and for no others', async (t) => {
  const stream = new MemoryStream();
  const n1 = nodeOf('n1', stream);
  n1.records.of(n1.sessions.domain).put(clientId, kept);
  const n2 = nodeOf('n2', stream);
  const told: string[] = [];
  n2.orphans.whenTaken(n2.domain, () => void told.push('nothing is taken over'));
  const held = new Promise<() => void>((resolve) => {
    n2.mover.hold = resolve;
  });
  const found = n2.find();
  const end = await held;
  n2.orphans.whenTaken({ name: 'b.example' } as Domain, () => void told.push('nothing of that domain'));
  n2.orphans.whenTaken(n2.domain, () => void told.push('taken over'));
  t.strictSame(told, ['nothing is taken over', 'nothing of that domain']);
  end();
  t.equal(await found, 'here');
  t.strictSame(told.at(-1), 'taken over');
  t.equal(n2.metrics.adoptionsDelayed, 0);
});

t.test('of deletions that wait for sessions which are being taken over only so many wait', async (t) => {
  const stream = new MemoryStream();
  const n1 = nodeOf('n1', stream);
  n1.records.of(n1.sessions.domain).put(clientId, kept);
  const n2 = nodeOf('n2', stream);
  const held = new Promise<() => void>((resolve) => {
    n2.mover.hold = resolve;
  });
  const found = n2.find();
  const end = await held;
  const told: boolean[] = [];
  for (let n = 0; n < MOST_WAITING + 3; n += 1) n2.orphans.whenTaken(n2.domain, (isTaken) => void told.push(isTaken));
  t.strictSame(told, [false, false, false]);
  end();
  await found;
  t.equal(told.filter(Boolean).length, MOST_WAITING);
});

t.test(
  'a node knows that it has found all sessions that were left, however many deletions wait for these',
  async (t) => {
    const stream = new MemoryStream();
    const n1 = nodeOf('n1', stream);
    n1.records.of(n1.sessions.domain).put(clientId, kept);
    const n2 = nodeOf('n2', stream);
    const held = new Promise<() => void>((resolve) => {
      n2.mover.hold = resolve;
    });
    const found = n2.find();
    const end = await held;
    for (let n = 0; n < MOST_WAITING; n += 1) n2.orphans.whenTaken(n2.domain, () => undefined);
    await n2.orphans.sweep(n2.cluster);
    t.equal(n2.sessions.isSwept, false, 'one is still being taken over');
    end();
    await found;
    t.equal(n2.sessions.isSwept, true);
  },
);
