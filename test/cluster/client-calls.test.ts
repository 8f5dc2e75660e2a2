/** A client whose connection reaches another node than its own calls as it does at home: PROTOCOL.md section 14. */
import t from 'tap';
import { natsServer, testCluster } from '../support/nats.js';
import { skipWithout } from '../support/programs.js';
import { siteA } from '../support/server.js';
import { WebSocketClient } from '../support/websocket.js';

const skip = skipWithout('nats-server');
const domains = [{ ...siteA, clientCalls: true, clientSend: ['websocket', 'http'], clientJoin: ['lobby'] }];

t.test('a socket and a POST at another node are answered as those at the client’s own', { skip }, async (t) => {
  const [home, other] = await testCluster(t, await natsServer(t), 2, { domains });
  if (!home || !other) throw new Error('no cluster');
  const rose = await home.site().arrive('rose', { rooms: 'lobby' });
  const { ticket } = await home.site().online('jack');
  const socket = await WebSocketClient.connect(other, ticket);
  const call = async (words: object): Promise<unknown> => {
    socket.send(JSON.stringify(words));
    return JSON.parse(await socket.text());
  };
  t.match(await call({ call: 'message', ref: '1', to: 'rose', body: 'hi' }), { reply: '1', status: 'ok', id: /^\w+$/ });
  t.match(await rose.next(), { from: 'jack', nick: 'JACK', body: 'hi' });
  const outside = { message: 'forbidden', detail: 'not in the room' };
  t.match(await call({ call: 'message', to: 'lobby', type: 'grpchat', body: 'x' }), outside);
  t.match(await call({ call: 'join', ref: '2', room: 'lobby' }), { reply: '2', status: 'ok' });
  t.match(await rose.next(), { from: 'jack', to: 'lobby', type: 'join' });
  t.match(await call({ call: 'members', room: 'lobby' }), { presences: { jack: 'available', rose: 'available' } });
  const request = { method: 'POST', path: '/v5/packets', query: { domain: 'a.example', ticket }, type: 'text/plain' };
  const posted = await other.request({ ...request, body: JSON.stringify([{ call: 'show', ref: '3', show: 'away' }]) });
  t.strictSame(posted.body, [{ reply: '3', status: 'ok' }]);
  t.strictSame(await home.site().presences('jack'), { jack: 'away' });
  t.match(await call({ call: 'offline', ref: '4' }), { status: /ok|stopped/ });
  t.equal(await socket.ended, 'stopped');
});
