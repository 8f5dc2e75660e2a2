/** Batches of endpoints that another node hands over. */
import t from 'tap';
import type { EndpointMessage } from '../../src/actors/endpoint.js';
import { Adoption } from '../../src/cluster/adoption.js';
import type { ClusteredDomain } from '../../src/cluster/domain.js';
import { Peer } from '../../src/cluster/peer.js';
import type { ClusterMetrics } from '../../src/metrics.js';
import { ManualClock } from '../mqtt/support/clock.js';

function setUp() {
  const clock = new ManualClock();
  const metrics = { adoptionsRefused: 0, adopted: 0 };
  const told: string[] = [];
  const actor = {
    tell: (message: EndpointMessage): void => {
      told.push(message.kind);
      if (message.kind === 'adopt') message.done(true);
    },
  };
  const domain = { name: 'a.example', runtime: { clock }, endpoint: () => actor };
  const served = { isServed: true };
  const adoption = new Adoption({
    name: 'n1',
    clock,
    metrics: metrics as ClusterMetrics,
    mesh: { barrier: (done) => done() },
    domain: () =>
      served.isServed ? ({ domain, tracker: { actor: () => actor } } as unknown as ClusteredDomain) : undefined,
    isLeaving: () => false,
  });
  const peer = new Peer('n2', 1, 0, false);
  let id = 0;
  const answerTo = (text: string): unknown => {
    let answer: unknown;
    adoption.receive(peer, ['a.example', id++, 0, 1, text], (said) => {
      answer = said;
    });
    return answer;
  };
  return { clock, metrics, told, answerTo, served, lost: () => adoption.lost(peer) };
}

const kept = { nick: '', show: 'available', status: '', buddies: [], rooms: [], isAway: false, clients: [] };

function batchOf(...fields: readonly unknown[]): string {
  return JSON.stringify({ packets: [], endpoints: [['/domain/a.example/uid/ada', ...fields, ['n2']]] });
}

t.test('a batch that is no batch is refused', (t) => {
  const { metrics, answerTo } = setUp();
  const texts = ['null', '1', '"text"', '[]', '{}', '{"packets":[]}', '{"packets":[],"endpoints":[null]}', 'no JSON'];
  for (const text of texts) t.equal(answerTo(text), null, text);
  t.equal(metrics.adoptionsRefused, texts.length);
  t.strictSame(answerTo('{"packets":[],"endpoints":[]}'), [], 'an empty one is taken');
  t.end();
});

t.test(
  'a batch with an endpoint whose fields are damaged is refused before it reaches an endpoint that is here',
  (t) => {
    const { metrics, answerTo } = setUp();
    const queue = { name: 'c', accepted: 1, sent: 0, entries: [0], elders: null, given: [] };
    const queues = { node: 'uid', id: 'ada', clients: [queue], unseen: [], turns: [] };
    const damaged: readonly (readonly [kept: unknown, queues: unknown])[] = [
      [{ ...kept, clients: [null] }, null],
      [{ ...kept, clients: [{ hash: 1, name: 'c' }] }, null],
      [{ ...kept, clients: [{ hash: '', name: 'c', from: null }] }, null],
      [{ ...kept, rooms: [{}] }, null],
      [{ ...kept, buddies: [null] }, null],
      [kept, { ...queues, clients: [null] }],
      [kept, { ...queues, clients: [{ ...queue, entries: [null] }] }],
      [kept, { ...queues, clients: [{ ...queue, elders: undefined }] }],
      [kept, { ...queues, clients: [{ ...queue, elders: [null] }] }],
      [kept, { ...queues, unseen: [{}] }],
      [kept, { ...queues, turns: [null] }],
    ];
    for (const one of damaged) {
      t.equal(answerTo(batchOf(...one)), null, JSON.stringify(one));
    }
    t.equal(metrics.adoptionsRefused, damaged.length);
    t.end();
  },
);

t.test('an endpoint that comes from a second node counts as on its way when the time of the first one is over', (t) => {
  const { clock, told, answerTo } = setUp();
  t.strictSame(answerTo(batchOf(kept, null)), [1]);
  clock.advance(8000);
  t.strictSame(answerTo(batchOf(kept, null)), [1]);
  clock.advance(2000);
  t.strictSame(told, ['adopt', 'keep', 'adopt', 'keep']);
  clock.advance(8000);
  t.strictSame(told, ['adopt', 'keep', 'adopt', 'keep', 'adopted']);
  t.end();
});

t.test('endpoints of a domain that is removed while they come are forgotten as others are', (t) => {
  const { clock, told, answerTo, served, lost } = setUp();
  t.strictSame(answerTo(batchOf(kept, null)), [1]);
  served.isServed = false;
  clock.advance(10_000);
  lost();
  t.strictSame(told, ['adopt', 'keep'], 'nobody is told what becomes of the node that they came from');
  t.end();
});
