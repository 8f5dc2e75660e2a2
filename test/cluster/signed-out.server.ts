/** A user is signed out by name: whichever node the user's clients come to tells them so, also when the node of their tickets has ended. */
import t from 'tap';
import { natsServer, testCluster } from '../support/nats.js';
import { poll } from '../support/polling.js';
import { skipWithout } from '../support/programs.js';

const skip = skipWithout('nats-server');

t.test(
  'a ticket that a sign-out has ended is known as such on a node that comes later, when its own has ended',
  { skip },
  async (t) => {
    const nats = await natsServer(t);
    const [n1, n2, n3] = await testCluster(t, nats, 3);
    const { ticket } = await n1.site().online('jack');
    const { ticket: other } = await n1.site().online('rose');
    await n3.site().post('/v5/presences/offline', { name: 'jack' });
    await n1.close();
    for (const node of [n2, n3]) {
      const { status, body } = await poll(node, ticket, { query: { position: '0' } }).answer;
      t.strictSame([status, (body as { readonly status: string }).status], [200, 'stopped']);
      t.equal((await poll(node, other, { query: { position: '0' } }).answer).status, 404);
    }
  },
);
