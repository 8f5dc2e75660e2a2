/** What one packet or one connection may cost, whoever sends it. */
import { generate, type Packet } from 'mqtt-packet';
import t from 'tap';
import { WebSocket } from 'ws';
import { ReceivedAliases } from '../../src/protocols/mqtt/aliases.js';
import { ALLOWED, readProperties } from '../../src/protocols/mqtt/properties.js';
import { Reader } from '../../src/protocols/mqtt/reader.js';
import { siteA, testServer } from '../support/server.js';
import { testMachine } from './support/broker.js';
import { client } from './support/clients.js';
import { ManualClock } from './support/clock.js';
import { payloads, TestDevice, turn } from './support/device.js';

function userProperties(count: number): Record<string, string[]> {
  return { k: Array.from({ length: count }, (_, i) => `${i}`) };
}

function propertyBytes(count: number): Buffer {
  const pairs = Buffer.alloc(count * 5, Buffer.from('2600000000', 'hex'));
  const length = [];
  for (let rest = pairs.length; length.length === 0 || rest > 0; rest = Math.floor(rest / 128))
    length.push((rest % 128) | (rest >= 128 ? 0x80 : 0));
  return Buffer.concat([Buffer.from(length), pairs]);
}

t.test('52,000 user properties of one packet are not read beyond the 256th', async (t) => {
  const bytes = propertyBytes(52_000);
  const reader = new Reader(bytes, 0, bytes.length);
  let read = 0;
  readProperties(reader, ALLOWED.connect, {
    span: () => {
      read += 1;
    },
  });
  t.equal(read, 256);
  t.equal(reader.fault, 0x97);
});

t.test('A CONNECT, will or PUBLISH with more than 256 properties is refused with 0x97', async (t) => {
  const { host } = testMachine(t);
  const refused = [{ cmd: 'connack', reasonCode: 0x97 }];
  t.match(await new TestDevice(host).connect('a', { properties: { userProperties: userProperties(257) } }), refused);
  const properties = { userProperties: userProperties(257) };
  t.match(
    await new TestDevice(host).connect('b', { will: { topic: 'w', payload: Buffer.from('w'), properties } }),
    refused,
  );
  const device = new TestDevice(host);
  t.match(await device.connect('c', { properties: { userProperties: userProperties(256) } }), [{ reasonCode: 0 }]);
  await device.subscribe('t');
  device.publish('t', 'most', 0, { properties: { userProperties: userProperties(256) } });
  t.strictSame(payloads(await device.received()), ['most']);
  device.publish('t', 'more', 0, { properties });
  t.match(await device.received(), [{ cmd: 'disconnect', reasonCode: 0x97 }]);
});

function aliased(topic: string, topicAlias: number): Partial<Extract<Packet, { cmd: 'publish' }>> {
  return { topic, properties: { topicAlias } };
}

t.test(
  'A topic that was refused is not kept for its alias, and publishing by the alias is refused again',
  async (t) => {
    const { host } = testMachine(t);
    const device = new TestDevice(host);
    await device.connect('a');
    const long = `$SYS/${'x'.repeat(60_000)}`;
    for (let alias = 1; alias <= 100; alias++) {
      device.publish(long, 'x', 1, aliased(long, alias));
      t.match(await device.received(), [{ cmd: 'puback', reasonCode: 0x87 }]);
    }
    device.publish('', 'x', 1, aliased('', 7));
    t.match(await device.received(), [{ cmd: 'puback', reasonCode: 0x87 }]);
    device.publish('fine', 'x', 1, aliased('fine', 7)).publish('', 'x', 1, aliased('', 7));
    t.match(await device.received(), [{ reasonCode: 0x10 }, { reasonCode: 0x10 }]);
  },
);

t.test('The topics of a connection’s aliases take at most 128 KiB together', async (t) => {
  const aliases = new ReceivedAliases();
  t.ok(aliases.set(1, 'a'.repeat(65_536)));
  t.ok(aliases.set(1, 'b'.repeat(65_536)), 'in place of the one before');
  t.ok(aliases.set(2, 'c'.repeat(65_536)));
  t.notOk(aliases.set(3, 'd'));
  aliases.refuse(2, 'another topic');
  t.equal(aliases.bytes, 131_072);
  aliases.refuse(2, 'c'.repeat(65_536));
  t.ok(aliases.set(3, 'd'));
  const { host } = testMachine(t);
  const device = new TestDevice(host);
  await device.connect('a');
  for (let alias = 1; alias <= 3; alias++) {
    const topic = `${alias}${'x'.repeat(50_000)}`;
    device.publish(topic, 'x', 0, aliased(topic, alias));
  }
  t.match(await device.received(), [{ cmd: 'disconnect', reasonCode: 0x97 }]);
});

t.test(
  'A message of exactly the client’s maximum packet size comes, although an alias would make it longer',
  async (t) => {
    const { host, domain } = testMachine(t);
    const device = new TestDevice(host);
    // Fixed header 2, topic 2 + 1, no properties 1: 94 bytes are left for the payload.
    await device.connect('a', { properties: { topicAliasMaximum: 10, maximumPacketSize: 100 } });
    await device.subscribe('t');
    const exact = 'x'.repeat(94);
    device.publish('t', exact).publish('t', 'short').publish('t', exact).publish('t', `${exact}x`);
    const packets = await device.received();
    t.strictSame(payloads(packets), [exact, 'short', exact]);
    t.match(packets, [{ topic: 't' }, { topic: 't', properties: { topicAlias: 1 } }, { topic: 't' }]);
    t.equal(domain.metrics.dropped.packetTooLarge, 1);
  },
);

t.test(
  'A packet over the server’s maximum ends backends and tickets over WebSocket alike: 0x95 and 1009',
  async (t) => {
    const server = await testServer(t, { mqtt: { maxPacketBytes: 1000 } });
    const { ticket } = await server.site().online('1');
    for (const password of [siteA.apikey, ticket]) {
      let socket: WebSocket | undefined;
      const createWebsocket = (url: string) => {
        socket = new WebSocket(url, 'mqtt');
        return socket;
      };
      const one = await client(t, `ws://${server.host}/mqtt`, { password, createWebsocket } as object);
      const told = new Promise((resolve) => one.client.once('disconnect', ({ reasonCode }) => resolve(reasonCode)));
      const closed = new Promise((resolve) => socket?.once('close', resolve));
      one.client.publish('t', 'x'.repeat(2000));
      t.equal(await told, 0x95);
      t.equal(await closed, 1009);
    }
    const stranger = new WebSocket(`ws://${server.host}/mqtt`, 'mqtt');
    const closed = new Promise((resolve) => stranger.once('close', resolve));
    stranger.once('open', () => stranger.send(Buffer.from('10ff7f', 'hex')));
    t.equal(await closed, 1009, 'before CONNECT as well');
  },
);

t.test('Keep alive counts whole packets: a byte now and then does not keep a connection open', async (t) => {
  const clock = new ManualClock();
  const { host } = testMachine(t, {}, clock);
  const device = new TestDevice(host);
  await device.connect('slow', { keepalive: 10 });
  device.hex('30');
  for (const byte of ['7f', '00', '01']) {
    clock.advance(5000);
    device.hex(byte);
  }
  await turn();
  t.match(await device.received(), [{ cmd: 'disconnect', reasonCode: 0x8d }]);
  const busy = new TestDevice(host);
  await busy.connect('busy', { keepalive: 10 });
  for (let n = 0; n < 4; n++) {
    clock.advance(14_000);
    busy.hex('c0').hex('00');
  }
  t.equal((await busy.received()).length, 4);
});

t.test(
  'Where packets have no bound, WebSockets that have sent nothing count with what one message may bring',
  async (t) => {
    const server = await testServer(t, { mqtt: { maxPacketBytes: 0 } });
    const open: WebSocket[] = [];
    const ended = new Set<WebSocket>();
    const next = async () => {
      const socket = new WebSocket(`ws://${server.host}/mqtt`, 'mqtt');
      t.teardown(() => socket.terminate());
      socket.once('close', () => ended.add(socket));
      await new Promise((resolve) => socket.once('open', resolve));
      open.push(socket);
    };
    for (let i = 0; i < 16; i++) await next();
    t.equal(ended.size, 0, '16 of them, with 8 MiB each, may be there at a time');
    const dropped = new Promise((resolve) => open[0]?.once('close', resolve));
    await next();
    await dropped;
    t.strictSame([...ended], [open[0]], 'with one more the first one ends');
  },
);

t.test('Where packets have no bound, a packet that is longer than a WebSocket message comes in several', async (t) => {
  const server = await testServer(t, { mqtt: { port: -1, maxPacketBytes: 0 } });
  const subscriber = await client(t, `mqtt://127.0.0.1:${server.mqttPort}`);
  await subscriber.client.subscribeAsync('long', { qos: 0 });
  const socket = new WebSocket(`ws://${server.host}/mqtt`, 'mqtt');
  t.teardown(() => socket.terminate());
  await new Promise((resolve) => socket.once('open', resolve));
  const connect = { cmd: 'connect', protocolId: 'MQTT', protocolVersion: 4, clean: true, clientId: 'w' } as const;
  socket.send(generate({ ...connect, keepalive: 0, username: siteA.domain, password: Buffer.from(siteA.apikey) }));
  const payload = Buffer.alloc(10_000_000, 'x');
  const packet = generate({ cmd: 'publish', topic: 'long', payload, qos: 0, dup: false, retain: false });
  for (let at = 0; at < packet.length; at += 4_000_000) socket.send(packet.subarray(at, at + 4_000_000));
  t.equal((await subscriber.next()).payload.length, payload.length);
  const closed = new Promise((resolve) => socket.once('close', resolve));
  socket.on('error', () => undefined);
  socket.send(packet);
  await closed;
  t.pass('a message that is longer ends the connection');
});
