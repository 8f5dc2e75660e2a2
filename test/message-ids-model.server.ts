/** Idempotency against a model: whoever repeats what, when and at which node, each receiver has each message once in ten minutes. */
import t from 'tap';
import { REMEMBERED_MS } from '../src/actors/message-ids.js';
import type { Clock } from '../src/clock.js';
import { ManualClock } from './mqtt/support/clock.js';
import { dice } from './support/dice.js';
import { clusterSettings, natsServer, testCluster } from './support/nats.js';
import { skipWithout } from './support/programs.js';
import { type Cleaner, merge, siteA, type TestServer, testServer } from './support/server.js';
import type { Site } from './support/site.js';

const SENDERS = ['shop', 'news', 'anna'];
const RECEIVERS = ['jack', 'rose', 'nobody', 'tom'];

interface Said {
  readonly from: string;
  readonly id: string;
  readonly to: readonly string[];
}

/** What is known of a message to one receiver: until when, and what was answered. */
class Model {
  readonly #known = new Map<string, { readonly until: number; readonly outcome: string }>();

  /** Which of the receivers have the message now; the answers of the others are known. */
  expect({ from, id, to }: Said, now: number): Map<string, string | null> {
    return new Map(
      to.map((receiver) => {
        const known = this.#known.get(`${from} ${id} ${receiver}`);
        return [receiver, known && known.until > now ? known.outcome : null];
      }),
    );
  }

  note({ from, id }: Said, receiver: string, outcome: string, now: number): void {
    this.#known.set(`${from} ${id} ${receiver}`, { until: now + REMEMBERED_MS, outcome });
  }
}

async function say(site: Site, { from, id, to }: Said, ticket?: string): Promise<Map<string, string>> {
  const sender = ticket === undefined ? { from } : { ticket };
  const answer = await site.post('/v5/messages', { ...sender, id, to: to.join(), body: `${from} ${id}`, receipt: 1 });
  if (answer.status !== 200) throw new Error(answer.text);
  const { outcome, outcomes } = answer.body as { outcome?: string; outcomes?: Record<string, string> };
  return outcome ? new Map([[to[0] as string, outcome]]) : new Map(Object.entries(outcomes ?? {}));
}

function someReceivers(roll: (sides: number) => number): string[] {
  const found = RECEIVERS.filter(() => roll(2) === 0);
  return found.length > 0 ? found : [RECEIVERS[roll(RECEIVERS.length)] as string];
}

const delivered = (server: TestServer) => server.metrics.domain(siteA.domain).delivered.message;
const dropped = (server: TestServer) => server.metrics.domain(siteA.domain).dropped.offline;

for (const seed of [1, 2, 3]) {
  t.test(`random repeats, a clock that goes on, and restarts (${seed})`, async (t) => {
    const roll = dice(seed);
    const clock = new ManualClock();
    const data = t.testdir();
    const settings = { data, domains: [{ ...siteA, offline: true }], presence: { clientIdleMs: 1e7, graceMs: 1e7 } };
    const start = (t: Cleaner, at: Clock) => testServer(t, settings, at);
    let server = await start(t, clock);
    const model = new Model();
    let stored = 0;
    for (let step = 0; step < 150; step++) {
      if (roll(40) === 0) {
        await server.close();
        server = await start(t, clock);
      }
      if (roll(10) === 0) clock.advance(roll(REMEMBERED_MS));
      const said = { from: SENDERS[roll(3)] as string, id: `m${roll(4)}`, to: someReceivers(roll) };
      const expected = model.expect(said, clock.now());
      const before = server.metrics.domain(siteA.domain).offlineMessages;
      const outcomes = await say(server.site(), said);
      t.strictSame([...outcomes.keys()].sort(), [...said.to].sort());
      let fresh = 0;
      for (const [receiver, outcome] of outcomes) {
        const known = expected.get(receiver);
        if (known) t.equal(outcome, known, `${said.from} ${said.id} to ${receiver} is known`);
        else {
          fresh += 1;
          model.note(said, receiver, outcome, clock.now());
        }
      }
      stored += fresh;
      t.equal(
        server.metrics.domain(siteA.domain).offlineMessages - before,
        fresh,
        'who is named for the first time has it',
      );
    }
    t.ok(stored > 20);
  });
}

/** Nodes whose time is the test's; what they hold back for a moment passes by the same clock. */
async function nodesAt(t: Cleaner, clock: ManualClock, count: number): Promise<TestServer[]> {
  const settings = clusterSettings(await natsServer(t), {
    presence: { clientIdleMs: 1e7, graceMs: 0 },
    cluster: { leaseMs: 600_000 },
  });
  const pulse = setInterval(() => clock.advance(20), 20);
  t.teardown(() => clearInterval(pulse));
  const nodes: TestServer[] = [];
  for (let n = 1; n <= count; n++) {
    nodes.push(await testServer(t, merge(settings, { cluster: { node: `n${n}` } }), clock));
  }
  return nodes;
}

/** So much time passes that no node remembers a message; in between the nodes hear of each other, and connections are not silent. */
async function expire(clock: ManualClock, nodes: readonly TestServer[]): Promise<void> {
  for (let passed = 0; passed <= REMEMBERED_MS; passed += 20_000) {
    clock.advance(20_000);
    for (const node of nodes) await node.settled();
  }
}

/** A sender comes online on a node, goes, or a page of it comes through another node before the first one goes. */
async function move(roll: (sides: number) => number, nodes: readonly TestServer[], tickets: Map<string, string>) {
  const sender = SENDERS[roll(3)] as string;
  const site = (nodes[roll(nodes.length)] as TestServer).site();
  const before = tickets.get(sender);
  const isReload = before === undefined || roll(2) === 0;
  if (isReload) tickets.set(sender, (await site.online(sender)).ticket);
  else tickets.delete(sender);
  if (before !== undefined) await site.offline(before);
}

for (const count of [2, 3] as const) {
  t.test(
    `random repeats at ${count} nodes, of senders who come, go and move between them`,
    { skip: skipWithout('nats-server') },
    async (t) => {
      const roll = dice(7 + count);
      const clock = new ManualClock();
      const nodes = await nodesAt(t, clock, count);
      const at = () => nodes[roll(count)] as TestServer;
      await at().site().arrive('jack');
      await at().site().arrive('rose');
      const tickets = new Map<string, string>();
      const model = new Model();
      let [now, expired] = [0, 0];
      for (let step = 0; step < 200; step++) {
        if (roll(30) === 0) {
          await expire(clock, nodes);
          now += REMEMBERED_MS;
          expired += 1;
        }
        if (roll(3) === 0) await move(roll, nodes, tickets);
        const said = { from: SENDERS[roll(3)] as string, id: `m${roll(6)}`, to: someReceivers(roll) };
        const ticket = roll(2) === 0 ? tickets.get(said.from) : undefined;
        const expected = model.expect(said, now);
        const total = () => nodes.reduce((sum, node) => sum + delivered(node) + dropped(node), 0);
        const before = total();
        const outcomes = await say(at().site(), said, ticket);
        let fresh = 0;
        for (const [receiver, outcome] of outcomes) {
          const known = expected.get(receiver);
          if (known) t.equal(outcome, known, `${said.from} ${said.id} to ${receiver} is known`);
          else {
            fresh += 1;
            model.note(said, receiver, outcome, now);
          }
        }
        t.equal(total() - before, fresh);
      }
      t.ok(expired > 2, `all that is known was forgotten ${expired} times`);
      for (const node of nodes) t.equal(node.metrics.domain(siteA.domain).messageIdsUnanswered, 0);
    },
  );
}

t.test(
  'what is sent again while it is still on its way waits for the first',
  { skip: skipWithout('nats-server') },
  async (t) => {
    const [one, two] = await testCluster(t, await natsServer(t), 2);
    const jack = await two.site().arrive('jack');
    const said = { from: 'shop', id: 'm1', to: ['jack'] };
    const answers = await Promise.all(Array.from({ length: 8 }, (_, n) => say((n % 2 ? one : two).site(), said)));
    for (const answer of answers) t.strictSame([...answer], [['jack', 'delivered']]);
    t.hasStrict(await jack.next(), { body: 'shop m1' });
    t.strictSame(await jack.before(), []);
  },
);
