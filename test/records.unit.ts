/** Records in pages, against a naive model: whatever comes and goes, who stays is listed once, on every node the same. */
import t from 'tap';
import type { Address } from '../src/actors/address.js';
import type { EndpointRecord } from '../src/actors/endpoint-record.js';
import { Records } from '../src/actors/records.js';
import { dice } from './support/dice.js';

const record = (n: number): EndpointRecord => ({ address: `/domain/a.example/uid/${n}` }) as EndpointRecord;
const all = () => true;

function list(records: Records, limit: number, between: () => void = () => undefined): Address[] {
  const listed: Address[] = [];
  let after: Address | null = null;
  for (;;) {
    const { page, isLast } = records.page(after, limit, all);
    listed.push(...page.map(({ address }) => address));
    if (isLast) return listed;
    after = page.at(-1)?.address ?? null;
    between();
  }
}

t.test('a listing is the same whatever the limit, the order of coming and what has gone before', async (t) => {
  const [one, other] = [new Records(), new Records()];
  for (let n = 0; n < 500; n++) one.set(record(n).address, record(n));
  t.strictSame(one.page(null, 1, all).page.length, 1);
  for (let n = 999; n >= 0; n--) other.set(record(n).address, record(n));
  list(other, 100);
  for (let n = 999; n >= 500; n--) other.delete(record(n).address);
  t.equal(new Set(list(one, 7)).size, 500);
  t.strictSame(list(other, 500), list(one, 7));
});

t.test('whoever stays throughout a listing is listed once, and nobody twice', async (t) => {
  for (let seed = 1; seed <= 30; seed++) {
    const roll = dice(seed);
    const records = new Records();
    const there = new Set<number>();
    const set = (n: number) => {
      there.add(n);
      records.set(record(n).address, record(n));
    };
    for (let n = 0; n < 200; n++) if (roll(2) === 0) set(n);
    const stayed = new Set(there);
    const listed = list(records, 1 + roll(9), () => {
      for (let turn = 0; turn < 5; turn++) {
        const n = roll(200);
        if (!there.has(n)) {
          set(n);
          continue;
        }
        there.delete(n);
        stayed.delete(n);
        records.delete(record(n).address);
      }
    });
    t.equal(new Set(listed).size, listed.length, `seed ${seed}: nobody twice`);
    for (const n of stayed) t.ok(listed.includes(record(n).address), `seed ${seed}: ${n}`);
  }
});
