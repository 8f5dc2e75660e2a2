/** Which endpoints the mark of a node that ends says nothing of, as JetStream does not have all that they had. */
import t from 'tap';
import { parseTarget, type Target } from '../../src/actors/address.js';
import type { EndpointMessage } from '../../src/actors/endpoint.js';
import { Packet } from '../../src/actors/packet.js';
import type { ClusteredDomain } from '../../src/cluster/domain.js';
import { ClusterJournal } from '../../src/cluster/journal.js';
import { LeftQueues } from '../../src/cluster/left-queues.js';
import { Parting } from '../../src/cluster/parting.js';
import { TicketRecords } from '../../src/cluster/ticket-records.js';
import { own, TestBroker, testMachine } from '../mqtt/support/broker.js';
import { ManualClock } from '../mqtt/support/clock.js';
import { turn } from '../mqtt/support/device.js';
import { MemoryStream } from '../support/memory-stream.js';
import type { Cleaner } from '../support/server.js';

const name = own.domain;
const target = parseTarget(name, 'ada') as Target;
const { address } = target;
const room = '/domain/a.example/gid/lobby' as typeof address;

/** A node with an endpoint whose record JetStream has, and for which nothing waits. */
async function setUp(t: Cleaner) {
  const clock = new ManualClock();
  const { host, domain, metrics } = testMachine(t, {}, clock);
  const stream = new MemoryStream();
  const port = stream.portOf({ isDead: false });
  const jetstream = { available: true, watchers: new Set<(available: boolean) => void>() };
  const start = ['n1', 1] as const;
  const records = new TicketRecords({
    ...{ jetstream, stream: port, node: 'n1', incarnation: 1, onConflict: () => undefined },
    ...{ keptMs: Number.POSITIVE_INFINITY, now: () => clock.now() },
  });
  const journal = new ClusterJournal(domain, clock, records);
  Object.assign(domain.cluster, { journal });
  await new TestBroker({} as never, host.context, host.context.domains as never).online('ada');
  const { tracker } = domain;
  const items = { wire: (packet: Packet) => JSON.stringify([packet.kind, address, null, packet.fields]) };
  const cluster = { domain, tracker, items } as unknown as ClusteredDomain;
  const queues = new LeftQueues(port);
  const changedIn = () => journal.unwritten;
  const domains = new Map([[name, cluster]]);
  const parting = new Parting({
    start,
    domains,
    records,
    needs: new Map(),
    queues,
    changedIn,
    metrics: metrics.cluster,
  });
  journal.flush();
  await turn();
  /** What the next node finds. */
  const part = async () => {
    const found = await records.readPart(name, address, 'n1');
    return found && queues.completed(name, address, found);
  };
  return {
    tracker,
    tell: (message: EndpointMessage) => domain.endpoint(target).tell(message),
    /** Ends the node; `late`: what comes when all is written, and before the node is marked. */
    end: async (late: () => void = () => undefined) => {
      journal.end();
      await parting.write(0);
      late();
      await turn();
      await parting.mark();
    },
    part,
    found: async () => (await part())?.kept ?? null,
  };
}

function message(body: string): Packet {
  const fields = { id: body, from: 'bob', to: 'ada', nick: 'Bob', timestamp: '1', type: 'chat', body, style: '' };
  return new Packet('message', fields as never, address, null);
}

t.test('an endpoint for which nothing waits is left with the mark of its node', async (t) => {
  const { end, found } = await setUp(t);
  await end();
  t.strictSame((await found())?.left, { queues: null, packets: [], at: 0 });
});

t.test('an endpoint that changes before it stops is written again, for which nothing waits', async (t) => {
  const { tracker, end, found } = await setUp(t);
  const actor = tracker.actor(address);
  if (!actor) return t.fail('it is there');
  const before = actor.tell.bind(actor);
  const tell = (message: EndpointMessage): void => {
    // It stands before the message that stops the endpoint.
    if (message.kind === 'handOver') before({ kind: 'mirror', join: [[room, 1]], leave: [], nick: null, watch: [] });
    before(message);
  };
  Object.assign(actor, { tell });
  await end();
  t.strictSame((await found())?.rooms, ['gid/lobby']);
});

t.test('a mark does not say that nothing waited of an endpoint for which something has come since', async (t) => {
  const { tell, end, found } = await setUp(t);
  await end(() => tell({ kind: 'deliver', packet: message('late'), only: null }));
  t.equal((await found())?.left, undefined);
});

t.test(
  'a client hears that it may have missed something where its node was told so after it had left its user',
  async (t) => {
    const { tell, end, found } = await setUp(t);
    await end(() => tell({ kind: 'missed' }));
    t.equal((await found())?.left, undefined, 'positions of a new era say so');
  },
);

t.test(
  'of an endpoint that was written with its queues, and for which more has come since, the mark says so',
  async (t) => {
    const { tell, end, part } = await setUp(t);
    tell({ kind: 'deliver', packet: message('waits'), only: null });
    await turn();
    await end(() => tell({ kind: 'deliver', packet: message('late'), only: null }));
    t.match(await part(), { isIncomplete: true, kept: { left: { packets: [{}] } } });
  },
);
