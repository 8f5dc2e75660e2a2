/**
 * A service in turns on a network that cuts connections anywhere, while its server ends in order or is killed and starts again:
 * each message reaches one of its clients, whichever is there, and who gave one up knows.
 */
import { turn } from '../mqtt/support/device.js';
import { dice } from './dice.js';
import { HOUR, Page } from './fake-network.js';
import { type Ending, RestartingNetwork } from './restarting-network.js';

/** A client that is not connected for so long has no turn, and a minute after a restart. */
const IDLE_MS = 10_000;
const RETURNING_MS = 60_000;
const SENDERS = ['tom', 'anna', 'rose'];

export class Desk {
  readonly net: RestartingNetwork;
  readonly roll: (sides: number) => number;
  readonly pages: Page[] = [];
  accepted = 0;
  /** How many were accepted when the server was killed last. */
  bound = 0;
  /** How many were accepted when some had been without connection for so long that they had no turn. */
  passed = 0;
  restarts = 0;
  isKilled = false;

  constructor(
    readonly durability: string,
    readonly endings: readonly Ending[],
    seed: number,
  ) {
    this.roll = dice(seed);
    const presence = { clientIdleMs: IDLE_MS, graceMs: HOUR };
    const domain = { services: { desk: { delivery: 'turns' } } };
    this.net = new RestartingNetwork(durability, 0, this.roll, presence, domain, { keepMs: 24 * HOUR });
  }

  async begin(): Promise<void> {
    const { net, pages, roll } = this;
    await net.start();
    for (let n = 0; n < 3; n++) {
      const page = new Page(await net.broker.online('sid:desk'), net.adapters, roll);
      pages.push(page);
      // A ticket that was connected for 5 s is kept.
      page.connectsBy(0);
      await turn();
      page.link?.read(page.link.pending.length);
      net.clock.advance(6000);
    }
    await net.settle();
  }

  async step(): Promise<void> {
    const { net, pages, roll } = this;
    const die = roll(24);
    if (die < 8) {
      this.accepted += 1;
      net.push('sid:desk', this.accepted, SENDERS[roll(SENDERS.length)]);
    } else if (die === 8) await this.#pass();
    else if (die === 9 && roll(2) === 0) await this.restart();
    else pages[roll(pages.length)]?.step();
    if (roll(6) === 0) net.store.commit();
    if (roll(2) === 0) await turn();
  }

  /** Long enough for those that are not connected to lose their turns. */
  async #pass(): Promise<void> {
    await turn();
    this.passed = this.accepted;
    for (const ms of [IDLE_MS + 100, RETURNING_MS]) {
      this.net.clock.advance(ms);
      await turn();
      if (this.roll(2) === 0) break;
    }
    await this.net.settle();
  }

  async restart(): Promise<void> {
    const { net, pages, roll } = this;
    await net.settle();
    const before = net.era;
    await net.restart(this.endings[roll(this.endings.length)] as Ending);
    this.restarts += 1;
    for (const page of pages) page.survives(net.adapters);
    if (net.era === before) return;
    this.isKilled = true;
    this.bound = this.accepted;
    for (const page of pages) [page.unknown, page.covered, page.missed, page.lost] = [0, 0, 0, 0];
  }

  async finish(): Promise<void> {
    const { net, pages } = this;
    // Two rounds: the first that connects has what waited, and the others what they were given before.
    for (let turns = 0; turns < 50; turns++) {
      for (const page of pages) {
        if (page.position === `${net.era}.${net.accepted(page.ticket)}` && page.link && !page.link.isEnded) continue;
        page.connect();
        await turn();
        page.link?.read(page.link.pending.length);
      }
    }
    for (const page of pages) {
      const accepted = net.accepted(page.ticket);
      if (page.position !== `${net.era}.${accepted}`)
        throw new Error(`a page has come to ${page.position} of ${accepted}`);
    }
  }

  check(): void {
    const { pages, accepted, bound, net } = this;
    const holders = new Map<number, Set<Page>>();
    for (const page of pages) {
      const known = new Map<number, string>();
      for (const [i, body] of page.bodies.entries()) {
        const id = page.ids[i] as string;
        // What it had not confirmed when it lost its turn may come back to it, and it knows that by the id.
        const mayComeBack = this.isKilled || body <= this.passed;
        if (known.has(body) && (known.get(body) !== id || !mayComeBack))
          throw new Error(`${body} comes twice to one page`);
        known.set(body, id);
        holders.set(body, (holders.get(body) ?? new Set()).add(page));
      }
      if (this.isKilled) continue;
      if (page.packets + page.missed !== net.accepted(page.ticket) || page.missed !== page.lost || page.unknown > 0)
        throw new Error(
          `a page has had ${page.packets} of ${net.accepted(page.ticket)}: told ${page.missed}, ${page.lost}`,
        );
    }
    const isAware = pages.every(({ unknown }) => unknown > 0);
    for (let body = 1; body <= accepted; body++) {
      if (holders.has(body)) continue;
      const mayGo = body <= bound && this.durability !== 'always' && isAware;
      if (!mayGo) throw new Error(`nobody has had ${body} of ${accepted}, ${bound} before the last kill`);
    }
  }
}
