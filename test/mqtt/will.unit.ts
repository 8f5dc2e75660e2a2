/** A session's will on its own. */
import t from 'tap';
import type { Will } from '../../src/protocols/mqtt/packets.js';
import { SessionWill } from '../../src/protocols/mqtt/will.js';
import { ManualClock } from './support/clock.js';

function newWill() {
  const clock = new ManualClock();
  const published: string[] = [];
  return { clock, published, will: new SessionWill(clock, ({ topic }) => published.push(topic)) };
}

function willOf(topic: string, delayS = 0): Will {
  return { topic, delayS, payload: Buffer.alloc(0), qos: 0, retain: false, properties: Buffer.alloc(0), expiryS: null };
}

t.test('A will without delay goes out when its connection is lost, once', (t) => {
  const { published, will } = newWill();
  will.connected(willOf('w'));
  will.lost(60);
  will.lost(60);
  will.publishPending();
  t.strictSame(published, ['w']);
  t.end();
});

t.test('A will is discarded by an orderly end, and a connection without one has none', (t) => {
  const { published, will } = newWill();
  will.connected(willOf('w'));
  will.discard();
  will.lost(60);
  will.connected(willOf('w'));
  will.connected(null);
  will.lost(60);
  t.strictSame(published, []);
  t.end();
});

t.test('A will goes out when its delay is over, or before that when its session expires', (t) => {
  const { clock, published, will } = newWill();
  for (const [topic, expiryS, dueS] of [
    ['delay first', 60, 10],
    ['expiry first', 5, 5],
    ['no expiry', 0, 0],
    ['never expires', Number.POSITIVE_INFINITY, 10],
  ] as const) {
    will.connected(willOf(topic, 10));
    will.lost(expiryS);
    if (dueS > 0) clock.advance(dueS * 1000 - 1);
    t.strictSame(published, dueS > 0 ? [] : [topic], topic);
    clock.advance(1);
    t.strictSame(published.splice(0), [topic]);
  }
  t.equal(clock.waiting, 0);
  t.end();
});

t.test('A delayed will is not published when its session goes on, and at once when its session ends', (t) => {
  const { clock, published, will } = newWill();
  will.connected(willOf('w', 10));
  will.lost(60);
  will.resumed();
  clock.advance(60_000);
  t.strictSame(published, []);
  will.connected(willOf('w', 10));
  will.lost(60);
  will.publishPending();
  t.strictSame(published, ['w']);
  t.equal(clock.waiting, 0, 'no timer is left');
  t.end();
});

t.test('The owner of a will may publish it in its own turn, and a delay longer than a timer takes is kept', (t) => {
  const { clock, published, will } = newWill();
  let due = 0;
  const delayS = 4_000_000_000;
  will.connected(willOf('w', delayS));
  will.lost(Number.POSITIVE_INFINITY, () => {
    due += 1;
  });
  clock.advance((delayS - 1) * 1000);
  t.equal(due, 0);
  clock.advance(1000);
  t.equal(due, 1);
  t.strictSame(published, []);
  will.publishPending();
  t.strictSame(published, ['w']);
  t.end();
});
