/**
 * Pages of several users on a network that cuts connections anywhere, while their server ends in order or is killed and starts
 * again: in a room that people join and leave, and of a user whose pages come and go, for whom messages are kept meanwhile.
 */
import { join, leave } from '../../src/protocols/commands.js';
import { Parameters } from '../../src/protocols/parameters.js';
import { turn } from '../mqtt/support/device.js';
import { dice } from './dice.js';
import { HOUR, Page } from './fake-network.js';
import { type Ending, RestartingNetwork } from './restarting-network.js';

const GRACE_MS = 1000;

/** Bodies by their first coming, in order. Throws where two messages have one id or a message comes under two. */
export function distinct(bodies: readonly number[], ids: readonly string[]): number[] {
  const known = new Map<number, string>();
  for (const [i, body] of bodies.entries()) {
    const id = ids[i] as string;
    if ((known.get(body) ?? id) !== id) throw new Error(`message ${body} comes under two ids`);
    known.set(body, id);
  }
  if (new Set(known.values()).size !== known.size) throw new Error('two messages have one id');
  return [...known.keys()];
}

/** A user, whose pages are connected by whichever way. */
class Person {
  readonly pages: Page[] = [];
  /** Pages that have ended: their user has gone. */
  readonly ended: Page[] = [];
  inRoom = false;
  /** Bodies that were accepted for the user. */
  readonly expected: number[] = [];
  /** How many of them there were when the server was killed last. */
  bound = 0;
  /** Those that were kept on disk for the user while nobody was there. */
  readonly stored = new Set<number>();

  constructor(readonly name: string) {}

  get had(): number[] {
    const all = [...this.ended, ...this.pages];
    return distinct(
      all.flatMap(({ bodies }) => bodies),
      all.flatMap(({ ids }) => ids),
    );
  }
}

export class Circle {
  readonly net: RestartingNetwork;
  readonly roll: (sides: number) => number;
  /** Two pages, one, and one that comes and goes. */
  readonly people = ['jack', 'anna', 'rose'].map((name) => new Person(name));
  accepted = 0;
  restarts = 0;
  isKilled = false;

  constructor(
    readonly durability: string,
    readonly queuePackets: number,
    readonly endings: readonly Ending[],
    seed: number,
  ) {
    this.roll = dice(seed);
    const presence = { clientIdleMs: HOUR, graceMs: GRACE_MS };
    this.net = new RestartingNetwork(durability, queuePackets, this.roll, presence, { offline: true });
  }

  async begin(): Promise<void> {
    await this.net.start();
    for (const person of this.people) await this.comes(person);
    await this.comes(this.people[0] as Person);
  }

  /** A page of a user comes online; the first one may come into the room. */
  async comes(person: Person): Promise<void> {
    const { net, roll } = this;
    const rooms = person.pages.length === 0 && roll(2) === 0 ? { rooms: 'lobby' } : {};
    person.pages.push(new Page(await net.broker.online(person.name, rooms), net.adapters, roll));
    person.inRoom ||= 'rooms' in rooms;
    await net.settle();
  }

  /** The page of a user ends, and soon the user is offline. */
  async goes(person: Person): Promise<void> {
    const [page] = person.pages.splice(0);
    if (!page) return;
    for (const link of [...page.left, page.link]) {
      link?.read(this.roll(link.pending.length + 1));
      link?.lost();
    }
    await turn();
    await this.net.broker.offline(page.ticket);
    person.ended.push(page);
    person.inRoom = false;
    this.net.clock.advance(GRACE_MS + 100);
    await this.net.settle();
  }

  async moves(person: Person): Promise<void> {
    const [page] = person.pages;
    if (!page) return;
    const fields = new Parameters(Object.entries({ ticket: page.ticket }));
    const move = person.inRoom ? leave : join;
    await new Promise<void>((resolve, reject) => {
      move(this.net.machine.domain, 'lobby', fields, (problem) =>
        problem ? reject(new Error(JSON.stringify(problem))) : resolve(),
      );
    });
    person.inRoom = !person.inRoom;
    await this.net.settle();
  }

  says(): void {
    const { net, people, roll } = this;
    this.accepted += 1;
    const person = people[roll(people.length * 2)];
    const hearers = person ? [person] : people.filter(({ inRoom }) => inRoom);
    for (const hearer of hearers) {
      hearer.expected.push(this.accepted);
      if (hearer.pages.length === 0) hearer.stored.add(this.accepted);
    }
    if (person) net.push(person.name, this.accepted);
    else net.push('lobby', this.accepted, 'tom', 'grpchat');
  }

  async step(): Promise<void> {
    const { net, people, roll } = this;
    const die = roll(24);
    const rose = people[2] as Person;
    if (die < 8) this.says();
    else if (die === 8) await (rose.pages.length > 0 ? this.goes(rose) : this.comes(rose));
    else if (die === 9) await this.moves(people[roll(people.length)] as Person);
    else if (die === 10) await this.restart();
    else {
      const pages = people.flatMap((person) => person.pages);
      pages[roll(pages.length)]?.step();
    }
    if (roll(6) === 0) net.store.commit();
    if (roll(2) === 0) await turn();
  }

  async restart(): Promise<void> {
    const { net, people, roll } = this;
    await turn();
    // What is kept for somebody who is not there is on disk a moment later, and nobody is told where it was not.
    net.store.commit();
    const before = net.era;
    await net.restart(this.endings[roll(this.endings.length)] as Ending);
    this.restarts += 1;
    for (const { pages } of people) for (const page of pages) page.survives(net.adapters);
    if (net.era === before) return;
    this.isKilled = true;
    for (const person of people) {
      person.bound = person.expected.length;
      for (const page of person.pages) [page.unknown, page.covered, page.missed, page.lost] = [0, 0, 0, 0];
    }
  }

  /** All connect, and have what is there for them. */
  async finish(): Promise<void> {
    const { net, people } = this;
    for (const person of people) if (person.pages.length === 0) await this.comes(person);
    await net.settle();
    for (const page of people.flatMap(({ pages }) => pages)) {
      for (let turns = 0; page.position !== `${net.era}.${net.accepted(page.ticket)}`; turns++) {
        if (turns > 50) throw new Error(`a page has come to ${page.position} of ${net.accepted(page.ticket)}`);
        page.connect();
        await turn();
        page.link?.read(page.link.pending.length);
      }
    }
  }

  check(): void {
    for (const person of this.people) {
      const { had, expected, bound, stored, name } = person;
      const isIn = new Set(had);
      const gone = expected.filter((body) => !isIn.has(body));
      const strange = had.filter((body) => !expected.includes(body));
      if (strange.length > 0) throw new Error(`${name} has had ${strange}, which were not for ${name}`);
      const page = person.pages[0] as Page;
      if (this.queuePackets === 0) this.#checkAll(person, gone);
      if (person.ended.length === 0 && !this.isKilled) this.#checkCount(person);
      const after = expected.slice(bound);
      const missing = gone.filter((body) => after.includes(body));
      if (this.queuePackets === 0 && missing.length > 0) throw new Error(`${name} has not had ${missing}`);
      const before = gone.filter((body) => !after.includes(body) && !stored.has(body));
      if (this.isKilled && before.length > 0 && page.unknown === 0 && person.ended.length === 0)
        throw new Error(`${before} are gone by a kill, and ${name} does not know`);
      if (!this.isKilled || this.queuePackets === 0) this.#checkOrder(person);
    }
  }

  /** No queue has overflown. */
  #checkAll({ name, stored }: Person, gone: readonly number[]): void {
    if (!this.isKilled && gone.length > 0) throw new Error(`${name} has not had ${gone}`);
    const kept = gone.filter((body) => stored.has(body));
    if (kept.length > 0) throw new Error(`${kept} were kept for ${name}, who has not had them`);
    const answered = gone.filter((body) => this.durability === 'always' && this.net.answered.has(body));
    if (answered.length > 0) throw new Error(`${answered} were answered ok, and ${name} has not had them`);
  }

  /** Each page knows exactly how many packets and messages it has not had. */
  #checkCount({ name, pages, expected }: Person): void {
    for (const [i, page] of pages.entries()) {
      const accepted = this.net.accepted(page.ticket);
      if (page.packets + page.missed !== accepted)
        throw new Error(`${name} has had ${page.packets} and missed ${page.missed} of ${accepted} packets`);
      const lost = expected.length - page.bodies.length;
      if (lost !== page.lost) throw new Error(`page ${i} of ${name} has lost ${lost}, and was told ${page.lost}`);
      if (page.unknown > 0) throw new Error(`${name} was told that something may be missed`);
    }
  }

  /** Whatever page it was: what a user has had comes in order. */
  #checkOrder({ name, pages, ended }: Person): void {
    for (const { bodies, ids } of [...ended, ...pages]) {
      const had = distinct(bodies, ids);
      if (!this.isKilled && had.length !== bodies.length) throw new Error(`${name} has had some of ${bodies} twice`);
      if (had.some((body, i) => body <= (had[i - 1] ?? 0))) throw new Error(`${name} has had ${had}`);
    }
  }

  close(): void {
    this.net.close();
  }
}
