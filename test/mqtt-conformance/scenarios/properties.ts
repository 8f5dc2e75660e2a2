import assert from 'node:assert/strict';
import { text, u16, variable } from '../support/properties.js';
import type { Scenario, World } from '../support/scenario.js';
import * as wire from '../support/wire.js';

const all = {
  payloadFormat: 1,
  contentType: 'text/plain; charset=utf-8',
  responseTopic: 'answers/here',
  correlation: '00ff00fe',
  user: [
    ['b', '1'],
    ['a', '2'],
    ['b', '1'],
    ['', ''],
    ['é', '😀'],
  ] as [string, string][],
};

/** Properties that PUBLISH may not carry so. */
const wrong: readonly (readonly [what: string, properties: string])[] = [
  ['payload format twice', '0100 0100'],
  ['payload format 2', '0102'],
  ['message expiry twice', '0200000001 0200000001'],
  ['content type twice', '03000161 03000161'],
  ['content type of ill-formed UTF-8', '030001ff'],
  ['response topic twice', '08000161 08000161'],
  ['response topic with a wildcard', '080003612f23'],
  ['response topic with +', '080003612f2b'],
  ['response topic of ill-formed UTF-8', '08000280af'],
  ['response topic with U+0000', '08000100'],
  ['correlation data twice', '09000161 09000161'],
  ['a subscription identifier, which is for the server', '0b01'],
  ['topic alias twice', '230001 230001'],
  ['a session expiry, which is for CONNECT', '1100000001'],
  ['a reason string, which is for acknowledgements', '1f000161'],
  ['a user property with ill-formed UTF-8', '260001ff000161'],
  ['a user property with U+0000', '260001000001 61'],
  ['an identifier that does not exist', '6301'],
  ['a property that is cut short', '0200'],
];

/** Packets with properties that are wrong for them, from their first byte on. */
const others: readonly (readonly [what: string, packet: string])[] = [
  ['PUBACK with a topic alias', '4007 0001 00 03 230001'],
  ['PUBACK with two reason strings', '400c 0001 00 08 1f000161 1f000161'],
  ['PUBREC with a payload format', '5006 0001 00 02 0101'],
  ['PUBREL with a session expiry', '6209 0001 00 05 1100000001'],
  ['PUBCOMP with a content type', '7008 0001 00 04 03000161'],
  ['SUBSCRIBE with a message expiry', '820c 0001 05 0200000001 0001 61 00'],
  ['SUBSCRIBE with subscription identifier 0', '8209 0001 02 0b00 0001 61 00'],
  ['SUBSCRIBE with two subscription identifiers', '820b 0001 04 0b010b02 0001 61 00'],
  ['SUBSCRIBE with a reason string', '820b 0001 04 1f000161 0001 61 00'],
  ['UNSUBSCRIBE with a subscription identifier', 'a208 0001 02 0b01 0001 61'],
  ['DISCONNECT with a receive maximum', 'e005 00 03 210001'],
  ['DISCONNECT with two session expiries', 'e00c 00 0a 1100000000 1100000000'],
];

async function refusesEach(w: World, rows: readonly (readonly [string, Buffer])[]): Promise<void> {
  for (const [what, packet] of rows) {
    const client = await w.client('a');
    await client
      .send(packet)
      .refused(0x81, 0x82, 0x90)
      .catch((error: Error) => assert.fail(`${what}: ${error.message}`));
  }
}

/** The properties of PUBLISH and of every other packet of 5.0: sections 2.2.2 and 3.3.2.3. */
export const properties: readonly Scenario[] = [
  {
    title:
      'Payload format, content type, response topic, correlation data and user properties arrive as they were sent',
    '5.0': '3.3.2-4 3.3.2-15 3.3.2-16 3.3.2-17 3.3.2-18 3.3.2-20',
    async run(w) {
      const [subscriber, publisher] = await w.pair(w.topic(), 2);
      for (const qos of [0, 1, 2]) {
        await publisher.publish(w.topic(), 'x', { qos, properties: all });
        await subscriber.receive({ payload: 'x', properties: all });
      }
    },
  },
  {
    title: 'A payload format of 0 and empty texts arrive as they were sent',
    '5.0': '3.3.2-4 3.3.2-16 3.3.2-20',
    async run(w) {
      const empty = { payloadFormat: 0, contentType: '', correlation: '' };
      const [subscriber, publisher] = await w.pair(w.topic());
      await publisher.publish(w.topic(), 'x', { properties: empty });
      await subscriber.receive({ payload: 'x', properties: empty });
    },
    mosquitto: 'leaves an empty correlation out',
  },
  {
    title: 'A subscriber of 3.1.1 receives messages of 5.0 without their properties, and the other way around',
    '5.0': '',
    '3.1.1': '',
    async run(w) {
      const other = w.version === 5 ? 4 : 5;
      const [subscriber] = await w.pair(w.topic(), 1);
      const publisher = await w.client('other', { version: other });
      await publisher.publish(w.topic(), 'x', { qos: 1, properties: all });
      await subscriber.receive({ payload: 'x', properties: w.version === 5 ? {} : undefined } as Partial<wire.Packet>);
    },
  },
  {
    title: 'PUBLISH with a property twice, out of range or out of place ends the connection',
    '5.0': '1.5.4-1 1.5.4-2 1.5.7-1 3.3.2-13 3.3.2-14 3.3.2-19 3.3.4-6 4.13.1-1',
    run: (w) =>
      refusesEach(
        w,
        wrong.map(([what, digits]) => {
          const bytes = wire.hex(digits);
          return [what, wire.packet(0x30, text(w.topic()), variable(bytes.length), bytes, 'x')] as const;
        }),
      ),
    mosquitto: 'accepts a payload format of 2, and sends no DISCONNECT at some others',
  },
  {
    title: 'Any other packet with a property twice, out of range or out of place ends the connection',
    '5.0': '4.13.1-1',
    run: (w) =>
      refusesEach(
        w,
        others.map(([what, digits]) => [what, wire.hex(digits)] as const),
      ),
    mosquitto: 'sends no DISCONNECT at some of these',
  },
  {
    title: 'A property length that does not fit its packet ends the connection',
    '5.0': '2.2.2-1 1.5.5-1 4.13.1-1',
    async run(w) {
      for (const length of ['09', 'ff01', '80808080 01']) {
        const packet = wire.packet(0x32, text(w.topic()), u16(1), wire.hex(length), 'x');
        await (await w.client('a')).send(packet).refused(0x81, 0x82);
      }
    },
  },
  {
    title: 'A message expiry interval is passed on less the whole seconds that the message waited',
    '5.0': '3.3.2-6',
    async run(w) {
      const [subscriber, publisher] = await w.pair(w.topic(), 1, { kept: true });
      await publisher.publish(w.topic(), 'at once', { qos: 1, properties: { messageExpiry: 60 } });
      await subscriber.receive({ payload: 'at once', properties: { messageExpiry: 60 } });
      await subscriber.disconnect();
      await publisher.publish(w.topic(), 'waited', { qos: 1, properties: { messageExpiry: 60 } });
      await publisher.publish(w.topic('kept'), 'retained', { retain: true, properties: { messageExpiry: 60 } });
      await (await w.client('clock', { keepAlive: 1 })).rest();
      const again = await w.client('sub', { kept: true });
      const waited = await again.receive({ payload: 'waited' });
      await again.subscribe(w.topic('kept'));
      const kept = await again.receive({ payload: 'retained', retain: true });
      for (const { properties: found } of [waited, kept]) {
        const expiry = found?.messageExpiry ?? 0;
        assert.ok(expiry < 60 && expiry >= 40, `an expiry of ${expiry}`);
      }
    },
  },
  {
    title: 'A message whose expiry has passed is not sent, queued or retained; without one it is',
    '5.0': '3.3.2-5',
    async run(w) {
      const [subscriber, publisher] = await w.pair(w.topic(), 2, { kept: true });
      await subscriber.disconnect();
      for (const qos of [1, 2]) {
        await publisher.publish(w.topic(), 'short', { qos, properties: { messageExpiry: 1 } });
        await publisher.publish(w.topic(), 'long', { qos });
      }
      await publisher.publish(w.topic('kept'), 'gone', { retain: true, properties: { messageExpiry: 1 } });
      await (await w.client('clock', { keepAlive: 1 })).rest();
      const again = await w.client('sub', { kept: true });
      assert.deepEqual(await again.payloads(2), ['long', 'long']);
      await again.subscribe(w.topic('kept'));
      await again.quiet();
    },
  },
  {
    title: 'A QoS 2 exchange that has begun goes on though its message expires',
    '5.0': '4.3.3-7 4.3.3-13',
    async run(w) {
      const [subscriber, publisher] = await w.pair(w.topic(), 2, { kept: true });
      await publisher.publish(w.topic(), 'x', { qos: 2, properties: { messageExpiry: 1 } });
      const { id = 0 } = await subscriber.expect('publish');
      publisher.send(wire.publish(5, w.topic('none'), 'y', { qos: 2, id: 700, properties: { messageExpiry: 1 } }));
      await publisher.expect('pubrec', { id: 700 });
      subscriber.cut();
      await (await w.client('clock', { keepAlive: 1 })).rest();
      await publisher.send(wire.pubrel(700)).expect('pubcomp', { id: 700, codes: [0] });
      const again = await w.client('sub', { kept: true });
      await again.expect('publish', { id, payload: 'x', dup: true });
      await again.send(wire.pubrec(id)).expect('pubrel', { id });
      await again.send(wire.pubcomp(id)).quiet();
    },
    mosquitto: 'drops it',
  },
];
