import assert from 'node:assert/strict';
import type { Scenario, World } from '../support/scenario.js';
import * as wire from '../support/wire.js';

async function present(w: World, expected: boolean, name = 'sub', login: { kept?: boolean } = { kept: true }) {
  const raw = w.open();
  const connack = await raw.connect(w.options(name, login));
  assert.equal(connack.sessionPresent, expected);
  return raw;
}

/** Session state: sections 3.1.2.4, 4.1 and 4.4. */
export const sessions: readonly Scenario[] = [
  {
    title: 'Session present is 0 for a new session, 1 for one that is resumed, 0 after a clean one',
    '3.1.1': '3.1.2-4 3.1.2-6 3.1.4-3 3.2.2-1 3.2.2-2 3.2.2-3',
    '5.0': '3.1.2-4 3.1.2-5 3.1.2-6 3.1.4-4 3.2.2-2 3.2.2-3',
    async run(w) {
      for (const expected of [false, true, true]) await (await present(w, expected)).disconnect();
      await (await present(w, false, 'sub', {})).disconnect();
      await (await present(w, false)).disconnect();
    },
  },
  {
    title: 'A session without clean start belongs to its client identifier alone',
    '3.1.1': '3.1.3-2',
    '5.0': '3.1.3-2',
    async run(w) {
      await (await present(w, false, 'one')).disconnect();
      await present(w, false, 'One');
      await present(w, true, 'one');
    },
  },
  {
    title: 'A resumed session still has its subscriptions',
    '3.1.1': '3.1.2-4 4.1.0-1',
    '5.0': '3.1.2-5 3.1.2-23 4.1.0-1',
    async run(w) {
      const [subscriber, publisher] = await w.pair(w.topic(), 1, { kept: true });
      await subscriber.disconnect();
      const again = await present(w, true);
      await publisher.publish(w.topic(), 'x', { qos: 1 });
      await again.receive({ payload: 'x' });
    },
  },
  {
    title: 'Messages of QoS 1 and 2 to a session that is away are kept, and sent in their order',
    '3.1.1': '3.1.2-5 4.5.0-1 4.6.0-6 4.1.0-2',
    '5.0': '3.1.2-23 4.5.0-1 4.6.0-5',
    async run(w) {
      const [subscriber, publisher] = await w.pair(w.topic(), 2, { kept: true });
      await subscriber.disconnect();
      const sent = Array.from({ length: 30 }, (_, at) => `message ${at}`);
      for (const [at, payload] of sent.entries()) await publisher.publish(w.topic(), payload, { qos: 1 + (at % 2) });
      const again = await present(w, true);
      assert.deepEqual(await again.payloads(sent.length), sent);
      await again.quiet();
    },
  },
  {
    title: 'A clean session forgets what was queued and subscribed before',
    '3.1.1': '3.1.2-6',
    '5.0': '3.1.2-4',
    async run(w) {
      const [subscriber, publisher] = await w.pair(w.topic(), 1, { kept: true });
      await subscriber.disconnect();
      await publisher.publish(w.topic(), 'queued', { qos: 1 });
      const clean = await present(w, false, 'sub', {});
      await publisher.publish(w.topic(), 'live', { qos: 1 });
      await clean.quiet();
    },
  },
  {
    title: 'A PUBLISH that was not acknowledged is sent again with DUP and its packet identifier, in order, once',
    '3.1.1': '3.3.1-1 4.4.0-1 4.6.0-1 4.3.2-1 4.3.3-1',
    '5.0': '3.3.1-1 4.4.0-1 4.6.0-1 4.3.2-3 4.3.3-3',
    async run(w) {
      const [subscriber, publisher] = await w.pair(w.topic(), 2, { kept: true });
      const sent = [1, 2, 1, 2];
      for (const [at, qos] of sent.entries()) {
        await publisher.publish(w.topic(), `message ${at}`, { qos });
        await subscriber.expect('publish', { payload: `message ${at}`, qos, dup: false, id: at + 1 });
      }
      subscriber.cut();
      const again = await present(w, true);
      for (const [at, qos] of sent.entries()) {
        await again.expect('publish', { payload: `message ${at}`, qos, dup: true, id: at + 1 });
      }
      await again.quiet();
    },
  },
  {
    title: 'A PUBREL that was not acknowledged is sent again, and its PUBLISH is not',
    '3.1.1': '4.4.0-1 4.3.3-1',
    '5.0': '4.4.0-1 4.3.3-5 4.3.3-6',
    async run(w) {
      const [subscriber, publisher] = await w.pair(w.topic(), 2, { kept: true });
      await publisher.publish(w.topic(), 'x', { qos: 2 });
      const { id = 0 } = await subscriber.expect('publish');
      await subscriber.send(wire.pubrec(id)).expect('pubrel', { id });
      subscriber.cut();
      const again = await present(w, true);
      await again.bytes(`6202${id.toString(16).padStart(4, '0')}`);
      await again.quiet();
      again.send(wire.pubcomp(id));
      await again.quiet();
      await again.disconnect();
      await (await present(w, true)).quiet();
    },
  },
  {
    title: 'Nothing is sent again while the connection lasts',
    '3.1.1': '4.4.0-1',
    '5.0': '4.4.0-1',
    async run(w) {
      const [subscriber, publisher] = await w.pair(w.topic(), 2);
      for (const qos of [1, 2]) await publisher.publish(w.topic(), `of ${qos}`, { qos });
      for (const qos of [1, 2]) await subscriber.expect('publish', { qos });
      await (await w.client('clock', { keepAlive: 1 })).rest();
      await subscriber.quiet();
    },
  },
  {
    title: 'A packet identifier in flight is not given to another message of the session',
    '3.1.1': '2.3.1-4',
    '5.0': '2.2.1-4',
    async run(w) {
      const [subscriber, publisher] = await w.pair(w.topic(), 1, { kept: true });
      await publisher.publish(w.topic(), 'held', { qos: 1 });
      const { id } = await subscriber.expect('publish', { payload: 'held' });
      for (let at = 0; at < 20; at++) {
        await publisher.publish(w.topic(), 'x', { qos: 1 });
        assert.notEqual((await subscriber.receive({ payload: 'x' })).id, id);
      }
      subscriber.cut();
      const again = await present(w, true);
      await again.receive({ payload: 'held', id });
      await publisher.publish(w.topic(), 'new', { qos: 1 });
      assert.notEqual((await again.receive({ payload: 'new' })).id, id);
    },
  },
  {
    title: 'A QoS 2 exchange of a publisher goes on after it connects again, and delivers once',
    '3.1.1': '4.3.3-2 4.4.0-1',
    '5.0': '4.3.3-10 4.1.0-1',
    async run(w) {
      const [subscriber] = await w.pair(w.topic(), 2);
      const first = await present(w, false, 'twice');
      const message = { qos: 2, id: 12 };
      await first.send(wire.publish(w.version, w.topic(), 'once', message)).expect('pubrec', { id: 12 });
      first.cut();
      const second = await present(w, true, 'twice');
      second.send(wire.publish(w.version, w.topic(), 'once', { ...message, dup: true }));
      await second.expect('pubrec', { id: 12 });
      await second.send(wire.pubrel(12)).expect('pubcomp', { id: 12 });
      await subscriber.receive({ payload: 'once' });
      await second.publish(w.topic(), 'marker', { qos: 2, id: 13 });
      await subscriber.receive({ payload: 'marker' });
    },
  },
  {
    title: 'A session that is taken over goes on in the newer connection',
    '3.1.1': '3.1.4-2 4.1.0-1',
    '5.0': '3.1.4-3 4.1.0-1',
    async run(w) {
      const [older, publisher] = await w.pair(w.topic(), 1, { kept: true });
      await publisher.publish(w.topic(), 'unacknowledged', { qos: 1 });
      const { id } = await older.expect('publish');
      const newer = await present(w, true);
      await older.refused(0x8e);
      await newer.receive({ payload: 'unacknowledged', id, dup: true });
      await publisher.publish(w.topic(), 'next', { qos: 1 });
      await newer.receive({ payload: 'next' });
    },
    mosquitto: 'sends no DISCONNECT',
  },
  {
    title: 'No message is lost or doubled while its subscription is replaced',
    '5.0': '3.8.4-4',
    async run(w) {
      const [subscriber, publisher] = await w.pair(w.topic(), 1);
      const count = 40;
      for (let at = 0; at < count; at++) {
        publisher.send(wire.publish(5, w.topic(), `${at}`, { qos: 1, id: at + 1 }));
        if (at % 10 === 5) subscriber.send(wire.subscribe(5, 100 + at, [{ filter: w.topic(), qos: 1 }]));
      }
      let acknowledged = 0;
      for (let at = 0; at < count; ) {
        const packet = await subscriber.next();
        if (packet.type === 'suback') acknowledged += 1;
        else assert.equal(packet.payload, `${at++}`);
        if (packet.id && packet.type === 'publish') subscriber.send(wire.puback(packet.id));
      }
      while (acknowledged++ < 4) await subscriber.expect('suback');
    },
  },
];
