/**
 * Pages that keep a position, on a network that cuts connections anywhere: what a page has had is what was accepted for it, in
 * order and once, or the difference is exactly what its frames call missed and lost.
 */
import t from 'tap';
import { turn } from './mqtt/support/device.js';
import { dice } from './support/dice.js';
import { type FakeNetwork, fakeNetwork, HOUR, Page } from './support/fake-network.js';

const RUNS = 250;
const STEPS = 60;

async function pageRun({ broker, clock, adapters }: FakeNetwork, seed: number): Promise<Page> {
  const roll = dice(seed);
  const name = `user-${seed}`;
  const page = new Page(await broker.online(name), adapters, roll);
  let accepted = 0;
  const push = () => {
    accepted += 1;
    broker.push('tom', name, String(accepted));
  };
  page.connect();
  for (let step = 0; step < STEPS; step++) {
    if (roll(3) === 0) push();
    else page.step();
    if (roll(20) === 0) clock.advance(16_000);
    if (roll(2) === 0) await turn();
  }
  for (let turns = 0; page.count < accepted || page.position === '0'; turns++) {
    if (turns > 50) throw new Error(`has come to ${page.position} of ${accepted}`);
    page.connect();
    await turn();
    page.link?.read(page.link.pending.length);
  }
  if (page.bodies.some((body, i) => body <= (page.bodies[i - 1] ?? 0))) throw new Error(`has had ${page.bodies}`);
  if (page.unknown > 0) throw new Error('was told that something may be missed');
  const gone = accepted - page.bodies.length;
  if (page.count !== accepted || page.missed !== gone || page.lost !== gone) {
    throw new Error(`of ${accepted} ${gone} are gone: told ${page.missed} and ${page.lost}, counts ${page.count}`);
  }
  for (const link of [...page.left, page.link]) link?.lost();
  await broker.offline(page.ticket);
  await turn();
  return page;
}

for (const queuePackets of [0, 5]) {
  const what =
    queuePackets === 0
      ? 'have every message once and in order'
      : 'with queues that overflow are told exactly what they missed';
  t.test(`${RUNS} pages whose connections of all kinds are cut anywhere ${what}`, async (t) => {
    const world = fakeNetwork(t, queuePackets);
    const sum = { bodies: 0, missed: 0, opened: 0 };
    for (let seed = 1; seed <= RUNS; seed++) {
      try {
        const { bodies, missed, opened } = await pageRun(world, seed);
        sum.bodies += bodies.length;
        sum.missed += missed;
        sum.opened += opened;
      } catch (error) {
        t.equal(`seed ${seed}: ${(error as Error).message}`, '');
        return;
      }
    }
    t.ok(sum.bodies > 5 * RUNS && sum.opened > 5 * RUNS, JSON.stringify(sum));
    t.equal(sum.missed > 0, queuePackets > 0, JSON.stringify(sum));
    // What overflowed in a client's queue waits for the endpoint's next client, and for the grace at most.
    world.clock.advance(2 * HOUR);
    await turn();
    const { queuedPackets, queuedBytes, unconfirmedPackets } = world.domain.metrics;
    t.strictSame([queuedPackets, queuedBytes, unconfirmedPackets], [0, 0, 0]);
  });
}
