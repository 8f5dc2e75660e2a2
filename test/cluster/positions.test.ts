/** A client that keeps a position goes on from it wherever in the cluster its connection lands. */
import t from 'tap';
import { CountingPoll, CountingSocket, CountingStream } from '../support/counting.js';
import { LossyRelay } from '../support/lossy-relay.js';
import { natsServer, testCluster } from '../support/nats.js';
import { skipWithout } from '../support/programs.js';
import type { TestServer } from '../support/server.js';
import { siteA } from '../support/server.js';

const skip = skipWithout('nats-server');
const clients = { WebSocket: CountingSocket, 'long polls': CountingPoll, 'server-sent events': CountingStream };

for (const [name, Client] of Object.entries(clients)) {
  t.test(
    `over ${name} nothing is lost on links to other nodes that go silent before they break`,
    { skip },
    async (t) => {
      const nodes = (await testCluster(t, await natsServer(t), 2)) as unknown as [TestServer, TestServer];
      const [home, other] = nodes;
      const site = home.site();
      const { ticket } = await site.online('jack');
      const relays = [await LossyRelay.start(other), await LossyRelay.start(home)] as const;
      const client = home.own(new Client(relays[0].port, ticket));
      const queued = () => home.metrics.domain(siteA.domain).queuedPackets;
      let sent = 0;
      const push = async () => site.push('anna', 'jack', String(sent++));
      for (let round = 0; round < 6; round++) {
        const relay = relays[round % 2] as LossyRelay;
        Object.assign(client, { port: relay.port });
        await client.connect();
        await push();
        await client.has(sent);
        relay.silence();
        for (let n = 0; n < 3; n++) await push();
        await home.settled();
        await other.settled();
        if (round % 3 === 0) relay.breakClients();
        else relay.break();
        client.disconnect();
        await push();
      }
      await client.connect();
      await client.has(sent);
      t.strictSame(
        client.bodies,
        Array.from({ length: sent }, (_, n) => String(n)),
      );
      t.strictSame([client.missed, client.lost], [0, 0]);
      if (!(client instanceof CountingSocket)) return;
      client.disconnect();
      Object.assign(client, { port: relays[0].port });
      await client.connect();
      t.equal(queued(), 0, 'a position confirms');
      await push();
      await client.has(sent);
      t.equal(queued(), 1);
      client.say('ping');
      while (queued() > 0) await home.settled();
    },
  );
}

t.test('frames to another node are of a size that nodes can send, and in order', { skip }, async (t) => {
  const nodes = (await testCluster(t, await natsServer(t), 2)) as unknown as [TestServer, TestServer];
  const [home, other] = nodes;
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
