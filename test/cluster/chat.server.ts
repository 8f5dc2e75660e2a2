import t from 'tap';
import { chat } from '../support/chat.js';
import { balancer, natsServer, testCluster } from '../support/nats.js';
import { skipWithout } from '../support/programs.js';
import type { TestServer } from '../support/server.js';
import { longPolling, mqttTcp, transports, webSocket } from '../support/transports.js';

const skip = skipWithout('nats-server');
const settings = { mqtt: { port: -1 }, presence: { graceMs: 80 } };

t.test('people on different nodes chat', { skip }, async (t) => {
  const nats = await natsServer(t);
  for (const [i, hers] of transports.entries()) {
    for (const [j, his] of transports.entries()) {
      t.test(`Alice by ${hers.name} and Bob by ${his.name}`, async (t) => {
        const nodes = await testCluster(t, nats, 3, settings);
        // In every second test Bob reloads his page on the third node.
        const [a, b, c] = [0, 1, 2].map((n) => nodes[(i + j + n) % 3] as TestServer);
        const at = (node: TestServer | undefined, transport: typeof hers) => ({
          site: (node as TestServer).site(),
          transport,
        });
        await chat(t, at(a, hers), at(b, his), { again: at(j % 2 ? c : b, his) });
      });
    }
  }
});

t.test('people behind a balancer chat, whichever node each request and connection comes to', { skip }, async (t) => {
  const nats = await natsServer(t);
  for (const hers of [webSocket, longPolling, mqttTcp]) {
    for (const his of [webSocket, longPolling, mqttTcp]) {
      t.test(`Alice by ${hers.name} and Bob by ${his.name}`, async (t) => {
        const front = balancer(t, await testCluster(t, nats, 3, settings));
        await chat(t, { site: front.site(), transport: hers }, { site: front.site(), transport: his });
      });
    }
  }
});
