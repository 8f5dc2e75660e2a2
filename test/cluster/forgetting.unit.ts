/** What is to be forgotten on all nodes: what other nodes ask for, and what a node that ends is handing over. */
import t from 'tap';
import type { Domain } from '../../src/actors/domain.js';
import { answerForget, forget, MOST_TASKS } from '../../src/actors/forgetting.js';
import { Forgetting } from '../../src/cluster/forgetting.js';
import type { LocalNode } from '../../src/cluster/local-node.js';
import { Peer } from '../../src/cluster/peer.js';
import { UNAVAILABLE } from '../../src/errors.js';

const jack = '/domain/a.example/uid/jack';
const anna = '/domain/a.example/uid/anna';

/** A domain without a history, whose deletions wait until the test lets them go on. */
function domainOf() {
  const waiting: ((isTaken: boolean) => void)[] = [];
  const asked: unknown[] = [];
  const domain = {
    name: 'a.example',
    history: null,
    runtime: { store: null },
    shortId: (address: string) => address.split('/').at(-1),
    cluster: {
      held: null,
      sessions: { deleteLeft: (_deletion: unknown, isDone: (isDone: boolean) => void) => isDone(true) },
      whenTaken: (_addresses: unknown, done: (isTaken: boolean) => void) => void waiting.push(done),
      forget: (what: unknown, done: (answers: readonly unknown[]) => void) => {
        asked.push(what);
        done([]);
      },
    },
  };
  return { domain: domain as unknown as Domain, waiting, asked };
}

t.test('another node can have forgotten what belongs to the domain that it names, and nothing else', async (t) => {
  const { domain } = domainOf();
  const answers: unknown[] = [];
  for (const fields of [
    ['/domain/b.example/uid/jack', anna, 'id'],
    [jack, '/domain/b.example/uid/anna', 'id'],
    ['jack', anna, 'id'],
    [jack, anna, 7],
    [7, null, null],
  ]) {
    answerForget(domain, fields, (answer) => void answers.push(answer));
  }
  t.strictSame(answers, [null, null, null, null, null]);
  answerForget(domain, [jack, anna, 'id'], (answer) => void answers.push(answer));
  t.strictSame(answers.at(-1), [null]);
});

t.test('only so many conversations wait to be forgotten; who asks for a further one is to come again', async (t) => {
  const { domain, waiting, asked } = domainOf();
  let answers = 0;
  for (let n = 0; n < MOST_TASKS; n++) answerForget(domain, [jack, anna, null], () => void answers++);
  t.strictSame([waiting.length, answers], [1, 0], 'one after the other');
  const refused: unknown[] = [];
  answerForget(domain, [jack, anna, null], (answer) => void refused.push(answer));
  forget(domain, [jack, anna, null] as never, (answer) => void refused.push(answer));
  t.strictSame([refused, asked], [[null, UNAVAILABLE], []]);
});

t.test('where too many wait for takeovers nothing is forgotten, and who asks for that is to come again', async (t) => {
  const { domain, waiting, asked } = domainOf();
  const refused: unknown[] = [];
  answerForget(domain, [jack, anna, null], (answer) => void refused.push(answer));
  forget(domain, [jack, anna, null] as never, (answer) => void refused.push(answer));
  waiting[0]?.(false);
  t.strictSame([refused, waiting.length], [[null], 2], 'the next one has its turn');
  waiting[1]?.(false);
  t.strictSame([refused, asked], [[null, UNAVAILABLE], []]);
});

/** A node that ends, or does not, with another one beside it. */
function nodeOf(isActive: boolean) {
  const moved: (() => void)[] = [];
  const calls: string[] = [];
  const node = {
    leaving: { isActive, whenAllMoved: (done: () => void) => void moved.push(done) },
    mesh: { peers: new Map([['n2', new Peer('n2', 1, 0, false)]]) },
    rpc: {
      callAll: (_peers: unknown, kind: string, _fields: unknown, _ms: number, done: (answers: unknown[]) => void) => {
        calls.push(kind);
        done([[kind]]);
      },
    },
  };
  return { node: node as unknown as LocalNode, moved, calls };
}

t.test('what a node hands over while it is asked to forget it is forgotten where it has come', async (t) => {
  const { domain } = domainOf();
  const { node, moved, calls } = nodeOf(true);
  const forgetting = new Forgetting(domain, node);
  const answers: unknown[] = [];
  forgetting.forget([jack, anna, 'id'], (all) => void answers.push(all));
  forgetting.answer([jack, anna, 'id'], (answer) => void answers.push(answer));
  t.strictSame([calls, answers], [['forget'], []]);
  for (const done of moved) done();
  t.strictSame(calls, ['forget', 'forgetMoved', 'forgetMoved']);
  t.strictSame(answers, [[['forget'], [null], ['forgetMoved']], [null]]);
});

t.test('a node that does not end asks once', async (t) => {
  const { domain } = domainOf();
  const { node, calls } = nodeOf(false);
  const forgetting = new Forgetting(domain, node);
  const answers: unknown[] = [];
  forgetting.forget([jack, anna, 'id'], (all) => void answers.push(all));
  forgetting.answer([jack, anna, 'id'], (answer) => void answers.push(answer));
  t.strictSame([calls, answers], [['forget'], [[['forget']], [null]]]);
});
