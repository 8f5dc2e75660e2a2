/** A refusal after which a client may come again tells it when, whatever carries the client. */
import t from 'tap';
import { siteA, testServer } from './support/server.js';
import { WebSocketClient } from './support/websocket.js';

t.test('who finds no room in a domain is told when to come again, over each transport of pages', async (t) => {
  const server = await testServer(t, { limits: { connectionsPerDomain: 1 } });
  const site = server.site();
  await WebSocketClient.connect(server, (await site.online('anna')).ticket);
  const { ticket } = await site.online('jack');
  const query = { domain: siteA.domain, ticket };
  const body = { status: 'error', message: 'too many requests', retryAfter: 1 };
  const poll = await server.request({ path: '/v5/packets', query });
  t.strictSame([poll.status, poll.body, poll.headers['retry-after']], [429, body, '1']);
  const script = await server.request({ path: '/v5/packets', query: { ...query, callback: 'take' } });
  t.strictSame([script.status, script.text], [429, `/**/take(${JSON.stringify(body)});`]);
  const stream = await server.request({ path: '/v5/events', query, headers: { accept: 'text/event-stream' } });
  t.strictSame(
    [stream.status, stream.text],
    [200, 'retry: 1000\n\n'],
    'another status would end its EventSource for good',
  );
  const fetched = await server.request({ path: '/v5/events', query });
  t.strictSame([fetched.status, fetched.body, fetched.headers['retry-after']], [429, body, '1']);
  const socket = await WebSocketClient.open(server);
  socket.send(`subscribe ${siteA.domain} ${ticket}`);
  t.strictSame(JSON.parse(await socket.text()), body);
  t.strictSame(await socket.closed, { code: 1013, reason: 'try again later, in 1 s' });
});

t.test('who has too many connections from one address is told so in the form of its transport', async (t) => {
  const server = await testServer(t, { limits: { connectionsPerAddress: 1 } });
  const site = server.site();
  await WebSocketClient.connect(server, (await site.online('anna')).ticket);
  const { ticket } = await site.online('jack');
  const query = { domain: siteA.domain, ticket };
  const body = { status: 'error', message: 'too many requests', retryAfter: 1 };
  const script = await server.request({ path: '/v5/packets', query: { ...query, callback: 'take' } });
  t.strictSame(
    [script.status, script.text, script.headers.connection],
    [429, `/**/take(${JSON.stringify(body)});`, 'close'],
  );
  const stream = await server.request({ path: '/v5/events', query, headers: { accept: 'text/event-stream' } });
  t.strictSame([stream.status, stream.text], [200, 'retry: 1000\n\n']);
});

t.test('polls and streams that come to a server which ends are told when to come again', async (t) => {
  const server = await testServer(t);
  const { ticket } = await server.site().online('jack');
  const query = { domain: siteA.domain, ticket };
  await server.drain();
  const body = { status: 'error', message: 'unavailable', retryAfter: 5 };
  const poll = await server.request({ path: '/v5/packets', query });
  t.strictSame([poll.status, poll.body, poll.headers['retry-after']], [503, body, '5']);
  const stream = await server.request({ path: '/v5/events', query, headers: { accept: 'text/event-stream' } });
  t.strictSame([stream.status, stream.text], [200, 'retry: 5000\n\n']);
  const calls = await server.request({
    method: 'POST',
    path: '/v5/packets',
    query,
    headers: { 'content-type': 'text/plain' },
    body: '[]',
  });
  t.strictSame([calls.status, calls.body], [503, body]);
});
