/** A receipt gathers what becomes of one packet from all who have it, and of these the best counts. */
import t from 'tap';
import type { Client } from '../src/actors/client.js';
import { OUTCOMES, type Outcome, Receipt } from '../src/actors/outcome.js';
import { isReplyError } from '../src/errors.js';
import { online } from '../src/protocols/commands.js';
import { findTicket } from '../src/protocols/credentials.js';
import { push } from '../src/protocols/messages.js';
import { Parameters } from '../src/protocols/parameters.js';
import { own, testMachine } from './mqtt/support/broker.js';
import { ManualClock } from './mqtt/support/clock.js';
import { SlowDisk } from './mqtt/support/disk.js';
import { dice } from './support/dice.js';
import type { Cleaner } from './support/server.js';
import { turnsUntil } from './support/until.js';

function gathering() {
  const settled: Outcome[] = [];
  return { settled, receipt: new Receipt(true, (outcome) => settled.push(outcome)) };
}

t.test('A receipt is settled by the last report that it expects, with the best of them', async (t) => {
  const { settled, receipt } = gathering();
  receipt.expect();
  receipt.expect();
  receipt.report('dropped');
  receipt.report('queued');
  t.strictSame(settled, []);
  receipt.report('unknown');
  t.strictSame(settled, ['queued']);
  receipt.report('delivered');
  t.strictSame(settled, ['queued'], 'once');
});

t.test('Nothing is better than delivered: a receipt does not wait for further reports', async (t) => {
  const { settled, receipt } = gathering();
  receipt.expect();
  receipt.report('delivered');
  t.strictSame(settled, ['delivered']);
  receipt.report('dropped');
  t.strictSame(settled, ['delivered']);
});

t.test('What the offline store has is stored when it is on disk', async (t) => {
  const { settled, receipt } = gathering();
  const writes: (() => void)[] = [];
  receipt.stored({ committed: (done) => void writes.push(done) });
  t.strictSame(settled, []);
  for (const done of writes) done();
  t.strictSame(settled, ['stored']);
});

t.test('Reports in any order settle a receipt once, with the best', async (t) => {
  const roll = dice(11);
  for (let round = 0; round < 500; round++) {
    const { settled, receipt } = gathering();
    const reports = Array.from({ length: 1 + roll(6) }, () => OUTCOMES[roll(OUTCOMES.length)] as Outcome);
    for (let more = 1; more < reports.length; more++) receipt.expect();
    for (const report of reports) receipt.report(report);
    t.strictSame(settled, [OUTCOMES.find((outcome) => reports.includes(outcome))]);
  }
});

/** A domain that keeps offline messages, with one endpoint that has no connection. */
async function keeping(t: Cleaner) {
  const disk = new SlowDisk();
  const clock = new ManualClock();
  const presence = { clientIdleMs: 1000, graceMs: 500 };
  const { domain } = testMachine(t, { domains: [{ ...own, offline: true }], presence, data: '/nowhere' }, clock, disk);
  const client = await new Promise<Client | null>((resolve, reject) => {
    online(domain, new Parameters(Object.entries({ name: 'jack', nick: 'Jack' })), (result) =>
      isReplyError(result) ? reject(new Error(result.detail)) : resolve(findTicket(domain, result.ticket)),
    );
  });
  if (!client) throw new Error('jack is not online');
  const answers: unknown[] = [];
  const send = (more: Record<string, string> = {}) => {
    push(domain, new Parameters(Object.entries({ from: 'shop', to: 'jack', body: 'x', ...more })), (answer) =>
      answers.push(answer),
    );
  };
  return { disk, clock, domain, client, answers, send };
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

t.test(
  'A message that comes in the turn in which its endpoint goes offline is answered when it is on disk',
  async (t) => {
    const { disk, domain, client, answers, send } = await keeping(t);
    const { endpoint } = client;
    endpoint.stop();
    await turn();
    t.equal(domain.tracker.actor(client.address), null);
    const again = domain.endpoint({ address: client.address, node: 'uid', id: 'jack', client: null });
    send();
    send({ receipt: '1' });
    again.stop();
    for (let turns = 0; turns < 4; turns++) await turn();
    t.equal(disk.values('offline').length, 2, 'the messages are on their way to the disk');
    t.strictSame(answers, []);
    disk.commit();
    t.match(answers, [null, { outcomes: [['jack', 'stored']] }]);
  },
);

t.test('A message to an endpoint that is online does not wait for the disk', async (t) => {
  const { answers, send } = await keeping(t);
  send();
  send({ receipt: '1' });
  await turn();
  t.match(answers, [null, { outcomes: [['jack', 'queued']] }]);
});

t.test('An endpoint that fails on a message leaves it unknown, and the call is answered', async (t) => {
  const { client, domain, answers, send } = await keeping(t);
  client.push = () => {
    throw new Error('a fault of the test');
  };
  send({ receipt: '1' });
  await turnsUntil('an answer', () => answers.length > 0);
  t.match(answers, [{ outcomes: [['jack', 'unknown']] }]);
  t.equal(domain.runtime.metrics.crashes, 1);
});
