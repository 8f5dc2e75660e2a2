import t from 'tap';
import { ManualClock } from './mqtt/support/clock.js';
import { chat } from './support/chat.js';
import { testServer, times } from './support/server.js';
import { transports } from './support/transports.js';

const settings = { mqtt: { port: -1 }, presence: { graceMs: times.graceMs } };

for (const hers of transports) {
  for (const his of transports) {
    t.test(`Alice by ${hers.name} and Bob by ${his.name} chat`, async (t) => {
      const clock = new ManualClock();
      const site = (await testServer(t, settings, clock)).site();
      const graceOver = () => clock.advance(times.graceMs);
      await chat(t, { site, transport: hers }, { site, transport: his }, { graceOver });
    });
  }
}

t.test('one user on every transport at once receives each message on each', async (t) => {
  const site = (await testServer(t, { mqtt: { port: -1 } })).site();
  const clients = [];
  for (const transport of transports) clients.push(await site.arrive('alice', {}, transport));
  const bob = await site.online('bob');
  for (let n = 0; n < 20; n++) await site.message(bob.ticket, 'alice', `${n}`);
  for (const client of clients) for (let n = 0; n < 20; n++) t.equal((await client.next()).body, `${n}`);
});
