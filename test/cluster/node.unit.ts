/** What a node does when another one is not heard of. */
import t from 'tap';
import { ClusterNode, type NodeOptions } from '../../src/cluster/node.js';
import { Peer } from '../../src/cluster/peer.js';
import { ManualClock } from '../mqtt/support/clock.js';
import { withSlowTime } from '../support/time-by-hand.js';

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

t.test('of a node that is heard of again while its endpoints go offline no further one does', async (t) => {
  const node = new ClusterNode({
    ...{ name: 'n1', clock: new ManualClock(), graceMs: 0, siblings: new Set(), encode: () => '', shared: {} },
    config: { name: 'test', nats: [], leaseMs: 1000, store: 'none' },
    system: { endOfTurn: new Set(), wake: () => undefined },
    metrics: { cluster: {}, conditions: {} },
  } as unknown as NodeOptions);
  const offline: number[] = [];
  const tracker = {
    *hide() {
      for (let n = 0; n < 3; n++) yield offline.push(n);
    },
  };
  const connections = { lost: () => undefined };
  const domain = { takeOver: () => undefined };
  node.domains.set('a.example', {
    ...{ domain, tracker, relays: connections, remoteTransports: connections, remoteClients: connections },
    packets: { letClientsFirst: () => () => undefined },
  } as never);
  withSlowTime(t);
  const peer = new Peer('n2', 1, 0, false);
  peer.up = false;
  node.hidden(peer);
  t.strictSame(offline, [0]);
  peer.up = true;
  await turn();
  await turn();
  t.strictSame(offline, [0]);
});
