/** A PUBLISH that receivers get as it came, byte by byte. */
import assert from 'node:assert/strict';
import { generate, type IPublishPacket } from 'mqtt-packet';
import t from 'tap';
import { Publication, type Qos } from '../../src/actors/publication.js';
import { decode } from '../../src/protocols/mqtt/decode.js';
import { encodePublish, type PublishOptions } from '../../src/protocols/mqtt/encode.js';
import type { Publish, Version } from '../../src/protocols/mqtt/packets.js';
import { dice } from '../support/dice.js';
import { plain } from './support/publish.js';

function read(bytes: Buffer, version: Version): Publish {
  let body = 2;
  while (((bytes[body - 1] as number) & 0x80) !== 0) body += 1;
  // In a larger buffer, as what the network brings is, which is overwritten by what comes next.
  const shared = Buffer.concat([Buffer.alloc(3, 0xff), bytes, Buffer.alloc(3, 0xff)]);
  const packet = decode(shared, 3, 3 + body, 3 + bytes.length, version);
  shared.fill(0);
  assert.ok(packet.cmd === 'publish', JSON.stringify(packet));
  return packet;
}

function publicationOf({ topic, payload, qos, retain, properties, expiryS, sent }: Publish, isPassedOn = true) {
  const expiresAt = expiryS === null ? Number.POSITIVE_INFINITY : expiryS * 1000;
  const fields = { topic, payload, qos, retain, properties, expiresAt, publisher: null };
  return new Publication({ ...fields, sent: isPassedOn ? sent : null });
}

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(' ', ''), 'hex');

t.test(
  'At QoS 0 all receivers get the very bytes that came, at QoS 1 the first, with its own packet identifier',
  async (t) => {
    const zero = publicationOf(read(hex('3005 0001 74 6869'), 4));
    const bytes = encodePublish(zero, plain);
    t.equal(bytes, zero.sent?.bytes);
    t.equal(encodePublish(zero, plain), bytes);
    t.equal(encodePublish(zero, { ...plain, version: 5 }).toString('hex'), '3006000174006869');

    const one = publicationOf(read(hex('3208 0001 74 0007 00 6869'), 5));
    const first = encodePublish(one, { ...plain, version: 5, qos: 1, id: 258 });
    const second = encodePublish(one, { ...plain, version: 5, qos: 1, id: 3 });
    t.equal(first.toString('hex'), '32080001740102006869');
    t.equal(second.toString('hex'), '32080001740003006869');
    t.equal(first.buffer, one.payload.buffer, 'nothing was copied');
    t.equal(one.payload.toString(), 'hi');
  },
);

t.test('What a receiver may not get as it came is written anew', async (t) => {
  const isPassedOn = (packet: string, version: Version): boolean => read(hex(packet), version).sent !== null;
  t.ok(isPassedOn('3003 0001 74', 3));
  t.notOk(isPassedOn('308300 0001 74', 4), 'a length of more bytes than it needs');
  t.notOk(isPassedOn('3103 0001 74', 4), 'retained');
  t.notOk(isPassedOn('3a05 0001 74 0001', 4), 'sent again');
  t.notOk(isPassedOn('3009 0001 74 05 02 0000003c', 5), 'with an expiry');
  t.notOk(isPassedOn('3007 0001 74 03 23 0001', 5), 'with an alias');
  t.ok(isPassedOn('300a 0001 74 06 03 0003 612f62', 5), 'with properties that are passed on');
});

t.test(
  'A publication keeps no more in memory than is counted, however long its topic and properties are',
  async (t) => {
    const counted = 'x'.repeat(5000);
    const userProperties = { one: counted, two: [counted, counted] };
    for (const topic of ['t', counted]) {
      for (const properties of [{}, { userProperties }, { userProperties, messageExpiryInterval: 9 }]) {
        const packet: IPublishPacket = {
          cmd: 'publish',
          topic,
          payload: counted,
          qos: 1,
          messageId: 1,
          dup: false,
          retain: false,
        };
        const came = read(generate({ ...packet, properties }, { protocolVersion: 5 }), 5);
        const publication = publicationOf(came);
        const parts = [publication.payload, publication.properties, publication.sent?.bytes ?? Buffer.alloc(0)];
        const buffers = new Set(parts.map(({ buffer }) => buffer));
        const bytes = [...buffers].reduce((sum, { byteLength }) => sum + byteLength, publication.topic.length);
        t.ok(bytes <= publication.bytes, `${bytes} where ${publication.bytes} are counted`);
      }
    }
  },
);

t.test('Receivers are sent the same, passed on or written anew, and what mqtt-packet writes', async (t) => {
  const roll = dice(20_261_130);
  const text = (most: number): string =>
    Array.from({ length: 1 + roll(most) }, () => ['a', '/', 'é', '\u{1f600}', '\ufeff'][roll(5)]).join('');
  let passedOn = 0;
  for (let round = 0; round < 3000; round++) {
    const version = ([3, 4, 5] as const)[roll(3)] as Version;
    const qos = roll(3) as Qos;
    const userProperties = { [text(3)]: text(3), [text(3)]: [text(3), text(3)] };
    const properties = roll(2) === 0 ? {} : { userProperties, contentType: text(5) };
    const expiry = roll(6) === 0 ? { messageExpiryInterval: 1 + roll(100) } : {};
    const packet: IPublishPacket = {
      ...{ cmd: 'publish', topic: text(200), payload: Buffer.alloc(roll(300), roll(256)), qos },
      ...{ dup: qos > 0 && roll(6) === 0, retain: roll(6) === 0, messageId: qos > 0 ? 1 + roll(65_535) : undefined },
      ...(version === 5 ? { properties: { ...properties, ...expiry } } : null),
    };
    const came = read(generate(packet, { protocolVersion: version }), version);
    const [given, anew] = [publicationOf(came), publicationOf(came, false)];
    for (let receiver = 0; receiver < 3; receiver++) {
      const granted = Math.min(qos, roll(3)) as Qos;
      const options: PublishOptions = {
        ...{ ...plain, version: ([3, 4, 5] as const)[roll(3)] as Version, qos: granted },
        ...{ id: granted > 0 ? 1 + roll(65_535) : 0, retain: came.retain && roll(2) === 0 },
        ...{ identifiers: roll(4) === 0 ? [1 + roll(1000)] : [], alias: roll(6) === 0 ? 7 : 0 },
      };
      const before = given.sent;
      const bytes = encodePublish(given, options);
      assert.equal(bytes.toString('hex'), encodePublish(anew, options).toString('hex'));
      if (bytes !== before?.bytes) continue;
      passedOn += 1;
      const same = { ...packet, dup: false, retain: false, messageId: granted > 0 ? options.id : undefined };
      assert.equal(bytes.toString('hex'), generate(same, { protocolVersion: version }).toString('hex'));
    }
    assert.deepEqual(given.payload, packet.payload);
  }
  t.ok(passedOn > 500, `${passedOn} of 9,000`);
});
