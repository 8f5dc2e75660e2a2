/** What carries MQTT: TLS and WebSocket; TCP carries the other tests. */
import { connect } from 'node:net';
import t from 'tap';
import { WebSocket } from 'ws';
import { testServer } from '../support/server.js';
import { cert, tlsFiles } from '../support/tls.js';
import { turnsUntil } from '../support/until.js';
import { own, testBroker } from './support/broker.js';
import { client } from './support/clients.js';
import { ManualClock } from './support/clock.js';

t.test('TLS carries MQTT', async (t) => {
  const broker = await testBroker(t, { tls: tlsFiles(t), mqtt: { port: 0, tlsPort: -1 } });
  t.equal(broker.mqtt.port, null);
  const url = `mqtts://127.0.0.1:${broker.mqtt.tlsPort}`;
  const site = await client(t, url, { ca: cert });
  await site.client.subscribeAsync('t', { qos: 2 });
  await site.client.publishAsync('t', 'x'.repeat(200_000), { qos: 2 });
  t.equal((await site.payload()).length, 200_000);
});

t.test('WebSocket carries MQTT, however its messages cut the packets', async (t) => {
  const server = await testServer(t);
  const url = `ws://${server.host}/mqtt`;
  const site = await client(t, url);
  await site.client.subscribeAsync('t', { qos: 1 });
  await site.client.publishAsync('t', 'x'.repeat(200_000), { qos: 1 });
  t.equal((await site.payload()).length, 200_000);
  const socket = new WebSocket(url, 'mqtt');
  await new Promise((resolve) => socket.once('open', resolve));
  const answer = new Promise<Buffer>((resolve) => socket.once('message', (data: Buffer) => resolve(data)));
  const user = Buffer.from(own.domain);
  const key = Buffer.from(own.apikey);
  const fields = [
    Buffer.from('00044d51545404c2003c000161', 'hex'),
    Buffer.from([0, user.length]),
    user,
    Buffer.from([0, key.length]),
    key,
  ];
  const body = Buffer.concat(fields);
  for (const byte of [0x10, body.length, ...body]) socket.send(Buffer.from([byte]));
  t.equal((await answer).toString('hex'), '20020000');
  const closed = new Promise<number>((resolve) => socket.once('close', resolve));
  socket.send('text');
  t.equal(await closed, 1003);
  t.equal(server.metrics.refused.malformed, 1);
});

t.test('A WebSocket without the subprotocol is refused', async (t) => {
  const server = await testServer(t);
  const socket = new WebSocket(`ws://${server.host}/mqtt`);
  const status = await new Promise((resolve) => {
    socket.once('unexpected-response', (_request, response) => resolve(response.statusCode));
  });
  t.equal(status, 400);
  t.equal(server.metrics.refused.badRequest, 1);
  socket.on('error', () => undefined);
  socket.terminate();
});

t.test('The last packet of the server arrives although the client goes on writing', async (t) => {
  const broker = await testBroker(t, { mqtt: { port: -1, anonymousDomain: own.domain } });
  const socket = connect({ port: broker.port, host: '127.0.0.1' });
  t.teardown(() => socket.destroy());
  const chunks: Buffer[] = [];
  socket.on('data', (chunk) => chunks.push(chunk));
  const ended = new Promise((resolve) => socket.once('end', resolve));
  socket.write(Buffer.from('100e00044d5154540502003c00000161', 'hex'));
  socket.write(Buffer.concat([Buffer.from('3600', 'hex'), Buffer.alloc(500_000, 0x30)]));
  await ended;
  t.equal(Buffer.concat(chunks).toString('hex').slice(-6), 'e00181');
});

t.test('A client that ends its side is still answered what it asked before', async (t) => {
  const broker = await testBroker(t, { mqtt: { port: -1, anonymousDomain: own.domain } });
  const socket = connect({ port: broker.port, host: '127.0.0.1', allowHalfOpen: true });
  t.teardown(() => socket.destroy());
  const chunks: Buffer[] = [];
  socket.on('data', (chunk) => chunks.push(chunk));
  const ended = new Promise((resolve) => socket.once('end', resolve));
  socket.end(Buffer.from('100d00044d5154540402003c000161' + '3206000174000178' + 'c000', 'hex'));
  await ended;
  t.equal(Buffer.concat(chunks).toString('hex'), '20020000' + '40020001' + 'd000');
});

t.test('Packets that come in pieces are not mixed up with what others send meanwhile', async (t) => {
  const broker = await testBroker(t, { mqtt: { port: -1, anonymousDomain: own.domain } });
  const watcher = await client(t, `mqtt://127.0.0.1:${broker.port}`);
  await watcher.client.subscribeAsync('#', { qos: 1 });
  const senders = ['61', '62', '63'].map((id) => {
    const socket = connect({ port: broker.port, host: '127.0.0.1', noDelay: true });
    t.teardown(() => socket.destroy());
    socket.resume();
    socket.write(Buffer.from(`100d00044d5154540402003c0001${id}`, 'hex'));
    return { socket, packet: Buffer.from(`3208 0003 ${id}2f74 0001 ${id}`.replaceAll(' ', ''), 'hex') };
  });
  const rounds = 20;
  for (let at = 0; at < rounds * 10; at++) {
    for (const { socket, packet } of senders) {
      await new Promise((resolve) => socket.write(packet.subarray(at % 10, (at % 10) + 1), resolve));
    }
  }
  const topics = new Map<string, number>();
  for (let n = 0; n < senders.length * rounds; n++) {
    const { topic, payload } = await watcher.next();
    t.equal(topic, `${payload}/t`);
    topics.set(topic, (topics.get(topic) ?? 0) + 1);
  }
  t.strictSame(Object.fromEntries(topics), { 'a/t': rounds, 'b/t': rounds, 'c/t': rounds });
});

t.test('Connections of one address are limited', async (t) => {
  const tls = tlsFiles(t);
  const limits = { connectionsPerAddress: 1 };
  const broker = await testBroker(t, { limits, mqtt: { port: -1, tlsPort: -1 }, tls });
  const url = `mqtt://127.0.0.1:${broker.port}`;
  const secure = `mqtts://127.0.0.1:${broker.mqtt.tlsPort}`;
  const one = await client(t, url);
  await t.rejects(client(t, url));
  await t.rejects(client(t, secure, { ca: cert }));
  t.equal(broker.metrics.refused.tooManyConnections, 2);
  await one.client.endAsync();
  const another = await client(t, secure, { ca: cert });
  await t.rejects(client(t, url));
  await another.client.endAsync();
});

t.test('A connection that the server has ended is closed although its client never ends its side', async (t) => {
  const clock = new ManualClock();
  const broker = await testBroker(t, {}, clock);
  const socket = connect({ port: broker.port, host: '127.0.0.1', allowHalfOpen: true });
  t.teardown(() => socket.destroy());
  socket.resume();
  socket.write(Buffer.from('00', 'hex'));
  await new Promise((resolve) => socket.once('end', resolve));
  t.equal(broker.metrics.connections.mqtt, 1, 'its client has time to read');
  t.equal(broker.metrics.refused.malformed, 1);
  clock.advance(5000);
  await turnsUntil('the end of the connection', () => broker.metrics.connections.mqtt === 0);
});

t.test('A WebSocket that has ended counts for its address no longer', async (t) => {
  const server = await testServer(t, { limits: { connectionsPerAddress: 1 } });
  const url = `ws://${server.host}/mqtt`;
  const first = await client(t, url);
  await t.rejects(client(t, url));
  await first.client.endAsync();
  await server.settledWhile(() => server.metrics.connections.mqttws > 0);
  await t.resolves(client(t, url));
});

t.test('A WebSocket whose client takes no answers is ended', async (t) => {
  const server = await testServer(t, { mqtt: { anonymousDomain: own.domain, maxPacketBytes: 1024 } });
  const socket = new WebSocket(`ws://${server.host}/mqtt`, 'mqtt');
  t.teardown(() => socket.terminate());
  const closed = new Promise<number>((resolve) => socket.once('close', resolve));
  await new Promise((resolve) => socket.once('open', resolve));
  socket.send(Buffer.from('100d00044d5154540402003c000161', 'hex'));
  await new Promise((resolve) => socket.once('message', resolve));
  socket.pause();
  const pings = Buffer.alloc(1024 * 1024, Buffer.from('c000', 'hex'));
  for (let n = 0; n < 40; n++) await new Promise((resolve) => socket.send(pings, resolve));
  await server.settledWhile(() => server.metrics.connections.mqttws > 0 && socket.bufferedAmount > 0);
  socket.resume();
  t.equal(await closed, 1008);
});

t.test('A server that drains tells clients of 5.0 why, and lets nobody in', async (t) => {
  const broker = await testBroker(t);
  const url = `mqtt://127.0.0.1:${broker.port}`;
  const site = await client(t, url);
  const phone = await client(t, url, { password: await broker.online('jack') });
  const told = [site, phone].map(
    ({ client }) => new Promise((resolve) => client.once('disconnect', ({ reasonCode }) => resolve(reasonCode))),
  );
  await broker.mqtt.drain();
  t.strictSame(await Promise.all(told), [0x8b, 0x8b]);
  await t.rejects(client(t, url));
});
