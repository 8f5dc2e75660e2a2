/** Events of a cluster: each is told once, whichever nodes see it. PROTOCOL.md section 17. */
import t from 'tap';
import { ManualClock } from '../mqtt/support/clock.js';
import { clusterSettings, natsServer, testCluster } from '../support/nats.js';
import { skipWithout } from '../support/programs.js';
import { type Cleaner, merge, siteA, type TestServer, testServer } from '../support/server.js';
import { WebhookServer } from '../support/webhook.js';

const skip = skipWithout('nats-server');
const KINDS = ['online', 'offline', 'join', 'leave', 'roomEmpty', 'message', 'undelivered'];
const presence = { graceMs: 60 };

interface Event {
  readonly id: string;
  readonly kind: string;
  readonly name?: string;
  readonly room?: string;
  readonly packet?: { readonly body: string };
}

/** All events that the site has, by their ids. */
class Site {
  readonly events: Event[] = [];

  constructor(readonly hook: WebhookServer) {}

  async until(condition: (events: readonly Event[]) => boolean): Promise<Event[]> {
    while (!condition(this.events)) {
      const { body } = await this.hook.next();
      for (const event of (body as { events: Event[] }).events) {
        if (!this.events.some(({ id }) => id === event.id)) this.events.push(event);
      }
    }
    return this.events;
  }

  /** What was told of a name, in order, up to a message with this body. */
  async before(mark: string): Promise<string[]> {
    const events = await this.until((all) =>
      all.some(({ kind, packet }) => kind === 'message' && packet?.body === mark),
    );
    return events.filter(({ packet }) => !packet).map(({ kind, name, room }) => `${kind} ${name ?? room}`);
  }
}

async function start(t: Cleaner) {
  const site = new Site(await WebhookServer.start(t));
  const events = { url: site.hook.url, kinds: KINDS };
  return { site, domains: [{ ...siteA, webhookPrivate: true, events }] };
}

t.test('an endpoint on two nodes comes and goes once', { skip }, async (t) => {
  const { site, domains } = await start(t);
  const [one, two] = await testCluster(t, await natsServer(t), 2, { domains, presence });
  const here = await one.site().arrive('jack');
  const there = await two.site().arrive('jack');
  await two.site().join(there.ticket, 'tea');
  await one.site().push('anna', 'jack', 'hello');
  await here.offline();
  await there.offline();
  const wanted = ['online', 'join', 'message', 'roomEmpty', 'offline'];
  const events = await site.until((all) => wanted.every((one) => all.some(({ kind }) => kind === one)));
  const count = (kind: string) => events.filter((event) => event.kind === kind).length;
  t.strictSame(KINDS.map(count), [1, 1, 1, 0, 1, 1, 0]);
});

t.test(
  'who is brought online on two nodes at once, and signed out on both, comes and goes once',
  { skip },
  async (t) => {
    const { site, domains } = await start(t);
    const [one, two] = await testCluster(t, await natsServer(t), 2, { domains, presence });
    const names = Array.from({ length: 20 }, (_, n) => `u${n}`);
    await Promise.all(names.flatMap((name) => [one.site().online(name), two.site().online(name)]));
    await Promise.all(names.map((name) => one.site().post('/v5/presences/offline', { name })));
    const gone = (all: readonly Event[]) =>
      names.every((name) => all.some((e) => e.kind === 'offline' && e.name === name));
    await site.until(gone);
    await one.site().push('anna', 'nobody', 'the end');
    await two.site().push('rose', 'nobody', 'the end of two');
    await site.before('the end');
    const told = await site.before('the end of two');
    for (const name of names) {
      t.strictSame(
        told.filter((text) => text.endsWith(` ${name}`)),
        [`online ${name}`, `offline ${name}`],
        name,
      );
    }
  },
);

t.test('those of a node that is lost go offline, told once', { skip }, async (t) => {
  const { site, domains } = await start(t);
  const settings = clusterSettings(await natsServer(t), { domains, presence });
  const [one, two, three] = await Promise.all(
    ['n1', 'n2', 'n3'].map((node) => testServer(t, merge(settings, { cluster: { node, leaveMs: 0 } }))),
  );
  if (!one || !two || !three) throw new Error('no cluster');
  await three.site().online('jack', { rooms: 'tea' });
  await site.until((all) => all.some(({ name }) => name === 'jack'));
  await three.close();
  await site.until((all) => all.some(({ kind }) => kind === 'roomEmpty'));
  await one.site().push('anna', 'nobody', 'one');
  await two.site().push('anna', 'nobody', 'two');
  await site.before('one');
  t.strictSame((await site.before('two')).sort(), ['offline jack', 'online jack', 'roomEmpty tea']);
});

t.test(
  'a message that waits on two nodes whose parts of an endpoint end at the same moment is told once',
  { skip },
  async (t) => {
    const { site, domains } = await start(t);
    const clock = new ManualClock();
    const settings = clusterSettings(await natsServer(t), {
      domains,
      presence: { clientIdleMs: 60_000, graceMs: 60_000 },
      cluster: { leaseMs: 600_000 },
    });
    const nodes: TestServer[] = [];
    for (const node of ['n1', 'n2']) nodes.push(await testServer(t, merge(settings, { cluster: { node } }), clock));
    const [one, two] = nodes as [TestServer, TestServer];
    // Nodes hold acknowledgements back for a while, which passes by the clock as well.
    const pulse = setInterval(() => clock.advance(20), 20);
    t.teardown(() => clearInterval(pulse));
    const settled = async () => {
      for (let turn = 0; turn < 3; turn++) for (const node of nodes) await node.settled();
    };
    for (let round = 1; round <= 3; round++) {
      const here = await one.site().online('jack');
      await settled();
      const there = await two.site().online('jack');
      await settled();
      await one.site().push('anna', 'jack', `nobody ${round}`);
      await settled();
      await Promise.all([one.site().offline(here.ticket), two.site().offline(there.ticket)]);
      await settled();
      clock.advance(60_000);
      await settled();
      const body = `nobody ${round}`;
      await site.until((all) => all.some(({ kind, packet }) => kind === 'undelivered' && packet?.body === body));
    }
    await one.site().push('anna', 'carl', 'the last');
    const events = await site.until((all) => all.some(({ kind, name }) => kind === 'undelivered' && name === 'carl'));
    const told = events.filter(({ kind, name }) => kind === 'undelivered' && name === 'jack');
    t.strictSame(
      told.map(({ packet }) => packet?.body),
      ['nobody 1', 'nobody 2', 'nobody 3'],
    );
  },
);
