/** Batches of endpoints that another node hands over. */
import t from 'tap';
import { Adoption } from '../../src/cluster/adoption.js';
import type { ClusteredDomain } from '../../src/cluster/domain.js';
import { Peer } from '../../src/cluster/peer.js';
import type { ClusterMetrics } from '../../src/metrics.js';
import { ManualClock } from '../mqtt/support/clock.js';

function setUp() {
  const clock = new ManualClock();
  const metrics = { adoptionsRefused: 0, adopted: 0 };
  const domain = { name: 'a.example', runtime: { clock } };
  const adoption = new Adoption({
    name: 'n1',
    clock,
    metrics: metrics as ClusterMetrics,
    mesh: { barrier: (done) => done() },
    domain: () => ({ domain }) as unknown as ClusteredDomain,
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
  return { metrics, answerTo };
}

t.test('a batch that is no batch is refused', (t) => {
  const { metrics, answerTo } = setUp();
  const texts = ['null', '1', '"text"', '[]', '{}', '{"packets":[]}', '{"packets":[],"endpoints":[null]}', 'no JSON'];
  for (const text of texts) t.equal(answerTo(text), null, text);
  t.equal(metrics.adoptionsRefused, texts.length);
  t.strictSame(answerTo('{"packets":[],"endpoints":[]}'), [], 'an empty one is taken');
  t.end();
});
