import assert from 'node:assert/strict';
import type { Scenario } from '../support/scenario.js';
import * as wire from '../support/wire.js';

/** Publishing and delivery at each quality of service: sections 3.3 to 3.7 and 4.3, byte for byte. */
export const publishing: readonly Scenario[] = [
  {
    title: 'A message of QoS 0 arrives once, without a packet identifier',
    '3.1': '',
    '3.1.1': '2.3.1-5 3.3.1-2 3.3.2-1 3.3.2-3 4.3.1-1',
    '5.0': '2.2.1-2 3.3.1-2 3.3.2-1 3.3.2-3 4.3.1-1',
    async run(w) {
      const [subscriber, publisher] = await w.pair(w.topic());
      publisher.send(wire.publish(w.version, w.topic(), 'one'), wire.publish(w.version, w.topic(), 'two'));
      await subscriber.bytes(wire.publish(w.version, w.topic(), 'one').toString('hex'));
      await subscriber.bytes(wire.publish(w.version, w.topic(), 'two').toString('hex'));
      await subscriber.quiet();
      await publisher.quiet();
    },
  },
  {
    title: 'A message of QoS 1 is answered with PUBACK and arrives with packet identifier 1',
    '3.1': '',
    '3.1.1': '2.3.1-1 2.3.1-4 2.3.1-6 3.3.4-1 4.3.2-1 4.3.2-2',
    '5.0': '2.2.1-4 2.2.1-5 3.3.4-1 3.4.2-1 4.3.2-1 4.3.2-2 4.3.2-4',
    async run(w) {
      const [subscriber, publisher] = await w.pair(w.topic(), 1);
      publisher.send(wire.publish(w.version, w.topic(), 'one', { qos: 1, id: 4660 }));
      await publisher.bytes('40021234');
      await subscriber.bytes(wire.publish(w.version, w.topic(), 'one', { qos: 1, id: 1 }).toString('hex'));
      await subscriber.send(wire.puback(1)).quiet();
    },
  },
  {
    title: 'A message of QoS 2 goes through PUBREC, PUBREL and PUBCOMP on both sides',
    '3.1': '',
    '3.1.1': '2.3.1-6 3.3.4-1 4.3.3-1 4.3.3-2',
    '5.0': '2.2.1-4 2.2.1-5 3.5.2-1 3.6.2-1 3.7.2-1 4.3.3-1 4.3.3-2 4.3.3-4 4.3.3-8 4.3.3-11',
    async run(w) {
      const [subscriber, publisher] = await w.pair(w.topic(), 2);
      publisher.send(wire.publish(w.version, w.topic(), 'one', { qos: 2, id: 65535 }));
      await publisher.bytes('5002ffff');
      await publisher.send('6202ffff').bytes('7002ffff');
      await subscriber.bytes(wire.publish(w.version, w.topic(), 'one', { qos: 2, id: 1 }).toString('hex'));
      await subscriber.send('50020001').bytes('62020001');
      await subscriber.send('70020001').quiet();
    },
  },
  {
    title: 'Packet identifiers count up from 1 in each session, and differ while they are in flight',
    '3.1.1': '2.3.1-4',
    '5.0': '2.2.1-4 4.3.2-1 4.3.3-1',
    async run(w) {
      const [subscriber, publisher] = await w.pair(w.topic('#'), 2);
      for (const qos of [1, 2, 1]) await publisher.publish(w.topic(), `of ${qos}`, { qos });
      for (const [at, qos] of [1, 2, 1].entries()) await subscriber.expect('publish', { id: at + 1, qos });
    },
  },
  {
    title: 'A message arrives with the lower of its QoS and the granted one, in each of the nine combinations',
    '3.1.1': '3.8.4-6',
    '5.0': '3.8.4-8',
    async run(w) {
      const publisher = await w.client('pub');
      for (const granted of [0, 1, 2]) {
        const subscriber = await w.client(`sub${granted}`);
        await subscriber.subscribe({ filter: w.topic(), qos: granted });
        for (const qos of [0, 1, 2]) {
          await publisher.publish(w.topic(), 'x', { qos });
          await subscriber.receive({ qos: Math.min(qos, granted) });
        }
        await subscriber.disconnect();
      }
    },
  },
  {
    title: 'A QoS 2 message sent again before PUBREL is acknowledged again and delivered once',
    '3.1.1': '4.3.3-2',
    '5.0': '4.3.3-10',
    async run(w) {
      const [subscriber, publisher] = await w.pair(w.topic(), 2);
      for (const dup of [false, true, true]) {
        publisher.send(wire.publish(w.version, w.topic(), 'once', { qos: 2, id: 3, dup }));
        await publisher.bytes('50020003');
      }
      await publisher.send(wire.pubrel(3)).bytes('70020003');
      await subscriber.receive({ payload: 'once' });
      await publisher.publish(w.topic(), 'marker', { qos: 2, id: 4 });
      await subscriber.receive({ payload: 'marker' });
    },
    mosquitto: 'ends the connection at the third PUBLISH',
  },
  {
    title: 'After PUBCOMP the same packet identifier is a new message',
    '3.1.1': '4.3.3-2',
    '5.0': '4.3.3-12',
    async run(w) {
      const [subscriber, publisher] = await w.pair(w.topic(), 2);
      for (const payload of ['one', 'two']) {
        await publisher.publish(w.topic(), payload, { qos: 2, id: 3 });
        await subscriber.receive({ payload });
      }
    },
  },
  {
    title: 'After PUBACK the same packet identifier is a new message, whatever its DUP flag',
    '3.1.1': '4.3.2-2',
    '5.0': '4.3.2-5',
    async run(w) {
      const [subscriber, publisher] = await w.pair(w.topic(), 1);
      for (const dup of [false, true]) await publisher.publish(w.topic(), `${dup}`, { qos: 1, id: 3, dup });
      for (const dup of [false, true]) await subscriber.receive({ payload: `${dup}` });
    },
  },
  {
    title: 'The DUP flag of a publisher is not passed on',
    '3.1.1': '3.3.1-3',
    '5.0': '3.3.1-3',
    async run(w) {
      const [subscriber, publisher] = await w.pair(w.topic(), 2);
      for (const qos of [1, 2]) {
        await publisher.publish(w.topic(), 'x', { qos, dup: true });
        await subscriber.receive({ qos, dup: false });
      }
    },
  },
  {
    title: 'PUBREL is answered with PUBCOMP though its packet identifier is unknown',
    '3.1.1': '4.3.3-2',
    async run(w) {
      const client = await w.client('a');
      await client.send(wire.pubrel(77)).bytes('7002004d');
    },
  },
  {
    title: 'PUBREL and PUBREC of an unknown packet identifier are answered with 0x00 or 0x92',
    '5.0': '3.6.2-1 3.7.2-1',
    async run(w) {
      const client = await w.client('a');
      const pubcomp = await client.send(wire.pubrel(77)).expect('pubcomp', { id: 77 });
      const pubrel = await client.send(wire.pubrec(78)).expect('pubrel', { id: 78 });
      for (const { codes, raw } of [pubcomp, pubrel]) assert.ok([0, 0x92].includes(codes?.[0] ?? 0), raw);
    },
  },
  {
    title: 'PUBACK and PUBCOMP of an unknown packet identifier disturb nothing',
    '3.1.1': '',
    '5.0': '',
    async run(w) {
      const client = await w.client('a');
      await client.send(wire.puback(77), wire.pubcomp(78)).quiet();
    },
  },
  {
    title: 'A PUBREC that refuses ends the exchange: no PUBREL follows, and nothing is sent again',
    '5.0': '4.3.3-4 4.4.0-2',
    async run(w) {
      const [subscriber, publisher] = await w.pair(w.topic(), 2, { kept: true });
      await publisher.publish(w.topic(), 'refused', { qos: 2 });
      await publisher.publish(w.topic(), 'refused too', { qos: 1 });
      await subscriber.expect('publish', { id: 1, qos: 2 });
      await subscriber.expect('publish', { id: 2, qos: 1 });
      await subscriber.send(wire.pubrec(1, 0x97), wire.puback(2, 0x83)).quiet();
      await subscriber.disconnect();
      await (await w.client('sub', { kept: true })).quiet();
    },
  },
  {
    title: 'Acknowledgements with every good reason code, with and without properties, are understood',
    '5.0': '',
    async run(w) {
      const [subscriber, publisher] = await w.pair(w.topic(), 2);
      const forms = ['', '00', '0000', '10', '1000', '000c1f0003 62 79 65 26 0001 61 0000'];
      for (const [at, form] of forms.entries()) {
        await publisher.publish(w.topic(), 'x', { qos: 1 });
        const { id = 0 } = await subscriber.expect('publish');
        const bytes = wire.hex(`${id.toString(16).padStart(4, '0')}${form}`);
        await subscriber.send(wire.packet(0x40, bytes)).quiet();
        publisher.send(wire.publish(5, w.topic(), 'y', { qos: 2, id: 900 + at }));
        await publisher.expect('pubrec');
        const release = form.startsWith('10') ? '' : form;
        publisher.send(wire.packet(0x62, wire.hex(`${(900 + at).toString(16).padStart(4, '0')}${release}`)));
        await publisher.expect('pubcomp', { id: 900 + at, codes: [0] });
        await subscriber.receive({ payload: 'y' });
      }
    },
  },
  {
    title: 'A publisher that subscribes to its own topic receives its message',
    '3.1': '',
    '3.1.1': '',
    '5.0': '',
    async run(w) {
      const client = await w.client('a');
      await client.subscribe(w.topic());
      client.send(wire.publish(w.version, w.topic(), 'mine'));
      await client.receive({ payload: 'mine' });
    },
  },
  {
    title: 'An empty payload and one of any bytes arrive as they are',
    '3.1.1': '',
    '5.0': '',
    async run(w) {
      const [subscriber, publisher] = await w.pair(w.topic());
      for (const payload of [Buffer.alloc(0), Buffer.from([0, 255, 254, 0, 128]), Buffer.alloc(70_000, 7)]) {
        const bytes = wire.publish(w.version, w.topic(), payload);
        publisher.send(bytes);
        await subscriber.bytes(bytes.toString('hex'));
      }
    },
  },
  {
    title: 'PINGREQ is answered with PINGRESP',
    '3.1': '',
    '3.1.1': '3.12.4-1',
    '5.0': '3.12.4-1',
    async run(w) {
      const client = await w.client('a');
      client.send(wire.pingreq, wire.pingreq);
      await client.bytes('d000', 'd000');
    },
  },
  {
    title: 'Messages of one publisher to one topic arrive in their order at each QoS',
    '3.1.1': '4.6.0-5 4.6.0-6',
    '5.0': '4.6.0-5 4.6.0-6',
    async run(w) {
      const [subscriber, publisher] = await w.pair(w.topic(), 2);
      const ids = Array.from({ length: 15 }, (_, at) => at + 1);
      for (const qos of [0, 1, 2]) {
        publisher.send(...ids.map((id) => wire.publish(w.version, w.topic(), `${qos}.${id}`, { qos, id })));
        for (const id of qos === 1 ? ids : []) await publisher.expect('puback', { id });
        for (const id of qos === 2 ? ids : []) await publisher.expect('pubrec', { id });
        publisher.send(...(qos === 2 ? ids.map((id) => wire.pubrel(id)) : []));
        const seen: wire.Packet[] = [];
        for (const id of ids) seen.push(await subscriber.expect('publish', { payload: `${qos}.${id}`, qos }));
        if (qos === 1) subscriber.send(...seen.map(({ id = 0 }) => wire.puback(id)));
      }
    },
  },
  {
    title: 'Acknowledgements come in the order of what they acknowledge',
    '3.1.1': '4.6.0-2 4.6.0-3 4.6.0-4',
    '5.0': '4.6.0-2 4.6.0-3 4.6.0-4',
    async run(w) {
      const client = await w.client('a');
      const ids = [9, 3, 7, 1];
      for (const [qos, type] of [
        [1, 'puback'],
        [2, 'pubrec'],
      ] as const) {
        client.send(...ids.map((id) => wire.publish(w.version, w.topic(), 'x', { qos, id })));
        for (const id of ids) await client.expect(type, { id });
      }
      client.send(...ids.map((id) => wire.pubrel(id)));
      for (const id of ids) await client.expect('pubcomp', { id });
    },
  },
];
