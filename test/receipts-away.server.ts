/** What a sender is told of a message to somebody who is away: PROTOCOL.md sections 11 and 12. */
import t from 'tap';
import { awayWorld, goAway } from './support/away.js';
import { CountingSocket } from './support/counting.js';

t.test('a message to somebody away is queued, also in a room, whose members it is not counted among', async (t) => {
  const one = await awayWorld(t);
  const { server, site } = one;
  const { ticket } = await site.online('jack', { rooms: 'lobby' });
  const client = new CountingSocket(server.port, ticket);
  await goAway(one, client);
  const push = { from: 'shop', body: 'hi', receipt: 1 };
  t.match((await site.post('/v5/messages', { ...push, to: 'jack' })).body, { outcome: 'queued' });
  const said = await site.post('/v5/messages', { ...push, to: 'lobby', type: 'grpchat' });
  t.match(said.body, { members: 0, outcome: 'dropped' }, 'nobody is to find out who is away');
  await client.connect();
  await client.has(2);
  t.match((await site.post('/v5/messages', { ...push, to: 'jack' })).body, { outcome: 'delivered' });
});
