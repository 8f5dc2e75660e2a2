import assert from 'node:assert/strict';
import type { Client } from '../support/client.js';
import type { Scenario, World } from '../support/scenario.js';
import type * as wire from '../support/wire.js';

/** A watcher of the will's topic, a client with the will, and a publisher for markers. */
async function mourners(w: World, will: Partial<wire.Will> = {}, login = {}): Promise<[Client, Client, Client]> {
  const watcher = await w.client('watcher');
  await watcher.subscribe({ filter: w.topic(), qos: 2 });
  const dying = await w.client('dying', { ...login, will: { topic: w.topic(), payload: 'gone', ...will } });
  return [watcher, dying, await w.client('pub')];
}

/** The next message is the marker: what could have come before it did not. */
async function nothingBefore(w: World, watcher: Client, publisher: Client): Promise<void> {
  await publisher.publish(w.topic(), 'marker', { qos: 1 });
  await watcher.receive({ payload: 'marker' });
}

/** Wills: sections 3.1.2.5 to 3.1.2.7, 3.1.3.2 and 3.14.4. */
export const wills: readonly Scenario[] = [
  {
    title: 'A lost connection publishes its will, at its QoS, once',
    '3.1': '',
    '3.1.1': '3.1.2-8 3.1.2-16',
    '5.0': '3.1.2-7 3.1.2-8 3.1.2-14',
    async run(w) {
      for (const qos of [0, 1, 2]) {
        const [watcher, dying, publisher] = await mourners(w, { qos });
        dying.cut();
        await watcher.receive({ topic: w.topic(), payload: 'gone', qos, retain: false });
        await nothingBefore(w, watcher, publisher);
        await watcher.disconnect();
      }
    },
  },
  {
    title: 'DISCONNECT discards the will',
    '3.1': '',
    '3.1.1': '3.1.2-10 3.14.4-3',
    '5.0': '3.1.2-10 3.14.4-3',
    async run(w) {
      const [watcher, dying, publisher] = await mourners(w, { qos: 1 });
      await dying.disconnect();
      await nothingBefore(w, watcher, publisher);
    },
  },
  {
    title: 'A client without a will leaves none, though an earlier one of its identifier did',
    '3.1.1': '3.1.2-10 3.1.2-12',
    '5.0': '3.1.2-10',
    async run(w) {
      const [watcher, dying, publisher] = await mourners(w);
      dying.cut();
      await watcher.receive({ payload: 'gone' });
      const again = await w.client('dying');
      again.cut();
      await w.client('dying');
      await nothingBefore(w, watcher, publisher);
    },
  },
  {
    title: 'A will with retain is published and kept as a retained message',
    '3.1.1': '3.1.2-17',
    '5.0': '3.1.2-15',
    async run(w) {
      const [watcher, dying] = await mourners(w, { retain: true, qos: 1 });
      dying.cut();
      await watcher.receive({ payload: 'gone', retain: false });
      const later = await w.client('later');
      await later.subscribe({ filter: w.topic(), qos: 1 });
      await later.receive({ payload: 'gone', retain: true, qos: 1 });
    },
  },
  {
    title: 'A will without retain is not kept',
    '3.1.1': '3.1.2-16',
    '5.0': '3.1.2-14',
    async run(w) {
      const [watcher, dying] = await mourners(w);
      dying.cut();
      await watcher.receive({ payload: 'gone' });
      const later = await w.client('later');
      await later.subscribe({ filter: w.topic(), qos: 1 });
      await later.quiet();
    },
  },
  {
    title: 'A will with an empty payload is delivered, and with retain deletes what was retained',
    '3.1.1': '3.3.1-10',
    '5.0': '3.3.1-6',
    async run(w) {
      await (await w.client('pub')).publish(w.topic(), 'kept', { qos: 1, retain: true });
      const [watcher, dying] = await mourners(w, { payload: '', retain: true });
      await watcher.receive({ payload: 'kept', retain: true });
      dying.cut();
      await watcher.receive({ payload: '' });
      const later = await w.client('later');
      await later.subscribe(w.topic());
      await later.quiet();
    },
  },
  {
    title: 'A protocol error publishes the will',
    '3.1.1': '3.1.2-8',
    '5.0': '3.1.2-8',
    async run(w) {
      const [watcher, dying] = await mourners(w);
      await dying.send('8000').rest();
      await watcher.receive({ payload: 'gone' });
    },
  },
  {
    title: 'A client that is taken over leaves its will',
    '3.1.1': '3.1.2-8',
    '5.0': '3.1.2-8',
    async run(w) {
      const [watcher, dying] = await mourners(w);
      await w.client('dying');
      await dying.rest();
      await watcher.receive({ payload: 'gone' });
    },
  },
  {
    title: 'A keep alive that passes publishes the will',
    '3.1.1': '3.1.2-24',
    '5.0': '3.1.2-22',
    async run(w) {
      const [watcher, dying] = await mourners(w, {}, { keepAlive: 1 });
      await dying.rest();
      await watcher.receive({ payload: 'gone' });
    },
  },
  {
    title: 'DISCONNECT with 0x04 publishes the will, and so does every reason but 0x00',
    '5.0': '3.1.2-8 3.14.2-1',
    async run(w) {
      for (const code of [0x04, 0x80, 0x81, 0x83, 0x98]) {
        const [watcher, dying] = await mourners(w, { payload: `${code}` });
        await dying.disconnect(code);
        await watcher.receive({ payload: `${code}` });
        await watcher.disconnect();
      }
    },
    mosquitto: 'publishes it after 0x04 only',
  },
  {
    title: 'A will carries its properties, user properties in their order',
    '5.0': '3.1.3-10 3.3.2-17 3.3.2-18',
    async run(w) {
      const properties = {
        payloadFormat: 1,
        contentType: 'text/plain',
        responseTopic: 'r/t',
        correlation: '00ff',
        user: [['b', '1'] as [string, string], ['a', '2'] as [string, string], ['b', '0'] as [string, string]],
      };
      const [watcher, dying] = await mourners(w, { properties: { ...properties, willDelay: 0 }, qos: 1 });
      dying.cut();
      await watcher.receive({ payload: 'gone', properties });
    },
  },
  {
    title: 'A will is delayed by its will delay interval',
    '5.0': '3.1.2-8',
    async run(w) {
      const properties = { sessionExpiry: 60 };
      const [watcher, dying, publisher] = await mourners(w, { properties: { willDelay: 1 } }, { properties });
      const start = Date.now();
      dying.cut();
      await nothingBefore(w, watcher, publisher);
      await watcher.receive({ payload: 'gone' });
      assert.ok(Date.now() - start >= 900, `after ${Date.now() - start} ms`);
    },
  },
  {
    title: 'A delayed will is not sent when its session is resumed in time',
    '5.0': '3.1.3-9 3.1.2-8',
    async run(w) {
      const properties = { sessionExpiry: 60 };
      const [watcher, dying, publisher] = await mourners(w, { properties: { willDelay: 1 } }, { properties });
      dying.cut();
      const back = await w.client('dying', { kept: true });
      const clock = await w.client('clock', { keepAlive: 1 });
      await clock.rest();
      await nothingBefore(w, watcher, publisher);
      await back.quiet();
    },
  },
  {
    title: 'A delayed will goes out when its session ends first: by expiry 0, by expiry, by a clean start',
    '5.0': '3.1.2-8 4.1.0-2',
    async run(w) {
      for (const sessionExpiry of [0, 1, 1000]) {
        const late = { properties: { willDelay: 1000 }, payload: `${sessionExpiry}` };
        const [watcher, dying] = await mourners(w, late, { properties: { sessionExpiry } });
        dying.cut();
        if (sessionExpiry === 1000) await w.client('dying');
        await watcher.receive({ payload: `${sessionExpiry}` });
        await watcher.disconnect();
      }
    },
    mosquitto: 'does not publish it at the clean start',
  },
  {
    title: 'The message expiry of a will starts when it is published',
    '5.0': '3.3.2-6',
    async run(w) {
      const late = { properties: { willDelay: 1, messageExpiry: 600 } };
      const [watcher, dying] = await mourners(w, late, { properties: { sessionExpiry: 60 } });
      dying.cut();
      await watcher.receive({ properties: { messageExpiry: 600 } });
    },
  },
];
