import assert from 'node:assert/strict';
import type { Scenario, World } from '../support/scenario.js';
import type { Version } from '../support/wire.js';
import * as wire from '../support/wire.js';

type Row = readonly [what: string, packet: string | Buffer];

/** Good packets of every type a client sends, with every value of the flags that is not theirs. */
function wrongFlags(version: Version): Row[] {
  const properties = version === 5 ? '00' : '';
  const good: readonly (readonly [type: number, flags: number, body: string])[] = [
    [4, 0, '0001'],
    [5, 0, '0001'],
    [6, 2, '0001'],
    [7, 0, '0001'],
    [8, 2, `0001${properties}00016100`],
    [10, 2, `0001${properties}000161`],
    [12, 0, ''],
    [14, 0, ''],
    ...(version === 5 ? ([[15, 0, '']] as const) : []),
  ];
  return good.flatMap(([type, flags, body]) =>
    Array.from({ length: 16 }, (_, other) => other)
      .filter((other) => other !== flags)
      .map((other): Row => [`type ${type}, flags ${other}`, wire.packet((type << 4) | other, wire.hex(body))]),
  );
}

const both: readonly Row[] = [
  ['reserved type 0', '0000'],
  ['CONNACK from a client', '20020000'],
  ['SUBACK from a client', '9003000100'],
  ['UNSUBACK from a client', 'b0020001'],
  ['PINGRESP from a client', 'd000'],
  ['PUBLISH without a topic', '3000'],
  ['PUBLISH whose topic is longer than the packet', '300400056162'],
  ['PUBLISH of QoS 1 without a packet identifier', '3204 0002 6162'],
  ['PUBLISH of QoS 3', '3607 0002 6162 0001 00'],
  ['PUBLISH of QoS 3 with DUP and RETAIN', '3f07 0002 6162 0001 00'],
  ['PUBACK without a packet identifier', '4000'],
  ['PUBACK with half a packet identifier', '400101'],
  ['PUBREC without a packet identifier', '5000'],
  ['PUBREL with half a packet identifier', '620100'],
  ['PUBCOMP without a packet identifier', '7000'],
  ['SUBSCRIBE with nothing', '8200'],
  ['SUBSCRIBE with half a packet identifier', '820100'],
  ['UNSUBSCRIBE with nothing', 'a200'],
];

const v311: readonly Row[] = [
  ['AUTH, which is for 5.0', 'f000'],
  ['PUBACK that is too long', '4003000100'],
  ['PUBREL that is too long', '6203000100'],
  ['DISCONNECT with a payload', 'e00100'],
];

const v5: readonly Row[] = [
  ['DUP with QoS 0', '3808 0001 61 00 01020304'],
  ['PUBLISH without a property length', '3003 0001 61'],
  ['SUBSCRIBE with subscription options missing', '8206 0001 00 0001 61'],
  ['SUBSCRIBE with retain handling 3', '8207 0001 00 0001 61 30'],
  ['PUBACK whose properties are longer than it', '4005 0001 00 05 1f'],
  ['PUBACK with a reason code of no PUBACK', '4003 0001 01'],
  ['PUBREL with a reason code of no PUBREL', '6203 0001 10'],
  ['UNSUBSCRIBE with a property length beyond its end', 'a206 0001 09 0001 61'],
];

/** Sends each to a connection of its own; beside it a bystander's connection must live on. */
async function refusesEach(w: World, rows: readonly Row[]): Promise<void> {
  const bystander = await w.client('bystander');
  for (const [what, bytes] of rows) {
    const client = await w.client('a');
    await client
      .send(bytes)
      .refused(0x81, 0x82)
      .catch((error: Error) => assert.fail(`${what}: ${error.message}`));
  }
  await bystander.quiet();
}

/** Packets that no client may send: sections 1.5, 2.1, 4.8 of 3.1.1 and 4.13 of 5.0. */
export const malformed: readonly Scenario[] = [
  {
    title: 'Flags in the fixed header that are not those of the packet end the connection, for every packet and value',
    '3.1.1': '2.2.2-1 2.2.2-2 3.6.1-1 3.8.1-1 3.10.1-1 3.14.1-1',
    '5.0': '2.1.3-1 3.6.1-1 3.8.1-1 3.10.1-1 3.14.1-1 3.15.1-1 4.13.1-1',
    run: (w) => refusesEach(w, wrongFlags(w.version)),
    mosquitto: 'accepts flags in PUBACK, PUBREC, PUBCOMP and PINGREQ',
  },
  {
    title: 'A malformed packet of any type ends its connection, and no other',
    '3.1.1': '3.3.1-4 4.8.0-1 4.8.0-2',
    '5.0': '3.3.1-4 4.13.1-1 4.13.2-1',
    run: (w) => refusesEach(w, [...both, ...(w.version === 5 ? v5 : v311)]),
    mosquitto: 'accepts some of these, and sends no DISCONNECT at others',
  },
  {
    title: 'A PUBLISH of QoS 0 with DUP ends the connection',
    '3.1.1': '3.3.1-2',
    '5.0': '3.3.1-2',
    run: (w) => refusesEach(w, [['DUP', wire.publish(w.version, w.topic(), 'x', { dup: true })]]),
    mosquitto: 'accepts it',
  },
  {
    title: 'A length that takes more bytes than it needs ends the connection',
    '5.0': '1.5.5-1',
    async run(w) {
      const rows: Row[] = [
        ['a remaining length', 'c08000'],
        ['a remaining length of a PUBLISH', '3085 00 0001 61 00 78'],
        ['a property length', '3006 0001 61 8000 78'],
        ['a subscription identifier', '820a 0001 03 0b8100 0001 61 00'],
      ];
      await refusesEach(w, rows);
    },
    mosquitto: 'accepts them',
  },
  {
    title:
      'A length of more than four bytes, PINGREQ with a payload, DISCONNECT with an unknown reason end the connection',
    '3.1.1': '4.8.0-1',
    '5.0': '4.13.1-1',
    async run(w) {
      for (const bytes of ['c00100', 'c08080808001', '30ffffffff7f', '30ffffffffff', 'e00101', 'e00142']) {
        const packets = await (await w.client('a')).send(bytes).rest();
        for (const { codes, raw } of packets) assert.ok([0x81, 0x82].includes(codes?.[0] ?? 0), raw);
      }
    },
    mosquitto: 'accepts a PINGREQ with a payload',
  },
  {
    title: 'AUTH ends a connection that began without an authentication method, whatever its form',
    '5.0': '3.15.1-1 3.15.2-1',
    run: (w) =>
      refusesEach(w, [
        ['short', 'f000'],
        ['continue', 'f00118'],
        ['an unknown reason', 'f00101'],
        ['wrong flags', 'f20118'],
      ]),
    mosquitto: 'sends no DISCONNECT',
  },
];
