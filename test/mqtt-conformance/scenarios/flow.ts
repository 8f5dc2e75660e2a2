import assert from 'node:assert/strict';
import type { Scenario, World } from '../support/scenario.js';
import * as wire from '../support/wire.js';

/** Flow control and the maximum packet size: sections 3.1.2.11.3, 3.1.2.11.4, 3.2.2.3 and 4.9. */
export const flow: readonly Scenario[] = [
  {
    title: 'No more QoS 1 messages are in flight than the receive maximum of the client, and PUBACK makes room',
    '5.0': '3.3.4-9 4.9.0-1 4.9.0-2',
    async run(w) {
      for (const receiveMaximum of [1, 3]) {
        const [subscriber, publisher] = await w.pair(w.topic(), 1, { properties: { receiveMaximum } });
        for (let at = 0; at < 8; at++) await publisher.publish(w.topic(), `${at}`, { qos: 1 });
        const flight: number[] = [];
        for (let at = 0; at < 8; at++) {
          if (flight.length === receiveMaximum) {
            await subscriber.quiet();
            subscriber.send(wire.puback(flight.shift() ?? 0));
          }
          flight.push((await subscriber.expect('publish', { payload: `${at}`, dup: false })).id ?? 0);
        }
        await subscriber.disconnect();
      }
    },
    mosquitto: 'sends two for one PUBACK',
  },
  {
    title: 'A QoS 2 message is in flight until PUBCOMP, or until a PUBREC that refuses',
    '5.0': '3.3.4-9 4.9.0-2',
    async run(w) {
      const [subscriber, publisher] = await w.pair(w.topic(), 2, { properties: { receiveMaximum: 1 } });
      for (let at = 0; at < 3; at++) await publisher.publish(w.topic(), `${at}`, { qos: 2 });
      const { id = 0 } = await subscriber.expect('publish', { payload: '0' });
      await subscriber.quiet();
      await subscriber.send(wire.pubrec(id)).expect('pubrel', { id });
      await subscriber.quiet();
      const second = await subscriber.send(wire.pubcomp(id)).expect('publish', { payload: '1' });
      await subscriber.quiet();
      subscriber.send(wire.pubrec(second.id ?? 0, 0x83));
      await subscriber.expect('publish', { payload: '2' });
    },
  },
  {
    title: 'While the receive maximum is used up everything but QoS 1 and 2 messages goes on',
    '5.0': '3.3.4-10 4.9.0-3',
    async run(w) {
      const [subscriber, publisher] = await w.pair(w.topic(), 1, { properties: { receiveMaximum: 1 } });
      for (let at = 0; at < 3; at++) await publisher.publish(w.topic(), `${at}`, { qos: 1 });
      const { id = 0 } = await subscriber.expect('publish', { payload: '0' });
      await publisher.publish(w.topic(), 'of 0');
      await subscriber.expect('publish', { payload: 'of 0', qos: 0 });
      await subscriber.quiet();
      await subscriber.unsubscribe(w.topic('none'));
      await subscriber.subscribe(w.topic('other'));
      await subscriber.publish(w.topic('third'), 'x', { qos: 2 });
      await subscriber.send(wire.puback(id)).expect('publish', { payload: '1' });
    },
    mosquitto: 'holds QoS 0 back as well',
  },
  {
    title: 'What is sent again after a reconnect counts against the receive maximum of the new connection',
    '5.0': '3.3.4-9 4.9.0-1',
    async run(w) {
      const [subscriber, publisher] = await w.pair(w.topic(), 1, { kept: true });
      for (let at = 0; at < 4; at++) await publisher.publish(w.topic(), `${at}`, { qos: 1 });
      for (let at = 0; at < 4; at++) await subscriber.expect('publish', { payload: `${at}` });
      subscriber.cut();
      const again = await w.client('sub', { kept: true, properties: { receiveMaximum: 2 } });
      const first = await again.expect('publish', { payload: '0', dup: true });
      await again.expect('publish', { payload: '1', dup: true });
      await again.quiet();
      await again.send(wire.puback(first.id ?? 0)).expect('publish', { payload: '2', dup: true });
    },
    mosquitto: 'sends all of it at once',
  },
  {
    title: 'More QoS 1 and 2 messages in flight than the broker allows end the connection with 0x93',
    '5.0': '4.9.0-1 4.13.2-1',
    async run(w) {
      const publisher = w.open();
      const { properties } = await publisher.connect(w.options('pub'));
      const allowed = properties?.receiveMaximum ?? 65_535;
      for (let id = 1; id <= allowed; id++) publisher.send(wire.publish(5, w.topic(), 'x', { qos: 2, id }));
      for (let id = 1; id <= allowed; id++) await publisher.expect('pubrec', { id });
      await publisher.quiet();
      publisher.send(wire.publish(5, w.topic(), 'x', { qos: 2, id: allowed + 1 }));
      for (let id = allowed + 2; id < allowed + 50; id++)
        publisher.send(wire.publish(5, w.topic(), 'x', { qos: 2, id }));
      await publisher.refused(0x93);
    },
    mosquitto: 'allows one more',
  },
  {
    title: 'A message above the maximum packet size of a client is dropped for it alone, as if it had been sent',
    '5.0': '3.1.2-24 3.1.2-25',
    async run(w) {
      const [small, publisher] = await w.pair(w.topic(), 2, {
        properties: { maximumPacketSize: 60, receiveMaximum: 1 },
      });
      const large = await w.client('large');
      await large.subscribe({ filter: w.topic(), qos: 2 });
      for (const qos of [0, 1, 2]) {
        await publisher.publish(w.topic(), 'x'.repeat(100), { qos });
        await publisher.publish(w.topic(), 'fits', { qos });
        await small.receive({ payload: 'fits' });
        await large.receive({ payload: 'x'.repeat(100) });
        await large.receive({ payload: 'fits' });
      }
      await small.quiet();
    },
    mosquitto: 'keeps such a message of QoS 1 and 2 in flight',
  },
  {
    title: 'A message of exactly the maximum packet size is sent, one byte more is not',
    '5.0': '3.1.2-24',
    async run(w) {
      const size = 80;
      const [subscriber, publisher] = await w.pair(w.topic(), 0, { properties: { maximumPacketSize: size } });
      const room = size - wire.publish(5, w.topic(), '').length;
      await publisher.publish(w.topic(), 'y'.repeat(room + 1));
      await publisher.publish(w.topic(), 'y'.repeat(room));
      await subscriber.receive({ payload: 'y'.repeat(room) });
    },
    mosquitto: 'allows one byte more',
  },
  {
    title: 'A packet above the maximum packet size of the broker ends the connection with 0x95',
    '5.0': '4.13.1-1',
    async run(w) {
      const publisher = w.open();
      const { properties } = await publisher.connect(w.options('pub'));
      const limit = properties?.maximumPacketSize ?? 0;
      assert.ok(limit > 0);
      const fits = wire.publish(5, w.topic(), 'x'.repeat(limit - wire.publish(5, w.topic(), '').length - 3));
      assert.ok(fits.length <= limit);
      publisher.send(fits);
      await publisher.quiet();
      publisher.send(wire.publish(5, w.topic(), 'x'.repeat(limit)).subarray(0, 100_000));
      await publisher.refused(0x95);
    },
    mosquitto: 'sends no DISCONNECT',
  },
  {
    title: 'A packet above the maximum packet size of the broker ends the connection',
    '3.1.1': '4.8.0-2',
    async run(w) {
      const publisher = await w.client('pub');
      await publisher.send(wire.publish(4, w.topic(), 'x'.repeat(1_000_000)).subarray(0, 100_000)).refused();
    },
  },
  {
    title: 'A subscriber that does not read delays nobody else',
    '3.1.1': '',
    '5.0': '',
    async run(w: World) {
      const [stuck, publisher] = await w.pair(w.topic());
      stuck.pause();
      const reader = await w.client('reader');
      await reader.subscribe({ filter: w.topic(), qos: 1 });
      const payload = 'z'.repeat(60_000);
      for (let at = 0; at < 60; at++) {
        await publisher.publish(w.topic(), payload, { qos: 1 });
        await reader.receive();
      }
    },
  },
];
