/** What a cluster with JetStream keeps when its nodes are killed: PROTOCOL.md section 20. */
import t, { type Test } from 'tap';
import { Admin } from '../domains/support.js';
import { client } from '../mqtt/support/clients.js';
import { clusterMetric } from '../support/admin.js';
import { KeptNode } from '../support/kept-node.js';
import { clusterSettings, jetStreamServer } from '../support/nats.js';
import { skipWithout } from '../support/programs.js';
import { merge, siteA, siteB, type TestServer, testServer } from '../support/server.js';
import type { Person } from '../support/site.js';
import { until } from '../support/until.js';
import { WebhookServer } from '../support/webhook.js';

const skip = skipWithout('nats-server');

/** The bodies of so many messages, in the order in which they came. */
async function bodies(person: Person, count: number): Promise<string[]> {
  const found: string[] = [];
  while (found.length < count) found.push(String(((await person.next()) as { body?: string }).body));
  return found;
}

/** Resolves when JetStream has all that a node has written. */
async function written(node: KeptNode): Promise<void> {
  await until('nothing to write', async () => (await clusterMetric(node, 'store_waiting_bytes')) === 0);
}

interface Page {
  readonly messages?: readonly { readonly body: string }[];
  readonly conversations?: readonly {
    readonly with: string;
    readonly last: { readonly body: string };
    readonly unread: number;
  }[];
  readonly next?: string;
}

/** What a node answers of somebody's history. */
async function historyAt(node: TestServer, query: Readonly<Record<string, string>>): Promise<Page> {
  return (await node.site(siteB).get('/v5/history', query)).body as Page;
}

/** The bodies of a conversation, page by page from the newest on, as soon as there are so many. */
async function conversation(node: TestServer, name: string, other: string, count: number): Promise<string[]> {
  return until(`${count} messages of ${name} and ${other}`, async () => {
    const found: string[] = [];
    for (let before = {}; ; ) {
      const { messages = [], next } = await historyAt(node, { name, with: other, limit: '7', ...before });
      found.unshift(...messages.map(({ body }) => body));
      if (next === undefined) break;
      before = { before: next };
    }
    return found.length >= count && found;
  });
}

type Nodes = readonly [KeptNode, KeptNode];

/** What is so when both nodes and JetStream were killed, and two nodes were started: one of the name of the second, and a new one. */
type Last = (t: Test, nodes: Nodes) => Promise<void>;
/** What is done with the second node when the first was killed. */
type Next = (t: Test, left: KeptNode) => Promise<Last>;
/** What is done with two nodes. */
type Scene = (t: Test, nodes: Nodes) => Promise<Next>;

const domains: Scene = async (t, [one, two]) => {
  const { apikey } = await new Admin(one).make('new.example', { clientCalls: true });
  await new Admin(one).ask('POST', '/api/domains/new.example/ban', { id: 'mallory', minutes: 60 });
  const credentials = { domain: 'new.example', apikey };
  t.match(await two.site(credentials).online('jack'), { success: true }, 'the other node has it');
  await one.site(credentials).online('rose');
  return async (t, left) => {
    t.match(await left.site(credentials).online('anna'), { success: true });
    return async (t, nodes) => {
      for (const node of nodes) {
        t.match(await node.site(credentials).online('jack'), { success: true });
        const admin = new Admin(node);
        t.match((await admin.get('new.example')).body, { domain: 'new.example' });
        t.match((await admin.ask('GET', '/api/domains/new.example/ban')).body, { bans: [{ id: 'mallory' }] });
        const { body } = await admin.ask('GET', '/api/audit?domain=new.example');
        t.strictSame(
          (body as { audit: { what: string }[] }).audit.map(({ what }) => what),
          ['banned', 'domain added'],
          'each entry once, the last first',
        );
        const mallory = await node.site(credentials).post('/v5/presences/online', { name: 'mallory', nick: 'M' });
        t.equal(mallory.status, 403);
      }
    };
  };
};

const offlineMessages: Scene = async (_t, [one, two]) => {
  const sent = Array.from({ length: 20 }, (_, n) => `m${n}`);
  for (const [n, body] of sent.entries()) await (n % 2 ? one : two).site().push('anna', 'jack', body);
  return async (t, left) => {
    const jack = await left.site().arrive('jack');
    t.strictSame(await bodies(jack, 20), sent);
    await left.site().push('anna', 'rose', 'before');
    return async (t, [again, other]) => {
      await again.site().push('anna', 'rose', 'after');
      const rose = await other.site().arrive('rose');
      t.strictSame(await bodies(rose, 2), ['before', 'after']);
    };
  };
};

const retained: Scene = async (t, [one, two]) => {
  const connect = (t: Test, node: KeptNode, clientId: string) => {
    const { domain: username, apikey: password } = siteA;
    return client(t, `mqtt://127.0.0.1:${node.mqttPort}`, { clientId, username, password });
  };
  const { client: first } = await connect(t, one, 'first');
  await first.publishAsync('weather/today', Buffer.from([0, 255, 7]), { qos: 1, retain: true });
  await first.publishAsync('weather/gone', 'x', { qos: 1, retain: true });
  const { client: second } = await connect(t, two, 'second');
  await second.publishAsync('weather/gone', '', { qos: 1, retain: true });
  await second.publishAsync('weather/tomorrow', 'sun', { qos: 2, retain: true });
  return async () => async (t, nodes) => {
    for (const node of nodes) {
      const reader = await connect(t, node, `reader at ${node.port}`);
      await reader.client.subscribeAsync('weather/#', { qos: 1 });
      const found = new Map([await reader.next(), await reader.next()].map(({ topic, payload }) => [topic, payload]));
      t.strictSame(found.get('weather/today'), Buffer.from([0, 255, 7]));
      t.strictSame(String(found.get('weather/tomorrow')), 'sun');
    }
  };
};

const history: Scene = async (t, [one, two]) => {
  const said = Array.from({ length: 40 }, (_, n) => `m${String(n).padStart(2, '0')}`);
  await Promise.all(
    [one, two].map(async (node, at) => {
      for (const [n, body] of said.entries()) {
        if (n % 2 === at) await node.site(siteB).push(at ? 'anna' : 'jack', at ? 'jack' : 'anna', body);
      }
    }),
  );
  const own = (bodies: readonly string[], at: number) => bodies.filter((_, n) => n % 2 === at);
  for (const node of [one, two]) {
    const found = await conversation(node, 'jack', 'anna', said.length);
    t.strictSame([...found].sort(), said);
    for (const at of [0, 1]) {
      const of = new Set(own(said, at));
      t.strictSame(
        found.filter((body) => of.has(body)),
        own(said, at),
        'what one node took is in its order',
      );
    }
  }
  await one.site(siteB).push('rose', 'jack', 'hello');
  await conversation(two, 'jack', 'rose', 1);
  // Of a new conversation the other node hears of whom it is last of all.
  const conversations = await until('both conversations', async () => {
    const { conversations = [] } = await historyAt(two, { name: 'jack' });
    return conversations.length === 2 && conversations;
  });
  t.strictSame(
    conversations.map((one) => [one.with, one.unread]),
    [
      ['rose', 1],
      ['anna', 20],
    ],
  );
  await written(one);
  return async (t, left) => {
    t.strictSame((await conversation(left, 'jack', 'anna', said.length)).sort(), said, 'a node is gone');
    await written(left);
    return async (t, [again, other]) => {
      for (const node of [again, other]) t.strictSame((await conversation(node, 'jack', 'anna', 40)).sort(), said);
      await again.site(siteB).push('jack', 'anna', 'later');
      t.equal((await conversation(other, 'anna', 'jack', 41)).at(-1), 'later');
      // Of the node that was killed first there is nobody any more: what it had is forgotten all the same, once it is known to be gone.
      const query = { domain: siteB.domain, name: 'jack', with: 'anna' };
      await until('an empty conversation', async () => {
        const answer = await other.site(siteB).send({ method: 'DELETE', path: '/v5/history', query });
        t.equal(answer.status, 200);
        const left = await Promise.all([again, other].map((node) => historyAt(node, { name: 'jack', with: 'anna' })));
        return left.every(({ messages }) => messages?.length === 0);
      });
      t.strictSame(
        (await historyAt(again, { name: 'jack' })).conversations?.map((one) => one.with),
        ['rose'],
      );
    };
  };
};

/** The last ones have no moment left in which what was answered could be written later. */
const scenes: Readonly<Record<string, Scene>> = {
  'two nodes write one conversation at once, and each has all of it, also after all were killed': history,
  'domains, bans, the audit log, sign-outs and usage outlive any node, and all of them at once': domains,
  'messages to somebody offline outlive the node that took them, and come once, in order': offlineMessages,
  'retained publications outlive all nodes': retained,
};

t.test('two nodes are killed, one after the other, then JetStream', { skip }, async (t) => {
  const nats = await jetStreamServer(t);
  const history = { messages: 200, days: 30 };
  const settings = {
    domains: [
      { ...siteA, offline: true },
      { ...siteB, history },
    ],
  };
  const start = (name: string) => KeptNode.start(t, nats, name, settings);
  const [one, two] = await Promise.all([start('n2'), start('n1')]);
  const first = new Map<string, Next>();
  for (const [title, scene] of Object.entries(scenes)) first.set(title, await scene(t, [one, two]));
  await one.kill();
  const last = new Map<string, Last>();
  for (const [title, next] of first) last.set(title, await next(t, two));
  await two.kill();
  await nats.stop();
  await nats.start();
  const nodes = await Promise.all([start('n1'), start('n3')]);
  for (const [title, check] of last) await t.test(title, (t) => check(t, nodes));
});

const offline = { domains: [{ ...siteA, offline: true }] };

t.test(
  'pushes to somebody offline that were answered are there after JetStream was killed under them',
  { skip },
  async (t) => {
    const nats = await jetStreamServer(t);
    const [one, two] = await Promise.all([
      KeptNode.start(t, nats, 'n1', offline),
      KeptNode.start(t, nats, 'n2', offline),
    ]);
    const answered: string[] = [];
    let n = 0;
    let isEnding = false;
    const pushOn = async (node: KeptNode): Promise<void> => {
      while (!isEnding) {
        const body = `b${n++}`;
        const { status } = await node.site().post('/v5/messages', { from: 'anna', to: 'jack', body, id: body });
        if (status === 200) answered.push(body);
      }
    };
    const pushing = [one, two, one, two].map((node) => pushOn(node));
    for (let round = 0; round < 2; round++) {
      const before = answered.length;
      await until('50 more answers', () => answered.length >= before + 50);
      await nats.stop();
      await nats.start();
    }
    const before = answered.length;
    await until('20 more answers', () => answered.length >= before + 20);
    isEnding = true;
    await Promise.all(pushing);
    await Promise.all([one.kill(), two.kill()]);
    const last = await KeptNode.start(t, nats, 'n4', offline);
    const jack = await last.site().arrive('jack');
    const found = new Set<string>();
    // One that was not answered in time is kept all the same.
    while (!answered.every((body) => found.has(body))) for (const body of await bodies(jack, 1)) found.add(body);
  },
);

t.test('who was offline on one node and comes to another confirms there what the first kept', { skip }, async (t) => {
  const nats = await jetStreamServer(t);
  const settings = merge(clusterSettings(nats, { cluster: { store: 'jetstream' } }), offline);
  const one = await testServer(t, merge(settings, { cluster: { node: 'n1' } }));
  const two = await testServer(t, merge(settings, { cluster: { node: 'n2' } }));
  for (const body of ['one', 'two', 'three']) await one.site().push('anna', 'jack', body);
  const kept = (node: TestServer) => node.metrics.domain(siteA.domain).offlineMessages;
  const jack = await two.site().arrive('jack');
  t.strictSame(await bodies(jack, 3), ['one', 'two', 'three']);
  await until('nothing kept', () => kept(one) + kept(two) === 0);
  const second = await one.site().arrive('jack');
  t.strictSame(await second.before(), []);
  // Both nodes push at the moment at which he comes.
  for (let round = 0; round < 5; round++) {
    const name = `u${round}`;
    const pushed = Array.from({ length: 10 }, (_, n) => (n % 2 ? one : two).site().push('anna', name, `p${n}`));
    const [here] = await Promise.all([one.site().arrive(name), ...pushed]);
    t.strictSame((await bodies(here, 10)).sort(), Array.from({ length: 10 }, (_, n) => `p${n}`).sort());
    t.strictSame(await here.before(), [], 'each once');
  }
});

t.test(
  'events and messages that wait for a site are told by another node when theirs is killed',
  { skip },
  async (t) => {
    const nats = await jetStreamServer(t);
    let isUp = false;
    const hook = await WebhookServer.start(t, () => (isUp ? 200 : 503));
    const services = { help: { webhook: hook.url } };
    const events = { url: hook.url, kinds: ['online'] };
    const settings = { domains: [{ ...siteA, webhookPrivate: true, events, services }] };
    const [one, two] = await Promise.all([
      KeptNode.start(t, nats, 'n1', settings),
      KeptNode.start(t, nats, 'n2', settings),
    ]);
    const names = ['anna', 'jack', 'rose'];
    for (const name of names) await one.site().online(name);
    const { ticket } = await one.site().online('tom');
    await one.site().message(ticket, 'sid:help', 'a question');
    await hook.next();
    await written(one);
    await one.kill();
    const before = hook.calls.length;
    isUp = true;
    const told = new Set<string>();
    const wanted = [...names, 'tom', 'a question'];
    while (!wanted.every((one) => told.has(one))) {
      await hook.next();
      for (const { text } of hook.calls.slice(before))
        for (const one of wanted) if (text.includes(`"${one}"`)) told.add(one);
    }
    isUp = false;
    await two.site().online('late');
    await written(two);
    await two.kill();
    isUp = true;
    const calls = hook.calls.length;
    await KeptNode.start(t, nats, 'n7', settings);
    const isLate = ({ text }: { text: string }): boolean => text.includes('"late"');
    while (!hook.calls.slice(calls).some(isLate)) await hook.next();
  },
);
