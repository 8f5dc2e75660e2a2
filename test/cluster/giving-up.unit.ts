/** What becomes of messages to an endpoint that this node gives up, as another one has taken it over. */
import t from 'tap';
import type { Address } from '../../src/actors/address.js';
import type { EndpointMessage } from '../../src/actors/endpoint.js';
import { type Outcome, Receipt } from '../../src/actors/outcome.js';
import { Packet } from '../../src/actors/packet.js';
import type { ClusteredDomain } from '../../src/cluster/domain.js';
import { giveUp } from '../../src/cluster/giving-up.js';
import { Peer } from '../../src/cluster/peer.js';

const address = '/domain/a.example/uid/ada' as Address;

t.test('a call whose message comes while its receiver is given up is answered', (t) => {
  const told: EndpointMessage[] = [];
  const sent: string[] = [];
  const actor = { tell: (message: EndpointMessage) => void told.push(message) };
  const cluster = {
    domain: { name: 'a.example', tracker: { actor: () => actor } },
    items: { relayed: (_to: Address, packet: Packet<'message'>) => packet.fields.body },
  } as unknown as ClusteredDomain;
  const options = {
    mesh: { send: (_peer: Peer, item: string) => void sent.push(item) },
    records: { forget: () => undefined },
    metrics: { givenUp: 0 },
  };
  giveUp(options, cluster, address, new Peer('n2', 1, 0, false));
  const [stop] = told;
  if (stop?.kind !== 'handOver') return t.fail('the endpoint is to stop');
  stop.done({ kept: {}, queues: null } as never);
  const fields = { id: '1', from: 'bob', to: 'ada', nick: 'Bob', timestamp: '1', type: 'chat', body: 'hi', style: '' };
  const packet = new Packet('message', fields as never, address, null);
  const outcomes: Outcome[] = [];
  packet.receipt = new Receipt(true, (outcome) => void outcomes.push(outcome));
  stop.forward({ kind: 'deliver', packet: packet as Packet, only: null });
  t.strictSame([sent, outcomes], [['hi'], ['unknown']], 'what becomes of it there is not known');
  t.end();
});
