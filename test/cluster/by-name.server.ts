/** Calls by name on another node than the endpoint's, and who is online in pages of several nodes: PROTOCOL.md section 16. */
import t from 'tap';
import { CountingPoll, CountingSocket, CountingStream } from '../support/counting.js';
import { clusterSettings, natsServer, testCluster } from '../support/nats.js';
import { skipWithout } from '../support/programs.js';
import { merge, siteA, type TestServer, testServer } from '../support/server.js';
import { SECRET, seconds, token } from '../support/tokens.js';
import { WebSocketClient } from '../support/websocket.js';

const skip = skipWithout('nats-server');
const domains = [{ ...siteA, tokenSecret: SECRET }];
const ok = { status: 'ok' };

async function call(node: TestServer, path: string, form: Record<string, string>): Promise<unknown> {
  return (await node.site().post(path, form)).body;
}

async function signIn(node: TestServer, iat: number): Promise<number> {
  const form = { token: token('jack', { iat, exp: iat + 3600 }) };
  return (await node.request({ method: 'POST', path: '/v5/presences/online', form })).status;
}

t.test('calls by name reach the endpoint on its own node', { skip }, async (t) => {
  const [home, other] = await testCluster(t, await natsServer(t), 2, { domains });
  const rose = await other.site().arrive('rose', { rooms: 'lobby', buddies: 'jack' });
  await home.site().arrive('jack');
  t.match(await rose.next(), { type: 'online', from: 'jack' });
  t.strictSame(await call(other, '/v5/presences/show', { name: 'jack', show: 'dnd' }), ok);
  t.match(await rose.next(), { type: 'show', show: 'dnd' });
  t.strictSame(await call(other, '/v5/rooms/lobby/join', { name: 'jack' }), ok);
  t.match(await rose.next(), { type: 'join', from: 'jack', to: 'lobby' });
  t.strictSame(await call(other, '/v5/statuses', { name: 'jack', to: 'rose', show: 'typing' }), ok);
  t.match(await rose.next(), { kind: 'status', nick: 'JACK', show: 'typing' });
  t.strictSame((await other.site().get('/v5/rooms/lobby/members')).body, { jack: 'dnd', rose: 'available' });
  t.strictSame(await call(other, '/v5/rooms/lobby/leave', { name: 'jack' }), ok);
  t.match(await rose.next(), { type: 'leave', from: 'jack', to: 'lobby' });
  t.match(await call(other, '/v5/rooms/lobby/join', { name: 'nobody' }), { message: 'not online' });
});

t.test('OFFLINE by name ends the clients on all nodes, and all nodes refuse the tokens', { skip }, async (t) => {
  const nats = await natsServer(t);
  const settings = clusterSettings(nats, { domains });
  const start = (node: string) => testServer(t, merge(settings, { cluster: { node } }));
  const nodes = [await start('n1'), await start('n2'), await start('n3')] as const;
  const [one, two, three] = nodes;
  const now = seconds();
  const here = await one.site().arrive('jack');
  const there = await two.site().arrive('jack');
  const roaming = await WebSocketClient.connect(three, (await one.site().online('jack')).ticket);
  const rose = await two.site().arrive('rose');
  t.strictSame(await call(three, '/v5/presences/offline', { name: 'jack' }), ok);
  for (const { client } of [here, there]) t.equal(await (client as WebSocketClient).ended, 'stopped');
  t.equal(await roaming.ended, 'stopped');
  for (const node of nodes) t.equal(await signIn(node, now - 1), 401);
  const late = await start('n4');
  t.equal(await signIn(late, now - 1), 401, 'a node that comes later knows');
  await one.site().push('anna', 'rose', 'still here');
  t.match(await rose.next(), { body: 'still here' });
});

for (const Client of [CountingSocket, CountingPoll, CountingStream]) {
  t.test(`a ${Client.name} of a name that was signed out is stopped at any node`, { skip }, async (t) => {
    const [home, other] = await testCluster(t, await natsServer(t), 2, { domains });
    const { ticket } = await home.site().online('jack');
    t.strictSame(await call(other, '/v5/presences/offline', { name: 'jack' }), ok);
    for (const node of [home, other]) {
      const client = node.own(new Client(node.port, ticket));
      await client.connect();
      await client.until(() => client.frames.at(-1)?.status === 'stopped', 'stopped');
      client.disconnect();
    }
    await t.rejects(WebSocketClient.connect(other, ticket), 'without a position it is unknown');
  });
}

t.test('who is online is listed the same by all nodes, and a page goes on at another one', { skip }, async (t) => {
  const nodes = await testCluster(t, await natsServer(t), 2, { domains });
  for (let n = 0; n < 30; n++) await (nodes[n % 2] as TestServer).site().online(`u${n}`);
  const listed: string[] = [];
  let after: string | undefined;
  for (let turn = 0; turn === 0 || after !== undefined; turn++) {
    const site = (nodes[turn % 2] as TestServer).site();
    const { body } = await site.get('/v5/presences/all', { limit: '4', after });
    const { presences, next } = body as { presences: object; next?: string };
    listed.push(...Object.keys(presences));
    after = next;
  }
  t.strictSame(listed.toSorted(), Array.from({ length: 30 }, (_, n) => `u${n}`).toSorted());
  const [first, second] = await Promise.all(nodes.map((node) => node.site().get('/v5/presences/all')));
  t.equal(first?.text, second?.text);
});
