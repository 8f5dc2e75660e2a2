import type { Scenario } from '../support/scenario.js';
import * as wire from '../support/wire.js';

/** SUBSCRIBE and UNSUBSCRIBE: sections 3.8 to 3.11. */
export const subscribing: readonly Scenario[] = [
  {
    title: 'SUBSCRIBE is answered with a SUBACK of its packet identifier and a code for each filter, in their order',
    '3.1': '',
    '3.1.1': '2.3.1-7 3.8.4-1 3.8.4-2 3.8.4-4 3.8.4-5 3.9.3-1 3.9.3-2',
    async run(w) {
      const filters = [2, 0, 1].map((qos) => ({ filter: w.topic(`${qos}`), qos }));
      await (await w.client('a')).send(wire.subscribe(w.version, 43981, filters)).bytes('9005abcd020001');
    },
  },
  {
    title: 'SUBSCRIBE is answered with a SUBACK that says the granted QoS of each filter, in their order',
    '5.0': '2.2.1-6 2.2.2-1 3.8.4-1 3.8.4-2 3.8.4-5 3.8.4-6 3.8.4-7 3.9.3-1 3.9.3-2',
    async run(w) {
      const filters = [2, 0, 1].map((qos) => ({ filter: w.topic(`${qos}`), qos }));
      await (await w.client('a')).send(wire.subscribe(5, 43981, filters)).bytes('9006abcd00020001');
    },
  },
  {
    title: 'Several filters in one SUBSCRIBE all take effect, the last of two equal ones',
    '3.1.1': '3.8.4-4',
    '5.0': '3.8.4-5',
    async run(w) {
      const [a, b] = [w.topic('a'), w.topic('b')];
      const client = await w.client('a');
      await client.subscribe([{ filter: a }, { filter: b, qos: 2 }, { filter: a, qos: 1 }]);
      const publisher = await w.client('pub');
      for (const topic of [a, b]) await publisher.publish(topic, 'x', { qos: 2 });
      await client.receive({ topic: a, qos: 1 });
      await client.receive({ topic: b, qos: 2 });
      await client.quiet();
    },
  },
  {
    title: 'A subscription to the same filter replaces the older one',
    '3.1.1': '3.8.4-3',
    '5.0': '3.8.4-3',
    async run(w) {
      const [client, publisher] = await w.pair(w.topic('+'), 2);
      await client.subscribe({ filter: w.topic('+'), qos: 1 });
      await publisher.publish(w.topic(), 'once', { qos: 2 });
      await client.receive({ payload: 'once', qos: 1 });
      await client.quiet();
    },
  },
  {
    title: 'A subscription to the same filter is sent the retained messages again',
    '3.1.1': '3.8.4-3',
    '5.0': '3.3.1-9 3.8.4-4',
    async run(w) {
      const publisher = await w.client('pub');
      await publisher.publish(w.topic(), 'kept', { qos: 1, retain: true });
      const client = await w.client('sub');
      for (const qos of [0, 1, 1]) {
        await client.subscribe({ filter: w.topic(), qos });
        await client.receive({ payload: 'kept', qos, retain: true });
      }
    },
  },
  {
    title: 'Overlapping subscriptions give one copy of the highest QoS',
    '3.1.1': '3.3.5-1',
    '5.0': '3.3.4-2',
    async run(w) {
      const client = await w.client('a');
      const filters = [w.topic('#'), w.topic(), w.topic('+')];
      await client.subscribe(filters.map((filter, qos) => ({ filter, qos: [0, 2, 1][qos] as number })));
      const publisher = await w.client('pub');
      for (const qos of [2, 1, 0]) await publisher.publish(w.topic(), `of ${qos}`, { qos });
      for (const qos of [2, 1, 0]) await client.receive({ payload: `of ${qos}`, qos });
      await client.quiet();
    },
    mosquitto: 'sends one copy for each overlapping subscription, unless configured otherwise',
  },
  {
    title: 'UNSUBSCRIBE is answered with UNSUBACK of its packet identifier, though nothing was subscribed',
    '3.1': '',
    '3.1.1': '2.3.1-7 3.10.4-4 3.10.4-5 3.10.4-6',
    async run(w) {
      const client = await w.client('a');
      await client.send(wire.unsubscribe(w.version, 4660, w.topic('x'), w.topic('y'))).bytes('b0021234');
    },
  },
  {
    title: 'UNSUBACK says for each filter whether there was such a subscription, in their order',
    '5.0': '2.2.1-6 3.10.4-4 3.10.4-5 3.10.4-6 3.11.3-1 3.11.3-2',
    async run(w) {
      const client = await w.client('a');
      await client.subscribe([{ filter: w.topic('x') }, { filter: w.topic('+') }]);
      client.send(wire.unsubscribe(5, 4660, w.topic('y'), w.topic('x'), w.topic('#'), w.topic('+')));
      await client.bytes('b0071234 00 11001100');
    },
  },
  {
    title: 'UNSUBSCRIBE removes the subscription whose filter equals its own, and no other',
    '3.1.1': '3.10.4-1 3.10.4-2',
    '5.0': '3.10.4-1 3.10.4-2',
    async run(w) {
      const [client, publisher] = await w.pair(w.topic('+'), 1);
      await client.subscribe({ filter: w.topic('b'), qos: 1 });
      await client.unsubscribe(w.topic('a'), w.topic('#'), w.topic('b/'), w.topic('B'));
      await publisher.publish(w.topic('a'), 'still', { qos: 1 });
      await client.receive({ payload: 'still' });
      await client.unsubscribe(w.topic('+'));
      for (const name of ['a', 'b']) await publisher.publish(w.topic(name), name, { qos: 1 });
      await client.receive({ payload: 'b' });
      await client.quiet();
    },
  },
  {
    title: 'After UNSUBSCRIBE what is in flight is completed, and what was not is not sent',
    '3.1.1': '3.10.4-3',
    '5.0': '3.10.4-3',
    async run(w) {
      const [client, publisher] = await w.pair(w.topic(), 2, { kept: true });
      await publisher.publish(w.topic(), 'started', { qos: 2 });
      const { id = 0 } = await client.expect('publish', { payload: 'started', qos: 2 });
      await client.unsubscribe(w.topic());
      await publisher.publish(w.topic(), 'late', { qos: 2 });
      client.cut();
      const again = await w.client('sub', { kept: true });
      await again.expect('publish', { payload: 'started', id, dup: true });
      await again.send(wire.pubrec(id)).expect('pubrel', { id });
      await again.send(wire.pubcomp(id)).quiet();
    },
  },
  {
    title: 'SUBSCRIBE without a filter ends the connection',
    '3.1.1': '3.8.3-3',
    '5.0': '3.8.3-2',
    async run(w) {
      await (await w.client('a')).send(wire.subscribe(w.version, 1, [])).refused(0x81, 0x82);
    },
  },
  {
    title: 'UNSUBSCRIBE without a filter ends the connection',
    '3.1.1': '3.10.3-2',
    '5.0': '3.10.3-2',
    async run(w) {
      await (await w.client('a')).send(wire.unsubscribe(w.version, 1)).refused(0x81, 0x82);
    },
  },
  {
    title: 'SUBSCRIBE, UNSUBSCRIBE and PUBLISH with packet identifier 0 end the connection',
    '3.1.1': '2.3.1-1',
    '5.0': '2.2.1-3',
    async run(w) {
      const packets = [
        wire.subscribe(w.version, 0, [{ filter: 'a' }]),
        wire.unsubscribe(w.version, 0, 'a'),
        wire.publish(w.version, 'a', 'x', { qos: 1, id: 0 }),
        wire.publish(w.version, 'a', 'x', { qos: 2, id: 0 }),
      ];
      for (const packet of packets) await (await w.client('a')).send(packet).refused(0x81, 0x82);
    },
  },
  {
    title: 'Reserved bits or QoS 3 in the options of SUBSCRIBE end the connection',
    '3.1.1': '3.8.3-4',
    '5.0': '3.8.3-5',
    async run(w) {
      const wrong = w.version === 5 ? [0x03, 0x40, 0x80, 0xc1, 0x30] : [0x03, 0x04, 0x08, 0x10, 0x40, 0x80, 0xff];
      for (const qos of wrong) {
        const packet = wire.subscribe(w.version, 1, [{ filter: 'a' }, { filter: w.topic(), qos }]);
        await (await w.client('a')).send(packet).refused(0x81, 0x82);
      }
    },
  },
  {
    title: 'A filter that is no string of UTF-8, or holds U+0000, ends the connection',
    '3.1.1': '1.5.3-1 1.5.3-2 3.8.3-1 3.10.3-1 4.7.3-2',
    '5.0': '1.5.4-1 1.5.4-2 3.8.3-1 3.10.3-1 4.7.3-2',
    async run(w) {
      for (const filter of [wire.hex('61c328'), wire.hex('eda080'), wire.hex('610062')]) {
        for (const packet of [wire.subscribe(w.version, 1, [{ filter }]), wire.unsubscribe(w.version, 1, filter)]) {
          await (await w.client('a')).send(packet).refused(0x81, 0x82);
        }
      }
    },
  },
  {
    title: 'A filter whose length, or options whose byte is missing, end the connection',
    '3.1.1': '4.8.0-1',
    '5.0': '4.13.1-1',
    async run(w) {
      const properties = w.version === 5 ? '00' : '';
      for (const payload of ['0001', '000161', '0005616263', '00016100 00']) {
        const packet = wire.packet(0x82, wire.hex(`0001${properties}${payload}`));
        await (await w.client('a')).send(packet).refused(0x81, 0x82);
      }
    },
  },
];
