/** Records of endpoints that have not changed for long, which are written again before JetStream forgets them. */
import t from 'tap';
import type { Address } from '../../src/actors/address.js';
import type { ClusteredDomain } from '../../src/cluster/domain.js';
import { EVERY_MS, MOST, Refreshing } from '../../src/cluster/refreshing.js';
import { ManualClock } from '../mqtt/support/clock.js';
import { turnsUntil } from '../support/until.js';

const name = 'a.example';

function setUp(endpoints: number, writes = true) {
  const clock = new ManualClock();
  const written = new Set<Address>();
  const here = Array.from({ length: endpoints }, (_, n) => ({
    address: `/domain/${name}/uid/${n}` as Address,
    actor: {},
    birth: 1,
  }));
  const domains = new Map([[name, { tracker: { here: () => here } } as unknown as ClusteredDomain]]);
  const records = { isWritten: (_domain: string, address: Address) => written.has(address) };
  const journal = { writes, changed: (address: Address) => void written.add(address) };
  const refreshing = new Refreshing({ clock, domains, records, journals: new Map([[name, journal]]) });
  /** Lets a time go by after which records are looked through. */
  const pass = async (): Promise<void> => {
    clock.advance(EVERY_MS);
    await turnsUntil('all are looked through', () => clock.waiting > 0);
  };
  return { clock, written, refreshing, pass };
}

t.test('records that JetStream would forget before long are written again, only so many at a time', async (t) => {
  const { written, pass } = setUp(MOST + 10);
  await pass();
  t.equal(written.size, MOST);
  await pass();
  t.equal(written.size, MOST + 10);
});

t.test('where a domain keeps nothing, and when its node has ended, nothing is written again', async (t) => {
  const none = setUp(1, false);
  await none.pass();
  t.equal(none.written.size, 0);
  const { clock, written, refreshing } = setUp(1);
  refreshing.close();
  clock.advance(EVERY_MS);
  t.strictSame([written.size, clock.waiting], [0, 0]);
});
