/** The order of what a sender sends while the id of one of its messages is looked up elsewhere. */
import t from 'tap';
import type { Address } from '../src/actors/address.js';
import { MOST_HELD, SendOrder } from '../src/actors/send-order.js';
import { dice } from './support/dice.js';

const anna = '/domain/a.example/uid/anna' as Address;
const jack = '/domain/a.example/uid/jack' as Address;

t.test('what is sent behind a message that is looked up waits for it, and nobody else waits', (t) => {
  const order = new SendOrder();
  const sent: string[] = [];
  const release = order.hold(anna);
  order.send(anna, () => sent.push('two'));
  order.send(jack, () => sent.push('jack'));
  t.strictSame(sent, ['jack']);
  release(() => sent.push('one'));
  t.strictSame(sent, ['jack', 'one', 'two']);
  t.equal(order.size, 0);
  t.end();
});

t.test('whichever look-up is answered first, the order is that of the calls', (t) => {
  const roll = dice(3);
  const order = new SendOrder();
  const open: (() => void)[] = [];
  const sent: number[] = [];
  for (let n = 0; n < 500; n++) {
    const go = () => sent.push(n);
    if (roll(2) === 0) order.send(anna, go);
    else {
      const release = order.hold(anna);
      open.push(() => release(go));
    }
    if (roll(3) === 0 && open.length > 0) open.splice(roll(open.length), 1)[0]?.();
  }
  for (const answer of open.reverse()) answer();
  t.strictSame(
    sent,
    [...sent].sort((a, b) => a - b),
  );
  t.equal(sent.length, 500);
  t.equal(order.size, 0);
  t.end();
});

t.test('what waits is bounded: beyond it goes at once', (t) => {
  const order = new SendOrder();
  let count = 0;
  const go = () => {
    count += 1;
  };
  const release = order.hold(anna);
  for (let n = 0; n < MOST_HELD; n++) order.send(anna, go);
  t.equal(count, 1);
  order.hold(anna)(go);
  t.equal(count, 2);
  release(go);
  t.equal(count, MOST_HELD + 2);
  t.end();
});

t.test('what is sent because of what had its turn comes behind all that waits, and nothing is sent twice', (t) => {
  const order = new SendOrder();
  const sent: string[] = [];
  const release = order.hold(anna);
  order.send(anna, () => sent.push('two'));
  release(() => {
    sent.push('one');
    if (sent.length === 1) order.hold(anna)(() => sent.push('three'));
  });
  t.strictSame(sent, ['one', 'two', 'three']);
  t.equal(order.size, 0);
  t.end();
});
