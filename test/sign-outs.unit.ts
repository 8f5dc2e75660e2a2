/** How long names that were signed out are remembered, and how many. */
import t from 'tap';
import type { Address } from '../src/actors/address.js';
import { SignOuts } from '../src/actors/sign-outs.js';
import { hashOf } from '../src/actors/tickets.js';
import { ManualClock } from './mqtt/support/clock.js';
import { MemoryStore } from './support/memory-store.js';

const DAY_MS = 24 * 60 * 60_000;
const address = (id: number | string): Address => `/domain/a.example/uid/${id}` as Address;

function fresh() {
  const clock = new ManualClock();
  const metrics = { signOutsForgotten: 0 };
  let store = new MemoryStore();
  const open = () => {
    store = store.reopened();
    return new SignOuts({ name: 'a.example', metrics }, clock, 120_000, store);
  };
  return { clock, metrics, size: (table: 'signOuts' | 'signedOutTickets' = 'signOuts') => store.size(table), open };
}

t.test('a name is forgotten, also on disk, when no token can be as old as that', async (t) => {
  const { clock, metrics, size, open } = fresh();
  const signOuts = open();
  const at = clock.now();
  t.ok(signOuts.add(address('jack'), at));
  t.notOk(signOuts.add(address('jack'), at - 1), 'an earlier one is no news');
  const again = open();
  t.ok(again.refuses(address('jack'), at));
  clock.advance(DAY_MS + 61_000);
  again.add(address('rose'), clock.now());
  t.notOk(again.refuses(address('jack'), at));
  t.equal(size(), 1);
  t.equal(metrics.signOutsForgotten, 0);
  clock.advance(DAY_MS + 61_000);
  t.notOk(open().refuses(address('rose'), at), 'nor is it read again');
  t.equal(size(), 0);
});

t.test('of too many names the first is forgotten, and that is counted', async (t) => {
  const { clock, metrics, open } = fresh();
  const signOuts = open();
  const at = clock.now();
  for (let n = 0; n < 100_001; n++) signOuts.add(address(n), at);
  t.strictSame([signOuts.refuses(address(0), at), signOuts.refuses(address(1), at)], [false, true]);
  t.equal(metrics.signOutsForgotten, 1);
});

t.test(
  'a ticket that was signed out is so after a restart as well, for as long again, and is forgotten then',
  async (t) => {
    const { clock, size, open } = fresh();
    open().end([hashOf('jack')]);
    clock.advance(3_600_000);
    const again = open();
    t.ok(again.hasEnded('jack'));
    clock.advance(120_000);
    t.notOk(again.hasEnded('jack'));
    t.equal(size('signedOutTickets'), 0);
    again.end([hashOf('rose')]);
    clock.advance(120_000);
    again.end([hashOf('anna')]);
    t.equal(size('signedOutTickets'), 1, 'nobody has asked for the first');
    clock.advance(DAY_MS);
    t.notOk(open().hasEnded('anna'), 'after a day it is not read again');
    t.equal(size('signedOutTickets'), 0);
  },
);

t.test('of too many tickets the first is forgotten', async (t) => {
  const signOuts = fresh().open();
  for (let n = 0; n < 10_001; n++) signOuts.end([hashOf(String(n))]);
  t.strictSame([signOuts.hasEnded('0'), signOuts.hasEnded('1'), signOuts.hasEnded('x')], [false, true, false]);
});

t.test(
  'a ticket that another node has ended is so here for what is left of its time, whoever tells it again',
  async (t) => {
    const { clock, open } = fresh();
    const signOuts = open();
    signOuts.heard([[hashOf('jack'), 60_000]]);
    t.ok(signOuts.hasEnded('jack'));
    clock.advance(40_000);
    signOuts.heard([[hashOf('jack'), 60_000]]);
    t.strictSame(signOuts.ended(), [[hashOf('jack'), 20_000]]);
    clock.advance(20_000);
    t.notOk(signOuts.hasEnded('jack'));
  },
);
