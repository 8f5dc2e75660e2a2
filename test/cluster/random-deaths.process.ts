/**
 * Users act and write to each other at random while nodes are killed, one after the other, and others start in their place. Their clients
 * keep positions and come back to other nodes within the grace. When that is over all nodes and all clients agree with what was done,
 * nobody has seen anybody flicker, and of what was answered to a durable domain nothing is missing; PROTOCOL.md section 20.
 *
 * Two seeds, of users with one client each. `RANDOM_DEATHS_SEEDS=20` runs so many seeds, each with one death, and two of its five users have
 * two clients at times, on two nodes; `RANDOM_DEATHS_FIRST` is the first of them.
 */
import t from 'tap';
import { dice } from '../support/dice.js';
import { HANG_MS } from '../support/hang.js';
import { KeptNode } from '../support/kept-node.js';
import { written } from '../support/kept-writes.js';
import { jetStreamServer, type NatsServer } from '../support/nats.js';
import { skipWithout } from '../support/programs.js';
import { type Cleaner, siteA, siteB, type TestServer } from '../support/server.js';
import { type Nodes, ROOMS, Sending, SurvivingUser, Survivor } from '../support/survivors.js';
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

  async start(name: string): Promise<void> {
    this.living.push(await KeptNode.start(this.t, this.nats, name, settings));
  }

  /** Kills a node; answers its name's place among all. */
  async kill(): Promise<void> {
    const [node] = this.living.splice(this.roll(this.living.length), 1);
    await node?.kill();
  }
}

/** Where nodes and clients differ from what was done. */
async function disagreements(cluster: Cluster, users: readonly SurvivingUser[]): Promise<string[]> {
  const found: string[] = [];
  const visible = new Map(users.filter(({ show }) => show !== 'invisible').map(({ name, show }) => [name, show]));
  const text = (map: ReadonlyMap<string, string>, but = ''): string =>
    [...map]
      .filter(([name]) => name !== but)
      .sort()
      .join(' ');
  for (const [at, node] of cluster.living.entries()) {
    const answered = new Map(Object.entries(await node.site().presences(...NAMES)));
    if (text(answered) !== text(visible)) found.push(`node ${at} answers ${text(answered)}, not ${text(visible)}`);
    for (const room of ROOMS) {
      const query = { domain: siteA.domain };
      const { body } = await node.site().send({ path: `/v5/rooms/${room}/members`, query });
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

/**
 * Losses of which a client was not told: between the moment when the message was sent and that when a later one came. `from`: how much had
 * been answered when the client came.
 */
function untold({ log, times }: Survivor, { answered, sentAt }: Sending, from = 0): string[] {
  const at = new Map(log.map((body, place) => [body, place]));
  const told = log.flatMap((what, place) => (what === 'missed' ? [times[place] as number] : []));
  return answered.filter((body, number) => {
    if (number < from || at.has(body)) return false;
    const after = answered.slice(number + 1).find((one) => at.has(one));
    const until = after === undefined ? Number.POSITIVE_INFINITY : (times[at.get(after) as number] as number);
    return !told.some((time) => time >= (sentAt[number] as number) && time <= until);
  });
}

t.test(
  'nodes are killed at random: nobody flickers, all agree, and what was answered is there or said to be missing',
  { skip, timeout: timeoutMs },
  async (t) => {
    const nats = await jetStreamServer(t);
    const roll = dice(first * 7919);
    const cluster = new Cluster(t, nats, dice(first * 104_729));
    await Promise.all(['n1', 'n2', 'n3'].map((name) => cluster.start(name)));
    const users = NAMES.map((name, at) => new SurvivingUser(name, cluster, NAMES, asked === 0 || at < 3));
    t.teardown(() => {
      for (const { tabs } of users) for (const tab of tabs) tab.leave();
    });
    for (const user of users) await user.arrive();
    const { ticket, presences } = await cluster.any().site(siteB).online('rita');
    const rita = new Survivor(cluster, ticket, presences, [], siteB);
    t.teardown(() => rita.leave());
    await rita.arrive();
    await converges(() => disagreements(cluster, users));
    const arrivals = new Map<Survivor, readonly number[]>();
    const sendings = users.map((user, at) => {
      const to = NAMES[(at + 1) % NAMES.length] as string;
      return new Sending(cluster, `${user.name}to${to}`, () => ({ ticket: user.tabs[0]?.ticket ?? '', to }));
    });
    const toRita = new Sending(cluster, 'carl', () => ({ from: 'carl', to: 'rita' }), siteB);
    t.teardown(() => {
      for (const sending of [...sendings, toRita]) sending.stop();
    });
    const noteArrivals = (): void => {
      for (const { tabs } of users) {
        for (const tab of tabs)
          if (!arrivals.has(tab))
            arrivals.set(
              tab,
              sendings.map(({ answered }) => answered.length + 1),
            );
      }
    };
    for (const { tabs } of users)
      for (const tab of tabs)
        arrivals.set(
          tab,
          sendings.map(() => 0),
        );
    const stir = async (count: number): Promise<void> => {
      for (let n = 0; n < count; n++) {
        await (users[roll(users.length)] as SurvivingUser).act(roll);
        noteArrivals();
      }
    };
    for (let seed = first; seed < first + seeds; seed++) {
      await stir(STEPS);
      await converges(() => disagreements(cluster, users));
      // What is done right before a death may be lost.
      await written(nats, cluster.living);
      const before = toRita.answered.length;
      const begun = Date.now();
      await cluster.kill();
      await stir(STEPS / 2);
      await cluster.start(`m${seed}`);
      await stir(STEPS / 2);
      await Promise.all(sendings.map((sending) => sending.reaches(sending.answered.length + 5)));
      await toRita.reaches(before + 5);
      await converges(() => disagreements(cluster, users));
      t.strictSame(flickers(users), [], `seed ${seed}: nobody flickers; ${Date.now() - begun} ms`);
    }
    await Promise.all([...sendings, toRita].map((sending) => sending.end()));
    for (const [at, user] of users.entries()) {
      const from = (at + users.length - 1) % users.length;
      const sending = sendings[from] as Sending;
      // Where a user has two clients, one has what came while the other one's node was dead, and the other is told that it has missed something.
      await converges(() => missing(user, sending));
      for (const tab of user.tabs) {
        const since = arrivals.get(tab)?.[from] ?? 0;
        t.strictSame(
          [untold(tab, sending, since), outOfOrder(tab, sending, user)],
          [[], []],
          `${sending.mark}: in order, each loss told`,
        );
      }
    }
    t.pass(`of ${sendings.map(({ answered }) => answered.length)} messages in order`);
    const last = toRita.answered.at(-1) as string;
    await rita.until(
      () => rita.log.includes(last) || rita.log.includes('missed'),
      'the last message, or word of a loss',
    );
    t.strictSame(untold(rita, toRita), [], `of ${toRita.answered.length} messages each loss is told`);
    // A client that is told so asks again: what it is told then is right.
    const doubted = [rita, ...users.flatMap(({ everyTab }) => everyTab)].flatMap(({ unknown }) => unknown);
    t.comment(`clients were told ${doubted.length} times that their ticket is unknown`);
  },
);
