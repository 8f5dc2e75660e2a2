import type { Scenario, World } from '../support/scenario.js';

/** Subscribes anew with a client of its own, and expects these retained payloads, in any order, and nothing else. */
async function retained(w: World, filter: string, ...payloads: string[]): Promise<void> {
  const client = await w.client(`reader${Math.random()}`);
  await client.subscribe({ filter, qos: 2 });
  const found: string[] = [];
  while (found.length < payloads.length) found.push((await client.receive({ retain: true })).payload ?? '');
  if (found.sort().join() !== payloads.sort().join()) throw new Error(`retained ${found}, where ${payloads} are due`);
  await client.quiet();
  await client.disconnect();
}

/** Retained messages: sections 3.3.1.3 and 3.8.3.1. */
export const retaining: readonly Scenario[] = [
  {
    title: 'A retained message is kept with its QoS, and sent with RETAIN to each new subscription',
    '3.1': '',
    '3.1.1': '3.3.1-5 3.3.1-6 3.3.1-8',
    '5.0': '3.3.1-5 3.3.1-9',
    async run(w) {
      const publisher = await w.client('pub');
      for (const qos of [0, 1, 2]) await publisher.publish(w.topic(`${qos}`), `of ${qos}`, { qos, retain: true });
      for (const granted of [0, 1, 2]) {
        const client = await w.client(`sub${granted}`);
        for (const qos of [0, 1, 2]) {
          await client.subscribe({ filter: w.topic(`${qos}`), qos: granted });
          await client.receive({ payload: `of ${qos}`, qos: Math.min(qos, granted), retain: true });
        }
      }
    },
  },
  {
    title: 'A retained message reaches a standing subscription without RETAIN',
    '3.1': '',
    '3.1.1': '3.3.1-9',
    '5.0': '3.3.1-12',
    async run(w) {
      const [subscriber, publisher] = await w.pair(w.topic(), 2);
      for (const qos of [0, 1, 2]) {
        await publisher.publish(w.topic(), 'x', { qos, retain: true });
        await subscriber.receive({ qos, retain: false });
      }
    },
  },
  {
    title: 'A newer retained message replaces the older one, at whatever QoS',
    '3.1.1': '3.3.1-5 3.3.1-7',
    '5.0': '3.3.1-5',
    async run(w) {
      const publisher = await w.client('pub');
      for (const qos of [2, 0, 1, 0]) {
        await publisher.publish(w.topic(), `of ${qos}`, { qos, retain: true });
        await publisher.quiet();
        await retained(w, w.topic(), `of ${qos}`);
      }
    },
  },
  {
    title: 'An empty retained message deletes what was retained, is delivered, and is not kept',
    '3.1': '',
    '3.1.1': '3.3.1-10 3.3.1-11',
    '5.0': '3.3.1-6 3.3.1-7',
    async run(w) {
      const publisher = await w.client('pub');
      for (const qos of [0, 1, 2]) {
        await publisher.publish(w.topic(), 'kept', { qos: 1, retain: true });
        const subscriber = await w.client('sub');
        await subscriber.subscribe({ filter: w.topic(), qos: 2 });
        await subscriber.receive({ payload: 'kept', retain: true });
        await publisher.publish(w.topic(), '', { qos, retain: true });
        await subscriber.receive({ payload: '', qos, retain: false });
        await retained(w, w.topic());
      }
    },
  },
  {
    title: 'A message without RETAIN neither is kept nor replaces what is',
    '3.1.1': '3.3.1-12',
    '5.0': '3.3.1-8',
    async run(w) {
      const publisher = await w.client('pub');
      await publisher.publish(w.topic(), 'kept', { qos: 1, retain: true });
      await publisher.publish(w.topic(), 'passing', { qos: 1 });
      await publisher.publish(w.topic(), '', { qos: 1 });
      await retained(w, w.topic(), 'kept');
    },
  },
  {
    title: 'Retained messages outlive the session of their publisher',
    '3.1.1': '3.1.2-7',
    '5.0': '',
    async run(w) {
      const publisher = await w.client('pub');
      await publisher.publish(w.topic(), 'kept', { qos: 1, retain: true });
      await publisher.disconnect();
      await w.client('pub');
      await retained(w, w.topic(), 'kept');
    },
  },
  {
    title: 'A subscription with wildcards is sent every retained message that it matches, and no other',
    '3.1.1': '3.3.1-6',
    '5.0': '3.3.1-9',
    async run(w) {
      const publisher = await w.client('pub');
      const names = ['a', 'a/b', 'a/b/c', 'a/x/c', 'b/b', 'b/b/c', 'a//c', 'ab'];
      for (const name of names) await publisher.publish(w.topic(name), name, { qos: 1, retain: true });
      await retained(w, w.topic('#'), ...names);
      await retained(w, w.topic('a/#'), 'a', 'a/b', 'a/b/c', 'a/x/c', 'a//c');
      await retained(w, w.topic('a/+/c'), 'a/b/c', 'a/x/c', 'a//c');
      await retained(w, w.topic('+/b'), 'a/b', 'b/b');
      await retained(w, w.topic('+/+/c'), 'a/b/c', 'a/x/c', 'b/b/c', 'a//c');
      await retained(w, w.topic('+'), 'a', 'ab');
      await retained(w, w.topic('a/b/c'), 'a/b/c');
    },
  },
  {
    title: 'Retained messages are not matched by a leading wildcard when their topic starts with $',
    '3.1.1': '4.7.2-1',
    '5.0': '4.7.2-1',
    async run(w) {
      const publisher = await w.client('pub');
      const own = w.clientId('own');
      await publisher.publish(`$kept/${own}`, 'dollar', { qos: 1, retain: true });
      await publisher.publish(`kept/${own}`, 'plain', { qos: 1, retain: true });
      await retained(w, `+/${own}`, 'plain');
      await retained(w, `$kept/${own}`, 'dollar');
    },
  },
  {
    title: 'Retain as published decides whether RETAIN is passed on to a standing subscription',
    '5.0': '3.3.1-12 3.3.1-13',
    async run(w) {
      const publisher = await w.client('pub');
      for (const retainAsPublished of [true, false]) {
        const client = await w.client('sub');
        await client.subscribe({ filter: w.topic(), qos: 1, retainAsPublished, retainHandling: 2 });
        for (const retain of [true, false]) {
          await publisher.publish(w.topic(), 'x', { qos: 1, retain });
          await client.receive({ retain: retain && retainAsPublished });
        }
        await client.disconnect();
      }
    },
  },
  {
    title: 'Retain handling 0 sends retained messages at every SUBSCRIBE, with RETAIN whatever the options',
    '5.0': '3.3.1-9',
    async run(w) {
      await (await w.client('pub')).publish(w.topic(), 'kept', { qos: 1, retain: true });
      const client = await w.client('sub');
      for (const retainAsPublished of [false, true, false]) {
        await client.subscribe({ filter: w.topic(), qos: 1, retainHandling: 0, retainAsPublished });
        await client.receive({ payload: 'kept', retain: true });
      }
    },
  },
  {
    title: 'Retain handling 1 sends retained messages only for a subscription that is new',
    '5.0': '3.3.1-10',
    async run(w) {
      await (await w.client('pub')).publish(w.topic(), 'kept', { qos: 1, retain: true });
      const client = await w.client('sub', { kept: true });
      const filter = { filter: w.topic(), qos: 1, retainHandling: 1 };
      await client.subscribe(filter);
      await client.receive({ payload: 'kept', retain: true });
      await client.subscribe({ ...filter, qos: 2 });
      await client.quiet();
      await client.disconnect();
      const again = await w.client('sub', { kept: true });
      await again.subscribe(filter);
      await again.quiet();
      await again.unsubscribe(w.topic());
      await again.subscribe(filter);
      await again.receive({ payload: 'kept', retain: true });
    },
  },
  {
    title: 'Retain handling 2 sends no retained messages',
    '5.0': '3.3.1-11',
    async run(w) {
      await (await w.client('pub')).publish(w.topic(), 'kept', { qos: 1, retain: true });
      const client = await w.client('sub');
      await client.subscribe({ filter: w.topic(), qos: 1, retainHandling: 2 });
      await client.quiet();
    },
  },
  {
    title: 'A retained message keeps its properties',
    '5.0': '3.3.2-4 3.3.2-15 3.3.2-16 3.3.2-17 3.3.2-18 3.3.2-20',
    async run(w) {
      const properties = {
        payloadFormat: 1,
        contentType: 'text/plain',
        responseTopic: 'r/t',
        correlation: '00ff',
        user: [['b', '1'] as [string, string], ['a', '2'] as [string, string], ['b', '1'] as [string, string]],
      };
      await (await w.client('pub')).publish(w.topic(), 'kept', { qos: 1, retain: true, properties });
      const client = await w.client('sub');
      await client.subscribe({ filter: w.topic(), qos: 1 });
      await client.receive({ payload: 'kept', properties });
    },
  },
];
