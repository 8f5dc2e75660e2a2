/** What somebody has read on one node is not for the clients that come to another one: PROTOCOL.md section 12. */
import t from 'tap';
import { CountingSocket } from '../support/counting.js';
import { natsServer, testCluster } from '../support/nats.js';
import { skipWithout } from '../support/programs.js';

const skip = skipWithout('nats-server');
const presence = { clientIdleMs: 1e7, graceMs: 1e7 };

t.test('messages read on another node do not come again when a ticket ends', { skip }, async (t) => {
  const [one, two] = await testCluster(t, await natsServer(t), 2, { presence });
  for (const isOlder of [true, false]) {
    const name = isOlder ? 'jack' : 'rose';
    const older = isOlder ? (await one.site().online(name, { client: 'phone' })).ticket : null;
    const browser = await two.site().arrive(name);
    const phone = older ?? (await one.site().online(name, { client: 'phone' })).ticket;
    await one.site().push('anna', name, 'read');
    t.hasStrict(await browser.next(), { body: 'read' });
    await browser.offline();
    // Answered when the other node has all that this one has told.
    await two.site().online(`after ${name}`);
    await two.site().push('anna', name, 'new');
    await one.site().offline(phone);
    const next = await one.site().arrive(name);
    t.hasStrict(await next.next(), { body: 'new' }, name);
    t.strictSame(await next.before(), []);
  }
});

t.test('messages that a client on another node had and did not confirm come again', { skip }, async (t) => {
  const [one, two] = await testCluster(t, await natsServer(t), 2, { presence });
  const phone = await one.site().online('jack', { client: 'phone' });
  const { ticket } = await two.site().online('jack');
  const browser = two.own(new CountingSocket(two.port, ticket));
  await browser.connect();
  await one.site().push('anna', 'jack', 'one');
  await browser.has(1);
  browser.say('received');
  await one.site().push('anna', 'jack', 'two');
  await browser.has(2);
  browser.disconnect();
  await two.site().offline(ticket);
  await two.site().online('after');
  await one.site().offline(phone.ticket);
  const next = await one.site().arrive('jack');
  t.hasStrict(await next.next(), { body: 'two' });
  t.strictSame(await next.before(), []);
});
