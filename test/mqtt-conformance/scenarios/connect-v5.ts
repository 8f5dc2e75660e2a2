import assert from 'node:assert/strict';
import { text, u16, variable } from '../support/properties.js';
import type { Scenario, World } from '../support/scenario.js';
import * as wire from '../support/wire.js';

function withProperties(clientId: string, properties: string): Buffer {
  const bytes = wire.hex(properties);
  const head = [text('MQTT'), Buffer.from([5, 2]), u16(0)];
  return wire.packet(0x10, ...head, variable(bytes.length), bytes, text(clientId));
}

/** Properties that CONNECT may not carry so: hex, and the codes that a CONNACK may say. */
const wrong: readonly (readonly [what: string, properties: string])[] = [
  ['session expiry twice', '1100000001 1100000001'],
  ['receive maximum twice', '210001 210001'],
  ['receive maximum 0', '210000'],
  ['maximum packet size twice', '2700000100 2700000100'],
  ['maximum packet size 0', '2700000000'],
  ['topic alias maximum twice', '220001 220001'],
  ['request response information twice', '1901 1901'],
  ['request response information 2', '1902'],
  ['request problem information twice', '1701 1701'],
  ['request problem information 2', '1702'],
  ['authentication method twice', '15000161 15000161'],
  ['authentication data without a method', '16000161'],
  ['a payload format, which is for PUBLISH', '0101'],
  ['a topic alias, which is for PUBLISH', '230001'],
  ['a will delay outside the will', '1800000001'],
  ['an assigned client identifier, which is for CONNACK', '12000161'],
  ['a maximum QoS, which is for CONNACK', '2401'],
  ['a subscription identifier, which is for SUBSCRIBE', '0b01'],
  ['an identifier that does not exist', '7f01'],
  ['an identifier of 0', '0001'],
  ['a property that is cut short', '110000'],
  ['a user property with ill-formed UTF-8', '260001ff000161'],
  ['a user property with U+0000', '2600016100020061'],
  ['a user property without its value', '26000161'],
];

async function refusesEach(w: World): Promise<void> {
  for (const [what, properties] of wrong) {
    const raw = w.open().send(withProperties(w.clientId('a'), properties));
    await raw.malformedConnect().catch((error: Error) => assert.fail(`${what}: ${error.message}`));
  }
}

export const connectingV5: readonly Scenario[] = [
  {
    title: 'CONNECT with a property twice, out of range or out of place is refused',
    '5.0': '1.5.4-1 1.5.4-2 1.5.7-1 3.1.4-1',
    run: refusesEach,
    mosquitto: 'accepts authentication data without a method',
  },
  {
    title: 'CONNECT whose property length does not fit is refused',
    '5.0': '2.2.2-1 3.1.4-1',
    async run(w) {
      for (const length of ['', '05', 'ffffff7f', '8080808001']) {
        const head = [text('MQTT'), Buffer.from([5, 2]), u16(0), wire.hex(length)];
        await w
          .open()
          .send(wire.packet(0x10, ...head))
          .malformedConnect();
      }
    },
  },
  {
    title: 'Will properties twice, out of range or out of place are refused',
    '5.0': '3.1.4-1',
    async run(w) {
      for (const properties of ['1800000001 1800000001', '0102', '0101 0101', '1100000001', '230001', '0b01']) {
        const bytes = wire.hex(properties);
        const head = [text('MQTT'), Buffer.from([5, 6]), u16(0), variable(0), text(w.clientId('a'))];
        const will = [variable(bytes.length), bytes, text('t'), text('p')];
        const raw = w.open().send(wire.packet(0x10, ...head, ...will));
        await raw.malformedConnect().catch((error: Error) => assert.fail(`${properties}: ${error.message}`));
      }
    },
    mosquitto: 'accepts a payload format of 2',
  },
  {
    title: 'Every property that CONNECT may carry is accepted',
    '5.0': '',
    async run(w) {
      const properties = {
        sessionExpiry: 5,
        receiveMaximum: 7,
        maximumPacketSize: 100_000,
        topicAliasMaximum: 3,
        requestResponse: 0,
        requestProblem: 1,
        user: [['a', '1'] as [string, string], ['a', '2'] as [string, string], ['', ''] as [string, string]],
      };
      await w.client('a', { properties });
    },
  },
  {
    title: 'An authentication method that the broker does not know is refused with 0x8C or 0x87',
    '5.0': '4.12.0-1 4.12.0-4 4.13.2-1',
    async run(w) {
      const properties = { authMethod: 'SCRAM-SHA-1', authData: '00' };
      await w
        .open()
        .send(wire.connect(5, w.options('a', { properties })))
        .rejected([0x8c, 0x87]);
    },
  },
  {
    title: 'Without an authentication method there is none in CONNACK, and no AUTH',
    '5.0': '4.12.0-6',
    async run(w) {
      const { properties } = await w.open().connect(w.options('a'));
      assert.equal(properties?.authMethod, undefined);
      assert.equal(properties?.authData, undefined);
    },
  },
  {
    title: 'AUTH on a connection without an authentication method is a protocol error',
    '5.0': '4.12.0-7 4.13.1-1',
    async run(w) {
      for (const auth of ['f000', 'f00119', 'f00118', 'f0021900', 'f0091907150004 6e6f6e65']) {
        await (await w.client('a')).send(auth).refused(0x82, 0x81, 0x8c);
      }
    },
    mosquitto: 'sends no DISCONNECT',
  },
  {
    title: 'Response information is not given to who did not ask',
    '5.0': '3.1.2-28',
    async run(w) {
      for (const properties of [{}, { requestResponse: 0 }]) {
        const connack = await w.open().connect(w.options('a', { properties }));
        assert.equal(connack.properties?.responseInformation, undefined);
      }
    },
  },
  {
    title: 'Who asks for no problem information gets no reason string and no user property',
    '5.0': '3.1.2-29',
    async run(w) {
      const client = await w.client('a', { properties: { requestProblem: 0 } });
      client.send(wire.unsubscribe(5, 1, w.topic('none')), wire.publish(5, w.topic('none'), 'x', { qos: 1, id: 2 }));
      client.send(wire.subscribe(5, 3, [{ filter: '$share/a+/b' }, { filter: w.topic() }]), wire.pubrel(9));
      for (const packet of [await client.next(), await client.next(), await client.next()]) {
        if (packet.type === 'disconnect') return;
        assert.equal(packet.properties?.reason, undefined);
        assert.equal(packet.properties?.user, undefined);
      }
    },
    mosquitto: 'ends the connection at an unknown PUBREL without a DISCONNECT',
  },
  {
    title: 'No packet is longer than the maximum packet size of the client, whatever it reports',
    '5.0':
      '3.1.2-24 3.2.2-19 3.2.2-20 3.4.2-2 3.4.2-3 3.5.2-2 3.5.2-3 3.6.2-2 3.6.2-3 3.7.2-2 3.7.2-3 3.9.2-1 3.9.2-2 3.11.2-1 3.11.2-2 3.14.2-3 3.14.2-4',
    async run(w) {
      const limit = 40;
      const client = await w.client('a', { properties: { maximumPacketSize: limit } });
      const none = w.topic('none');
      client.send(wire.publish(5, none, 'x', { qos: 1, id: 1 }), wire.publish(5, none, 'x', { qos: 2, id: 2 }));
      client.send(wire.pubrel(2), wire.pubrel(9), wire.pubrec(8), wire.unsubscribe(5, 3, none, none));
      client.send(wire.subscribe(5, 4, [{ filter: w.topic() }]), wire.hex('82 06 0005 00 0000 00'));
      await client.rest();
      assert.ok(Math.max(...client.sizes) <= limit, `packets of ${client.sizes} bytes`);
    },
  },
  {
    title: 'A keep alive over the maximum of the server is answered with Server Keep Alive, a shorter one is not',
    '5.0': '3.2.2-22',
    async run(w) {
      const long = await w.open().connect(w.options('a', { keepAlive: 5000 }));
      assert.equal(long.properties?.serverKeepAlive, 1000);
      const short = await w.open().connect(w.options('b', { keepAlive: 30 }));
      assert.equal(short.properties?.serverKeepAlive, undefined);
    },
  },
  {
    title: 'CONNACK names every limit of the server, and allows what the server does',
    '5.0': '3.2.2-9 3.2.2-10',
    async run(w) {
      const { properties = {} } = await w.open().connect(w.options('a'));
      assert.notEqual(properties.receiveMaximum, 0);
      assert.notEqual(properties.maximumPacketSize, 0);
      assert.equal(properties.maximumQos, undefined);
      for (const feature of [
        'retainAvailable',
        'wildcardAvailable',
        'subscriptionIdsAvailable',
        'sharedAvailable',
      ] as const) {
        assert.notEqual(properties[feature], 0);
      }
    },
  },
];
