import t from 'tap';
import { chat } from '../support/chat.js';
import { natsServer, testCluster } from '../support/nats.js';
import { skipWithout } from '../support/programs.js';
import { transports } from '../support/transports.js';

t.test('people on different nodes chat', { skip: skipWithout('nats-server') }, async (t) => {
  const nats = await natsServer(t);
  for (const [i, hers] of transports.entries()) {
    for (const [j, his] of transports.entries()) {
      t.test(`Alice by ${hers.name} and Bob by ${his.name}`, async (t) => {
        const nodes = await testCluster(t, nats, 3, { mqtt: { port: -1 }, presence: { graceMs: 80 } });
        const sites = nodes.map((node) => node.site());
        const [a, b] = [(i + j) % 3, (i + j + 1 + (j % 2)) % 3];
        const hersAt = { site: sites[a], transport: hers };
        const hisAt = { site: sites[b], transport: his };
        await chat(t, hersAt as never, hisAt as never);
      });
    }
  }
});
