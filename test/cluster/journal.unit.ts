/** What a node writes of endpoints that change, for the node that takes them over. */
import t from 'tap';
import { type Address, parseTarget, type Target } from '../../src/actors/address.js';
import type { EndpointMessage } from '../../src/actors/endpoint.js';
import type { KeptEndpoint } from '../../src/actors/kept.js';
import type { Ref } from '../../src/actors/system.js';
import { ClusterJournal } from '../../src/cluster/journal.js';
import { TestBroker, testMachine } from '../mqtt/support/broker.js';
import { ManualClock } from '../mqtt/support/clock.js';

const name = 'a.example';
const address = '/domain/a.example/uid/jack' as Address;
const kept = {} as KeptEndpoint;

t.test('an endpoint that was just written for another reason is not written again 100 ms later', (t) => {
  const clock = new ManualClock();
  const put: Address[] = [];
  const records = {
    put: (_domain: string, of: Address) => void put.push(of),
    remove: () => undefined,
    written: () => undefined,
    putFor: async () => undefined,
  };
  const journal = new ClusterJournal({ name, settings: { durability: 'restart' } }, clock, records);
  const actor = { stopped: false, tell: () => journal.keep('uid', 'jack', kept) } as unknown as Ref<EndpointMessage>;
  journal.changed(address, actor);
  journal.keep('uid', 'jack', kept);
  clock.advance(1000);
  t.equal(put.length, 1);
  journal.changed(address, actor);
  clock.advance(1000);
  t.equal(put.length, 2, 'what changes after that is written');
  t.end();
});

t.test('an endpoint that says that it has handled what came before is not written for that', async (t) => {
  const { domain, host } = testMachine(t);
  const changed: Address[] = [];
  Object.assign(domain.cluster, { journal: { writes: true, changed: (of: Address) => void changed.push(of) } });
  await new TestBroker({} as never, host.context, host.context.domains as never).online('jack');
  const endpoint = domain.endpoint(parseTarget(name, 'jack') as Target);
  const pass = () => new Promise<void>((done) => endpoint.tell({ kind: 'pass', done }));
  changed.length = 0;
  await pass();
  t.strictSame(changed, []);
  endpoint.tell({ kind: 'missed' });
  await pass();
  t.strictSame(changed, [address], 'as it is for what may change it');
});
