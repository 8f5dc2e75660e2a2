/** A user with clients on both sides of a cut between nodes: when the cut has healed, what was done later holds. */
import t from 'tap';
import type { Check } from '../support/check.js';
import { clusterSettings, NatsProxy, natsServer } from '../support/nats.js';
import { skipWithout } from '../support/programs.js';
import { type Cleaner, merge, type TestServer, testServer } from '../support/server.js';
import type { Person } from '../support/site.js';
import { SteadyClock } from '../support/steady-clock.js';
import { converges } from '../support/watching-user.js';

const skip = skipWithout('nats-server');

interface Scene {
  readonly nodes: readonly [TestServer, TestServer];
  /** Alice's client on each node. */
  readonly alices: readonly [Person, Person];
  readonly bob: Person;
  cut(): Promise<void>;
  heal(): Promise<void>;
}

async function scene(t: Cleaner, rooms: string): Promise<Scene> {
  const nats = await natsServer(t);
  const proxy = await NatsProxy.start(t, nats);
  const settings = clusterSettings(nats, { cluster: { leaseMs: 500 }, presence: { clientIdleMs: 600_000 } });
  const clock = SteadyClock.start(t);
  const n1 = await testServer(t, merge(settings, { cluster: { node: 'n1' } }), clock);
  const n2 = await testServer(t, merge(settings, { cluster: { nats: [proxy.url], node: 'n2' } }), clock);
  const bob = await n1.site().arrive('bob', { rooms: 'tea,den' });
  const alices = [await n1.site().arrive('alice', { rooms }), await n2.site().arrive('alice')] as const;
  const lost = (count: number) => () =>
    [n1, n2].flatMap(({ metrics }) => (metrics.cluster.nodesLost === count ? [] : [`not ${count} lost`]));
  return {
    nodes: [n1, n2],
    alices,
    bob,
    cut: () => {
      proxy.cut();
      return converges(lost(1));
    },
    heal: () => {
      proxy.restore();
      return converges(lost(0));
    },
  };
}

/** Passes when every node says that Alice is in the room, or is not, and her client there is told what is said, or is not. */
async function agree(t: Check, { nodes, alices, bob }: Scene, room: string, isIn: boolean): Promise<void> {
  await converges(async () => {
    const members = await Promise.all(nodes.map((node) => node.site().members(bob.ticket, room)));
    return members.flatMap((found) => ('alice' in found === isIn ? [] : [`in ${room}: ${Object.keys(found)}`]));
  });
  await bob.site.say(bob.ticket, room, `said in ${room}`);
  for (const alice of alices) {
    const heard = (await alice.before(bob)).filter(({ body }) => body === `said in ${room}`);
    t.equal(heard.length, isIn ? 1 : 0, `she reads it ${isIn ? 'once' : 'not'}`);
  }
}

/** A node's clock runs ahead by a millisecond for each change of a call: what a node does that has not heard of it counts as later after these. */
const AHEAD_MS = 20;

async function clearlyLater(): Promise<void> {
  for (const now = Date.now(); Date.now() < now + AHEAD_MS; ) await new Promise((resolve) => setImmediate(resolve));
}

t.test('a LEAVE on one side of a cut holds when it heals', { skip }, async (t) => {
  const all = await scene(t, 'tea,den');
  const [here, there] = all.alices;
  await all.cut();
  await here.site.leave(here.ticket, 'tea');
  await there.site.leave(there.ticket, 'den');
  await all.heal();
  await agree(t, all, 'tea', false);
  await agree(t, all, 'den', false);
});

t.test('a JOIN after a LEAVE on the other side of a cut holds when it heals', { skip }, async (t) => {
  const all = await scene(t, 'tea');
  const [here, there] = all.alices;
  await all.cut();
  await here.site.leave(here.ticket, 'tea');
  await clearlyLater();
  await there.site.join(there.ticket, 'tea');
  await there.site.join(there.ticket, 'den');
  await clearlyLater();
  await here.site.leave(here.ticket, 'den');
  await all.heal();
  await agree(t, all, 'tea', true);
  await agree(t, all, 'den', false);
});

t.test('where both sides of a cut set a nick, a show or rooms, the later ones hold', { skip }, async (t) => {
  const all = await scene(t, '');
  const [here, there] = all.alices;
  await there.show('away', { status: 'first' });
  await all.cut();
  await here.show('dnd', { status: 'second' });
  await clearlyLater();
  await there.show('away', { status: 'first' });
  await there.site.online('alice', { rooms: 'tea' });
  await all.heal();
  const shows = async (): Promise<string[]> => {
    const found = await Promise.all(all.nodes.map((node) => node.site().presences('alice')));
    return found.flatMap(({ alice }) => (alice === 'away' ? [] : [`${alice}`]));
  };
  await converges(shows);
  await agree(t, all, 'tea', true);
});

t.test(
  'of two clients that took one name on both sides of a cut, the earlier ends when it heals',
  { skip },
  async (t) => {
    const all = await scene(t, '');
    const [n1, n2] = all.nodes;
    const asWatch = (node: TestServer) => node.site().arrive('alice', { client: 'watch' });
    const before = await asWatch(n1);
    await all.cut();
    const earlier = await asWatch(n2);
    await clearlyLater();
    const later = await asWatch(n1);
    t.equal(await before.client.ended, 'stopped');
    await all.heal();
    t.equal(await earlier.client.ended, 'stopped');
    await all.bob.site.message(all.bob.ticket, `/domain/a.example/uid/alice/client/watch`, 'tick');
    t.hasStrict(await later.next(), { body: 'tick' });
  },
);

t.test(
  'a user who comes online without a show on one side of a cut keeps the show set on the other',
  { skip },
  async (t) => {
    const all = await scene(t, '');
    await all.cut();
    const [n1, n2] = all.nodes;
    await n1.site().online('carol', { show: 'invisible' });
    await n2.site().online('carol');
    await all.heal();
    await converges(async () => {
      const found = await Promise.all(all.nodes.map((node) => node.site().presences('carol')));
      return found.flatMap(({ carol }) => (carol === undefined ? [] : [carol]));
    });
  },
);
