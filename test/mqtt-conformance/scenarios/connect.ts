import assert from 'node:assert/strict';
import { encodeProperties, text, u16 } from '../support/properties.js';
import type { Scenario, World } from '../support/scenario.js';
import * as wire from '../support/wire.js';

/** A CONNECT from its parts, for what a builder of good packets cannot say. */
function connect(w: World, flags: number, ...payload: (Buffer | string)[]): Buffer {
  const properties = w.version === 5 ? encodeProperties() : '';
  return wire.packet(0x10, text('MQTT'), Buffer.from([w.version, flags]), u16(0), properties, ...payload);
}

/** Each of these, sent on a connection of its own, is a CONNECT that does not conform. */
async function refusesEach(w: World, packets: readonly Buffer[]): Promise<void> {
  for (const packet of packets) await w.open().send(packet).malformedConnect(0x85, 0x90);
}

const noProperties = (w: World): Buffer => (w.version === 5 ? encodeProperties() : Buffer.alloc(0));

export const connecting: readonly Scenario[] = [
  {
    title: 'CONNECT is answered with a CONNACK of code 0 and no session, byte for byte',
    '3.1': '',
    '3.1.1': '3.1.4-4 3.2.0-1 3.2.2-1',
    async run(w) {
      await w
        .open()
        .send(wire.connect(w.version, w.options('a')))
        .bytes('20020000');
    },
  },
  {
    title: 'CONNECT is answered with one CONNACK, and nothing comes before it',
    '5.0': '3.1.4-5 3.2.0-1 3.2.0-2 3.2.2-1 3.2.2-2 3.2.2-8',
    async run(w) {
      const raw = w.open().send(wire.connect(w.version, w.options('a')), wire.pingreq);
      await raw.expect('connack', { codes: [0], sessionPresent: false });
      await raw.expect('pingresp');
      await raw.quiet();
    },
  },
  {
    title: 'A connection that starts with anything but CONNECT is closed without an answer',
    '3.1.1': '3.1.0-1',
    '5.0': '3.1.0-1 3.14.0-1',
    async run(w) {
      const { version } = w;
      const firsts = [
        wire.pingreq,
        wire.publish(version, 'a', 'b'),
        wire.subscribe(version, 1, [{ filter: 'a' }]),
        wire.unsubscribe(version, 1, 'a'),
        wire.disconnect(),
        wire.puback(1),
        wire.pubrel(1),
        wire.hex('20020000'),
        wire.hex('f000'),
        wire.hex('0000'),
      ];
      for (const first of firsts) await w.open().send(first).ended();
    },
  },
  {
    title: 'A second CONNECT ends the connection',
    '3.1': '',
    '3.1.1': '3.1.0-2 4.8.0-1',
    '5.0': '3.1.0-2 4.13.1-1',
    async run(w) {
      const client = await w.client('a');
      await client.send(wire.connect(w.version, w.options('a'))).refused(0x82);
    },
    mosquitto: 'sends no DISCONNECT',
  },
  {
    title: 'A protocol name that is not MQTT ends the connection',
    '3.1.1': '3.1.2-1',
    '5.0': '3.1.2-1',
    async run(w) {
      for (const name of ['MQTX', 'mqtt', 'MQT', 'MQTTT', '']) {
        const rest = [Buffer.from([w.version, 2]), u16(0), noProperties(w), text('a')];
        const raw = w.open().send(wire.packet(0x10, text(name), ...rest));
        if (w.version === 5) await raw.rejected([0x81, 0x82, 0x84], true);
        else await raw.rejected([]);
      }
    },
  },
  {
    title: 'A protocol level that no one knows is answered with 0x01 or 0x84, and the end',
    '3.1.1': '3.1.2-2 3.2.2-5',
    '5.0': '3.1.2-2 3.2.2-7',
    async run(w) {
      for (const level of [0, 2, 6, 127]) {
        const rest = [Buffer.from([level, 2]), u16(0), noProperties(w), text('a')];
        const raw = w.open(5).send(wire.packet(0x10, text('MQTT'), ...rest));
        await raw.rejected([1, 0x84]);
      }
    },
  },
  {
    title: 'A set reserved flag in CONNECT ends the connection',
    '3.1.1': '3.1.2-3 3.1.4-1',
    '5.0': '3.1.2-3 3.1.4-1',
    run: (w) => refusesEach(w, [connect(w, 3, text('a'))]),
  },
  {
    title: 'A will QoS or will retain without the will flag ends the connection',
    '3.1.1': '3.1.2-11 3.1.2-13 3.1.2-15',
    '5.0': '3.1.2-11 3.1.2-13',
    run: (w) =>
      refusesEach(
        w,
        [0x0a, 0x12, 0x1a, 0x22].map((flags) => connect(w, flags, text('a'))),
      ),
  },
  {
    title: 'A will of QoS 3 ends the connection',
    '3.1.1': '3.1.2-14',
    '5.0': '3.1.2-12',
    run: (w) => refusesEach(w, [connect(w, 0x1e, text('a'), noProperties(w), text('t'), text('p'))]),
  },
  {
    title: 'A password without a user name ends the connection',
    '3.1.1': '3.1.2-22',
    run: (w) => refusesEach(w, [connect(w, 0x42, text('a'), text('secret'))]),
  },
  {
    title: 'A CONNECT without a field that its flags announce ends the connection',
    '3.1.1': '3.1.2-9 3.1.2-19 3.1.2-21 3.1.3-3',
    '5.0': '3.1.2-9 3.1.2-17 3.1.2-19 3.1.3-3',
    run: (w) =>
      refusesEach(w, [
        connect(w, 2),
        connect(w, 6, text('a')),
        connect(w, 6, text('a'), noProperties(w), text('t')),
        connect(w, 0x82, text('a')),
        connect(w, 0xc2, text('a'), text('user')),
        connect(w, 2, u16(5), 'ab'),
      ]),
  },
  {
    title: 'A CONNECT with a field that its flags do not announce ends the connection',
    '3.1.1': '3.1.2-11 3.1.2-18 3.1.2-20 3.1.3-1 3.1.4-1',
    '5.0': '3.1.2-16 3.1.2-18 3.1.3-1 3.1.4-1',
    run: (w) =>
      refusesEach(w, [
        connect(w, 2, text('a'), text('t'), text('p')),
        connect(w, 2, text('a'), text('user')),
        connect(w, 0x82, text('a'), text('user'), text('secret')),
        connect(w, 2, text('a'), 'x'),
      ]),
  },
  {
    title: 'Client identifiers of 1 to 23 letters and digits are accepted',
    '3.1.1': '3.1.3-5',
    '5.0': '3.1.3-5',
    async run(w) {
      for (const clientId of ['Z', '0123456789abcdefghijklm', 'nopqrstuvwxyzABCDEFGHIJ', 'KLMNOPQRSTUVWXYZ']) {
        await w.client('a', { clientId: clientId.slice(0, 23) });
      }
    },
  },
  {
    title: 'Client identifiers that are long or hold any Unicode are accepted',
    '3.1.1': '',
    '5.0': '',
    async run(w) {
      for (const clientId of ['c'.repeat(200), 'a/b c+#', '客户 端😀', '../..', '\uFEFFbom'])
        await w.client('a', { clientId });
    },
  },
  {
    title: 'An empty client identifier with a clean session is accepted, for several clients at a time',
    '3.1.1': '3.1.3-6 3.2.2-1',
    async run(w) {
      const clients = [await w.client('a', { clientId: '' }), await w.client('a', { clientId: '' })];
      for (const client of clients) await client.quiet();
    },
  },
  {
    title: 'An empty client identifier without a clean session is refused with 0x02',
    '3.1.1': '3.1.3-7 3.1.3-8 3.1.3-9 3.2.2-4 3.2.2-5',
    async run(w) {
      const raw = w.open().send(wire.connect(4, { clientId: '', clean: false }));
      await raw.bytes('20020002');
      await raw.ended();
    },
  },
  {
    title: 'MQTT 3.1 refuses an empty client identifier with 0x02',
    '3.1': '',
    async run(w) {
      await w
        .open()
        .send(wire.connect(3, { clientId: '' }))
        .rejected([2]);
    },
  },
  {
    title: 'An empty client identifier is given one that nobody has, and its session comes back under it',
    '5.0': '3.1.3-6 3.1.3-7 3.2.2-16',
    async run(w) {
      const login = { clientId: '', kept: true };
      const ids: string[] = [];
      for (const name of ['a', 'b']) {
        const { properties } = await w.open().connect(w.options(name, login));
        ids.push(properties?.assignedClientId ?? '');
      }
      assert.ok(ids[0] && ids[1] && ids[0] !== ids[1]);
      const again = await w.open().connect(w.options('a', { clientId: ids[0] as string, kept: true }));
      assert.equal(again.sessionPresent, true);
      assert.equal(again.properties?.assignedClientId, undefined);
    },
  },
  {
    title: 'Ill-formed UTF-8 in a string of CONNECT ends the connection',
    '3.1.1': '1.5.3-1 3.1.3-4 3.1.3-10 3.1.3-11',
    '5.0': '1.5.4-1 3.1.3-4 3.1.3-11 3.1.3-12',
    async run(w) {
      for (const bad of ['c328', 'eda080', 'c080', 'f4908080', 'ff', 'e282']) {
        const bytes = wire.hex(bad);
        await refusesEach(w, [
          wire.connect(w.version, { clientId: bytes }),
          wire.connect(w.version, { clientId: w.clientId('a'), will: { topic: bytes } }),
          wire.connect(w.version, { clientId: w.clientId('a'), username: bytes }),
        ]);
      }
    },
  },
  {
    title: 'U+0000 in a string of CONNECT ends the connection',
    '3.1.1': '1.5.3-2',
    '5.0': '1.5.4-2',
    run: (w) =>
      refusesEach(w, [
        wire.connect(w.version, { clientId: 'a\0b' }),
        wire.connect(w.version, { clientId: w.clientId('a'), will: { topic: 'a\0' } }),
        wire.connect(w.version, { clientId: w.clientId('a'), username: '\0' }),
      ]),
  },
  {
    title: 'A will to a topic with wildcards, or to none, ends the connection',
    '3.1.1': '4.7.1-1 4.7.3-1',
    '5.0': '4.7.0-1 4.7.3-1',
    async run(w) {
      for (const topic of ['a/+', '#', '']) {
        const raw = w.open().send(wire.connect(w.version, w.options('a', { will: { topic } })));
        if (w.version === 5) await raw.rejected([0x81, 0x82, 0x90], true);
        else await raw.rejected([]);
      }
    },
  },
  {
    title: 'A client identifier that connects again takes the session over, and the older connection ends',
    '3.1': '',
    '3.1.1': '3.1.4-2 3.1.3-2',
    '5.0': '3.1.4-3 3.1.3-2',
    async run(w) {
      const older = await w.client('a');
      const newer = await w.client('a');
      await older.refused(0x8e);
      await newer.quiet();
    },
    mosquitto: 'sends no DISCONNECT',
  },
  {
    title: 'What follows a refused CONNECT is not processed',
    '3.1.1': '3.1.4-5',
    '5.0': '3.1.4-6',
    async run(w) {
      const good = w.options('a', { properties: { authMethod: 'none-such' } });
      const bad = w.version === 5 ? wire.connect(5, good) : wire.connect(4, { clientId: '', clean: false });
      const note = wire.publish(w.version, w.topic(), 'from the refused', { retain: true });
      const raw = w.open().send(bad, note, wire.pingreq);
      await raw.rejected(w.version === 5 ? [0x8c, 0x87] : [2]);
      const reader = await w.client('b');
      await reader.subscribe(w.topic());
      await reader.quiet();
    },
  },
  {
    title: 'What follows CONNECT before the CONNACK is processed after it',
    '3.1.1': '',
    '5.0': '',
    async run(w) {
      const raw = w.open();
      const filters = [{ filter: w.topic(), qos: 1 }];
      raw.send(wire.connect(w.version, w.options('a')), wire.subscribe(w.version, 7, filters), wire.pingreq);
      await raw.expect('connack');
      await raw.expect('suback', { id: 7, codes: [1] });
      await raw.expect('pingresp');
    },
  },
];
