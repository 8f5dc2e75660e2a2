/** Messages to somebody offline, as they are read at a start: src/actors/mailboxes.ts. */
import t from 'tap';
import type { Address } from '../src/actors/address.js';
import { Mailboxes } from '../src/actors/mailboxes.js';
import { type MessageFields, Packet } from '../src/actors/packet.js';
import type { Limits } from '../src/config.js';
import { damagedRecords } from '../src/damaged.js';
import { Metrics } from '../src/metrics.js';
import { part } from '../src/store/keys.js';
import { ManualClock } from './mqtt/support/clock.js';
import { MemoryStore } from './support/memory-store.js';

const address = '/domain/example.com/uid/ada' as Address;

t.test('a damaged record of a message costs itself, and the others wait still', async (t) => {
  const store = new MemoryStore();
  const limits = { queuePackets: 0, queueBytes: 0, offlineBytes: 0, offlineAgeS: 0 } as Limits;
  const open = (): Mailboxes => {
    const owner = { name: 'example.com', limits, metrics: new Metrics().domain('example.com') };
    const mailboxes = new Mailboxes(owner, new ManualClock(), store);
    t.teardown(() => mailboxes.close());
    return mailboxes;
  };
  const before = open();
  for (const body of ['1', '2', '3']) {
    const fields: MessageFields = {
      ...{ from: 'bob', to: 'ada', nick: 'Bob', type: 'chat', body, timestamp: '1', style: '' },
      id: body,
    };
    before.keep(address, new Packet('message', fields, address, null));
  }
  const table = store.table<unknown>('offline');
  const [key] = [...table.entries(part('example.com'))][1] ?? [];
  if (key) table.put(key, 7);
  const counted = damagedRecords();
  const bodies = [...open().read(address)].map(({ fields }) => (fields as MessageFields).body);
  t.strictSame(bodies, ['1', '3']);
  t.equal(damagedRecords() - counted, 1);
});
