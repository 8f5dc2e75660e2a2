/** A deploy in the middle of traffic: nothing that was answered is lost or doubled, and nobody comes online again. PROTOCOL.md section 20. */
import { setTimeout as pause } from 'node:timers/promises';
import t from 'tap';
import { CountingPoll, CountingSocket, CountingStream } from './support/counting.js';
import { restartingServer } from './support/restarting.js';

t.test('a deploy in the middle of traffic loses nothing, doubles nothing and keeps the order', async (t) => {
  const server = await restartingServer(t, {}, { 'limits.queuePackets': 0 });
  const kinds = [CountingSocket, CountingPoll, CountingStream];
  const clients = [];
  for (const [i, Client] of kinds.entries()) {
    const { ticket } = await server.online(`u${i}`, { buddies: 'u0,u1,u2', rooms: 'room' });
    const client = new Client(server.port, ticket);
    t.teardown(() => client.close());
    await client.connect();
    clients.push(client);
  }
  for (const client of clients) await client.until(() => client.frames.length > 0 || client.position !== '0', 'answer');
  const answered: string[] = [];
  const stopped = new AbortController();
  let next = 0;
  // Of a call whose answer was lost nobody knows whether it was accepted.
  const unknown = new Set<string>();
  const send = async (): Promise<void> => {
    while (!stopped.signal.aborted) {
      const body = String(next++);
      try {
        await server.push('site', 'room', body, { type: 'grpchat' });
        answered.push(body);
      } catch {
        unknown.add(body);
        await pause(5);
      }
    }
  };
  const sender = send();
  const has = async (count: number): Promise<void> => {
    while (answered.length < count) await pause(5);
  };
  for (const round of [1, 2]) {
    await has(answered.length + 50);
    t.equal(await server.stop('SIGTERM'), 0);
    for (const client of clients) client.disconnect();
    await server.start();
    for (const client of clients) {
      client.port = server.port;
      await client.connect();
    }
    await has(answered.length + 50);
    t.ok(true, `round ${round}: ${answered.length} answered`);
  }
  stopped.abort();
  await sender;
  await server.push('site', 'room', 'last', { type: 'grpchat' });
  for (const client of clients) {
    await client.until(() => client.bodies.includes('last'), 'last message');
    t.strictSame([client.missed, client.lost], [0, 0]);
    t.equal(new Set(client.ids).size, client.ids.length, 'nothing came twice');
    t.strictSame(
      client.bodies.filter((body) => !unknown.has(body)),
      [...answered, 'last'],
      'all that was answered, in order',
    );
    const presences = client.frames.flatMap((frame) => frame.presences ?? []);
    t.ok(presences.length <= 4, 'presences of the time when the users came, and no more');
  }
});
