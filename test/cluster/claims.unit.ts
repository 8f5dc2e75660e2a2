/** What nodes ask and answer of the ids that senders give their messages: each node over a network that the test moves on. */
import t from 'tap';
import type { Address } from '../../src/actors/address.js';
import type { Memory } from '../../src/actors/memory.js';
import { MessageIds } from '../../src/actors/message-ids.js';
import type { Outcome } from '../../src/actors/outcome.js';
import { Claims } from '../../src/cluster/claims.js';
import type { LocalNode } from '../../src/cluster/local-node.js';
import { Peer } from '../../src/cluster/peer.js';
import { Metrics } from '../../src/metrics.js';
import { ManualClock } from '../mqtt/support/clock.js';

type Done = (answer: unknown) => void;

const shop = '/domain/a.example/uid/shop' as Address;
const jack = { address: '/domain/a.example/uid/jack' as Address, client: null };
const rose = { ...jack, address: '/domain/a.example/uid/rose' as Address };
const both = [jack, rose].map((target) => ({ target, members: null }));
const fail = (): never => {
  throw new Error('nobody asks');
};

/** A node that remembers, and one that asks it; `isLost`: what is asked from now on is not answered. */
function pair() {
  const clock = new ManualClock();
  const metrics = new Metrics().domain('a.example');
  const memory = { add: () => undefined, subtract: () => undefined } as unknown as Memory;
  const messageIds = new MessageIds({ name: 'a.example', limits: { idsPerDomain: 0 }, metrics, memory }, clock, null);
  const domain = { name: 'a.example', messageIds };
  const expected: Done[] = [];
  const state = { chosen: new Peer('home', 1, 0, false) as Peer | null, isLost: false, isReading: false };
  const waiting: (() => void)[] = [];
  const whenKnown = (_sender: unknown, done: () => void): boolean => {
    if (state.isReading) waiting.push(done);
    return state.isReading;
  };
  const home = new Claims({
    domain,
    rpc: { call: fail, answer: fail, expect: (_peer, _ms, done) => expected.push(done) },
    chosenBy: () => null,
    whenKnown,
  });
  const call: LocalNode['rpc']['call'] = (peer, kind, [, ...fields], _ms, done) => {
    if (state.isLost) return done(null);
    const carried = JSON.parse(JSON.stringify(fields)) as unknown[];
    const reply = (answer: unknown) => done(JSON.parse(JSON.stringify(answer)));
    if (kind === 'claim') home.answer(peer, carried, reply);
    else home.answerOutcomes(carried, reply);
  };
  const answer: LocalNode['rpc']['answer'] = (_peer, number, outcomes) => expected[number - 1]?.(outcomes);
  const away = new Claims({ domain, rpc: { call, answer, expect: fail }, chosenBy: () => state.chosen, whenKnown });
  const claim = (of: typeof both) => {
    let found: readonly { readonly isNew: boolean; readonly sent: { settle(outcome: Outcome): void } }[] | null = null;
    const outcomes: Outcome[] = [];
    const isAsked = away.claim(shop, 'a', of, (claims) => {
      found = claims;
      for (const [at, { sent }] of (claims ?? []).entries()) {
        sent.whenKnown((outcome) => {
          outcomes[at] = outcome;
        });
      }
    });
    return { isAsked, outcomes, news: () => found?.map(({ isNew }) => isNew) ?? null, claims: () => found ?? [] };
  };
  return { home, claim, state, messageIds, expected, waiting };
}

t.test('the first is told that its message is new, all others what has become of it', (t) => {
  const { claim } = pair();
  const first = claim(both.slice(0, 1));
  t.strictSame(first.news(), [true]);
  const second = claim(both);
  t.strictSame(second.news(), [false, true]);
  t.strictSame(second.outcomes, [], 'the first is on its way');
  first.claims()[0]?.sent.settle('queued');
  second.claims()[1]?.sent.settle('delivered');
  t.strictSame(second.outcomes, ['queued', 'delivered']);
  const third = claim(both);
  t.strictSame(third.news(), [false, false]);
  t.strictSame(third.outcomes, ['queued', 'delivered']);
  t.end();
});

t.test(
  'where the node that was to send is lost, whoever waits learns that nothing is known, and a repeat is new',
  (t) => {
    const { claim, expected } = pair();
    claim(both.slice(0, 1));
    const second = claim(both.slice(0, 1));
    expected[0]?.(null);
    t.strictSame(second.outcomes, ['unknown']);
    t.strictSame(claim(both.slice(0, 1)).news(), [true]);
    t.end();
  },
);

t.test('a node that does not answer is asked no more where it is not the chosen one any longer', (t) => {
  const { claim, state } = pair();
  state.isLost = true;
  const asked = claim(both);
  t.equal(asked.isAsked, true);
  t.equal(asked.news(), null);
  state.chosen = null;
  t.equal(claim(both).isAsked, false);
  t.end();
});

t.test('a node that still reads what another one remembered answers when it has', (t) => {
  const { claim, state, messageIds, waiting } = pair();
  state.isReading = true;
  const asked = claim(both.slice(0, 1));
  t.equal(asked.news(), null);
  state.chosen = null;
  const own = claim(both.slice(0, 1));
  t.strictSame([own.isAsked, own.news()], [true, null]);
  const key = `${shop}\na\n${both[0]?.target?.address}\n`;
  messageIds.remember([key, Number.MAX_SAFE_INTEGER, 'queued', null, 0]);
  for (const done of waiting) done();
  t.strictSame([asked.news(), own.news(), asked.outcomes, own.outcomes], [[false], [false], ['queued'], ['queued']]);
  t.end();
});

t.test('what is asked in no known shape is answered with nothing, and remembered nowhere', (t) => {
  const { home, messageIds } = pair();
  const peer = new Peer('byhand', 1, 0, false);
  const bad = [
    [],
    [shop],
    [shop, 'a'],
    [shop, 'a', {}],
    [shop, 'a', [1]],
    [shop, 'a', [[]]],
    [1, 'a', [['', null, null]]],
  ];
  for (const fields of [...bad, [shop, 'a', [['', 1, null]]], [shop, 'a', [['', null, -1]]]]) {
    const answers: unknown[] = [];
    home.answer(peer, fields, (answer) => answers.push(answer));
    home.answerOutcomes(fields, (answer) => answers.push(answer));
    t.strictSame(answers, [null, null], JSON.stringify(fields));
  }
  t.equal(messageIds.size, 0);
  t.end();
});
