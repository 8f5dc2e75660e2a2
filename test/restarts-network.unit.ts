/**
 * Pages and phones of one user on a network that cuts connections anywhere, while their server ends in order or is killed at any
 * write, and starts again: what each has had is what was accepted for it, or the difference is what it was told.
 */
import t from 'tap';
import { turn } from './mqtt/support/device.js';
import { Phone } from './mqtt/support/phone.js';
import { distinct } from './support/circle.js';
import { dice } from './support/dice.js';
import { HOUR, Page } from './support/fake-network.js';
import { type Ending, RestartingNetwork } from './support/restarting-network.js';

const RUNS = 60;
const STEPS = 80;
const TABLES = ['endpoints', 'queues', 'packets', 'unconfirmed', 'unconfirmedMessages'] as const;

const KILLS: readonly Ending[] = ['in order', 'killed', 'killed at its end', 'killed at its start'];

class Run {
  readonly roll: (sides: number) => number;
  readonly net: RestartingNetwork;
  readonly pages: Page[] = [];
  phone!: Phone;
  accepted = 0;
  /** How many were accepted when the server was killed last; null: it never was. */
  killedAt: number | null = null;
  restarts = 0;

  constructor(
    readonly durability: string,
    readonly queuePackets: number,
    readonly endings: readonly Ending[],
    seed: number,
  ) {
    this.roll = dice(seed);
    this.net = new RestartingNetwork(durability, queuePackets, this.roll);
  }

  async begin(): Promise<void> {
    const { net, roll } = this;
    await net.start();
    for (let n = 0; n < 2; n++) this.pages.push(new Page(await net.broker.online('jack'), net.adapters, roll));
    this.phone = new Phone(net.machine.host, await net.broker.online('jack'));
    net.clock.advance(100);
    await turn();
    net.store.commit();
  }

  async steps(): Promise<void> {
    const { net, roll, phone } = this;
    phone.connect();
    for (let step = 0; step < STEPS; step++) {
      if (roll(3) === 0) {
        this.accepted += 1;
        net.push('jack', this.accepted);
      } else this.stepOf(roll(3));
      if (roll(6) === 0) net.store.commit();
      if (roll(20) === 0) net.clock.advance(16_000);
      if (roll(2) === 0) await turn();
      if (roll(25) === 0) await this.restart();
    }
  }

  stepOf(who: number): void {
    const page = this.pages[who];
    if (page) page.step();
    else this.phone.step(this.roll);
  }

  async restart(): Promise<void> {
    const { net, roll, pages, phone } = this;
    const before = net.era;
    await net.restart(this.endings[roll(this.endings.length)] as Ending);
    this.restarts += 1;
    phone.read(roll);
    phone.device = null;
    phone.host = net.machine.host;
    for (const page of pages) page.survives(net.adapters);
    if (net.era === before) return;
    this.killedAt = this.accepted;
    for (const page of pages) [page.unknown, page.covered, page.missed, page.lost] = [0, 0, 0, 0];
  }

  /** All connect, and have what is there for them. */
  async finish(): Promise<void> {
    const { net, pages, phone } = this;
    await turn();
    net.store.commit();
    for (const page of pages) {
      for (let turns = 0; page.position !== `${net.era}.${net.accepted(page.ticket)}`; turns++) {
        if (turns > 50) throw new Error(`a page has come to ${page.position} of ${net.accepted(page.ticket)}`);
        page.connect();
        await turn();
        page.link?.read(page.link.pending.length);
      }
    }
    phone.connect();
    for (let turns = 0; turns < 20; turns++) {
      await turn();
      phone.read(null);
      phone.acknowledge(100);
    }
    await turn();
  }

  checkPage(page: Page): void {
    const { accepted, killedAt, queuePackets } = this;
    const had = distinct(page.bodies, page.ids);
    this.checkOrder('a page', had);
    if (killedAt === null) {
      const gone = accepted - page.bodies.length;
      const told = [page.count, page.missed, page.lost, page.unknown];
      if (`${told}` !== `${[accepted, gone, gone, 0]}`)
        throw new Error(`of ${accepted} ${gone} are gone: told ${told}`);
      return;
    }
    const before = killedAt - had.filter((body) => body <= killedAt).length;
    if (before > 0 && page.unknown === 0) throw new Error(`${before} are gone by a kill, and the page does not know`);
    const since = accepted - killedAt - (had.length - killedAt + before);
    if (since > page.missed + page.covered || (queuePackets === 0 && page.missed > 0)) {
      throw new Error(`${since} are gone since the kill: told ${page.missed} and ${page.covered}`);
    }
    this.checkAnswered('page', had);
  }

  checkPhone({ bodies, isResumed }: Phone): void {
    const { accepted, killedAt, net } = this;
    this.checkOrder('the phone', bodies);
    this.checkAnswered('phone', bodies);
    if (killedAt !== null) return;
    const dropped = net.dropped + net.machine.domain.metrics.dropped.queueOverflow;
    const gone = accepted - bodies.length;
    if (gone > dropped) throw new Error(`${gone} of ${accepted} are gone for the phone, and ${dropped} were dropped`);
    if (!isResumed) throw new Error('the session of the phone is gone');
  }

  /** What a full queue has dropped comes late after a kill where it was on disk still. */
  checkOrder(who: string, had: readonly number[]): void {
    if (this.killedAt !== null && this.queuePackets > 0) return;
    if (had.some((body, i) => body <= (had[i - 1] ?? 0))) throw new Error(`${who} has had ${had}`);
  }

  checkAnswered(who: string, had: readonly number[]): void {
    if (this.durability !== 'always' || this.queuePackets > 0) return;
    const gone = [...this.net.answered].filter((body) => !had.includes(body));
    if (gone.length > 0) throw new Error(`${gone} were answered ok, and the ${who} has not had them`);
  }

  /** Nothing is left of those who have gone. */
  async leave(): Promise<void> {
    const { net, pages, phone } = this;
    phone.lose();
    for (const page of pages) for (const link of [...page.left, page.link]) link?.lost();
    for (const ticket of [...pages.map((page) => page.ticket), phone.ticket]) await net.broker.offline(ticket);
    for (const ms of [2 * HOUR, 1000]) {
      net.clock.advance(ms);
      await turn();
    }
    const { queuedPackets, queuedBytes, unconfirmedPackets } = net.machine.domain.metrics;
    const left = [queuedPackets, queuedBytes, unconfirmedPackets, ...TABLES.map((table) => net.store.size(table))];
    if (left.some((count) => count !== 0)) throw new Error(`packets, bytes, unconfirmed, ${TABLES}: ${left} are left`);
    net.close();
  }
}

for (const durability of ['restart', 'always']) {
  for (const queuePackets of [0, 5]) {
    for (const endings of [['in order'], KILLS] as const) {
      const queues = queuePackets === 0 ? '' : ', of queues that overflow,';
      const what = `${durability}${queues} while the server ${endings.length > 1 ? 'is killed' : 'ends in order'} and starts`;
      t.test(`${RUNS} users have or know what is missing where durability is ${what}`, async (t) => {
        const sum = { bodies: 0, missed: 0, restarts: 0, killed: 0 };
        for (let seed = 1; seed <= RUNS; seed++) {
          const run = new Run(durability, queuePackets, endings, seed);
          try {
            await run.begin();
            await run.steps();
            await run.finish();
            for (const page of run.pages) run.checkPage(page);
            run.checkPhone(run.phone);
            await run.leave();
          } catch (error) {
            t.equal(`seed ${seed}: ${(error as Error).stack}`, '');
            return;
          }
          for (const { bodies, missed } of run.pages) {
            sum.bodies += bodies.length;
            sum.missed += missed;
          }
          sum.restarts += run.restarts;
          sum.killed += Number(run.killedAt !== null);
        }
        t.ok(sum.bodies > 10 * RUNS && sum.restarts > 2 * RUNS, JSON.stringify(sum));
        t.equal(sum.missed > 0, queuePackets > 0, JSON.stringify(sum));
        t.equal(sum.killed > RUNS / 2, endings.length > 1, JSON.stringify(sum));
      });
    }
  }
}

/** A page that is connected by WebSocket always, and whose user is online since before the last write to disk. */
async function socketPage(
  durability: string,
): Promise<{ net: RestartingNetwork; page: Page; connect: () => Promise<void> }> {
  const net = new RestartingNetwork(durability, 0, () => 0);
  await net.start();
  const page = new Page(await net.broker.online('jack'), net.adapters, () => 0);
  net.clock.advance(100);
  await turn();
  net.store.commit();
  const connect = async () => {
    page.adapters = net.adapters;
    page.connect();
    await turn();
  };
  return { net, page, connect };
}

t.test('a page that connects for the first time after a kill is told that something may be missed', async (t) => {
  const { net, page, connect } = await socketPage('restart');
  net.push('jack', 1);
  await turn();
  await net.restart('killed');
  await net.restart('in order');
  await connect();
  page.link?.read(page.link.pending.length);
  t.strictSame([page.bodies, page.unknown, page.position], [[], 1, `${net.era}.0`]);
  await connect();
  page.link?.read(page.link.pending.length);
  t.equal(page.unknown, 1, 'and once');
  net.close();
});

t.test(
  'a page that loses its connection after the answer to resume is told again that something may be missed',
  async (t) => {
    const { net, page, connect } = await socketPage('restart');
    await connect();
    page.link?.read(page.link.pending.length);
    const before = page.position;
    await net.restart('killed');
    await connect();
    const answer = page.link?.pending.readUInt32BE(0) ?? 0;
    page.link?.read(4 + answer);
    t.strictSame([page.position, page.unknown], [before, 0], 'the answer alone moves it to no other era');
    await connect();
    page.link?.read(page.link.pending.length);
    t.strictSame([page.position, page.unknown], [`${net.era}.0`, 1]);
    net.close();
  },
);

t.test('messages keep their order through an orderly restart and kills where durability is always', async (t) => {
  const { net, page, connect } = await socketPage('always');
  const first = new Page(await net.broker.online('jack'), net.adapters, () => 0);
  net.clock.advance(100);
  for (const body of [1, 2]) net.push('jack', body);
  await turn();
  // The other page has confirmed the first two: its queue, which is read before, begins with the third.
  page.connect();
  await turn();
  page.link?.read(page.link.pending.length);
  page.link?.says(`received ${page.position}`);
  for (const body of [3, 4]) net.push('jack', body);
  page.link?.lost();
  await turn();
  net.store.commit();
  for (const ending of ['in order', 'killed', 'killed'] as const) {
    await net.restart(ending);
    net.store.commit();
  }
  first.adapters = net.adapters;
  first.connect();
  await turn();
  first.link?.read(first.link.pending.length);
  t.strictSame(first.bodies, [1, 2, 3, 4]);
  await connect();
  page.link?.read(page.link.pending.length);
  t.strictSame(page.bodies, [1, 2, 3, 4]);
  net.close();
});
