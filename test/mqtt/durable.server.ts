/** What MQTT keeps for the next start of the server, over a real one that is stopped and started again. */
import type { IClientOptions } from 'mqtt';
import t from 'tap';
import { part } from '../../src/store/keys.js';
import { openLmdb } from '../../src/store/lmdb.js';
import type { TableName } from '../../src/store/store.js';
import { type Settings, siteA, type TestServer, testServer } from '../support/server.js';
import { client, type Subscriber } from './support/clients.js';

interface Test {
  teardown(fn: () => unknown): void;
  testdir(): string;
}

const limits = { limits: { queuePackets: 5 } };

/** A server that can be started again on the same folder. */
async function durable(t: Test, more: Settings = {}) {
  const data = t.testdir();
  let server: TestServer = await testServer(t, { data, mqtt: { port: -1 }, ...more });
  return {
    data,
    connect: (options: IClientOptions) => client(t, `mqtt://127.0.0.1:${server.mqttPort}`, options),
    site: () => server.site(),
    stop: () => server.close(),
    start: async () => {
      server = await testServer(t, { data, mqtt: { port: -1 }, ...more });
    },
  };
}

/** A session that stays. */
const kept = (clientId: string, expiry = 3600): IClientOptions => ({
  clientId,
  clean: false,
  properties: { sessionExpiryInterval: expiry },
});

async function away(subscriber: Subscriber): Promise<void> {
  await subscriber.client.endAsync();
}

t.test('retained publications survive, the last of each topic; deleted and expired ones do not', async (t) => {
  const server = await durable(t);
  const publisher = await server.connect({});
  const retain = { retain: true, qos: 1 } as const;
  await publisher.client.publishAsync('home/a', 'old', retain);
  await publisher.client.publishAsync('home/a', Buffer.from([0, 255]), {
    ...retain,
    properties: { contentType: 'x/y', userProperties: { k: 'v' } },
  });
  await publisher.client.publishAsync(`home/${'long'.repeat(1000)}`, 'deep', retain);
  await publisher.client.publishAsync('home/b', 'deleted', retain);
  await publisher.client.publishAsync('home/b', '', retain);
  await publisher.client.publishAsync('home/c', 'expired', { ...retain, properties: { messageExpiryInterval: 1 } });
  await publisher.client.publishAsync('home/d', 'not retained', { qos: 1 });
  await server.stop();
  const ended = Date.now();
  await new Promise<void>((resolve) => {
    const look = () => (Date.now() - ended > 1000 ? resolve() : setTimeout(look, 50));
    look();
  });
  await server.start();
  const reader = await server.connect({});
  await reader.client.subscribeAsync('home/#', { qos: 1 });
  const found = [await reader.next(), await reader.next()];
  const a = found.find(({ topic }) => topic === 'home/a');
  t.strictSame(a?.payload, Buffer.from([0, 255]));
  t.hasStrict(a, { retain: true, qos: 1, properties: { contentType: 'x/y' } });
  t.match(a?.properties?.userProperties, { k: 'v' });
  t.ok(found.some(({ payload }) => payload.toString() === 'deep'));
  await reader.client.publishAsync('home/mark', 'mark', { qos: 1 });
  t.equal(await reader.payload(), 'mark', 'nothing else was retained');
});

t.test('a session survives with its subscriptions and what waits for its client, in order', async (t) => {
  const server = await durable(t);
  const first = await server.connect(kept('s'));
  await first.client.subscribeAsync('work/+', { qos: 1, properties: { subscriptionIdentifier: 7 } });
  await first.client.subscribeAsync('exact', { qos: 2 });
  await first.client.subscribeAsync('not/any/more', { qos: 1 });
  await first.client.unsubscribeAsync('not/any/more');
  await away(first);
  const publisher = await server.connect({});
  for (const body of ['1', '2']) await publisher.client.publishAsync('work/x', body, { qos: 1 });
  await publisher.client.publishAsync('exact', '3', { qos: 2 });
  await publisher.client.publishAsync('not/any/more', 'no', { qos: 1 });
  await publisher.client.publishAsync('work/x', 'QoS 0 does not wait', { qos: 0 });
  await server.stop();
  await server.start();
  const between = await server.connect({});
  await between.client.publishAsync('work/y', '4', { qos: 1 });
  const second = await server.connect(kept('s'));
  t.equal(second.connack?.sessionPresent, true);
  const packets = [await second.next(), await second.next(), await second.next(), await second.next()];
  const seen = packets.map(({ topic, payload, qos }) => [topic, payload.toString(), qos]);
  // mqtt.js hands a publication of QoS 2 on when it is released, behind what came meanwhile.
  const once = [
    ['work/x', '1', 1],
    ['work/x', '2', 1],
    ['work/y', '4', 1],
  ];
  t.strictSame(
    seen.filter(([, , qos]) => qos === 1),
    once,
  );
  t.strictSame(
    seen.filter(([, , qos]) => qos === 2),
    [['exact', '3', 2]],
  );
  t.equal(packets.find(({ topic }) => topic === 'work/x')?.properties?.subscriptionIdentifier, 7);
  await between.client.publishAsync('work/z', 'mark', { qos: 1 });
  t.equal(await second.payload(), 'mark', 'once each');
  await away(second);
  await server.stop();
  await server.start();
  const third = await server.connect(kept('s'));
  await (await server.connect({})).client.publishAsync('work/z', 'again', { qos: 1 });
  t.equal(await third.payload(), 'again', 'what was acknowledged does not come again');
});

t.test('of what is damaged each record costs itself, and the rest of the sessions is there', async (t) => {
  const server = await durable(t);
  for (const name of ['s', 'damaged']) {
    const first = await server.connect(kept(name));
    await first.client.subscribeAsync('work', { qos: 1 });
    await first.client.subscribeAsync('other', { qos: 1 });
    await away(first);
  }
  const publisher = await server.connect({});
  for (const body of ['1', '2', '3']) await publisher.client.publishAsync('work', body, { qos: 1 });
  for (const topic of ['left', 'right']) await publisher.client.publishAsync(topic, topic, { qos: 1, retain: true });
  await server.stop();
  const store = openLmdb(server.data);
  const damage = (name: TableName, isDamaged: (value: never, key: string) => boolean): void => {
    const table = store.table<unknown>(name);
    for (const [key, value] of [...table.entries(part(siteA.domain))]) {
      if (isDamaged(value as never, key.join(' '))) table.put(key, name === 'sessions' ? 7 : { odd: 1 });
    }
  };
  damage('publications', ({ payload }: { readonly payload: Buffer }) => payload.toString() === '2');
  damage('retained', ({ topic }: { readonly topic: string }) => topic === 'left');
  damage('sessions', ({ clientId }: { readonly clientId: string }) => clientId === 'damaged');
  damage('subscriptions', ({ filter }: { readonly filter: string }) => filter === 'other');
  await store.close();
  await server.start();
  const second = await server.connect(kept('s'));
  t.strictSame([await second.payload(), await second.payload()], ['1', '3']);
  await away(second);
  t.equal((await server.connect(kept('damaged'))).connack?.sessionPresent, false);
  await server.stop();
  await server.start();
  const between = await server.connect({});
  for (const topic of ['other', 'work']) await between.client.publishAsync(topic, topic, { qos: 1 });
  const third = await server.connect(kept('s'));
  t.equal(await third.payload(), 'work', 'the damaged subscription is none');
  const last = await server.connect(kept('damaged'));
  t.equal(last.connack?.sessionPresent, true);
  await last.client.subscribeAsync('left', { qos: 1 });
  await last.client.subscribeAsync('right', { qos: 1 });
  t.equal(
    await last.payload(),
    'right',
    'nothing of the session before is in the new one, nor what was retained and is damaged',
  );
});

t.test('what was in flight when the server ended comes again, with DUP', async (t) => {
  const server = await durable(t);
  const options = { ...kept('s'), manualConnect: false } as IClientOptions;
  const first = await server.connect(options);
  await first.client.subscribeAsync('work', { qos: 1 });
  first.client.handleMessage = () => undefined;
  const publisher = await server.connect({});
  await publisher.client.publishAsync('work', 'unacknowledged', { qos: 1 });
  await first.next();
  first.client.stream.destroy();
  await server.stop();
  await server.start();
  const second = await server.connect(kept('s'));
  const packet = await second.next();
  t.hasStrict([packet.payload.toString(), packet.dup], ['unacknowledged', true]);
});

t.test('sessions end as they would have: with a clean start, at once, or when their time is over', async (t) => {
  const server = await durable(t);
  for (const [id, expiry] of [
    ['short', 1],
    ['cleaned', 3600],
    ['none', 0],
  ] as const) {
    const subscriber = await server.connect(kept(id, expiry));
    await subscriber.client.subscribeAsync('work', { qos: 1 });
    await away(subscriber);
  }
  const cleaned = await server.connect({ ...kept('cleaned'), clean: true });
  await away(cleaned);
  await server.stop();
  const ended = Date.now();
  await new Promise<void>((resolve) => {
    const look = () => (Date.now() - ended > 1100 ? resolve() : setTimeout(look, 50));
    look();
  });
  await server.start();
  await (await server.connect({})).client.publishAsync('work', 'for nobody', { qos: 1 });
  const here = await server.connect(kept('cleaned'));
  t.equal(here.connack?.sessionPresent, true, 'the clean start made a session that stays');
  await here.client.subscribeAsync('mark', { qos: 1 });
  await here.client.publishAsync('mark', 'mark', { qos: 1 });
  t.equal(await here.payload(), 'mark', 'without the subscription of the earlier one');
  for (const id of ['short', 'none']) {
    const again = await server.connect(kept(id));
    t.equal(again.connack?.sessionPresent, false, id);
  }
});

t.test('a 3.1.1 session and a shared subscription survive; the queue keeps its bound', async (t) => {
  const server = await durable(t, limits);
  const options = { clientId: 'old', clean: false, protocolVersion: 4 } as const;
  const first = await server.connect(options);
  await first.client.subscribeAsync('$share/g/jobs', { qos: 1 });
  await first.client.subscribeAsync('many', { qos: 1 });
  await away(first);
  const publisher = await server.connect({});
  for (let i = 0; i < 8; i++) await publisher.client.publishAsync('many', String(i), { qos: 1 });
  await server.stop();
  await server.start();
  const second = await server.connect(options);
  t.equal(second.connack?.sessionPresent, true);
  const bodies: string[] = [];
  for (let i = 0; i < 5; i++) bodies.push(await second.payload());
  t.strictSame(bodies, ['3', '4', '5', '6', '7'], 'the oldest went');
  await (await server.connect({})).client.publishAsync('jobs', 'job', { qos: 1 });
  t.equal(await second.payload(), 'job');
});

t.test(
  'a session that watches addresses is sent what came for them while its client was away, also after a restart',
  async (t) => {
    const server = await durable(t);
    const watcher = await server.connect(kept('w'));
    await watcher.client.subscribeAsync(`/domain/${siteA.domain}/uid/+`, { qos: 1 });
    await away(watcher);
    await server.stop();
    await server.start();
    await server.site().push('a', 'b', 'seen by the watcher');
    const again = await server.connect(kept('w'));
    t.match(JSON.parse(await again.payload()), { messages: [{ body: 'seen by the watcher' }] });
  },
);

/** How many entries each table of a folder has, by name. */
async function entries(data: string, names: readonly TableName[]): Promise<number[]> {
  const store = openLmdb(data);
  const counts = names.map((name) => [...store.table(name).entries(part(siteA.domain))].length);
  await store.close();
  return counts;
}

t.test('a publication that waits for many sessions is written once, and goes when the last one has it', async (t) => {
  const server = await durable(t, { limits: { queueBytes: 0 } });
  const ids = Array.from({ length: 20 }, (_, i) => `s${i}`);
  for (const id of ids) {
    const session = await server.connect(kept(id));
    await session.client.subscribeAsync('work', { qos: 1 });
    await away(session);
  }
  const publisher = await server.connect({});
  await publisher.client.publishAsync('work', Buffer.alloc(200_000), { qos: 1 });
  await publisher.client.publishAsync('work', 'small', { qos: 1 });
  await server.stop();
  t.strictSame(await entries(server.data, ['publications', 'outbound']), [2, 40]);
  for (const some of [ids.slice(0, 15), ids.slice(15)]) {
    await server.start();
    for (const id of some) {
      const session = await server.connect(kept(id));
      t.equal((await session.next()).payload.length, 200_000, id);
      t.equal(await session.payload(), 'small');
      await away(session);
    }
    await server.stop();
    const left = some[0] === 's0' ? 5 : 0;
    t.strictSame(await entries(server.data, ['publications', 'outbound']), [left > 0 ? 2 : 0, left * 2]);
  }
});

t.test('a client that has not been sent all that was retained before a restart is sent it afterwards', async (t) => {
  const server = await durable(t);
  const publisher = await server.connect({});
  for (let i = 0; i < 10; i++) await publisher.client.publishAsync(`r/${i}`, `${i}`, { qos: 1, retain: true });
  const properties = { sessionExpiryInterval: 3600, receiveMaximum: 2 };
  const first = await server.connect({ ...kept('s'), properties });
  // Nothing is acknowledged.
  first.client.handleMessage = () => undefined;
  await first.client.subscribeAsync('r/+', { qos: 1 });
  first.client.end(true);
  await server.stop();
  await server.start();
  const second = await server.connect({ ...kept('s'), properties });
  const seen = new Set<string>();
  while (seen.size < 10) seen.add(await second.payload());
  await away(second);
  await server.stop();
  await server.start();
  const third = await server.connect(kept('s'));
  await third.client.publishAsync('r/mark', 'mark', { qos: 1 });
  t.equal(await third.payload(), 'mark', 'what has been sent is not sent again');
});
