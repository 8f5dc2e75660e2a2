/** Bans of network addresses where a proxy says who a client is: PROTOCOL.md section 10. */
import t from 'tap';
import { HANG_MS } from '../support/hang.js';
import { siteA, type TestServer, testServer } from '../support/server.js';
import { WebSocketClient } from '../support/websocket.js';
import { Admin } from './support.js';

const settings = { admin: { port: -1 }, trustProxy: true };

async function ban(server: TestServer, address: string): Promise<void> {
  const answer = await new Admin(server).ask('POST', `/api/domains/${siteA.domain}/ban`, { address, minutes: 5 });
  if (answer.status !== 201) throw new Error(`ban answered ${answer.status} ${answer.text}`);
}

/** What a client that sends this X-Forwarded-For is answered by each way. */
async function ways(server: TestServer, ticket: string, forwardedFor: string): Promise<unknown[]> {
  const headers = { 'x-forwarded-for': forwardedFor };
  const query = { domain: siteA.domain, ticket };
  const json = { call: 'presences', ids: '1' };
  const calls = await server.request({ method: 'POST', path: '/v5/packets', query, json, headers });
  const socket = await WebSocketClient.open(server, { headers });
  socket.send(`subscribe ${siteA.domain} ${ticket}`);
  const first = await Promise.race([socket.text().catch(() => ''), socket.closed.then(({ code }) => String(code))]);
  socket.close();
  const isLetIn = first === '{"status":"ok"}';
  if (isLetIn) return [calls.status, 'socket'];
  const poll = await server.request({ path: '/v5/packets', query, headers });
  const events = await server.request({ path: '/v5/events', query, headers });
  return [calls.status, (await socket.closed).code, poll.status, events.status];
}

t.test(
  'behind a proxy a ban is of whom the proxy names, however it is written and whatever a client claims',
  { timeout: HANG_MS },
  async (t) => {
    const server = await testServer(t, settings);
    const { ticket } = await server.site().online('jack');
    const headers = { 'x-forwarded-for': '192.0.2.7' };
    const rose = await server.site().online('rose');
    const connected = await WebSocketClient.connect(server, rose.ticket, { headers });
    await ban(server, '::ffff:192.0.2.7');
    await ban(server, '2001:db8:1:2::1');
    t.equal((await connected.closed).code, 1000, 'who is connected from there ends');
    const kept = [
      '192.0.2.7',
      '::ffff:c000:207',
      '192.0.2.7:5555',
      '198.51.100.1, 192.0.2.7',
      '2001:db8:1:2:ffff::9',
      '[2001:DB8:1:2::3]:80',
    ];
    for (const address of kept) t.strictSame(await ways(server, ticket, address), [403, 4403, 403, 403], address);
    const letIn = ['192.0.2.8', '192.0.2.7, 198.51.100.1', '2001:db8:1:3::1', 'nonsense, 198.51.100.1', ''];
    for (const address of letIn) t.strictSame(await ways(server, ticket, address), [200, 'socket'], address);
  },
);

t.test(
  'without a trusted proxy nobody is banned, or let in, by what a client claims',
  { timeout: HANG_MS },
  async (t) => {
    const server = await testServer(t, { ...settings, trustProxy: false });
    const { ticket } = await server.site().online('jack');
    await ban(server, '192.0.2.7');
    t.strictSame(await ways(server, ticket, '192.0.2.7'), [200, 'socket']);
    await ban(server, '127.0.0.1');
    t.strictSame(await ways(server, ticket, '192.0.2.8'), [403, 4403, 403, 403]);
  },
);
