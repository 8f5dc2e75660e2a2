import assert from 'node:assert/strict';
import type { Scenario, World } from '../support/scenario.js';
import * as wire from '../support/wire.js';

async function identifiers(w: World, expected: number[] | undefined, filters: readonly [string, number][]) {
  const client = await w.client('sub');
  for (const [name, id] of filters) {
    await client.subscribe({ filter: w.topic(name), qos: 1 }, id > 0 ? { subscriptionIds: [id] } : {});
  }
  await (await w.client('pub')).publish(w.topic('a/b'), 'x', { qos: 1 });
  const { properties } = await client.receive({ payload: 'x' });
  assert.deepEqual(
    properties?.subscriptionIds?.sort((a, b) => a - b),
    expected,
  );
  await client.quiet();
  await client.disconnect();
}

/** Subscription identifiers and options: sections 3.3.4 and 3.8. */
export const subscribingV5: readonly Scenario[] = [
  {
    title: 'A message carries the subscription identifier of the subscription that it matched, at each length of it',
    '5.0': '3.3.4-3 3.3.4-4',
    async run(w) {
      for (const id of [1, 127, 128, 16_383, 16_384, 2_097_151, 2_097_152, 268_435_455]) {
        await identifiers(w, [id], [['a/+', id]]);
      }
    },
  },
  {
    title: 'One copy carries the identifiers of all subscriptions that it matched, and none of the others',
    '5.0': '3.3.4-3 3.3.4-4 3.3.4-5',
    run: (w) =>
      identifiers(
        w,
        [3, 7, 268_435_455],
        [
          ['a/b', 7],
          ['a/#', 3],
          ['+/b', 0],
          ['a/+', 268_435_455],
          ['b/#', 9],
        ],
      ),
    mosquitto: 'sends one copy for each subscription',
  },
  {
    title: 'Two subscriptions with the same identifier carry it',
    '5.0': '3.3.4-4',
    async run(w) {
      const client = await w.client('sub');
      const filters = [w.topic('#'), w.topic('+')].map((filter) => ({ filter, qos: 1 }));
      await client.subscribe(filters, { subscriptionIds: [5] });
      await (await w.client('pub')).publish(w.topic(), 'x', { qos: 1 });
      const { properties } = await client.receive();
      assert.deepEqual([...new Set(properties?.subscriptionIds)], [5]);
      await client.quiet();
    },
    mosquitto: 'sends one copy for each subscription',
  },
  {
    title: 'A subscription that is replaced has its new identifier, or none',
    '5.0': '3.8.4-3 3.3.4-3',
    async run(w) {
      await identifiers(
        w,
        [2],
        [
          ['a/b', 1],
          ['a/b', 2],
        ],
      );
      await identifiers(w, undefined, [
        ['a/b', 1],
        ['a/b', 0],
      ]);
    },
  },
  {
    title: 'Identifiers come with retained messages, with queued ones and after a reconnect',
    '5.0': '3.3.4-3',
    async run(w) {
      const publisher = await w.client('pub');
      await publisher.publish(w.topic(), 'kept', { qos: 1, retain: true });
      const client = await w.client('sub', { kept: true });
      await client.subscribe({ filter: w.topic(), qos: 1 }, { subscriptionIds: [9] });
      await client.receive({ payload: 'kept', properties: { subscriptionIds: [9] } });
      await client.disconnect();
      await publisher.publish(w.topic(), 'queued', { qos: 1 });
      const again = await w.client('sub', { kept: true });
      await again.receive({ payload: 'queued', properties: { subscriptionIds: [9] } });
      await publisher.publish(w.topic(), 'live', { qos: 1 });
      await again.receive({ payload: 'live', properties: { subscriptionIds: [9] } });
    },
  },
  {
    title: 'No local keeps a message from the client that published it, and from no other',
    '5.0': '3.8.3-3',
    async run(w) {
      const [own, other] = [await w.client('own'), await w.client('other')];
      for (const client of [own, other]) await client.subscribe({ filter: w.topic('+'), qos: 1, noLocal: true });
      await own.publish(w.topic('a'), 'from own', { qos: 1 });
      await other.publish(w.topic('b'), 'from other', { qos: 1 }).catch(() => undefined);
      await own.receive({ payload: 'from other' });
      await own.quiet();
    },
  },
  {
    title: 'Of two overlapping subscriptions only the one without no local brings a client its own message',
    '5.0': '3.8.3-3 3.3.4-2',
    async run(w) {
      const client = await w.client('own');
      await client.subscribe({ filter: w.topic('+'), qos: 2, noLocal: true }, { subscriptionIds: [1] });
      await client.subscribe({ filter: w.topic('#') }, { subscriptionIds: [2] });
      client.send(wire.publish(5, w.topic(), 'mine'));
      await client.receive({ payload: 'mine', qos: 0, properties: { subscriptionIds: [2] } });
      await client.quiet();
    },
  },
  {
    title: 'A refused filter has its own reason code, and leaves the others of its SUBSCRIBE standing',
    '5.0': '3.8.4-5 3.8.4-7 3.9.3-2',
    async run(w) {
      const client = await w.client('a');
      const filters = [{ filter: w.topic('a'), qos: 1 }, { filter: 'x/#/y' }, { filter: w.topic('b'), qos: 2 }];
      const packet = await client.send(wire.subscribe(5, 1, filters)).next();
      if (packet.type === 'disconnect') return;
      assert.deepEqual(packet.codes, [1, 0x8f, 2]);
      await (await w.client('pub')).publish(w.topic('b'), 'x', { qos: 2 });
      await client.receive({ payload: 'x' });
    },
  },
  {
    title: 'A PUBLISH that nobody receives is answered with 0x00 or 0x10',
    '5.0': '3.4.2-1 3.5.2-1',
    async run(w) {
      const client = await w.client('a');
      for (const [qos, type] of [
        [1, 'puback'],
        [2, 'pubrec'],
      ] as const) {
        const packet = await client.send(wire.publish(5, w.topic('none'), 'x', { qos, id: qos })).expect(type);
        assert.ok([0, 0x10].includes(packet.codes?.[0] ?? 0), packet.raw);
      }
    },
  },
];
