/** The call `received`, by which a client says how far it has come: PROTOCOL.md sections 12 and 14. */
import t, { type Test } from 'tap';
import { CountingSocket, CountingStream } from './support/counting.js';
import { type Settings, siteA, type TestServer, testServer } from './support/server.js';

interface Stage {
  readonly server: TestServer;
  readonly client: CountingSocket;
  /** Packets that the server keeps. */
  queued(): number;
  /** Sends the client one message more and answers the client's position after it. */
  push(): Promise<string>;
  bySocket(position: string): Promise<void>;
  byPost(position: string): Promise<void>;
}

async function stage(t: Test, settings: Settings = {}): Promise<Stage> {
  const server = await testServer(t, settings);
  const site = server.site();
  const { ticket } = await site.online('jack');
  const client = server.own(new CountingSocket(server.port, ticket));
  await client.connect();
  return {
    server,
    client,
    queued: () => server.metrics.domain(siteA.domain).queuedPackets,
    async push() {
      const { length } = client.bodies;
      await site.push('anna', 'jack', String(length));
      await client.has(length + 1);
      return client.position;
    },
    async bySocket(position) {
      const { length } = client.texts;
      client.socket?.send(JSON.stringify({ call: 'received', ref: 'r', position }));
      await client.until(() => client.texts.length > length, 'reply');
      t.strictSame(JSON.parse(client.texts.at(-1) ?? ''), { reply: 'r', status: 'ok' });
      await server.settled();
    },
    async byPost(position) {
      const body = JSON.stringify({ call: 'received', ref: 'r', position });
      const query = { domain: siteA.domain, ticket };
      const answer = await server.request({ method: 'POST', path: '/v5/packets', query, body, type: 'text/plain' });
      t.strictSame(answer.body, { reply: 'r', status: 'ok' });
      await server.settled();
    },
  };
}

t.test('the call received confirms what a client has, over its socket and by POST', async (t) => {
  const { client, server, queued, push, bySocket, byPost } = await stage(t);
  const first = await push();
  await push();
  await push();
  t.equal(queued(), 3, 'nothing is confirmed yet');
  await bySocket('0');
  await bySocket('older.3');
  t.equal(queued(), 3, 'neither 0 nor a position of an era that is over confirms anything');
  await bySocket(first);
  t.equal(queued(), 2);
  await byPost(client.position);
  t.equal(queued(), 0);
  await push();
  client.disconnect();
  await server.settledWhile(() => server.metrics.connections.websocket > 0);
  t.ok(queued() > 0);
  await byPost(client.position);
  t.equal(queued(), 0, 'also while there is no connection');
  await client.connect();
  await push();
  t.strictSame([client.bodies, client.missed], [['0', '1', '2', '3', '4'], 0]);
});

t.test('of a client that says by calls how far it is, pongs confirm nothing', async (t) => {
  const { client, queued, push, bySocket } = await stage(t, { socket: { pingMs: 20 } });
  await bySocket('0');
  const position = await push();
  const { length } = client.pings;
  while (client.pings.length < length + 3) await new Promise((resolve) => client.socket?.once('ping', resolve));
  t.equal(queued(), 1);
  await bySocket(position);
  t.equal(queued(), 0);
});

t.test('a stream of events goes on where its client confirms by calls what half of the queue would hold', async (t) => {
  const server = await testServer(t, { limits: { queuePackets: 4 } });
  const site = server.site();
  const { ticket } = await site.online('jack');
  const stream = server.own(new CountingStream(server.port, ticket));
  await stream.connect();
  const query = { domain: siteA.domain, ticket };
  const push = async (count: number): Promise<void> => {
    await site.push('anna', 'jack', String(count));
    await stream.has(count);
  };
  for (let count = 1; count <= 8; count++) {
    await push(count);
    const body = JSON.stringify({ call: 'received', position: stream.position });
    await server.request({ method: 'POST', path: '/v5/packets', query, body, type: 'text/plain' });
    await server.settled();
  }
  t.equal(stream.opened, 1);
  await push(9);
  await push(10);
  await server.settledWhile(() => stream.opened === 1);
  t.equal(stream.missed, 0);
});
