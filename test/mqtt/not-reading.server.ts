/** Clients over TCP that stop reading. */
import { on } from 'node:events';
import net from 'node:net';
import { generate, type Packet, parser } from 'mqtt-packet';
import t from 'tap';
import { HANG_MS } from '../support/hang.js';
import type { Cleaner } from '../support/server.js';
import { own, testBroker } from './support/broker.js';
import { client } from './support/clients.js';

/** More than the kernel keeps for a client that does not read, in one packet. */
const MUCH = 'x'.repeat(24 * 1024 * 1024);

/** A subscriber to `t` at QoS 1 on a socket of its own, which confirms nothing; and what awaits its next packet. */
async function subscriber(t: Cleaner, port: number): Promise<{ socket: net.Socket; next: () => Promise<Packet> }> {
  const socket = net.connect(port, '127.0.0.1');
  t.teardown(() => socket.destroy());
  const packets = parser({ protocolVersion: 5 });
  socket.on('data', (bytes) => packets.parse(bytes));
  const came = on(packets, 'packet', { signal: AbortSignal.timeout(HANG_MS) });
  const next = async (): Promise<Packet> => (await came.next()).value[0];
  const five = { protocolVersion: 5 } as const;
  const login = { username: own.domain, password: Buffer.from(own.apikey) };
  socket.write(
    generate({ cmd: 'connect', protocolId: 'MQTT', ...five, clientId: 'stuck', clean: true, keepalive: 0, ...login }),
  );
  await next();
  socket.write(generate({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic: 't', qos: 1 }] }, five));
  await next();
  return { socket, next };
}

t.test('A subscriber that has stopped reading is sent what waited for it when it reads again', async (t) => {
  const broker = await testBroker(t, { mqtt: { maxPacketBytes: 2 * MUCH.length } });
  const { socket, next } = await subscriber(t, broker.mqtt.port as number);
  const site = await client(t, `mqtt://127.0.0.1:${broker.mqtt.port}`);
  socket.pause();
  await site.client.publishAsync('t', MUCH, { qos: 1 });
  await site.client.publishAsync('t', 'small', { qos: 1 });
  t.equal(broker.metrics.domain(own.domain).queuedPackets, 1, 'the small one waits in its session');
  socket.resume();
  for (const payload of [MUCH, 'small']) {
    const packet = await next();
    t.ok(
      packet.cmd === 'publish' && packet.payload.toString() === payload,
      `a message of ${payload.length} characters`,
    );
  }
});
