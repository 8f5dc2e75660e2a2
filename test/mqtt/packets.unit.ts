/**
 * Packets as bytes, and the bytes of the answer: every property of 5.0 in every packet that a client sends, good, twice,
 * cut short and out of place; every flag, reason code and length. On the state machine alone, without a network.
 */
import t from 'tap';
import type { Version } from '../../src/protocols/mqtt/packets.js';
import { testMachine } from './support/broker.js';
import { TestDevice, turn } from './support/device.js';

const mqtt = { receiveMaximum: 20, topicAliasMaximum: 10, maxPacketBytes: 2_000_000 };
const connack5 = '200e00000b22000a27001e8480210014';
const s = (text: string) =>
  Buffer.from([text.length >> 8, text.length]).toString('hex') + Buffer.from(text).toString('hex');

function varint(value: number): string {
  let rest = value;
  let digits = '';
  do {
    const low = rest % 128;
    rest = Math.floor(rest / 128);
    digits += (rest > 0 ? low | 0x80 : low).toString(16).padStart(2, '0');
  } while (rest > 0);
  return digits;
}

/** A packet: first byte, length, and a body in hexadecimal digits. */
function packet(first: number, body: string): string {
  const digits = body.replaceAll(' ', '');
  return first.toString(16).padStart(2, '0') + varint(digits.length / 2) + digits;
}

const sized = (properties: string) => varint(properties.length / 2) + properties;

/** A good value of each property. */
const values: ReadonlyMap<number, string> = new Map([
  [0x01, '00'],
  [0x02, '00000001'],
  [0x03, s('p')],
  [0x08, s('p')],
  [0x09, s('p')],
  [0x0b, '01'],
  [0x11, '00000000'],
  [0x12, s('p')],
  [0x13, '0005'],
  [0x15, s('p')],
  [0x16, s('p')],
  [0x17, '00'],
  [0x18, '00000001'],
  [0x19, '01'],
  [0x1a, s('p')],
  [0x1c, s('p')],
  [0x1f, s('p')],
  [0x21, '0005'],
  [0x22, '0005'],
  [0x23, '0005'],
  [0x24, '00'],
  [0x25, '00'],
  [0x26, s('p') + s('q')],
  [0x27, '00001000'],
  [0x28, '00'],
  [0x29, '00'],
  [0x2a, '00'],
]);
const application = [0x01, 0x02, 0x03, 0x08, 0x09, 0x26];

interface Kind {
  readonly name: string;
  /** Properties that the packet may carry. */
  readonly allowed: readonly number[];
  readonly build: (properties: string) => string;
  /** What a good packet is answered; null: the connection ends. */
  readonly answer: string | null;
  /** The reason code where a property is out of place. */
  readonly misplaced: number;
}

function acknowledgement(name: string, first: number, answer: string): Kind {
  const build = (properties: string) => packet(first, `000100${sized(properties)}`);
  return { name, allowed: [0x1f, 0x26], build, answer, misplaced: 0x82 };
}

const kinds: readonly Kind[] = [
  {
    name: 'CONNECT',
    allowed: [0x11, 0x15, 0x16, 0x17, 0x19, 0x21, 0x22, 0x26, 0x27],
    build: (properties) => packet(0x10, `${s('MQTT')}0502000a${sized(properties)}${s('p')}`),
    answer: connack5,
    misplaced: 0x82,
  },
  {
    name: 'a will',
    allowed: [...application, 0x18],
    build: (properties) => packet(0x10, `${s('MQTT')}0506000a00${s('p')}${sized(properties)}${s('p')}${s('p')}`),
    answer: connack5,
    misplaced: 0x82,
  },
  {
    name: 'PUBLISH',
    allowed: [...application, 0x23],
    build: (properties) => packet(0x32, `${s('topic')}1234${sized(properties)}70`),
    answer: '4003123410',
    misplaced: 0x82,
  },
  acknowledgement('PUBACK', 0x40, ''),
  acknowledgement('PUBREC', 0x50, '62020001'),
  acknowledgement('PUBREL', 0x62, '70020001'),
  acknowledgement('PUBCOMP', 0x70, ''),
  {
    name: 'SUBSCRIBE',
    allowed: [0x0b, 0x26],
    build: (properties) => packet(0x82, `0001${sized(properties)}${s('p')}00`),
    answer: '900400010000',
    misplaced: 0x81,
  },
  {
    name: 'UNSUBSCRIBE',
    allowed: [0x26],
    build: (properties) => packet(0xa2, `0001${sized(properties)}${s('p')}`),
    answer: 'b00400010011',
    misplaced: 0x81,
  },
  {
    name: 'DISCONNECT',
    allowed: [0x11, 0x1c, 0x1f, 0x26],
    build: (properties) => packet(0xe0, `00${sized(properties)}`),
    answer: null,
    misplaced: 0x82,
  },
];

interface Sequence {
  readonly what: string;
  readonly sent: string;
  /** Every byte of the answer. */
  readonly answer: string;
  readonly ends: boolean;
  /** The version of the CONNECT that goes before; null: none does. */
  readonly version: Version | null;
}

const hex = (value: number) => value.toString(16).padStart(2, '0');

function good(kind: Kind, what: string, properties: string): Sequence {
  const version = kind.answer === connack5 ? null : 5;
  const sent = kind.build(properties);
  return { what: `${kind.name} with ${what}`, sent, answer: kind.answer ?? '', ends: kind.answer === null, version };
}

function bad(kind: Kind, what: string, properties: string, reason: number): Sequence {
  const isConnect = kind.answer === connack5;
  const answer = isConnect ? `200300${hex(reason)}00` : `e001${hex(reason)}`;
  const sent = kind.build(properties);
  return { what: `${kind.name} with ${what}`, sent, answer, ends: true, version: isConnect ? null : 5 };
}

function ofProperty(kind: Kind, id: number, value: string): Sequence[] {
  const name = `property 0x${hex(id)}`;
  const one = hex(id) + value;
  const cut = bad(kind, `${name} cut short`, hex(id), 0x81);
  if (!kind.allowed.includes(id)) {
    return [bad(kind, `${name}, which is not its own`, one, kind.misplaced), ...(kind.misplaced === 0x82 ? [cut] : [])];
  }
  const twice =
    id === 0x26 ? good(kind, 'two user properties', one + one) : bad(kind, `${name} twice`, one + one, 0x82);
  if (id === 0x15 && kind.name === 'CONNECT') return [bad(kind, name, one, 0x8c), twice, cut];
  if (id === 0x16) return [bad(kind, name, one, 0x82), twice, cut];
  return [good(kind, name, one), twice, cut];
}

/** Identifiers that no property has, some of them of more than one byte. */
const unknown = '00 04 05 06 07 0a 0c 0d 0e 0f 10 14 1b 1d 1e 20 2b 7f 8000 8001 ff7f 808001 ffffff7f 8080808001'.split(
  ' ',
);

const properties = kinds.flatMap((kind) => [
  ...[...values].flatMap(([id, value]) => ofProperty(kind, id, value)),
  ...unknown.map((id) => bad(kind, `unknown property 0x${id}`, `${id}01`, 0x81)),
  bad(kind, 'a user property without a value', `26${s('p')}`, 0x81),
  good(kind, 'a user property without a name', `26${s('')}${s('p')}`),
  good(kind, 'a user property with an empty value', `26${s('p')}${s('')}`),
  good(kind, 'an empty user property', `26${s('')}${s('')}`),
]);

const [connect, will, publish] = kinds as [Kind, Kind, Kind];
const subscribe = kinds.find(({ name }) => name === 'SUBSCRIBE') as Kind;
const limits: readonly Sequence[] = [
  ...[publish, will].flatMap((kind) => [
    good(kind, 'payload format 1', '0101'),
    bad(kind, 'payload format 2', '0102', 0x82),
    bad(kind, 'an empty response topic', `08${s('')}`, 0x82),
    bad(kind, 'a wildcard as response topic', `08${s('#')}`, 0x82),
    good(kind, 'an empty content type', `03${s('')}`),
    good(kind, 'empty correlation data', `09${s('')}`),
  ]),
  good(publish, 'an expiry of 0', '0200000000'),
  good(publish, 'the highest alias', '23000a'),
  bad(publish, 'alias 0', '230000', 0x94),
  bad(publish, 'an alias above the highest', '23000b', 0x94),
  bad(publish, 'a subscription identifier that is longer than it need be', '0b8000', 0x81),
  bad(publish, 'a subscription identifier of five bytes', '0b8080808001', 0x81),
  bad(connect, 'receive maximum 0', '210000', 0x82),
  bad(connect, 'maximum packet size 0', '2700000000', 0x82),
  bad(connect, 'request problem information 2', '1702', 0x82),
  bad(connect, 'request response information 2', '1902', 0x82),
  good(connect, 'an alias maximum of 0', '220000'),
  good(connect, 'no end of its session', '11ffffffff'),
  ...['7f', '8001', 'ff7f', '808001', 'ffff7f', '80808001', 'ffffff7f'].map((id) =>
    good(subscribe, `identifier 0x${id}`, `0b${id}`),
  ),
  ...['00', '8000', '8080808001'].map((id) => bad(subscribe, `identifier 0x${id}`, `0b${id}`, 0x81)),
];

/** Of each version: what is sent after CONNECT, and what 5.0 says of it before the end; 3.1.1 ends in silence. */
function sequences(version: Version): Sequence[] {
  const none = version === 5 ? '00' : '';
  const ends = (what: string, sent: string, reason: number | null): Sequence => {
    const answer = version === 5 && reason !== null ? `e001${hex(reason)}` : '';
    return { what, sent, answer, ends: true, version };
  };
  const flagged = (type: number, own: number, body: string, reason: number) =>
    [1, 2, 3, 4, 6, 8, 10, 15]
      .filter((flags) => flags !== own)
      .map((flags) => ends(`type ${type}, flags ${flags}`, packet((type << 4) | flags, body), reason));
  const acks = [0x40, 0x50, 0x62, 0x70].flatMap((first) => [
    ends(`0x${hex(first)} with packet identifier 0`, packet(first, '0000'), 0x82),
    ends(`0x${hex(first)} without a packet identifier`, packet(first, ''), 0x81),
    ends(`0x${hex(first)} with half a packet identifier`, packet(first, '01'), 0x81),
    ends(`0x${hex(first)} that is too long`, packet(first, version === 5 ? '0001000000' : '000100'), 0x81),
  ]);
  const texts = ['746f700000', '746feda080', '746f700170', '746f701f70', '746f707f70', '746fc29f70'].flatMap((text) => [
    ends(`PUBLISH to 0x${text}`, packet(0x30, `0005${text}${none}70`), 0x81),
    ends(`SUBSCRIBE to 0x${text}`, packet(0x82, `00010005${none}${text}00`), 0x81),
    ends(`UNSUBSCRIBE from 0x${text}`, packet(0xa2, `0001${none}0005${text}`), 0x81),
  ]);
  const first = [0x00, 0x20, 0x30, 0x40, 0x50, 0x62, 0x70, 0x82, 0x90, 0xa2, 0xb0, 0xc0, 0xd0, 0xe0, 0xf0];
  return [
    ...flagged(0, -1, '', 0x82),
    ...flagged(2, -1, '0000', 0x82),
    ...[4, 5, 7].flatMap((type) => flagged(type, 0, '0001', 0x81)),
    ...flagged(6, 2, '0001', 0x81),
    ...flagged(8, 2, `0001${none}${s('p')}00`, 0x81),
    ...flagged(9, -1, '000100', 0x81),
    ...flagged(10, 2, `0001${none}${s('p')}`, 0x81),
    ...flagged(11, -1, '0001', 0x81),
    ...[12, 13, 14].flatMap((type) => flagged(type, 0, '', 0x81)),
    ...flagged(15, -1, '', 0x82),
    ...['20020000', '2000', '900101', '90030001ff', 'b0020001', 'd000', 'f000', '0000'].map((sent) =>
      ends(`${sent}, which no client sends`, sent, 0x82),
    ),
    ...acks,
    ...texts,
    ...first.map((byte) => ({ ...ends(`0x${hex(byte)} first`, packet(byte, '0001'), null), version: null })),
    ...first.map((byte) =>
      ends(`0x${hex(byte)} of five length bytes`, `${hex(byte)}8080808001`, byte === 0 ? 0x82 : null),
    ),
    ends('PINGREQ with a body', 'c00100', null),
    ends('DISCONNECT with a body', 'e00100', null),
    ends('a second CONNECT', packet(0x10, `${s('MQTT')}0402000a${s('p')}`), 0x82),
    ends('PUBLISH without a topic', packet(0x30, `0000${none}70`), 0x81),
    ends('PUBLISH with a wildcard', packet(0x30, `${s('a/+')}${none}70`), 0x81),
    ends('PUBLISH of QoS 3', packet(0x36, `${s('a')}0001${none}70`), 0x81),
    ends('PUBLISH of QoS 0 with DUP', packet(0x38, `${s('a')}${none}70`), 0x81),
    ends('PUBLISH of QoS 2 with packet identifier 0', packet(0x34, `${s('a')}0000${none}70`), 0x82),
    ends('SUBSCRIBE with packet identifier 0', packet(0x82, `0000${none}${s('p')}00`), 0x81),
    ends('SUBSCRIBE to nothing', packet(0x82, `0001${none}`), 0x81),
    ends('SUBSCRIBE to an empty filter', packet(0x82, `0001${none}${s('q')}00${s('')}00`), 0x81),
    ends('SUBSCRIBE without options', packet(0x82, `0001${none}${s('p')}`), 0x81),
    ends('SUBSCRIBE with QoS 3', packet(0x82, `0001${none}${s('p')}03`), 0x81),
    ends('SUBSCRIBE with reserved options', packet(0x82, `0001${none}${s('p')}c0`), 0x81),
    ends('SUBSCRIBE to a share with a wildcard in its name', packet(0x82, `0001${none}${s('$share/+/p')}00`), 0x82),
    ends('SUBSCRIBE to a share without a filter', packet(0x82, `0001${none}${s('$share/p/')}00`), 0x82),
    ends('UNSUBSCRIBE from nothing', packet(0xa2, `0001${none}`), 0x81),
    ends('UNSUBSCRIBE from an empty filter', packet(0xa2, `0001${none}${s('q')}${s('')}`), 0x81),
  ];
}

/** In 5.0: each reason code in each packet that a client sends one in. */
const reasons: readonly Sequence[] = Array.from({ length: 256 }, (_, code) => code).flatMap((code) => {
  const receipt = [0, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99].includes(code);
  const release = [0, 0x92].includes(code);
  const row = (first: number, valid: boolean, answer: string): Sequence => ({
    what: `0x${hex(first)} with reason 0x${hex(code)}`,
    sent: packet(first, `0001${hex(code)}`),
    answer: valid ? answer : 'e00182',
    ends: !valid,
    version: 5,
  });
  return [
    row(0x40, receipt, ''),
    row(0x50, receipt, code < 0x80 ? '62020001' : ''),
    row(0x62, release, '70020001'),
    row(0x70, release, ''),
    { what: `DISCONNECT with reason 0x${hex(code)}`, sent: `e001${hex(code)}`, answer: '', ends: true, version: 5 },
  ];
});

const prelude: Readonly<Record<Version, readonly [sent: string, answer: string]>> = {
  3: [packet(0x10, `${s('MQIsdp')}0302000a${s('p')}`), '20020000'],
  4: [packet(0x10, `${s('MQTT')}0402000a${s('p')}`), '20020000'],
  5: [packet(0x10, `${s('MQTT')}0502000a00${s('p')}`), connack5],
};

const table: readonly (readonly [title: string, rows: readonly Sequence[]])[] = [
  ['Every property of 5.0, good and bad, in every packet that has properties', [...properties, ...limits]],
  ['Every kind of malformed packet ends a connection of 3.1.1 in silence', sequences(4)],
  ['Every kind of malformed packet ends a connection of 5.0 with its reason', sequences(5)],
  ['Every reason code that a client may send is taken, any other ends the connection', reasons],
];

for (const [title, rows] of table) {
  t.test(title, async (t) => {
    const { host, metrics } = testMachine(t, { mqtt });
    const wrong: string[] = [];
    for (const { what, sent, answer, ends, version } of rows) {
      const device = new TestDevice(host);
      const [before, expected] = version === null ? ['', ''] : prelude[version];
      const received = await device.hex(before + sent).receivedHex();
      if (received !== expected + answer || device.wire.ended !== ends) {
        wrong.push(
          `${what}: ${sent} is answered ${received}, ended ${device.wire.ended}; not ${expected + answer}, ${ends}`,
        );
      }
      device.connection.lost();
      await turn();
    }
    t.strictSame(wrong, []);
    t.ok(rows.length > 100);
    t.equal(host.connections.size, 0);
    t.equal(metrics.crashes, 0);
  });
}
