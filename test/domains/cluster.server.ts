import t from 'tap';
import type { Clock } from '../../src/clock.js';
import { dice } from '../support/dice.js';
import { HANG_MS } from '../support/hang.js';
import { clusterSettings, NatsProxy, type NatsServer, natsServer, testCluster } from '../support/nats.js';
import { skipWithout } from '../support/programs.js';
import { type Cleaner, merge, type Settings, siteA, type TestServer, testServer } from '../support/server.js';
import { SteadyClock } from '../support/steady-clock.js';
import type { WebSocketClient } from '../support/websocket.js';
import { Admin, type Made } from './support.js';
import { agreed, change, type Shown, statusOf } from './wander.js';

const skip = skipWithout('nats-server');
/** Many wrong keys are tried here: nobody is locked out. */
const admin = { admin: { port: -1 }, lockout: { failures: 0 } };

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

async function proxied(t: Cleaner, nats: NatsServer, settings: Settings, node: string, clock: Clock) {
  const proxy = await NatsProxy.start(t, nats);
  const server = await testServer(t, merge(settings, { cluster: { node, nats: [proxy.url] } }), clock);
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
    const clock = SteadyClock.start(t);
    const one = await testServer(t, merge(settings, { cluster: { node: 'n1' } }), clock);
    const { proxy, server: two } = await proxied(t, nats, settings, 'n2', clock);
    let three = await testServer(t, merge(settings, { cluster: { node: 'n3' } }), clock);
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
    three = await testServer(t, merge(settings, { cluster: { node: 'n3' } }), clock);
    await check('after a node came back');
    t.ok(removed.length > 5, 'keys were removed');
    t.ok((await agreed(all())).includes(siteA.domain));
  },
);
