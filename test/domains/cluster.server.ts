import t from 'tap';
import { dice } from '../support/dice.js';
import { HANG_MS } from '../support/hang.js';
import { clusterSettings, NatsProxy, type NatsServer, natsServer, testCluster } from '../support/nats.js';
import { skipWithout } from '../support/programs.js';
import { type Cleaner, merge, type Settings, siteA, type TestServer, testServer } from '../support/server.js';
import type { WebSocketClient } from '../support/websocket.js';
import { Admin, type Made } from './support.js';

const skip = skipWithout('nats-server');
/** Many wrong keys are tried here: nobody is locked out. */
const admin = { admin: { port: -1 }, lockout: { failures: 0 } };

async function statusOf(server: TestServer, domain: string, apikey: string): Promise<number> {
  const call = { path: '/v5/presences', query: { ids: '1' }, auth: { domain, apikey } };
  return (await server.request(call)).status;
}

/** Settings and keys of all domains that a node knows. */
async function knownBy(server: TestServer): Promise<string> {
  const one = new Admin(server);
  const shown: unknown[] = [];
  for (const name of await one.names('?limit=1000')) shown.push((await one.get(name)).body);
  return JSON.stringify(shown);
}

/** Waits until all nodes know the same. */
async function agreed(nodes: readonly TestServer[]): Promise<string> {
  for (;;) {
    const [first, ...others] = await Promise.all(nodes.map(knownBy));
    if (first !== undefined && others.every((other) => other === first)) return first;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

t.test('a change holds on all nodes when it is answered', { skip, timeout: HANG_MS }, async (t) => {
  const [one, two, three] = await testCluster(t, await natsServer(t), 3, admin);
  const made = await new Admin(one).make('a.store', { carbons: true });
  for (const node of [one, two, three]) t.equal(await statusOf(node, 'a.store', made.apikey), 200);
  const person = await two.site(made).arrive('jack');
  await three.site(made).push('2', 'jack', 'hello');
  t.match(await person.next(), { body: 'hello' }, 'the nodes serve it as one');
  const added = (await new Admin(two).addKey('a.store')).body as Made;
  await new Admin(three).removeKey('a.store', made.fingerprint);
  for (const node of [one, two, three]) {
    t.strictSame(
      [await statusOf(node, 'a.store', made.apikey), await statusOf(node, 'a.store', added.apikey)],
      [401, 200],
    );
  }
  t.equal((await new Admin(one).remove('a.store')).status, 200);
  t.match(await (person.client as WebSocketClient).closed, { code: 4404 });
  for (const node of [one, two, three]) t.equal(await statusOf(node, 'a.store', added.apikey), 401);
});

t.test('a node that joins later knows the domains before it serves anybody', { skip, timeout: HANG_MS }, async (t) => {
  const nats = await natsServer(t);
  const settings = clusterSettings(nats, admin);
  const first = await testServer(t, merge(settings, { cluster: { node: 'n1' } }));
  const made = await new Admin(first).make('a.store');
  const gone = await new Admin(first).make('gone.store');
  await new Admin(first).remove('gone.store');
  const person = await first.site(made).arrive('jack');
  const later = await testServer(t, merge(settings, { cluster: { node: 'n2' } }));
  t.equal(await statusOf(later, 'a.store', made.apikey), 200);
  t.equal(await statusOf(later, 'gone.store', gone.apikey), 401);
  await later.site(made).push('2', 'jack', 'from the other');
  t.match(await person.next(), { body: 'from the other' });
});

interface Shown {
  readonly domain: string;
  readonly apikey: string;
  readonly fingerprint: string;
}

/** One random change by one node. Keys that were taken away where the node heard of them are added to `removed`. */
async function change(
  node: TestServer,
  roll: (sides: number) => number,
  keys: Shown[],
  removed: Shown[],
): Promise<void> {
  const one = new Admin(node);
  const domain = `d${roll(4)}.store`;
  const mine = keys.filter((key) => key.domain === domain);
  const what = roll(8);
  if (what < 2) {
    const answer = await one.put(domain, { origins: [`https://o${roll(100)}.example`] });
    if (answer.status === 201) keys.push(answer.body as Made);
  } else if (what < 4) await one.patch(domain, { carbons: roll(2) === 0, limits: { queuePackets: roll(1000) } });
  else if (what === 4) {
    const answer = await one.addKey(domain);
    if (answer.status === 201) keys.push(answer.body as Made);
  } else if (what < 7) {
    const key = mine[roll(Math.max(1, mine.length))];
    if (key && (await one.removeKey(domain, key.fingerprint)).status === 200) removed.push(key);
  } else if (roll(2) === 0 && (await one.remove(domain)).status === 200) removed.push(...mine);
}

async function proxied(t: Cleaner, nats: NatsServer, settings: Settings, node: string) {
  const proxy = await NatsProxy.start(t, nats);
  const server = await testServer(t, merge(settings, { cluster: { node, nats: [proxy.url] } }));
  return { proxy, server };
}

t.test(
  'three nodes that change domains at random agree, with one cut off and one killed; no removed key is served',
  { skip, timeout: HANG_MS },
  async (t) => {
    const nats = await natsServer(t);
    const settings = clusterSettings(nats, merge(admin, { cluster: { leaseMs: 1000 } }));
    const roll = dice(7);
    const keys: Shown[] = [];
    const removed: Shown[] = [];
    const one = await testServer(t, merge(settings, { cluster: { node: 'n1' } }));
    const { proxy, server: two } = await proxied(t, nats, settings, 'n2');
    let three = await testServer(t, merge(settings, { cluster: { node: 'n3' } }));
    const all = () => [one, two, three];
    const wander = async (steps: number): Promise<void> => {
      for (let step = 0; step < steps; step++) await change(all()[roll(3)] as TestServer, roll, keys, removed);
    };
    const check = async (when: string): Promise<void> => {
      await agreed(all());
      for (const { domain, apikey } of removed) {
        for (const node of all()) t.equal(await statusOf(node, domain, apikey), 401, `${when}: a removed key`);
      }
    };
    await wander(60);
    await check('together');
    proxy.cut();
    await wander(40);
    proxy.restore();
    await check('after a partition');
    await three.stop();
    for (let step = 0; step < 30; step++) await change([one, two][roll(2)] as TestServer, roll, keys, removed);
    three = await testServer(t, merge(settings, { cluster: { node: 'n3' } }));
    await check('after a node came back');
    t.ok(removed.length > 5, 'keys were removed');
    t.ok((await agreed(all())).includes(siteA.domain));
  },
);
