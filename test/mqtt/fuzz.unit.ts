/** Damaged streams: the answer is the same wherever they are cut, nothing crashes, and nothing of their clients is left. */
import { generate, type Packet } from 'mqtt-packet';
import t from 'tap';
import type { Version } from '../../src/protocols/mqtt/packets.js';
import { damaged, seeded } from '../mqtt-conformance/support/damage.js';
import { testMachine } from './support/broker.js';
import { TestDevice, turn } from './support/device.js';

function conversation(version: Version): Buffer {
  const five = version === 5;
  const will = { topic: 'w', payload: Buffer.from('gone'), ...(five ? { properties: { contentType: 't' } } : {}) };
  const packets: readonly Packet[] = [
    {
      cmd: 'connect',
      protocolId: version === 3 ? 'MQIsdp' : 'MQTT',
      protocolVersion: version,
      clientId: 'fuzz',
      clean: true,
      keepalive: 0,
      will,
      ...(five ? { properties: { receiveMaximum: 10, topicAliasMaximum: 2, userProperties: { a: 'b' } } } : {}),
    },
    { cmd: 'subscribe', messageId: 1, subscriptions: [{ topic: 'a/+', qos: 2, nl: false, rap: true, rh: 0 }] },
    {
      cmd: 'publish',
      topic: 'a/b',
      payload: 'x',
      qos: 2,
      messageId: 2,
      dup: false,
      retain: true,
      ...(five ? { properties: { topicAlias: 1, messageExpiryInterval: 60, responseTopic: 'r' } } : {}),
    },
    { cmd: 'pubrec', messageId: 1 },
    { cmd: 'pubrel', messageId: 2 },
    { cmd: 'pubcomp', messageId: 1 },
    { cmd: 'publish', topic: 'a/b', payload: '', qos: 1, messageId: 3, dup: false, retain: true },
    { cmd: 'puback', messageId: 2 },
    { cmd: 'unsubscribe', messageId: 4, unsubscriptions: ['a/+'] },
    { cmd: 'pingreq' },
    { cmd: 'disconnect', reasonCode: 0 },
  ];
  return Buffer.concat(packets.map((packet) => generate(packet, { protocolVersion: version })));
}

for (const version of [3, 4, 5] as const) {
  t.test(`Streams of version ${version}, damaged and cut at every byte, are answered the same`, async (t) => {
    const { host, domain, metrics } = testMachine(t);
    const random = seeded(20_261_125 + version);
    const actors = metrics.actors;
    const answer = async (pieces: readonly Buffer[]): Promise<string> => {
      const device = new TestDevice(host);
      for (const piece of pieces) device.raw(piece);
      await turn();
      const answered = `${await device.receivedHex()} ${device.wire.ended}`;
      device.connection.lost();
      await turn();
      host.broker(domain).retained.remove('a/b');
      return answered;
    };
    for (let round = 0; round < 20; round++) {
      const bytes = round === 0 ? conversation(version) : damaged(conversation(version), random);
      const whole = await answer([bytes]);
      const others = new Set<string>();
      for (let at = 1; at < bytes.length; at++) others.add(await answer([bytes.subarray(0, at), bytes.subarray(at)]));
      others.add(await answer(Array.from(bytes, (byte) => Buffer.from([byte]))));
      t.strictSame([...others], [whole], bytes.toString('hex'));
    }
    for (let round = 0; round < 2000; round++) await answer([damaged(conversation(version), random)]);
    t.equal(metrics.crashes, 0);
    t.equal(host.connections.size, 0);
    t.ok(metrics.actors - actors <= host.broker(domain).sessions.size + host.broker(domain).groups.size);
  });
}
