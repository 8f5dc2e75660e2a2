import assert from 'node:assert/strict';
import type { Client } from '../support/client.js';
import type { Scenario } from '../support/scenario.js';
import * as wire from '../support/wire.js';

/** Reads the next message as a client with aliases does, and keeps its topic. */
async function resolve(client: Client, known: Map<number, string>, maximum: number): Promise<string> {
  const { topic = '', properties } = await client.receive();
  const alias = properties?.topicAlias;
  if (alias === undefined) return topic;
  assert.ok(alias >= 1 && alias <= maximum, `alias ${alias}`);
  if (topic !== '') known.set(alias, topic);
  const found = known.get(alias);
  assert.ok(found, `alias ${alias} that was never set`);
  return found;
}

/** Topic aliases in both directions: sections 3.1.2.11.5, 3.2.2.3.8 and 3.3.2.3.4. */
export const aliases: readonly Scenario[] = [
  {
    title: 'A topic alias stands for its topic, at each QoS, until it is given to another topic',
    '5.0': '3.3.2-12',
    async run(w) {
      const [subscriber, publisher] = await w.pair(w.topic('#'), 2);
      const properties = { topicAlias: 1 };
      for (const name of ['a', 'b']) {
        await publisher.publish(w.topic(name), 'set', { properties });
        await subscriber.receive({ topic: w.topic(name), payload: 'set', properties: {} });
        for (const qos of [0, 1, 2]) {
          await publisher.publish('', `of ${qos}`, { qos, properties });
          await subscriber.receive({ topic: w.topic(name), payload: `of ${qos}`, qos, properties: {} });
        }
      }
    },
  },
  {
    title: 'Every alias up to the maximum of CONNACK is accepted, one above it ends the connection with 0x94',
    '5.0': '3.3.2-12 3.3.2-9',
    async run(w) {
      const publisher = w.open();
      const { properties } = await publisher.connect(w.options('pub'));
      const maximum = properties?.topicAliasMaximum ?? 0;
      assert.ok(maximum > 0);
      const subscriber = await w.client('sub');
      await subscriber.subscribe(w.topic('#'));
      const every = Array.from({ length: maximum }, (_, at) => at + 1);
      for (const alias of every)
        publisher.send(wire.publish(5, w.topic(`${alias}`), '', { properties: { topicAlias: alias } }));
      for (const alias of every) publisher.send(wire.publish(5, '', '', { properties: { topicAlias: alias } }));
      for (const alias of [...every, ...every]) await subscriber.receive({ topic: w.topic(`${alias}`) });
      publisher.send(wire.publish(5, w.topic(), '', { properties: { topicAlias: maximum + 1 } }));
      await publisher.refused(0x94);
    },
    mosquitto: 'sends no DISCONNECT',
  },
  {
    title: 'A topic alias of 0 ends the connection with 0x94',
    '5.0': '3.3.2-8',
    async run(w) {
      const client = await w.client('a');
      await client.send(wire.publish(5, w.topic(), '', { properties: { topicAlias: 0 } })).refused(0x94);
    },
    mosquitto: 'sends no DISCONNECT',
  },
  {
    title: 'An alias that was never set, in this connection, ends it',
    '5.0': '3.3.2-7',
    async run(w) {
      const first = await w.client('a', { kept: true });
      await first.publish(w.topic(), 'x', { properties: { topicAlias: 2 } });
      await first.disconnect();
      const again = await w.client('a', { kept: true });
      await again.send(wire.publish(5, '', 'x', { properties: { topicAlias: 2 } })).refused(0x82, 0x94);
    },
    mosquitto: 'sends no DISCONNECT',
  },
  {
    title: 'Without a topic alias maximum in CONNECT, or with 0, the broker sends no alias',
    '5.0': '3.1.2-26 3.1.2-27 3.3.2-11',
    async run(w) {
      for (const properties of [{}, { topicAliasMaximum: 0 }]) {
        const [subscriber, publisher] = await w.pair(w.topic(), 1, { properties });
        for (let at = 0; at < 3; at++) {
          await publisher.publish(w.topic(), 'x', { qos: 1 });
          await subscriber.receive({ topic: w.topic(), properties: {} });
        }
        await subscriber.disconnect();
      }
    },
  },
  {
    title: 'Aliases of the broker stay within the maximum of the client, and always lead to the right topic',
    '5.0': '3.1.2-26 3.3.2-11',
    async run(w) {
      const topicAliasMaximum = 2;
      const [subscriber, publisher] = await w.pair(w.topic('#'), 2, { properties: { topicAliasMaximum } });
      const known = new Map<number, string>();
      for (let round = 0; round < 3; round++) {
        for (const name of ['a', 'b', 'c', 'd', 'a']) {
          await publisher.publish(w.topic(name), 'x', { qos: round });
          assert.equal(await resolve(subscriber, known, topicAliasMaximum), w.topic(name));
        }
      }
    },
  },
  {
    title: 'Towards a client that allows them aliases are used, at every QoS',
    '5.0': '3.1.2-26',
    async run(w) {
      const [subscriber, publisher] = await w.pair(w.topic(), 2, { properties: { topicAliasMaximum: 5 } });
      await publisher.publish(w.topic(), 'first', { qos: 1 });
      await subscriber.receive({ topic: w.topic(), properties: { topicAlias: 1 } });
      for (const qos of [0, 1, 2]) {
        await publisher.publish(w.topic(), 'next', { qos });
        await subscriber.receive({ topic: '', qos, payload: 'next', properties: { topicAlias: 1 } });
      }
    },
    mosquitto: 'sends no aliases',
  },
  {
    title: 'Aliases of the broker do not outlive a connection, also for what is sent again',
    '5.0': '3.3.2-7 4.4.0-1',
    async run(w) {
      const login = { kept: true, properties: { topicAliasMaximum: 5 } };
      const [subscriber, publisher] = await w.pair(w.topic(), 1, login);
      for (const payload of ['one', 'two', 'three']) await publisher.publish(w.topic(), payload, { qos: 1 });
      await subscriber.receive({ payload: 'one' });
      for (const payload of ['two', 'three']) await subscriber.expect('publish', { payload });
      subscriber.cut();
      const again = await w.client('sub', login);
      const known = new Map<number, string>();
      for (let at = 0; at < 2; at++) assert.equal(await resolve(again, known, 5), w.topic());
      again.cut();
      const plain = await w.client('sub', { kept: true });
      await publisher.publish(w.topic(), 'four', { qos: 1 });
      await plain.receive({ topic: w.topic(), payload: 'four', properties: {} });
    },
  },
  {
    title: 'Retained messages, wills and queued messages keep their topic though an alias named it',
    '5.0': '3.3.2-12',
    async run(w) {
      const subscriber = await w.client('sub', { kept: true });
      await subscriber.subscribe({ filter: w.topic('a'), qos: 1 });
      await subscriber.disconnect();
      const publisher = await w.client('pub');
      const properties = { topicAlias: 1 };
      await publisher.publish(w.topic('a'), 'queued', { qos: 1, properties });
      await publisher.publish('', 'kept', { qos: 1, retain: true, properties });
      await publisher.publish(w.topic('b'), 'elsewhere', { properties });
      const again = await w.client('sub', { kept: true });
      for (const payload of ['queued', 'kept']) await again.receive({ topic: w.topic('a'), payload });
      await again.subscribe({ filter: w.topic('a'), qos: 1 });
      await again.receive({ topic: w.topic('a'), payload: 'kept', retain: true, properties: {} });
    },
  },
];
