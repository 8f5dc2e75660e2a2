import assert from 'node:assert/strict';
import type { Scenario } from '../support/scenario.js';
import * as wire from '../support/wire.js';

/** The end of connections and of sessions: sections 3.1.2.10, 3.1.2.11, 3.14 and 4.1. */
export const ending: readonly Scenario[] = [
  {
    title: 'DISCONNECT ends the connection, and the broker sends nothing more',
    '3.1': '',
    '3.1.1': '',
    '5.0': '3.14.4-1 3.14.4-2',
    async run(w) {
      const client = await w.client('a');
      await client.subscribe(w.topic());
      client.send(wire.disconnect(), wire.publish(w.version, w.topic(), 'late'), wire.pingreq);
      await client.ended();
      const [reader, publisher] = await w.pair(w.topic());
      await publisher.publish(w.topic(), 'marker');
      await reader.receive({ payload: 'marker' });
    },
  },
  {
    title: 'DISCONNECT with any length of its three forms ends the connection in silence',
    '5.0': '3.14.2-1',
    async run(w) {
      for (const form of [
        'e000',
        'e00100',
        'e0020000',
        'e0 0d 00 0b 1f0003 627965 11 00000000',
        'e009000726000161000162',
      ]) {
        await (await w.client('a')).send(form).ended();
      }
    },
  },
  {
    title: 'A silent client is closed after one and a half times its keep alive, not before it',
    '3.1': '',
    '3.1.1': '3.1.2-24',
    '5.0': '3.1.2-22 3.2.2-22',
    async run(w) {
      const start = Date.now();
      const client = await w.client('a', { keepAlive: 1 });
      const later = await w.client('later', { keepAlive: 3 });
      const [first, packets] = await Promise.race([
        client.rest().then((rest) => ['a', rest] as const),
        later.rest().then((rest) => ['later', rest] as const),
      ]);
      assert.equal(first, 'a', 'closed before a client whose time is over 4.5 seconds after its last packet');
      const took = Date.now() - start;
      assert.ok(took >= 1000, `closed after ${took} ms`);
      for (const { raw } of packets) assert.equal(raw.slice(0, 6), 'e0018d');
    },
    mosquitto: 'looks at keep alives every few seconds only',
  },
  {
    title: 'Any packet counts against the keep alive, and 0 means never',
    '3.1.1': '3.1.2-24',
    '5.0': '3.1.2-22',
    async run(w) {
      const talking = await w.client('talking', { keepAlive: 1 });
      const silent = await w.client('silent', { keepAlive: 0 });
      for (const round of [1, 2]) {
        const clock = await w.client(`clock${round}`, { keepAlive: 1 });
        await clock.rest();
        talking.send(wire.publish(w.version, w.topic(), 'x'));
        if (round === 1) talking.send(wire.puback(3));
      }
      await silent.quiet();
    },
  },
  {
    title: 'A connection that is lost in the middle of a packet publishes nothing of it',
    '3.1.1': '',
    '5.0': '',
    async run(w) {
      const [subscriber, publisher] = await w.pair(w.topic());
      const half = await w.client('half');
      half.send(
        wire.publish(w.version, w.topic(), 'whole'),
        wire.publish(w.version, w.topic(), 'half').subarray(0, -1),
      );
      await subscriber.receive({ payload: 'whole' });
      half.cut();
      await publisher.publish(w.topic(), 'marker');
      await subscriber.receive({ payload: 'marker' });
    },
  },
  {
    title: 'A session expires when its session expiry interval has passed, and not before',
    '5.0': '3.1.2-23 4.1.0-2',
    async run(w) {
      const login = { clean: false, properties: { sessionExpiry: 1 } };
      await (await w.client('a', login)).disconnect();
      const early = await w.open().connect(w.options('a', login));
      assert.equal(early.sessionPresent, true);
      await (await w.client('b', login)).disconnect();
      await (await w.client('clock', { keepAlive: 1 })).rest();
      const late = await w.open().connect(w.options('b', login));
      assert.equal(late.sessionPresent, false);
    },
    mosquitto: 'looks at expired sessions every five seconds only',
  },
  {
    title: 'Without a session expiry interval, or with 0, the session ends with its connection',
    '5.0': '4.1.0-2',
    async run(w) {
      for (const properties of [{}, { sessionExpiry: 0 }]) {
        await (await w.client('a', { clean: false, properties })).disconnect();
        const again = await w.open().connect(w.options('a', { clean: false }));
        assert.equal(again.sessionPresent, false);
      }
    },
  },
  {
    title: 'A session expiry of 0xFFFFFFFF is kept',
    '5.0': '3.1.2-23',
    async run(w) {
      const login = { clean: false, properties: { sessionExpiry: 0xffffffff } };
      await (await w.client('a', login)).disconnect();
      const again = await w.open().connect(w.options('a', login));
      assert.equal(again.sessionPresent, true);
    },
  },
  {
    title: 'DISCONNECT may change the session expiry: to 0 it ends the session, to more it keeps it',
    '5.0': '4.1.0-2 3.1.2-23',
    async run(w) {
      const login = { clean: false, properties: { sessionExpiry: 1 } };
      await (await w.client('ends', login)).disconnect(0, { sessionExpiry: 0 });
      assert.equal((await w.open().connect(w.options('ends', login))).sessionPresent, false);
      await (await w.client('stays', login)).disconnect(0, { sessionExpiry: 100 });
      await (await w.client('clock', { keepAlive: 1 })).rest();
      assert.equal((await w.open().connect(w.options('stays', login))).sessionPresent, true);
    },
  },
  {
    title: 'DISCONNECT may not set a session expiry where CONNECT had none',
    '5.0': '4.13.1-1',
    async run(w) {
      for (const properties of [{}, { sessionExpiry: 0 }]) {
        const client = await w.client('a', { clean: false, properties });
        await client.send(wire.disconnect(0, { sessionExpiry: 100 })).refused(0x82);
        const again = await w.open().connect(w.options('a', { clean: false }));
        assert.equal(again.sessionPresent, false);
      }
    },
    mosquitto: 'sends no DISCONNECT',
  },
  {
    title: 'The broker never names a session expiry interval in DISCONNECT, and uses the reasons of the standard',
    '5.0': '3.14.2-1 3.14.2-2 4.13.1-1 4.13.2-1',
    async run(w) {
      const causes = ['f100', '360700026162000100', '820400010000', 'c100', 'd000', wire.connect(5, w.options('a'))];
      for (const cause of causes) {
        const packets = await (await w.client('a')).send(cause).rest();
        assert.equal(packets.length, 1);
        assert.ok([0x81, 0x82].includes(packets[0]?.codes?.[0] ?? 0), packets[0]?.raw);
        assert.equal(packets[0]?.properties?.sessionExpiry, undefined);
      }
    },
    mosquitto: 'sends no DISCONNECT at some of these',
  },
];
