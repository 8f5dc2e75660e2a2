/**
 * Users act and write to each other at random while nodes are killed, one after the other, and others start in their place. Their clients
 * keep positions and come back to other nodes within the grace. When that is over all nodes and all clients agree with what was done,
 * nobody has seen anybody flicker, and of what was answered to a durable domain nothing is missing; PROTOCOL.md section 20.
 *
 * Some users have one client, some have two at times, mostly on two nodes, by WebSocket, long polls and streams of events in turns. Two of the
 * users are of a domain that is not durable. Two seeds, each with one death; `RANDOM_DEATHS_SEEDS=20` runs so many, and `RANDOM_DEATHS_FIRST` is
 * the first of them.
 */
import t from 'tap';
import { dice } from '../support/dice.js';
import { HANG_MS } from '../support/hang.js';
import { KeptNode } from '../support/kept-node.js';
import { written } from '../support/kept-writes.js';
import { jetStreamServer, type NatsServer } from '../support/nats.js';
import { skipWithout } from '../support/programs.js';
import { type Cleaner, siteA, siteB, type TestServer } from '../support/server.js';
import { type Nodes, ROOMS, Sending, SurvivingUser, type Survivor } from '../support/survivors.js';
import { converges } from '../support/watching-user.js';

const skip = skipWithout('nats-server');
const asked = Number(process.env.RANDOM_DEATHS_SEEDS ?? 0);
const seeds = asked || 2;
const first = Number(process.env.RANDOM_DEATHS_FIRST ?? 1);
const timeoutMs = HANG_MS * (2 + seeds);
if (asked > 0) t.setTimeout(timeoutMs);
const NAMES = ['u1', 'u2', 'u3', 'u4', 'u5'];
const STEPS = 10;

type Roll = (sides: number) => number;

/** Nobody goes offline by time, however slow the machine is: whoever is seen to go has flickered. */
const settings = {
  domains: [
    { ...siteA, durability: 'always' },
    { ...siteB, durability: 'restart' },
  ],
  presence: { graceMs: 600_000, clientIdleMs: 600_000 },
  cluster: { leaseMs: 2000 },
};

class Cluster implements Nodes {
  readonly living: KeptNode[] = [];

  constructor(
    private readonly t: Cleaner,
    private readonly nats: NatsServer,
    private readonly roll: Roll,
  ) {}

  any(): TestServer {
    return this.living[this.roll(this.living.length)] as TestServer;
  }

  /** Nodes of which one is another one each time. */
  get inTurns(): Nodes {
    let turn = 0;
    return { any: () => this.living[turn++ % this.living.length] as TestServer };
  }

  async start(name: string): Promise<void> {
    this.living.push(await KeptNode.start(this.t, this.nats, name, settings));
  }

  async kill(at = this.roll(this.living.length)): Promise<void> {
    const [node] = this.living.splice(at, 1);
    await node?.kill();
  }
}

/** Where nodes and clients differ from what the users of a domain have done. */
async function disagreements(cluster: Cluster, users: readonly SurvivingUser[]): Promise<string[]> {
  const { site } = users[0] as SurvivingUser;
  const names = users.map(({ name }) => name);
  const found: string[] = [];
  const visible = new Map(users.filter(({ show }) => show !== 'invisible').map(({ name, show }) => [name, show]));
  const text = (map: ReadonlyMap<string, string>, but = ''): string =>
    [...map]
      .filter(([name]) => name !== but)
      .sort()
      .join(' ');
  for (const [at, node] of cluster.living.entries()) {
    const answered = new Map(Object.entries(await node.site(site).presences(...names)));
    if (text(answered) !== text(visible)) found.push(`node ${at} answers ${text(answered)}, not ${text(visible)}`);
    for (const room of ROOMS) {
      const query = { domain: site.domain };
      const { body } = await node.site(site).send({ path: `/v5/rooms/${room}/members`, query });
      const members = Object.keys(body as object).sort();
      const wanted = users.filter(({ show, rooms }) => show !== 'invisible' && rooms.has(room)).map(({ name }) => name);
      if (members.join() !== wanted.sort().join()) found.push(`node ${at} has ${members} in ${room}, not ${wanted}`);
    }
  }
  for (const { name, tabs } of users) {
    for (const [at, { beliefs, isConnected }] of tabs.entries()) {
      if (!isConnected) found.push(`client ${at} of ${name} is not connected`);
      const seen = text(beliefs, name);
      if (seen !== text(visible, name))
        found.push(`client ${at} of ${name} believes ${seen}, not ${text(visible, name)}`);
    }
  }
  const odd = users.filter(({ name }) => found.some((one) => one.includes(name)));
  return [...found, ...(found.length > 0 ? odd.map(({ did }) => did) : [])];
}

/** What clients were told that has not happened. */
function flickers(users: readonly SurvivingUser[]): string[] {
  return users.flatMap(({ name, tabs }) =>
    tabs.flatMap(({ comings, goings }, at) => [
      ...users.flatMap((other) => {
        const told = [comings.get(other.name) ?? 0, goings.get(other.name) ?? 0] as const;
        const isRight = told[0] <= other.comings && told[1] <= other.goings;
        const did = `${other.comings} times, and went ${other.goings}`;
        return isRight
          ? []
          : [`client ${at} of ${name} saw ${other.name} come ${told[0]} times and go ${told[1]}, who came ${did}`];
      }),
    ]),
  );
}

/** What of one sender none of a user's clients has had. */
function missing({ everyTab }: SurvivingUser, { answered }: Sending): string[] {
  const had = new Set(everyTab.flatMap(({ log }) => log));
  return answered.filter((body) => !had.has(body));
}

/**
 * Where a client has had messages of one sender out of their order. What another client of the user had, and had not confirmed when it signed
 * off, comes behind what the others have had.
 */
function outOfOrder(tab: Survivor, { answered }: Sending, { everyTab, tabs }: SurvivingUser): string[] {
  const { log, times } = tab;
  const ended = everyTab.filter((other) => other !== tab && !tabs.includes(other));
  const isHandedOn = (body: string, at: number): boolean =>
    ended.some((other) => (other.times[other.log.indexOf(body)] ?? Number.POSITIVE_INFINITY) < (times[at] as number));
  const had = log.filter((body, at) => body === 'missed' || (answered.includes(body) && !isHandedOn(body, at)));
  return had.filter((body, at) => {
    const before = had.slice(0, at).findLast((one) => one !== 'missed');
    return body !== 'missed' && before !== undefined && answered.indexOf(before) > answered.indexOf(body);
  });
}

/** What one sender says to a user, and what each of the user's clients has of it. */
class Conversation {
  /** The number of the first message that is looked for, by the client that is to have it or to hear of its loss. */
  readonly #from = new Map<Survivor, number>();
  #looked = 0;

  constructor(
    readonly sending: Sending,
    readonly user: SurvivingUser,
  ) {
    this.#enter(0);
  }

  /** A client that has come has what is said from now on: what is on its way need not be for it. */
  noteArrivals(): void {
    this.#enter(this.sending.answered.length + 1);
  }

  #enter(from: number): void {
    for (const tab of this.user.tabs) if (!this.#from.has(tab)) this.#from.set(tab, from);
  }

  /** Messages that a client has not had, and that it has not been told of since they were sent: it was not told that it has missed something. */
  get untold(): string[] {
    const { answered, sentAt } = this.sending;
    this.#looked = answered.length;
    return this.user.tabs.flatMap(({ log, times }, at) => {
      const told = times[log.lastIndexOf('missed')] ?? 0;
      const from = this.#from.get(this.user.tabs[at] as Survivor) ?? 0;
      const lacking = answered.filter((body, n) => n >= from && told < (sentAt[n] as number) && !log.includes(body));
      return lacking.map((body) => `client ${at} of ${this.user.name} has not had ${body}`);
    });
  }

  /** What was said up to now has come, or its loss was told: a loss from now on is not said by what was told before. */
  settle(): void {
    for (const [tab, from] of this.#from) this.#from.set(tab, Math.max(from, this.#looked));
  }
}

t.test(
  'nodes are killed at random: nobody flickers, all agree, and what was answered is there or said to be missing',
  { skip, timeout: timeoutMs },
  async (t) => {
    const nats = await jetStreamServer(t);
    const roll = dice(first * 7919);
    const cluster = new Cluster(t, nats, dice(first * 104_729));
    await Promise.all(['n1', 'n2', 'n3'].map((name) => cluster.start(name)));
    const users = NAMES.map((name, at) => new SurvivingUser(name, cluster, NAMES, at < 3));
    // Her messages go through the first node, where she comes first, and she has a client on another one.
    const others = ['rita', 'sam'];
    const rita = new SurvivingUser('rita', cluster.inTurns, others, false, siteB);
    const sam = new SurvivingUser('sam', cluster, others, true, siteB);
    const everybody = [...users, rita, sam];
    const differences = async (): Promise<string[]> => [
      ...(await disagreements(cluster, users)),
      ...(await disagreements(cluster, [rita, sam])),
    ];
    t.teardown(() => {
      for (const { tabs } of everybody) for (const tab of tabs) tab.leave();
    });
    for (const user of [...everybody, rita]) await user.arrive();
    await converges(differences);
    const conversations = users.map((user, at) => {
      const from = users.at(at - 1) as SurvivingUser;
      const params = () => ({ ticket: from.tabs[0]?.ticket ?? '', to: user.name });
      return new Conversation(new Sending(cluster, `${from.name}to${user.name}`, params), user);
    });
    // Of her domain one sender is online on one node, and one nowhere.
    const bySam = () => ({ ticket: sam.tabs[0]?.ticket ?? '', to: 'rita' });
    const byCarl = () => ({ from: 'carl', to: 'rita' });
    const toRita = [
      new Conversation(new Sending(cluster, 'sam', bySam, siteB), rita),
      new Conversation(new Sending(cluster, 'carl', byCarl, siteB), rita),
    ];
    const all = [...conversations, ...toRita];
    t.teardown(() => {
      for (const { sending } of all) sending.stop();
    });
    const stir = async (count: number): Promise<void> => {
      for (let n = 0; n < count; n++) {
        await (everybody[roll(everybody.length)] as SurvivingUser).act(roll);
        for (const conversation of all) conversation.noteArrivals();
      }
    };
    const settle = async (): Promise<void> => {
      await converges(async () => [...(await differences()), ...all.flatMap(({ untold }) => untold)]);
      for (const conversation of all) conversation.settle();
    };
    for (let seed = first; seed < first + seeds; seed++) {
      await stir(STEPS);
      if (rita.tabs.length < 2) await rita.arrive();
      for (const conversation of toRita) conversation.noteArrivals();
      await settle();
      // What is done right before a death may be lost.
      await written(nats, cluster.living);
      await written(nats, cluster.living, siteB);
      const begun = Date.now();
      await (seed === first ? cluster.kill(0) : cluster.kill());
      await stir(STEPS / 2);
      await cluster.start(`m${seed}`);
      await stir(STEPS / 2);
      await Promise.all(all.map(({ sending }) => sending.reaches(sending.answered.length + 5)));
      await settle();
      t.strictSame(
        [...flickers(users), ...flickers([rita, sam])],
        [],
        `seed ${seed}: nobody flickers; ${Date.now() - begun} ms`,
      );
    }
    await Promise.all(all.map(({ sending }) => sending.end()));
    await settle();
    for (const { sending, user } of conversations) {
      // Where a user has two clients, one has what came while the other one's node was dead, and the other is told that it has missed something.
      await converges(() => missing(user, sending));
      const disordered = user.tabs.flatMap((tab) => outOfOrder(tab, sending, user));
      t.strictSame(disordered, [], `${sending.mark}: in order, none lost, and each client told of what it lacks`);
    }
    t.pass(`of ${all.map(({ sending }) => sending.answered.length)} messages each loss is told`);
    // A client that is told so asks again: what it is told then is right.
    const doubted = everybody.flatMap(({ everyTab }) => everyTab).flatMap(({ unknown }) => unknown);
    t.comment(`clients were told ${doubted.length} times that their ticket is unknown`);
  },
);
