/** What a client that keeps a position is sent reaches it, also over links that go silent before they break. */
import t from 'tap';
import { CountingPoll, CountingSocket, CountingStream } from './support/counting.js';
import { LossyRelay } from './support/lossy-relay.js';
import { poll, pollPackets } from './support/polling.js';
import { type Cleaner, type Settings, siteA, testServer } from './support/server.js';
import { overSilentLinks } from './support/silent-links.js';
import { WebSocketClient } from './support/websocket.js';

const clients = { WebSocket: CountingSocket, 'long polls': CountingPoll, 'server-sent events': CountingStream };

for (const [name, Client] of Object.entries(clients)) {
  t.test(`a link that goes silent before it breaks loses nothing over ${name}`, async (t) => {
    const server = await testServer(t);
    const relay = await LossyRelay.start(server);
    const site = server.site();
    const { ticket } = await site.online('jack');
    const client = server.own(new Client(relay.port, ticket));
    const push = (body: string) => site.push('anna', 'jack', body);
    const sent = await overSilentLinks(client, [relay], [server], 5, push);
    t.strictSame(client.bodies, sent);
    t.equal(new Set(client.ids).size, sent.length);
    t.strictSame([client.missed, client.lost], [0, 0]);
  });

  t.test(`an overflow is told over ${name} as exactly what is missed`, async (t) => {
    const server = await testServer(t, { limits: { queuePackets: 4 } });
    const relay = await LossyRelay.start(server);
    const site = server.site();
    const { ticket } = await site.online('jack');
    const anna = await site.online('anna');
    const client = server.own(new Client(relay.port, ticket));
    await client.connect();
    await site.push('anna', 'jack', 'first');
    await client.has(1);
    relay.silence();
    client.disconnect();
    relay.break();
    await site.status(anna.ticket, 'jack', 'typing');
    for (let n = 0; n < 6; n++) await site.push('anna', 'jack', String(n));
    await server.settled();
    await client.connect();
    await client.has(5);
    t.strictSame(client.bodies, ['first', '2', '3', '4', '5']);
    t.strictSame([client.missed, client.lost], [3, 2], 'a status and two messages');
    t.match(client.position, /\.8$/);
  });

  t.test(`a position of an unknown era is answered with a new one over ${name}`, async (t) => {
    const server = await testServer(t);
    const site = server.site();
    const { ticket } = await site.online('jack');
    if (Client === CountingStream) {
      const query = { domain: siteA.domain, ticket, position: 'older.7' };
      const answer = new Promise<string>((resolve) => {
        void fetch(`http://${server.host}/v5/events?${new URLSearchParams(query)}`).then(async (response) => {
          let text = '';
          const reader = response.body?.getReader();
          while (!text.includes('data:')) text += new TextDecoder().decode((await reader?.read())?.value);
          await reader?.cancel();
          resolve(text);
        });
      });
      t.match(await answer, /id: \w+\.0\ndata: \{"status":"ok","position":"\w+\.0","missed":true,"messages":\[\]/);
      return;
    }
    const client = server.own(new Client(server.port, ticket));
    client.position = 'older.7';
    await client.connect();
    await client.until(() => client.frames.some(({ missed }) => missed === true), 'frame that says so');
    t.match(client.position, /^\w+\.0$/);
    await site.push('anna', 'jack', 'hello');
    await client.has(1);
    t.match(client.position, /^\w+\.1$/);
  });
}

t.test('resume is answered with the position, then with what follows', async (t) => {
  const server = await testServer(t);
  const site = server.site();
  const { ticket } = await site.online('jack');
  await site.push('anna', 'jack', 'one');
  const client = server.own(new CountingSocket(server.port, ticket));
  await client.connect();
  await client.has(1);
  t.match(client.texts[0], /^\{"status":"ok","position":"\w+\.0"\}$/);
  t.match(client.texts[1], /^\{"status":"ok","messages":\[/, 'nothing is said that the client knows');
});

/** A client of Jack, which has one message and has not confirmed it. */
async function connected<Client extends CountingSocket | CountingStream>(
  t: Cleaner,
  Kind: new (port: number, ticket: string) => Client,
  settings?: Settings,
) {
  const server = await testServer(t, settings);
  const site = server.site();
  const { ticket } = await site.online('jack');
  const queued = (): number => server.metrics.domain(siteA.domain).queuedPackets;
  const client = server.own(new Kind(server.port, ticket));
  await client.connect();
  await site.push('anna', 'jack', 'one');
  await client.has(1);
  return { server, site, ticket, client, queued };
}

t.test('a client confirms by ping and received, and has again what it has not confirmed', async (t) => {
  const { server, site, client, queued } = await connected(t, CountingSocket);
  t.equal(queued(), 1, 'kept until it is confirmed');
  client.say('ping');
  await client.until(() => client.texts.includes('pong'), 'pong');
  await server.settled();
  t.equal(queued(), 0);
  await site.push('anna', 'jack', 'two');
  await client.has(2);
  client.say('received');
  await server.settledWhile(() => queued() > 0);
  await site.push('anna', 'jack', 'three');
  await client.has(3);
  client.disconnect();
  const { position } = client;
  client.position = position.replace(/\d+$/, '2');
  await client.connect();
  await client.has(4);
  t.strictSame(client.bodies, ['one', 'two', 'three', 'three']);
  client.socket?.send('ping nonsense');
  client.socket?.send('received nonsense');
  client.socket?.send('ping a b');
  client.say('ping');
  await client.until(() => client.texts.filter((text) => text === 'pong').length === 3, 'pongs');
  await server.settledWhile(() => queued() > 0);
});

t.test('a pong confirms what the ping before it counted, until the client says for itself how far it is', async (t) => {
  const { server, site, client, queued } = await connected(t, CountingSocket, { socket: { pingMs: 20 } });
  await server.settledWhile(() => queued() > 0);
  t.ok(client.pings.includes(client.position));
  client.say('ping');
  await client.until(() => client.texts.includes('pong'), 'pong');
  await site.push('anna', 'jack', 'two');
  await client.has(2);
  const seen = client.pings.length;
  await server.settledWhile(() => client.pings.length < seen + 3);
  t.equal(queued(), 1, 'the page has not said that it has this');
});

t.test('a page that says other things than how far it is confirms by pongs, though it is not silent', async (t) => {
  const { server, client, queued } = await connected(t, CountingSocket);
  t.equal(queued(), 1);
  client.socket?.send('heartbeat');
  await server.settledWhile(() => queued() > 0);
  t.strictSame(client.pings, [client.position]);
  client.socket?.send('heartbeat');
  await server.settled();
  t.strictSame(client.pings, [client.position], 'nothing is left to confirm');
});

t.test('a page on a stream of events confirms by the call received', async (t) => {
  const { server, ticket, client: stream, queued } = await connected(t, CountingStream);
  t.equal(queued(), 1);
  const call = { call: 'received', position: stream.position };
  const answer = await server.request({
    method: 'POST',
    path: '/v5/packets',
    query: { domain: siteA.domain, ticket },
    json: call,
  });
  t.equal(answer.status, 200, answer.text);
  await server.settledWhile(() => queued() > 0);
});

t.test('a poll that another one takes the place of is told so where its client counts', async (t) => {
  const server = await testServer(t);
  const site = server.site();
  const { ticket } = await site.online('jack');
  const first = poll(server, ticket, { query: { position: '0' } });
  await first.sent;
  await server.settled();
  const second = poll(server, ticket, { query: { position: '0' } });
  t.equal((await first.answer).text, '{"status":"ok","replaced":true,"messages":[],"presences":[],"statuses":[]}');
  await site.push('anna', 'jack', 'one');
  t.match((await second.answer).text, /^\{"status":"ok","position":"\w+\.0","messages":\[\{/);
  const third = poll(server, ticket);
  await third.sent;
  await server.settled();
  const fourth = poll(server, ticket);
  t.equal(
    (await third.answer).text,
    '{"status":"ok","messages":[],"presences":[],"statuses":[]}',
    'as NexTalk 5 has it',
  );
  fourth.abort();
});

t.test('a malformed position is 400 for a poll and a stream, and ends a socket with 4400', async (t) => {
  const server = await testServer(t);
  const { ticket } = await server.site().online('jack');
  const query = { domain: siteA.domain, ticket };
  for (const path of ['/v5/packets', '/v5/events']) {
    for (const position of ['', 'x', '1', 'e.-1']) {
      const answer = await server.request({ path, query: { ...query, position } });
      t.match([answer.status, answer.body], [400, { detail: /position/ }], `${path} ${position}`);
    }
    t.equal((await server.request({ path, query: { ...query, ticket: 'uid:jack:00', position: '0' } })).status, 404);
  }
  const socket = await WebSocketClient.open(server);
  socket.send(`resume ${siteA.domain} x ${ticket}`);
  t.match(await socket.closed, { code: 4400 });
});

t.test(
  'an old connection that takes over gets only what was never sent, and confirms what is written to it',
  async (t) => {
    const server = await testServer(t);
    const site = server.site();
    const { ticket } = await site.online('jack');
    const client = server.own(new CountingSocket(server.port, ticket));
    await client.connect();
    await site.push('anna', 'jack', 'one');
    await client.has(1);
    client.disconnect();
    await site.push('anna', 'jack', 'two');
    t.match(await pollPackets(server, ticket), [{ body: 'two' }]);
    await site.push('anna', 'jack', 'three');
    client.position = '-';
    await client.connect();
    await client.has(2);
    t.strictSame(client.bodies, ['one', 'three']);
    t.match(client.position, /\.3$/);
  },
);

t.test('a stream of events is a stream for every proxy and page, and its end says what to do', async (t) => {
  const server = await testServer(t, { domains: [{ ...siteA, origins: ['https://good.example'] }] });
  const site = server.site();
  const { ticket } = await site.online('jack');
  const query = { domain: siteA.domain, ticket };
  const foreign = await server.request({ path: '/v5/events', query, headers: { Origin: 'https://bad.example' } });
  t.match([foreign.status, foreign.body], [400, { detail: 'origin is not allowed' }]);
  const stream = server.own(new CountingStream(server.port, ticket));
  await stream.connect();
  t.match(stream.headers, {
    'content-type': 'text/event-stream',
    'x-accel-buffering': 'no',
    'cache-control': 'no-store',
  });
  const second = server.own(new CountingStream(server.port, ticket));
  await second.connect();
  await stream.until(() => stream.events.includes('replaced'), 'event');
  t.equal(stream.retries.at(-1), 86_400_000);
  await site.offline(ticket);
  await second.until(() => second.events.includes('stopped'), 'event');
  t.equal(second.retries.at(-1), 86_400_000);
  const gone = server.own(new CountingStream(server.port, ticket));
  await gone.connect();
  t.equal(gone.status, 404);
  await server.settledWhile(() => server.metrics.connections.events > 0);
});

t.test('a stream ends and comes again when half of the queue’s bound is unconfirmed', async (t) => {
  const server = await testServer(t, { limits: { queuePackets: 10 } });
  const site = server.site();
  const { ticket } = await site.online('jack');
  const stream = server.own(new CountingStream(server.port, ticket));
  await stream.connect();
  for (let n = 0; n < 40; n++) {
    await site.push('anna', 'jack', String(n));
    await stream.has(n + 1);
  }
  t.strictSame([stream.missed, stream.lost], [0, 0]);
  t.ok(stream.opened >= 7, `opened ${stream.opened} times`);
});
