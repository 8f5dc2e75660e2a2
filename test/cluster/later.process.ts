/** What a client is told, over each transport, that comes with its ticket while its node is gone and nobody can take the ticket over. */
import { once } from 'node:events';
import mqtt, { type IConnackPacket } from 'mqtt';
import t from 'tap';
import { WebSocket } from 'ws';
import { CountingSocket } from '../support/counting.js';
import { exchange } from '../support/http.js';
import { written } from '../support/kept-writes.js';
import { jetStreamServer, ProcessNode } from '../support/nats.js';
import { poll } from '../support/polling.js';
import { skipWithout } from '../support/programs.js';
import { siteA } from '../support/server.js';
import { until } from '../support/until.js';

const skip = skipWithout('nats-server');

/** What a WebSocket is told that is refused: the text before its close, and the close. */
async function refusedSocket(node: ProcessNode, ticket: string): Promise<readonly unknown[]> {
  const socket = new WebSocket(`ws://127.0.0.1:${node.port}/v5/wsocket`);
  const texts: unknown[] = [];
  socket.on('message', (data) => void texts.push(JSON.parse(String(data))));
  socket.on('open', () => socket.send(`resume ${siteA.domain} 0 ${ticket}`));
  const [code, reason] = (await once(socket, 'close')) as [number, Buffer];
  return [...texts, code, String(reason)];
}

/** The reason code and text of the CONNACK that refuses a client of MQTT 5. */
async function refusedByMqtt(node: ProcessNode, ticket: string): Promise<readonly unknown[]> {
  const options = { username: siteA.domain, password: ticket, protocolVersion: 5, reconnectPeriod: 0 } as const;
  const client = mqtt.connect(`ws://127.0.0.1:${node.port}/mqtt`, options);
  client.on('error', () => undefined);
  const packet = await new Promise<IConnackPacket>((resolve) => {
    client.once('packetreceive', (received) => resolve(received as IConnackPacket));
  });
  client.end(true);
  return [packet.reasonCode, packet.properties?.reasonString];
}

/** How many refusals a node has counted as `unavailable`. */
async function refusals(node: ProcessNode): Promise<number> {
  const [, port] = await node.process.line(/"event":"started".*"admin":"http:[^"]*:(\d+)"/);
  const { text } = await exchange(Number(port), { path: '/metrics' }).answer;
  return Number(/^nextalk_refusals_total\{reason="unavailable"\} (\d+)$/m.exec(text)?.[1]);
}

t.test('without JetStream nobody is taken over, and who comes is told to come later', { skip }, async (t) => {
  const nats = await jetStreamServer(t);
  const settings = { 'cluster.store': 'jetstream', 'cluster.leaseMs': 2000, 'admin.port': -1 };
  const [n1, n2] = await Promise.all([
    ProcessNode.start(t, nats.url, 'n1', settings),
    ProcessNode.start(t, nats.url, 'n2', settings),
  ]);
  const { ticket } = await n1.site().online('alice');
  const { ticket: unknown } = await n1.site().online('dora');
  await n1.site().offline(unknown);
  await written(nats, [n1]);
  n1.process.kill('SIGKILL');
  await n1.process.ended;
  await nats.stop();
  const { headers } = await until('a client told to come later', async () => {
    const answer = await poll(n2, ticket, { query: { position: '0' } }).answer;
    return answer.status === 503 && answer;
  });
  t.match(headers['retry-after'], /^\d+$/);
  const before = await refusals(n2);
  const later = { status: 'error', message: 'unavailable', retryAfter: 1 };
  const jsonp = await poll(n2, ticket, { callback: 'got' }).answer;
  t.equal(jsonp.text, `/**/got(${JSON.stringify(later)});`, 'a page that polls by JSONP sees no header');
  const stream = { path: '/v5/events', headers: { accept: 'text/event-stream' } };
  t.match(await poll(n2, ticket, stream).answer, { status: 200, text: 'retry: 1000\n\n' }, 'EventSource');
  t.match(await poll(n2, ticket, { path: '/v5/events' }).answer, { status: 503, headers: { 'retry-after': '1' } });
  t.strictSame(await refusedSocket(n2, ticket), [later, 1013, 'try again later, in 1 s']);
  t.strictSame(await refusedByMqtt(n2, ticket), [0x88, 'try again later, in 1 s']);
  t.equal((await refusals(n2)) - before, 5, 'each is counted, over whichever transport');
  await nats.start();
  const alice = n2.own(new CountingSocket(n2.port, ticket));
  await until('alice let in', async () => {
    await alice.connect().catch(() => undefined);
    return alice.frames.at(-1)?.status === 'ok';
  });
  await n2.site().push('carl', 'alice', 'there again');
  await alice.has(1);
  t.equal((await n2.site().post('/v5/messages', { ticket: unknown, to: 'alice', body: 'x' })).status, 404);
});
