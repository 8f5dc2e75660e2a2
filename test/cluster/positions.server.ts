/** A client that keeps a position goes on from it wherever in the cluster its connection lands. */
import t from 'tap';
import { CountingPoll, CountingSocket, CountingStream } from '../support/counting.js';
import { LossyRelay } from '../support/lossy-relay.js';
import { natsServer, testCluster } from '../support/nats.js';
import { skipWithout } from '../support/programs.js';
import { siteA } from '../support/server.js';
import { overSilentLinks } from '../support/silent-links.js';

const skip = skipWithout('nats-server');
const clients = { WebSocket: CountingSocket, 'long polls': CountingPoll, 'server-sent events': CountingStream };

for (const [name, Client] of Object.entries(clients)) {
  t.test(
    `over ${name} nothing is lost on links to other nodes that go silent before they break`,
    { skip },
    async (t) => {
      const nodes = await testCluster(t, await natsServer(t), 2);
      const [home, other] = nodes;
      const site = home.site();
      const { ticket } = await site.online('jack');
      const relays = [await LossyRelay.start(other), await LossyRelay.start(home)] as const;
      const client = home.own(new Client(relays[0].port, ticket));
      const sent = await overSilentLinks(client, relays, nodes, 6, (body) => site.push('anna', 'jack', body));
      t.strictSame(client.bodies, sent);
      t.strictSame([client.missed, client.lost], [0, 0]);
      if (!(client instanceof CountingSocket)) return;
      const queued = () => home.metrics.domain(siteA.domain).queuedPackets;
      client.disconnect();
      client.port = relays[0].port;
      await client.connect();
      t.equal(queued(), 0, 'a position confirms');
      await site.push('anna', 'jack', 'more');
      await client.has(sent.length + 1);
      t.equal(queued(), 1);
      client.say('ping');
      await home.settledWhile(() => queued() > 0);
    },
  );
}

t.test('frames to another node are of a size that nodes can send, and in order', { skip }, async (t) => {
  const [home, other] = await testCluster(t, await natsServer(t), 2);
  const site = home.site();
  const { ticket } = await site.online('jack');
  for (let n = 0; n < 100; n++) await site.push('anna', 'jack', `${n} ${'x'.repeat(8000)}`);
  const client = home.own(new CountingSocket(other.port, ticket));
  await client.connect();
  await client.has(100);
  t.strictSame(
    client.bodies.map((body) => Number.parseInt(body, 10)),
    Array.from({ length: 100 }, (_, n) => n),
  );
  t.ok(client.frames.length > 4, `${client.frames.length} frames`);
});
