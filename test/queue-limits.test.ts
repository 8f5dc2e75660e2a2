import { once } from 'node:events';
import t from 'tap';
import { pollPackets } from './support/polling.js';
import { siteA, testServer } from './support/server.js';
import type { Person, Site } from './support/site.js';
import { WebSocketClient } from './support/websocket.js';

/** Steps that fill the queue of a client that does not poll: `m1` a message, `s` a status, a show a presence. */
async function fill(site: Site, sender: Person, steps: string): Promise<void> {
  for (const step of steps.split(' ')) {
    if (step.startsWith('m')) await site.message(sender.ticket, 'reader', step);
    else if (step.startsWith('s')) await site.status(sender.ticket, 'reader', step);
    else await sender.show(step);
  }
}

const rows: readonly (readonly [title: string, steps: string, left: string])[] = [
  ['what fits is kept whole', 's1 away m1 m2', 'away s1 m1 m2'],
  ['a status goes first', 's1 away m1 m2 m3', 'away m1 m2 m3'],
  ['the oldest status goes first', 's1 s2 m1 m2 m3', 's2 m1 m2 m3'],
  ['a status goes before an older presence', 'away s1 m1 m2 m3', 'away m1 m2 m3'],
  ['then a presence goes', 's1 away m1 m2 m3 m4', 'm1 m2 m3 m4'],
  ['the oldest presence goes first', 'away dnd m1 m2 m3', 'dnd m1 m2 m3'],
  ['among messages alone the oldest goes', 'm1 m2 m3 m4 m5 m6', 'm3 m4 m5 m6'],
  ['a status gets no room among messages', 'm1 m2 m3 m4 s1', 'm1 m2 m3 m4'],
  ['a presence gets no room among messages', 'm1 m2 m3 m4 away', 'm1 m2 m3 m4'],
  ['a presence takes the room of a status', 's1 m1 m2 m3 away', 'away m1 m2 m3'],
  ['a status does not take the room of a presence', 'away m1 m2 m3 s1', 'away m1 m2 m3'],
  ['a newer status takes the room of an older one', 's1 m1 m2 m3 s2', 's2 m1 m2 m3'],
];

for (const [title, steps, left] of rows) {
  t.test(`of a full queue ${title}`, async (t) => {
    const server = await testServer(t, { limits: { queuePackets: 4 } });
    const site = server.site();
    const sender = await site.arrive('sender');
    const { ticket } = await site.online('reader', { buddies: 'sender' });
    await fill(site, sender, steps);
    const packets = await pollPackets(server, ticket);
    t.equal(packets.map(({ body, show }) => body ?? show).join(' '), left);
    await fill(site, sender, 'm9');
    t.hasStrict(await pollPackets(server, ticket), [{ body: 'm9' }], 'and it goes on');
  });
}

t.test('a queue is limited in bytes too', async (t) => {
  const server = await testServer(t, { limits: { queueBytes: 10_000 } });
  const site = server.site();
  const { ticket } = await site.online('reader');
  for (let n = 0; n < 30; n++) await site.push('sender', 'reader', `${n} ${'x'.repeat(1000)}`);
  const packets = await pollPackets(server, ticket);
  t.ok(packets.length >= 5 && packets.length <= 9, `${packets.length} of a kilobyte are kept`);
  const numbers = packets.map(({ body }) => Number.parseInt(body ?? '', 10));
  t.strictSame(
    numbers,
    Array.from({ length: packets.length }, (_, n) => 30 - packets.length + n),
    'the newest, in order',
  );
});

t.test('messages that an endpoint keeps for its next client have the limits of a client’s queue', async (t) => {
  const server = await testServer(t, { limits: { queuePackets: 4 } });
  const site = server.site();
  await site.online('reader');
  for (let n = 0; n < 10; n++) await site.push('sender', 'reader', `${n}`);
  await server.settled();
  const { queuedPackets, dropped } = server.metrics.domain(siteA.domain);
  t.strictSame([queuedPackets, dropped.queueOverflow], [8, 12], 'for the client that is there, and for the next one');
  const { ticket } = await site.online('reader');
  t.strictSame(
    (await pollPackets(server, ticket)).map(({ body }) => body),
    ['6', '7', '8', '9'],
  );
});

t.test('a socket that stops reading is bounded, holds nobody up and hears the newest when it goes on', async (t) => {
  const server = await testServer(t, { limits: { queuePackets: 50 } });
  const site = server.site();
  const slow = await site.arrive('slow');
  const other = await site.arrive('other');
  const { socket } = slow.client as WebSocketClient;
  socket.pause();
  const before = process.memoryUsage().rss;
  const total = 2400;
  const body = 'x'.repeat(8000);
  for (let n = 0; n < total; n += 24) {
    await Promise.all(Array.from({ length: 24 }, (_, k) => site.push('sender', 'slow', `${n + k} ${body}`)));
  }
  await site.push('sender', 'other', 'undisturbed');
  t.hasStrict(await other.next(), { body: 'undisturbed' });
  t.ok(process.memoryUsage().rss - before < 200_000_000, 'memory stays bounded');
  await site.push('sender', 'slow', 'the end');
  socket.resume();
  let seen = 0;
  for (let body = ''; body !== 'the end'; seen++) body = (await slow.next()).body ?? '';
  t.ok(seen <= total, `${seen - 1} of ${total} came`);
});

t.test('a frame that a socket has taken in part comes again whole, before later packets', async (t) => {
  const server = await testServer(t, { limits: { queueBytes: 0, messageBytes: 0, bodyBytes: 0 } });
  const site = server.site();
  const { ticket } = await site.online('reader');
  // One frame, which the network’s buffers do not hold; its reader takes more than they held at first, and stops.
  const megabyte = 1024 * 1024;
  for (let n = 0; n < 56; n++) await site.push('sender', 'reader', `${n} ${'x'.repeat(megabyte)}`);
  const { socket } = new WebSocketClient(server);
  const [{ socket: network }] = await once(socket, 'upgrade');
  socket.send(`subscribe ${siteA.domain} ${ticket}`);
  await new Promise<void>((resolve) => {
    network.on('data', () => {
      if (network.bytesRead < 8 * megabyte) return;
      socket.pause();
      resolve();
    });
  });
  await site.push('sender', 'reader', '56');
  socket.terminate();
  const packets = await pollPackets(server, ticket);
  t.strictSame(
    packets.map(({ body }) => Number.parseInt(body ?? '', 10)),
    Array.from({ length: 57 }, (_, n) => n),
  );
});
