/** How long endpoints of a node that is gone stay online: their clients may come to nodes that have much to take over. */
import t from 'tap';
import { Timers } from '../../src/clock.js';
import { Grace } from '../../src/cluster/grace.js';
import { ManualClock } from '../mqtt/support/clock.js';

const GRACE_MS = 8000;

function setUp() {
  const clock = new ManualClock();
  const nodes = { isBusy: false, answers: [] as unknown[] };
  const peer = { up: false, hiddenAt: 1 };
  let answerMs = 0;
  let asked = 0;
  const grace = new Grace({
    ...{ graceMs: GRACE_MS, leaseMs: 5000, timers: new Timers(clock), now: () => clock.now(), peers: new Map() },
    rpc: {
      callAll: (_peers, _kind, _fields, _limitMs, done) => {
        asked += 1;
        if (answerMs === 0) done(nodes.answers);
        else clock.after(answerMs, () => done(nodes.answers));
      },
    },
    isBusy: () => nodes.isBusy,
  });
  let isOver = false;
  grace.after(peer, () => {
    isOver = true;
  });
  const answerAfter = (ms: number): void => {
    answerMs = ms;
  };
  return { clock, nodes, peer, grace, answerAfter, asked: () => asked, isOver: () => isOver };
}

t.test('the grace ends where no node has more to take over; one that has not answered counts as such', (t) => {
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

t.test('nodes that are busy, and slow to say so, do not keep the endpoints of a dead node online for longer', (t) => {
  const { clock, nodes, answerAfter, isOver } = setUp();
  nodes.isBusy = true;
  answerAfter(4000);
  clock.advance(GRACE_MS + 6 * 60_000);
  t.equal(isOver(), true);
  t.end();
});

t.test('no node is asked whether it is busy when the node that was gone is there again', (t) => {
  const { clock, nodes, peer, asked, isOver } = setUp();
  nodes.isBusy = true;
  clock.advance(GRACE_MS + 2000);
  const before = asked();
  peer.up = true;
  clock.advance(60_000);
  t.equal(asked(), before);
  t.equal(isOver(), true);
  t.end();
});

t.test('users of a node that is gone, back, and gone again have the whole of the second grace', (t) => {
  const { clock, peer, grace, isOver } = setUp();
  clock.advance(GRACE_MS - 1000);
  peer.hiddenAt = 2;
  let isSecondOver = false;
  grace.after(peer, () => {
    isSecondOver = true;
  });
  clock.advance(GRACE_MS - 1);
  t.equal(isOver(), false);
  t.equal(isSecondOver, false);
  clock.advance(1);
  t.equal(isOver(), false, 'the second grace ends it');
  t.equal(isSecondOver, true);
  t.end();
});
