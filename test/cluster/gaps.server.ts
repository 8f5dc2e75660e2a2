/** What two nodes believe of each other's connections when one of them has not been heard of for longer than its lease. */
import t from 'tap';
import { clusterSettings, type NatsServer, natsServer, ProcessNode } from '../support/nats.js';
import { skipWithout } from '../support/programs.js';
import { merge, type TestServer, testServer } from '../support/server.js';
import { until } from '../support/until.js';
import { converges } from '../support/watching-user.js';
import { WebSocketClient } from '../support/websocket.js';

const skip = skipWithout('nats-server');
const leaseMs = 2500;

interface Cleaner {
  teardown(fn: () => unknown): void;
}

/** Two nodes: one in a process of its own, which can be stopped, and one in this process, which goes on. */
async function stoppable(t: Cleaner, nats: NatsServer, clientIdleMs: number): Promise<[ProcessNode, TestServer]> {
  const settings = clusterSettings(nats, { cluster: { leaseMs }, presence: { graceMs: 50, clientIdleMs } });
  const staying = await testServer(t, merge(settings, { cluster: { node: 'staying' } }));
  const { name } = settings.cluster as { name: string };
  const sets = {
    'cluster.name': name,
    'cluster.leaseMs': leaseMs,
    'presence.graceMs': 50,
    'presence.clientIdleMs': clientIdleMs,
  };
  return [await ProcessNode.start(t, nats.url, 'stopped', sets), staying];
}

const onBoth =
  (nodes: readonly TestServer[], id: string, wanted: string | undefined) => async (): Promise<string[]> => {
    const found = await Promise.all(nodes.map((node) => node.site().presences(id)));
    return found.flatMap((answer) => (answer[id] === wanted ? [] : [`answers ${answer[id]}, not ${wanted}`]));
  };

t.test('a user whose home stops for longer than a lease is offline when the socket has gone', { skip }, async (t) => {
  const [home, visited] = await stoppable(t, await natsServer(t), 400);
  // On a busy machine her idle time may be over before she is connected: then she comes again.
  const socket = await until('alice connected', async () => {
    const { ticket } = await home.site().online('alice');
    return WebSocketClient.connect(visited, ticket).catch(() => null);
  });
  await converges(onBoth([home, visited], 'alice', 'available'));
  home.process.kill('SIGSTOP');
  t.equal((await socket.closed).code, 4404, 'the node that the socket is connected to ends it');
  home.process.kill('SIGCONT');
  await converges(onBoth([home, visited], 'alice', undefined));
});

t.test(
  'what a user had not been shown when the home node stopped comes with the next connection',
  { skip },
  async (t) => {
    const [home, visited] = await stoppable(t, await natsServer(t), 30_000);
    const { ticket } = await home.site().online('alice');
    const socket = await WebSocketClient.connect(visited, ticket);
    await home.site().push('bob', 'alice', 'seen');
    t.hasStrict(await socket.next(), { body: 'seen' });
    home.process.kill('SIGSTOP');
    t.equal((await socket.closed).code, 4404);
    home.process.kill('SIGCONT');
    await home.site().push('bob', 'alice', 'unseen');
    const again = await WebSocketClient.connect(home, ticket);
    t.hasStrict(await again.next(), { body: 'unseen' }, 'the message has waited for the next connection');
  },
);

t.test(
  'the home loses a connection to a node that stops, and the socket goes on when that node is back',
  { skip },
  async (t) => {
    const [visited, home] = await stoppable(t, await natsServer(t), 60_000);
    const { ticket } = await home.site().online('alice');
    const socket = await WebSocketClient.connect(visited, ticket);
    visited.process.kill('SIGSTOP');
    await converges(() => (home.metrics.cluster.nodesLost === 1 ? [] : ['not lost yet']));
    for (let n = 0; n < 5; n++) await home.site().push('bob', 'alice', `${n}`);
    visited.process.kill('SIGCONT');
    for (let n = 0; n < 5; n++) t.hasStrict(await socket.next(), { body: `${n}` });
  },
);
