import assert from 'node:assert/strict';
import type { Client } from '../support/client.js';
import type { Scenario, World } from '../support/scenario.js';
import * as wire from '../support/wire.js';

/** Members of a shared subscription, which they make one after another. */
async function members(w: World, count: number, qos = 1, login = {}): Promise<Client[]> {
  const found: Client[] = [];
  for (let at = 0; at < count; at++) {
    const client = await w.client(`member${at}`, login);
    await client.subscribe({ filter: `$share/group/${w.topic('#')}`, qos });
    found.push(client);
  }
  return found;
}

/** What each client receives until the marker, to which every one of them has subscribed for itself. */
async function untilMarker(w: World, clients: readonly Client[], publisher: Client): Promise<string[][]> {
  const marker = w.clientId('marker');
  await publisher.publish(marker, 'end', { qos: 1 });
  const all: string[][] = [];
  for (const client of clients) {
    const found: string[] = [];
    for (let next = await client.receive(); next.topic !== marker; next = await client.receive())
      found.push(next.payload ?? '');
    all.push(found);
  }
  return all;
}

/** Shared subscriptions: section 4.8.2. */
export const sharing: readonly Scenario[] = [
  {
    title: 'Each message to a shared subscription reaches one of its members, and every member gets some',
    '5.0': '4.8.2-1 4.8.2-2',
    async run(w) {
      const clients = await members(w, 3);
      for (const client of clients) await client.subscribe({ filter: w.clientId('marker'), qos: 1 });
      const publisher = await w.client('pub');
      const sent = Array.from({ length: 30 }, (_, at) => `${at}`);
      for (const payload of sent) await publisher.publish(w.topic(), payload, { qos: 1 });
      const found = await untilMarker(w, clients, publisher);
      assert.deepEqual(found.flat().sort(), [...sent].sort());
      assert.ok(
        found.every((own) => own.length > 0),
        `shares of ${found.map((own) => own.length)}`,
      );
    },
  },
  {
    title: 'Two shared subscriptions, and one that is not shared, each get the message',
    '5.0': '4.8.2-2',
    async run(w) {
      const filters = [`$share/one/${w.topic()}`, `$share/two/${w.topic()}`, w.topic()];
      const clients: Client[] = [];
      for (const [at, filter] of filters.entries()) {
        clients.push(await w.client(`c${at}`));
        await clients[at]?.subscribe({ filter, qos: 1 });
      }
      await (await w.client('pub')).publish(w.topic(), 'x', { qos: 1 });
      for (const client of clients) await client.receive({ topic: w.topic(), payload: 'x' });
    },
  },
  {
    title: 'The granted QoS of the chosen member bounds that of the message',
    '5.0': '4.8.2-3',
    async run(w) {
      const [low] = await members(w, 1, 0);
      const publisher = await w.client('pub');
      await publisher.publish(w.topic(), 'x', { qos: 2 });
      await low?.receive({ payload: 'x', qos: 0 });
    },
  },
  {
    title: 'Unsubscribing from a share, or going away, leaves its messages to the other members',
    '5.0': '3.10.4-2 4.8.2-2',
    async run(w) {
      const [first, second, third] = (await members(w, 3)) as [Client, Client, Client];
      assert.deepEqual(await first.unsubscribe(`$share/group/${w.topic('#')}`), [0]);
      await second.disconnect();
      const publisher = await w.client('pub');
      for (const payload of ['a', 'b', 'c', 'd']) await publisher.publish(w.topic(), payload, { qos: 1 });
      assert.deepEqual(await third.payloads(4), ['a', 'b', 'c', 'd']);
      await first.quiet();
    },
  },
  {
    title: 'A shared subscription is sent no retained messages',
    '5.0': '',
    async run(w) {
      await (await w.client('pub')).publish(w.topic(), 'kept', { qos: 1, retain: true });
      const [member] = await members(w, 1);
      await member?.quiet();
    },
    mosquitto: 'sends them',
  },
  {
    title: 'No local on a shared subscription is a protocol error',
    '5.0': '3.8.3-4',
    async run(w) {
      const client = await w.client('a');
      client.send(wire.subscribe(5, 1, [{ filter: `$share/group/${w.topic()}`, noLocal: true }]));
      await client.refused(0x82);
    },
    mosquitto: 'grants it',
  },
  {
    title: 'A share without a name, with a wildcard in it or without a filter is refused',
    '5.0': '4.8.2-1 4.8.2-2',
    async run(w) {
      for (const filter of ['$share//a', '$share/a+/b', '$share/#/b', '$share/a', '$share/a/', '$share/', '$share']) {
        const client = await w.client('a');
        const packet = await client.send(wire.subscribe(5, 1, [{ filter }])).next();
        const allowed = packet.type === 'suback' ? [0x8f, 0x9e] : [0x81, 0x82, 0x8f];
        if (filter === '$share') allowed.push(0);
        assert.ok(allowed.includes(packet.codes?.[0] ?? 0), `${filter}: received ${packet.raw}`);
      }
    },
    mosquitto: 'grants some of these',
  },
  {
    title: 'A share with wildcards below its name matches as they say',
    '5.0': '4.7.1-1 4.7.1-2',
    async run(w) {
      const client = await w.client('a');
      await client.subscribe({ filter: `$share/группа 1/${w.topic('+/x/#')}`, qos: 1 }, { subscriptionIds: [4] });
      const publisher = await w.client('pub');
      for (const name of ['a/x', 'a/y', 'a/x/b']) await publisher.publish(w.topic(name), name, { qos: 1 });
      for (const name of ['a/x', 'a/x/b'])
        await client.receive({ payload: name, properties: { subscriptionIds: [4] } });
      await client.quiet();
    },
  },
  {
    title: 'A QoS 2 message that a member began to receive is completed with it when it comes back',
    '5.0': '4.8.2-4',
    async run(w) {
      const [first] = (await members(w, 1, 2, { kept: true })) as [Client];
      const publisher = await w.client('pub');
      await publisher.publish(w.topic(), 'begun', { qos: 2 });
      const { id = 0 } = await first.expect('publish', { payload: 'begun' });
      const second = await w.client('second');
      await second.subscribe({ filter: `$share/group/${w.topic('#')}`, qos: 2 });
      first.cut();
      const again = await w.client('member0', { kept: true });
      await again.expect('publish', { id, payload: 'begun', dup: true });
      await again.send(wire.pubrec(id)).expect('pubrel', { id });
      again.send(wire.pubcomp(id));
      await second.quiet();
    },
  },
  {
    title: 'A QoS 2 message that a member began to receive goes to nobody else when its session ends',
    '5.0': '4.8.2-5',
    async run(w) {
      const [first] = (await members(w, 1, 2)) as [Client];
      const publisher = await w.client('pub');
      await publisher.publish(w.topic(), 'begun', { qos: 2 });
      const { id = 0 } = await first.expect('publish', { payload: 'begun' });
      await first.send(wire.pubrec(id)).expect('pubrel', { id });
      const second = await w.client('second');
      await second.subscribe({ filter: `$share/group/${w.topic('#')}`, qos: 2 });
      await first.disconnect();
      await publisher.publish(w.topic(), 'next', { qos: 2 });
      await second.receive({ payload: 'next' });
      await second.quiet();
    },
  },
  {
    title: 'A message that a member refuses goes to nobody else',
    '5.0': '4.8.2-6 4.4.0-2',
    async run(w) {
      const [first] = (await members(w, 1, 2)) as [Client];
      const publisher = await w.client('pub');
      for (const [qos, refuse] of [
        [1, wire.puback],
        [2, wire.pubrec],
      ] as const) {
        await publisher.publish(w.topic(), `of ${qos}`, { qos });
        const { id = 0 } = await first.expect('publish', { payload: `of ${qos}` });
        const second = await w.client('second');
        await second.subscribe({ filter: `$share/group/${w.topic('#')}`, qos: 2 });
        await first.send(refuse(id, 0x83)).quiet();
        await second.quiet();
        await second.disconnect();
      }
    },
  },
];
