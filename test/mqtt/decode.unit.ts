import assert from 'node:assert/strict';
import fc from 'fast-check';
import { generate, type Packet } from 'mqtt-packet';
import t from 'tap';
import { checkFirst, decode } from '../../src/protocols/mqtt/decode.js';
import type { Version } from '../../src/protocols/mqtt/packets.js';

function parse(digits: string, version: Version | null): ReturnType<typeof decode> {
  const bytes = Buffer.from(digits.replaceAll(' ', ''), 'hex');
  // Every packet here is shorter than 128 bytes: its length is one byte.
  return decode(bytes, 0, 2, bytes.length, version);
}

/** Where the fixed header of a packet ends. */
function bodyOf(bytes: Buffer): number {
  return bytes.findIndex((byte, i) => i > 0 && byte < 0x80) + 1;
}

function hex(text: string): string {
  return Buffer.from(text).toString('hex');
}

function packet(first: string, body: string): string {
  const digits = body.replaceAll(' ', '');
  return first + (digits.length / 2).toString(16).padStart(2, '0') + digits;
}

const mqtt = `0004 ${hex('MQTT')}`;

t.test('CONNECT is read in each version', async (t) => {
  const parsed = parse(packet('10', `${mqtt} 04 c2 003c 0001 61 0001 75 0002 7077`), null);
  t.match(parsed, { cmd: 'connect', version: 4, clean: true, keepAliveS: 60, clientId: 'a', username: 'u' });
  t.match(parsed, { password: Buffer.from('pw'), will: null, sessionExpiryS: null });
  t.match(parse(packet('10', `0006 ${hex('MQIsdp')} 03 03 0000 0001 61`), null), { cmd: 'connect', version: 3 });
  const five = `${mqtt} 05 2c 0000 08 11 ffffffff 21 0005 0001 61 0c 18 00000007 26 0001 6b 0001 76 0001 77 0001 21`;
  t.match(parse(packet('10', five), null), {
    version: 5,
    clean: false,
    sessionExpiryS: Number.POSITIVE_INFINITY,
    receiveMaximum: 5,
    will: { topic: 'w', qos: 1, retain: true, delayS: 7, properties: Buffer.from('2600016b000176', 'hex') },
  });
});

t.test('A CONNECT that breaks the standard is refused, in 5.0 with the reason', async (t) => {
  const table: readonly (readonly [what: string, body: string, reason: number, silent: boolean])[] = [
    ['another protocol', `0004 ${hex('MQTU')} 04 02 0000 0001 61`, 0x81, true],
    ['an unknown version', `${mqtt} 06 02 0000 0001 61`, 0x84, false],
    ['the reserved flag', `${mqtt} 04 03 0000 0001 61`, 0x81, true],
    ['a will QoS without a will', `${mqtt} 04 0a 0000 0001 61`, 0x81, true],
    ['will QoS 3', `${mqtt} 05 1e 0000 00 0001 61 00 0001 77 0001 77`, 0x81, false],
    ['a password without a user name', `${mqtt} 04 42 0000 0001 61 0001 70`, 0x81, true],
    ['a missing field', `${mqtt} 05 82 0000 00 0001 61`, 0x81, true],
    ['more than its fields', `${mqtt} 05 02 0000 00 0001 61 00`, 0x81, false],
    ['a will without a payload', `${mqtt} 05 06 0000 00 0001 61 00 0001 77`, 0x81, true],
    ['a will topic with a wildcard', `${mqtt} 05 06 0000 00 0001 61 00 0001 23 0000`, 0x81, true],
    ['an empty will topic', `${mqtt} 05 06 0000 00 0001 61 00 0000 0001 77`, 0x82, false],
    ['a client id with U+0000', `${mqtt} 05 02 0000 00 0001 00`, 0x85, false],
    ['a receive maximum of 0', `${mqtt} 05 02 0000 03 21 0000 0001 61`, 0x82, false],
    ['a property twice', `${mqtt} 05 02 0000 06 21 0001 21 0001 0001 61`, 0x82, false],
    ['a property of other packets', `${mqtt} 05 02 0000 03 23 0001 0001 61`, 0x82, false],
    ['an unknown property', `${mqtt} 05 02 0000 02 04 01 0001 61`, 0x81, false],
    ['authentication data without a method', `${mqtt} 05 02 0000 04 16 0001 64 0001 61`, 0x82, false],
  ];
  for (const [what, body, reason, silent] of table) {
    t.strictSame(parse(packet('10', body), null), { cmd: 'refused', reason, silent }, what);
  }
});

t.test('PUBLISH is read with the properties that are passed on, as they came', async (t) => {
  const properties = '26 0001 62 0001 31 02 0000003c 26 0001 61 0001 32 23 0003 26 0001 62 0001 33';
  const size = (properties.replaceAll(' ', '').length / 2).toString(16);
  t.match(parse(packet('3d', `0001 74 0009 ${size} ${properties} 6869`), 5), {
    cmd: 'publish',
    topic: 't',
    qos: 2,
    dup: true,
    retain: true,
    id: 9,
    alias: 3,
    expiryS: 60,
    payload: Buffer.from('hi'),
    properties: Buffer.from('26000162000131 26000161000132 26000162000133'.replaceAll(' ', ''), 'hex'),
  });
});

t.test('Packets that break the standard are refused with the reason', async (t) => {
  const table: readonly (readonly [what: string, first: string, body: string, version: Version, reason: number])[] = [
    ['QoS 3', '36', '0001 74 0001', 4, 0x81],
    ['DUP at QoS 0', '38', '0001 74', 4, 0x81],
    ['a packet identifier of 0', '32', '0001 74 0000', 4, 0x82],
    ['a topic with a wildcard', '30', '0001 23', 4, 0x81],
    ['a topic that is no UTF-8', '30', '0003 eda080', 4, 0x81],
    ['a topic alias of 0', '30', '0001 74 03 23 0000', 5, 0x94],
    ['a payload format of 2', '30', '0001 74 02 01 02', 5, 0x82],
    ['a subscription identifier in PUBLISH', '30', '0001 74 02 0b 01', 5, 0x82],
    ['a response topic with a wildcard', '30', '0001 74 04 08 0001 2b', 5, 0x82],
    ['a property length beyond the packet', '30', '0001 74 05 01', 5, 0x81],
    ['a property length longer than it need be', '30', '0001 74 8000', 5, 0x81],
    ['SUBSCRIBE without a filter', '82', '0001', 4, 0x81],
    ['SUBSCRIBE with reserved options', '82', '0001 0001 74 04', 4, 0x81],
    ['SUBSCRIBE with reserved flags', '80', '0001 0001 74 00', 4, 0x81],
    ['a filter with # in its middle', '82', '0001 0003 232f61 00', 4, 0x81],
    ['a share without a filter', '82', `0001 0009 ${hex('$share/g/')} 00`, 4, 0x82],
    ['no local on a share', '82', `0001 00 000a ${hex('$share/g/t')} 04`, 5, 0x82],
    ['a subscription identifier of 0', '82', '0001 02 0b 00 0001 74 00', 5, 0x81],
    ['UNSUBSCRIBE without a filter', 'a2', '0001', 4, 0x81],
    ['PUBACK with an unknown reason', '40', '0001 ff', 5, 0x82],
    ['PUBACK that is too long', '40', '0001 00', 4, 0x81],
    ['PUBREL with other flags', '60', '0001', 4, 0x81],
    ['PINGREQ with a body', 'c0', '00', 4, 0x81],
    ['DISCONNECT with a property twice', 'e0', '00 08 1f 0001 61 1f 0001 61', 5, 0x82],
    ['a second CONNECT', '10', `${mqtt} 04 02 0000 0001 61`, 4, 0x82],
    ['AUTH', 'f0', '00', 5, 0x82],
    ['what only servers send', '20', '0000', 4, 0x82],
    ['PINGRESP', 'd0', '', 5, 0x82],
    ['PINGRESP with a body', 'd0', '00', 5, 0x81],
  ];
  for (const [what, first, body, version, reason] of table) {
    t.match(parse(packet(first, body), version), { cmd: 'refused', reason }, what);
  }
});

t.test('A topic or filter of more than 200 separators is malformed', async (t) => {
  const read = (packet: Packet) => {
    const bytes = generate(packet, { protocolVersion: 4 });
    return decode(bytes, 0, bodyOf(bytes), bytes.length, 4);
  };
  for (const topic of ['/'.repeat(200), `${'abc/'.repeat(199)}d`]) {
    t.match(read({ cmd: 'publish', topic, payload: '', qos: 0, dup: false, retain: false }), { topic });
    t.match(read({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic, qos: 0 }] }), { cmd: 'subscribe' });
  }
  for (const topic of ['/'.repeat(201), `${'abc/'.repeat(201)}d`, '/'.repeat(65_535)]) {
    const refused = { cmd: 'refused', reason: 0x81 };
    t.match(read({ cmd: 'publish', topic, payload: '', qos: 0, dup: false, retain: false }), refused);
    t.match(read({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic, qos: 0 }] }), refused);
    t.match(read({ cmd: 'unsubscribe', messageId: 1, unsubscriptions: [topic] }), refused);
  }
});

t.test('Flags of packets that only servers send are malformed; a CONNACK is refused for what it is', async (t) => {
  for (const first of [0x91, 0xb4, 0xd8]) t.equal(checkFirst(first, 5), 0x81);
  for (const first of [0x21, 0x90, 0xb0, 0xd0]) t.equal(checkFirst(first, 5), 0);
});

t.test('SUBSCRIBE, UNSUBSCRIBE, PUBREC, PINGREQ and DISCONNECT are read', async (t) => {
  t.match(parse(packet('82', '0005 02 0b 07 0001 74 2e'), 5), {
    cmd: 'subscribe',
    id: 5,
    identifier: 7,
    wanted: [{ filter: 't', qos: 2, noLocal: true, retainAsPublished: true, retainHandling: 2 }],
  });
  t.match(parse(packet('8a', '0005 0001 74 01'), 3), { cmd: 'subscribe', wanted: [{ filter: 't', qos: 1 }] });
  t.match(parse(packet('a2', '0005 0001 74 0001 75'), 4), { cmd: 'unsubscribe', filters: ['t', 'u'] });
  t.match(parse(packet('50', '0005 97'), 5), { cmd: 'pubrec', id: 5, reason: 0x97 });
  t.match(parse(packet('c0', ''), 4), { cmd: 'pingreq' });
  t.match(parse(packet('e0', '04 05 11 0000000a'), 5), { cmd: 'disconnect', reason: 4, sessionExpiryS: 10 });
});

const word = fc.stringMatching(/^[a-z0-9 äß€😀/]{1,12}$/u);
const second = fc.nat({ max: 0xfffffffe });
const connects = fc.record({
  version: fc.constantFrom(3 as const, 4 as const, 5 as const),
  clientId: word,
  clean: fc.boolean(),
  keepAliveS: fc.nat({ max: 0xffff }),
  username: fc.option(word),
  password: fc.option(word),
  sessionExpiryS: second,
  receiveMaximum: fc.integer({ min: 1, max: 0xffff }),
  will: fc.option(
    fc.record({
      topic: word,
      payload: word,
      qos: fc.constantFrom(0 as const, 1 as const, 2 as const),
      retain: fc.boolean(),
      delayS: second,
    }),
  ),
});

t.test('CONNECT is read as an independent codec wrote it', async () => {
  fc.assert(
    fc.property(connects, ({ version, clientId, clean, keepAliveS, username, will, ...more }) => {
      const isFive = version === 5;
      // mqtt-packet writes no password alone.
      const password = username === null ? null : more.password;
      const bytes = generate(
        {
          cmd: 'connect',
          protocolId: version === 3 ? 'MQIsdp' : 'MQTT',
          protocolVersion: version,
          clientId,
          clean,
          keepalive: keepAliveS,
          ...(username === null ? {} : { username }),
          ...(password === null ? {} : { password: Buffer.from(password) }),
          ...(isFive
            ? { properties: { sessionExpiryInterval: more.sessionExpiryS, receiveMaximum: more.receiveMaximum } }
            : {}),
          ...(will
            ? {
                will: {
                  topic: will.topic,
                  payload: Buffer.from(will.payload),
                  qos: will.qos,
                  retain: will.retain,
                  ...(isFive ? { properties: { willDelayInterval: will.delayS, contentType: 't' } } : {}),
                },
              }
            : {}),
        },
        { protocolVersion: version },
      );
      assert.deepStrictEqual(decode(bytes, 0, bodyOf(bytes), bytes.length, null), {
        cmd: 'connect',
        version,
        clean,
        keepAliveS,
        clientId,
        username,
        password: password === null ? null : Buffer.from(password),
        will: will && {
          topic: will.topic,
          payload: Buffer.from(will.payload),
          qos: will.qos,
          retain: will.retain,
          properties: isFive ? Buffer.from('03000174', 'hex') : Buffer.alloc(0),
          expiryS: null,
          delayS: isFive ? will.delayS : 0,
        },
        sessionExpiryS: isFive ? more.sessionExpiryS : null,
        receiveMaximum: isFive ? more.receiveMaximum : 65_535,
        maximumPacketSize: Number.POSITIVE_INFINITY,
        topicAliasMaximum: 0,
        requestResponse: false,
        requestProblem: true,
        authenticationMethod: null,
      });
    }),
    { seed: 11, numRuns: 300 },
  );
});

const subscribes = fc.record({
  version: fc.constantFrom(3 as const, 4 as const, 5 as const),
  messageId: fc.integer({ min: 1, max: 0xffff }),
  identifier: fc.integer({ min: 1, max: 268_435_455 }),
  wanted: fc.array(
    fc.record({
      topic: word,
      qos: fc.constantFrom(0 as const, 1 as const, 2 as const),
      nl: fc.boolean(),
      rap: fc.boolean(),
      rh: fc.constantFrom(0, 1, 2),
    }),
    { minLength: 1, maxLength: 5 },
  ),
});

t.test('SUBSCRIBE and UNSUBSCRIBE are read as an independent codec wrote them', async () => {
  fc.assert(
    fc.property(subscribes, ({ version, messageId, identifier, wanted }) => {
      const isFive = version === 5;
      const read = (packet: Packet) => {
        const bytes = generate(packet, { protocolVersion: version });
        return decode(bytes, 0, bodyOf(bytes), bytes.length, version);
      };
      const subscriptions = wanted.map(({ topic, qos, nl, rap, rh }) =>
        isFive ? { topic, qos, nl, rap, rh: rh as 0 | 1 | 2 } : { topic, qos },
      );
      const properties = isFive ? { properties: { subscriptionIdentifier: identifier } } : {};
      assert.deepStrictEqual(read({ cmd: 'subscribe', messageId, subscriptions, ...properties }), {
        cmd: 'subscribe',
        id: messageId,
        identifier: isFive ? identifier : 0,
        wanted: wanted.map(({ topic, qos, nl, rap, rh }) => ({
          filter: topic,
          qos,
          noLocal: isFive && nl,
          retainAsPublished: isFive && rap,
          retainHandling: isFive ? rh : 0,
        })),
      });
      const filters = wanted.map(({ topic }) => topic);
      assert.deepStrictEqual(read({ cmd: 'unsubscribe', messageId, unsubscriptions: filters }), {
        cmd: 'unsubscribe',
        id: messageId,
        filters,
      });
    }),
    { seed: 11, numRuns: 300 },
  );
});

t.test('A topic that comes again is recognized, and one that only looks alike is not', async (t) => {
  const topics = ['t', 'a/b', 'a/bc', 'a/c', 'é', 'Ã©', 'a/é', `a/${'b'.repeat(300)}`, `a/${'b'.repeat(44)}`];
  for (const known of topics) {
    for (const topic of topics) {
      const bytes = generate({ cmd: 'publish', topic, payload: 'x', qos: 0, dup: false, retain: false });
      const decoded = decode(bytes, 0, bodyOf(bytes), bytes.length, 4, known);
      t.match(decoded, { cmd: 'publish', topic, payload: Buffer.from('x') }, `${topic} after ${known}`);
    }
  }
  const cut = Buffer.from(`3003 0003 ${hex('a')}`.replaceAll(' ', ''), 'hex');
  t.match(decode(cut, 0, 2, cut.length, 4, 'a/b'), { cmd: 'refused', reason: 0x81 });
  const wild = Buffer.from(`3003 0001 ${hex('#')}`.replaceAll(' ', ''), 'hex');
  t.match(decode(wild, 0, 2, wild.length, 4, 'a'), { cmd: 'refused', reason: 0x81 });
});
