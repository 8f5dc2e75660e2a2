/** Users who record the presences they are told of each other, and the presences that they should have been told. */
import type { Packet } from './packets.js';
import { siteA, type TestServer } from './server.js';
import { type Person, Site } from './site.js';
import { until } from './until.js';

const SHOWS = ['available', 'away', 'dnd', 'busy', 'chat'];

/** Resolves when nothing is missing any more; rejects, where that takes too long, with what is still missing. */
export async function converges(
  missing: () => Promise<readonly string[]> | readonly string[],
  boundMs?: number,
): Promise<void> {
  let left: readonly string[] = [];
  const isComplete = async (): Promise<boolean> => {
    left = await missing();
    return left.length === 0;
  };
  await until(() => left.slice(0, 12).join('; '), isComplete, boundMs);
}

/** One user, online and connected at one node. */
export class WatchingUser {
  /** Who is online, and how, as this user has been told. */
  readonly seen: Map<string, string>;
  /** Messages in the order they came. */
  readonly messages: string[] = [];
  /** Packets that came twice, or that cannot be right. */
  readonly wrong: string[] = [];

  private constructor(
    readonly name: string,
    readonly person: Person,
    readonly node: TestServer,
  ) {
    this.seen = new Map(Object.entries(person.answer.presences));
    void this.#listen();
  }

  static async arrive(node: TestServer, name: string, everybody: readonly string[]): Promise<WatchingUser> {
    const buddies = everybody.filter((other) => other !== name).join(',');
    return new WatchingUser(name, await new Site(node, siteA).arrive(name, { buddies, show: 'available' }), node);
  }

  send(to: string, body: string): Promise<void> {
    return this.person.site.message(this.person.ticket, to, body);
  }

  async #listen(): Promise<void> {
    try {
      for (;;) this.#take(await this.person.client.next());
    } catch {
      // The user's node has gone, or the test is over.
    }
  }

  #take(packet: Packet): void {
    const { kind, type, from, show } = packet as Packet & { type: string; from: string; show: string };
    if (kind === 'message') this.messages.push(`${from} ${packet.body}`);
    if (kind !== 'presence') return;
    const known = this.seen.get(from);
    const isTwice = type === 'online' ? known !== undefined : type === 'offline' ? known === undefined : known === show;
    if (isTwice) this.wrong.push(`${this.name} was told "${type} ${show}" of ${from}, who was ${known ?? 'offline'}`);
    if (type === 'offline') this.seen.delete(from);
    else this.seen.set(from, show);
  }
}

/** The presences that users who can hear of each other should see. */
export class ExpectedPresences {
  /** The users who are online, by name. */
  readonly present = new Map<string, WatchingUser>();
  readonly shows = new Map<string, string>();

  constructor(readonly everybody: readonly string[]) {}

  async arrive(node: TestServer, ...names: string[]): Promise<void> {
    for (const name of names) {
      this.present.set(name, await WatchingUser.arrive(node, name, this.everybody));
      this.shows.set(name, 'available');
    }
  }

  async show(name: string, show: string): Promise<void> {
    await this.present.get(name)?.person.show(show);
    this.shows.set(name, show);
  }

  /** Takes the users of a node away, because the node has gone or cannot be reached; answers them. */
  lose(node: TestServer): WatchingUser[] {
    const lost = [...this.present.values()].filter((user) => user.node === node);
    for (const { name } of lost) this.present.delete(name);
    return lost;
  }

  /** Puts back users that `lose` has answered, as they were. */
  regain(users: readonly WatchingUser[]): void {
    for (const user of users) this.present.set(user.name, user);
  }

  /** Has users come, go and change, at random. */
  async stir(nodes: readonly TestServer[], roll: (sides: number) => number, steps: number): Promise<void> {
    for (let step = 0; step < steps; step++) {
      const name = this.everybody[roll(this.everybody.length)] as string;
      const user = this.present.get(name);
      if (!user) await this.arrive(nodes[roll(nodes.length)] as TestServer, name);
      else if (roll(2) === 0) await this.show(name, SHOWS[roll(SHOWS.length)] as string);
      else await this.leave(user);
    }
  }

  /** Has a user go offline and arrive at another node. */
  async move(name: string, node: TestServer): Promise<WatchingUser> {
    const user = this.present.get(name);
    if (user) await this.leave(user);
    await this.arrive(node, name);
    return this.present.get(name) as WatchingUser;
  }

  async leave(user: WatchingUser): Promise<void> {
    await user.person.offline();
    this.present.delete(user.name);
  }

  /** Where a user's view or PRESENCES's answer differs from what is expected, within groups of nodes that reach each other. */
  async missing(groups: readonly (readonly TestServer[])[]): Promise<string[]> {
    const found = await Promise.all(groups.map((nodes) => this.#missingIn(nodes)));
    return found.flat();
  }

  async #missingIn(nodes: readonly TestServer[]): Promise<string[]> {
    const users = [...this.present.values()].filter(({ node }) => nodes.includes(node));
    const online = new Map(users.map(({ name }) => [name, this.shows.get(name) as string]));
    const wrong: string[] = [];
    for (const user of users) {
      const wanted = new Map([...online].filter(([name]) => name !== user.name));
      if (!isSame(user.seen, wanted)) wrong.push(`${user.name} has seen ${text(user.seen)}, not ${text(wanted)}`);
    }
    for (const node of nodes) {
      const answered = new Map(Object.entries(await new Site(node, siteA).presences(...this.everybody)));
      if (!isSame(answered, online)) wrong.push(`a node answers ${text(answered)}, not ${text(online)}`);
    }
    return wrong;
  }

  get wrong(): string[] {
    return [...this.present.values()].flatMap((user) => user.wrong);
  }
}

function isSame(one: ReadonlyMap<string, string>, other: ReadonlyMap<string, string>): boolean {
  return one.size === other.size && [...one].every(([name, show]) => other.get(name) === show);
}

function text(map: ReadonlyMap<string, string>): string {
  return [...map]
    .sort()
    .map((pair) => pair.join(':'))
    .join(' ');
}

const everybody = ['u1', 'u2', 'u3', 'u4', 'u5', 'u6', 'u7', 'u8', 'u9'];

/** Three users at each of three nodes, each of whom watches all others. */
export async function settle(nodes: readonly TestServer[]): Promise<ExpectedPresences> {
  const expected = new ExpectedPresences(everybody);
  for (const [i, node] of nodes.entries()) await expected.arrive(node, ...everybody.slice(i * 3, i * 3 + 3));
  await converges(() => expected.missing([nodes]));
  return expected;
}

/** Users who send each other numbers, all the time. */
export class Talk {
  /** Rounds in which everybody has sent everybody else a number. */
  sent = 0;
  #running = true;
  readonly #pairs: readonly (readonly [WatchingUser, WatchingUser])[];
  readonly #loop: Promise<void>;

  constructor(users: readonly WatchingUser[]) {
    this.#pairs = users.flatMap((one) => users.filter((other) => other !== one).map((other) => [one, other] as const));
    this.#loop = this.#run();
  }

  reaches(rounds: number): Promise<void> {
    return converges(() => (this.sent < rounds ? [`only ${this.sent} rounds`] : []));
  }

  /** Stops the users; rejects where a number that was sent does not come, or came twice or out of order. */
  async end(): Promise<void> {
    this.#running = false;
    await this.#loop;
    await converges(() => this.#missing());
  }

  async #run(): Promise<void> {
    while (this.#running) {
      const number = String(this.sent);
      await Promise.all(this.#pairs.map(([from, to]) => from.send(to.name, number)));
      this.sent += 1;
    }
  }

  #missing(): string[] {
    const wanted = Array.from({ length: this.sent }, (_, number) => number).join();
    return this.#pairs.flatMap(([from, to]) => {
      const mark = `${from.name} `;
      const heard = to.messages.filter((text) => text.startsWith(mark)).map((text) => text.slice(mark.length));
      if (heard.join() === wanted) return [];
      return [`${to.name} heard ${heard.length} of ${this.sent} from ${from.name}: ${firstFault(heard)}`];
    });
  }
}

function firstFault(numbers: readonly string[]): string {
  const at = numbers.findIndex((number, i) => Number(number) !== i);
  return at < 0 ? 'the rest is missing' : `${numbers.slice(Math.max(0, at - 2), at + 3).join()} at ${at}`;
}
