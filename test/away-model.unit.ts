/**
 * An endpoint against a naive model of it: clients at random come, go away and return, take over from each other, confirm or
 * not, sign out, and are ended by their times and limits. Of each message it is known at any time who has confirmed it, and
 * none may be lost while a ticket is kept.
 */
import { isDeepStrictEqual } from 'node:util';
import t from 'tap';
import { type Address, addressOf } from '../src/actors/address.js';
import type { Domain } from '../src/actors/domain.js';
import { Packet } from '../src/actors/packet.js';
import { parsePosition } from '../src/actors/position.js';
import { findTicket } from '../src/protocols/credentials.js';
import { TestBroker, testMachine } from './mqtt/support/broker.js';
import { ManualClock } from './mqtt/support/clock.js';
import { turn } from './mqtt/support/device.js';
import { idOf, Person } from './support/away-person.js';
import type { Check } from './support/check.js';
import { Counted, Plain } from './support/connections.js';
import { dice } from './support/dice.js';
import type { Cleaner } from './support/server.js';

/** No two of them fall due at the same time, as all that the model does is done at multiples of 100 ms. */
const [idleMs, graceMs, keepMs] = [1001, 503, 20_007];
const TICKS = [1, 2, 1, 3, 3, 90];
const LEAST_CONNECTED_MS = 5000;
const MOST_CLIENTS = 3;
const jack = addressOf('a.example', 'uid', 'jack');

class World {
  readonly clock = new ManualClock();
  readonly roll: (sides: number) => number;
  readonly domain: Domain;
  readonly broker: TestBroker;
  readonly people: Person[] = [];
  readonly accepted = new Set<string>();
  readonly confirmed = new Set<string>();
  readonly lost = new Set<string>();
  /** Bodies of messages that have been deleted, by their ids. */
  readonly deleted = new Map<string, string>();
  readonly seen = { returned: 0, expired: 0, gaveWay: 0, ended: 0, limit: 0, handed: 0, frames: 0 };
  isOnline = false;
  /** It is online or away. */
  isThere = false;
  /** When its grace ends; null: none runs. */
  graceAt: number | null = null;

  readonly isBounded: boolean;

  constructor(t: Cleaner, seed: number, queuePackets: number) {
    this.isBounded = queuePackets > 0;
    this.roll = dice(seed);
    const { host, domain } = testMachine(
      t,
      {
        presence: { clientIdleMs: idleMs, graceMs },
        resume: { keepMs },
        limits: { clientsPerEndpoint: MOST_CLIENTS, queuePackets },
      },
      this.clock,
    );
    this.domain = domain;
    this.broker = new TestBroker({} as never, host.context, host.context.domains as never);
  }

  get now(): number {
    return this.clock.now();
  }

  #pick(): Person | undefined {
    return this.people[this.roll(this.people.length || 1)];
  }

  async online(): Promise<Person | null> {
    if (this.people.length === MOST_CLIENTS) {
      const [longest] = this.people.filter(({ isAway }) => isAway).sort((a, b) => a.since - b.since);
      if (longest) this.#end(longest, 'gaveWay');
    }
    const confirmedBefore = new Set(this.confirmed);
    const ticket = await this.broker.online('jack').catch(() => null);
    if ((ticket === null) !== (this.people.length === MOST_CLIENTS)) throw new Error(`ONLINE answered ${ticket}`);
    const client = ticket && findTicket(this.domain, ticket);
    if (!client) return null;
    const person = new Person(client, ticket, this.now, confirmedBefore);
    this.people.push(person);
    this.isThere = true;
    this.isOnline = true;
    this.graceAt = null;
    return person;
  }

  /** A ticket has ended. */
  #end(person: Person, how: 'returned' | 'expired' | 'gaveWay' | 'ended'): void {
    this.people.splice(this.people.indexOf(person), 1);
    if (person.isAway) this.seen[how] += 1;
    this.#mayStartGrace();
  }

  #mayStartGrace(): void {
    if (!this.isThere || this.graceAt !== null || this.people.some(({ isAway }) => !isAway)) return;
    if (this.isOnline || this.people.length === 0) this.graceAt = this.now + graceMs;
  }

  #connects(person: Person, keeps: boolean): void {
    person.noteSent();
    if (person.isConnected) person.connectedMs += this.now - person.since;
    Object.assign(person, { isConnected: true, since: this.now, keeps, line: null });
    if (!person.isAway) return;
    person.isAway = false;
    this.seen.returned += 1;
    this.isOnline = true;
    this.graceAt = null;
  }

  async resume(person: Person): Promise<void> {
    this.#connects(person, true);
    const asked = person.era === '' ? 'first' : { era: person.era, n: person.count };
    const line = new Counted(asked);
    person.client.endpoint.tell({ kind: 'attach', client: person.client, transport: line });
    await turn();
    const position = parsePosition(line.answered);
    if (!position) throw new Error(`a ticket that is good is answered ${line.answered}`);
    if (person.era !== '' && position.n !== person.count) throw new Error(`it goes on from ${position.n}`);
    Object.assign(person, { line, era: position.era, count: position.n });
    this.#confirms(person);
  }

  async cut(person: Person): Promise<void> {
    const { line, client } = person;
    if (!line) return;
    person.noteSent();
    person.connectedMs += this.now - person.since;
    Object.assign(person, { isConnected: false, since: this.now, line: null });
    client.endpoint.tell({ kind: 'detach', client, transport: line, unsent: [] });
    await turn();
  }

  /** A connection that keeps no position takes what was never sent, gives some back, and goes. */
  async plain(person: Person): Promise<void> {
    const { client } = person;
    const before = client.queued.slice();
    const plain = new Plain(1 + this.roll(3), this.roll(2));
    this.#connects(person, false);
    client.endpoint.tell({ kind: 'attach', client, transport: plain });
    await turn();
    const unsent = plain.close();
    for (const packet of plain.taken) this.#has(person, packet, Number.NaN);
    Object.assign(person, { isConnected: false, since: this.now, era: '' });
    client.endpoint.tell({ kind: 'detach', client, transport: plain, unsent });
    await turn();
    // What was sent before what it took is confirmed with that.
    for (const packet of before) if (!client.queued.includes(packet)) this.confirmed.add(idOf(packet));
  }

  #has(person: Person, packet: Packet, number: number): void {
    const id = idOf(packet);
    // What a full queue has dropped a client may have had, and no more confirms.
    if (!this.isBounded && person.confirmedBefore.has(id) && id !== '')
      throw new Error(`${id} had been confirmed before the client came`);
    const { show = '' } = packet.fields as { readonly show?: string };
    const named = this.deleted.get(show.slice('deleted '.length));
    const isRight = named === undefined || person.sent.has(named) || person.mayKnow.has(named);
    const isGone = [...this.deleted.values()].includes(id) && !person.sent.has(id);
    if (!isRight || isGone) throw new Error(`${id}${show} came, though its message was deleted before it was sent`);
    if (number > 0) person.had.set(number, packet);
    else person.sent.add(id);
  }

  /** A client reads one frame, and counts. */
  read(person: Person): void {
    const frame = person.line?.wire.shift();
    if (!frame) return;
    this.seen.frames += 1;
    const missed = frame.missed === true ? Number.NaN : frame.missed;
    if (frame.position !== null) person.count = parsePosition(frame.position)?.n ?? Number.NaN;
    const { n: after } = frame.after;
    if (person.count + missed + frame.packets.length !== after)
      throw new Error(`${person.count} and a frame to ${after}`);
    person.missed += missed;
    person.lost += frame.lost;
    // Which of the numbers were missed the client does not know: it had the last ones.
    for (const [at, packet] of frame.packets.entries())
      this.#has(person, packet, after - frame.packets.length + 1 + at);
    const ids = [...person.had.values()].map(idOf).filter((id) => id !== '');
    if (new Set(ids).size < ids.length) throw new Error(`a client has had a message twice: ${ids}`);
    person.count = after;
  }

  #confirms(person: Person): void {
    for (const [number, packet] of person.had) if (number <= person.count) this.confirmed.add(idOf(packet));
  }

  async confirm(person: Person): Promise<void> {
    const { line, client, era, count: n } = person;
    if (!line) return;
    client.endpoint.tell({ kind: 'confirm', client, transport: line, position: { era, n } });
    this.#confirms(person);
    await turn();
  }

  async offline(person: Person): Promise<void> {
    this.#end(person, 'ended');
    await this.broker.offline(person.ticket);
  }

  async push(): Promise<void> {
    const id = `m${this.accepted.size}`;
    this.accepted.add(id);
    if (!this.isThere) this.lost.add(id);
    this.broker.push('anna', 'jack', id);
    if (this.roll(3) === 0) {
      const fields = { from: 'anna', to: 'jack', nick: '', show: 'typing' };
      const status = new Packet('status', fields, jack, '/domain/a.example/uid/anna' as Address);
      this.domain.tracker.actor(jack)?.tell({ kind: 'deliver', packet: status, only: null });
    }
    await turn();
  }

  /** A message that waits for somebody is deleted: who was never sent it has neither it nor a word of that. */
  async delete(): Promise<void> {
    const messages = this.people.flatMap(({ client }) => client.queued).filter(({ kind }) => kind === 'message');
    const message = messages[this.roll(messages.length || 1)];
    if (!message) return;
    for (const person of this.people) {
      person.noteSent();
      // One that came later may have read the history.
      if (!person.client.queued.includes(message)) person.mayKnow.add(idOf(message));
    }
    const { id = '' } = message.fields as { readonly id?: string };
    this.deleted.set(id, idOf(message));
    this.confirmed.add(idOf(message));
    const fields = { from: 'anna', to: 'jack', nick: '', show: `deleted ${id}` };
    const status = new Packet('status', fields, jack, '/domain/a.example/uid/anna' as Address);
    this.domain.tracker.actor(jack)?.tell({ kind: 'deliver', packet: status, only: null });
    await turn();
  }

  async pass(ms: number): Promise<void> {
    for (let left = ms; left > 0; left -= 100) {
      for (const tick of this.#nextDue() <= this.now + 100 ? TICKS : [100]) {
        this.clock.advance(tick);
        await turn();
        this.#fallDue();
      }
    }
  }

  /** When something falls due, as far as the model knows. */
  #nextDue(): number {
    const silent = this.people.filter(({ isConnected }) => !isConnected);
    const times = silent.map(({ since, isAway }) => since + (isAway ? keepMs : idleMs));
    return Math.min(this.graceAt ?? Number.POSITIVE_INFINITY, ...times);
  }

  #fallDue(): void {
    const { now } = this;
    for (const person of this.people.slice()) {
      const silentMs = person.isConnected ? 0 : now - person.since;
      const isKept = person.keeps && person.connectedMs >= LEAST_CONNECTED_MS;
      if (person.isAway && silentMs >= keepMs) this.#end(person, 'expired');
      else if (!person.isAway && silentMs >= idleMs) {
        if (isKept) person.isAway = true;
        else this.#end(person, 'ended');
      }
    }
    this.#mayStartGrace();
    if (this.graceAt === null || this.graceAt > now) return;
    this.graceAt = null;
    this.isOnline = false;
    if (this.people.length > 0) return;
    this.isThere = false;
    for (const id of this.accepted) if (!this.confirmed.has(id)) this.lost.add(id);
  }

  async step(isMixed: boolean): Promise<void> {
    const person = this.#pick();
    const die = this.roll(isMixed ? 18 : 17);
    if (die === 0 || !person) await this.online();
    else if (die < 3) await this.resume(person);
    else if (die < 5) await this.cut(person);
    else if (die < 7) this.read(person);
    else if (die === 7) await this.confirm(person);
    else if (die === 8) await this.offline(person);
    else if (die === 9) await this.pass(6000);
    else if (die === 10) await this.pass([100, 300, 1200, 2000, 16_000][this.roll(5)] ?? 100);
    else if (die === 16) await this.delete();
    else if (die === 17) await this.plain(person);
    else await this.push();
    if (this.people.length === 0 && this.roll(2) === 0) await this.pass(600);
  }

  /** What the server has, and what the model says of that. */
  compare(): void {
    const { metrics, tracker } = this.domain;
    const found = {
      online: tracker.appearance(jack) !== null,
      endpoints: metrics.endpointsOnline,
      clients: metrics.clients,
      away: metrics.clientsAway,
      isThere: tracker.actor(jack) !== null,
      ends: metrics.awayEnded,
    };
    const { returned, expired, gaveWay, ended, limit } = this.seen;
    const expected = {
      online: this.isOnline,
      endpoints: this.isOnline ? 1 : 0,
      clients: this.people.length,
      away: this.people.filter(({ isAway }) => isAway).length,
      isThere: this.isThere,
      ends: { returned, expired, limit, gaveWay, ended, handedOver: 0 },
    };
    if (!isDeepStrictEqual(found, expected))
      throw new Error(`${JSON.stringify(found)}, not ${JSON.stringify(expected)}`);
  }

  /** Everybody reads all that is left; a new client has what nobody has confirmed. Then they go. */
  async end(): Promise<void> {
    for (const person of this.people.slice()) {
      await this.resume(person);
      while (person.line?.wire.length) this.read(person);
      await this.confirm(person);
    }
    for (const person of this.people.slice()) await this.offline(person);
    const last = await this.online();
    if (!last) throw new Error('nobody may come');
    await this.resume(last);
    while (last.line?.wire.length) this.read(last);
    await this.confirm(last);
    const { metrics } = this.domain;
    if (!this.isBounded) {
      const open = [...this.accepted].filter((id) => !this.confirmed.has(id) && !this.lost.has(id));
      if (open.length > 0) throw new Error(`lost: ${open}`);
      if (metrics.dropped.offline !== this.lost.size) {
        throw new Error(`${metrics.dropped.offline} are counted as dropped, not ${this.lost.size}`);
      }
    }
    this.seen.handed += last.had.size;
    await this.offline(last);
    await this.pass(600);
    this.compare();
    const left = [metrics.queuedPackets, metrics.queuedBytes, metrics.memoryBytes];
    if (left.some((count) => count > 0)) throw new Error(`left over: ${left}`);
  }
}

async function run(t: Check & Cleaner, isMixed: boolean, queuePackets: number): Promise<void> {
  const sum = { returned: 0, expired: 0, gaveWay: 0, ended: 0, limit: 0, handed: 0, frames: 0 };
  let [overflowed, deleted] = [0, 0];
  for (let seed = 1; seed <= 60; seed++) {
    const world = new World(t, seed, queuePackets);
    let step = 0;
    try {
      for (const person of [await world.online(), await world.online()]) if (person) await world.resume(person);
      await world.pass(6000);
      for (; step < 100; step++) {
        await world.step(isMixed);
        world.compare();
      }
      await world.end();
    } catch (error) {
      t.equal(`seed ${seed}, step ${step}: ${(error as Error).message}`, '');
      return;
    }
    deleted += world.domain.metrics.dropped.deleted;
    overflowed += world.domain.metrics.dropped.queueOverflow;
    for (const name of Object.keys(sum) as (keyof typeof sum)[]) sum[name] += world.seen[name];
  }
  const { returned, expired, gaveWay, ended, handed, frames } = sum;
  t.ok(Math.min(returned, expired, gaveWay, ended) > 0 && frames > 200, JSON.stringify(sum));
  // Connections that keep no position leave next to nothing that nobody has confirmed.
  t.ok(isMixed || handed > 0, `${handed} messages were handed to who came last`);
  t.ok(deleted > 100, `${deleted} messages were deleted`);
  t.equal(overflowed > 100, queuePackets > 0, `${overflowed} packets overflowed`);
}

t.test('clients that go away and return have all that came, and what they leave goes to the next', async (t) => {
  await run(t, false, 0);
});

t.test('connections that keep no position take over in between', async (t) => {
  await run(t, true, 0);
});

t.test('queues overflow meanwhile, and every number is accounted for', async (t) => {
  await run(t, false, 5);
});
