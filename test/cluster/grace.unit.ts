/** How long endpoints of a node that is gone stay online: their clients may come to nodes that have much to take over. */
import t from 'tap';
import { Timers } from '../../src/clock.js';
import { Grace } from '../../src/cluster/grace.js';
import { ManualClock } from '../mqtt/support/clock.js';

const GRACE_MS = 8000;

function setUp() {
  const clock = new ManualClock();
  const nodes = { isBusy: false, answers: [] as unknown[] };
  const grace = new Grace({
    ...{ graceMs: GRACE_MS, leaseMs: 5000, timers: new Timers(clock), peers: new Map() },
    rpc: { callAll: (_peers, _kind, _fields, _limitMs, done) => done(nodes.answers) },
    isBusy: () => nodes.isBusy,
  });
  let isOver = false;
  grace.after(() => {
    isOver = true;
  });
  return { clock, nodes, isOver: () => isOver };
}

t.test('the grace ends where no node has more to take over; a node of an earlier version does not know', (t) => {
  const { clock, nodes, isOver } = setUp();
  nodes.answers = [false, null];
  clock.advance(GRACE_MS - 1);
  t.equal(isOver(), false);
  clock.advance(1);
  t.equal(isOver(), true);
  t.end();
});

t.test('users whose clients have come within the grace do not look offline while nodes are busy with them', (t) => {
  const { clock, nodes, isOver } = setUp();
  nodes.answers = [false, true];
  clock.advance(GRACE_MS + 10_000);
  t.equal(isOver(), false, 'another node is busy');
  nodes.answers = [false, false];
  nodes.isBusy = true;
  clock.advance(10_000);
  t.equal(isOver(), false, 'this node is busy');
  nodes.isBusy = false;
  clock.advance(1000);
  t.equal(isOver(), true);
  t.end();
});

t.test('nodes that are busy for ever do not keep them online for ever', (t) => {
  const { clock, nodes, isOver } = setUp();
  nodes.isBusy = true;
  clock.advance(GRACE_MS + 6 * 60_000);
  t.equal(isOver(), true);
  t.end();
});
