/** The items of an outbox that carry messages are found by these: src/actors/outbox-queue.ts. */
import t from 'tap';
import type { Kept } from '../src/actors/outbox.js';
import { OutboxQueue } from '../src/actors/outbox-queue.js';
import { damagedRecords } from '../src/damaged.js';
import { dice } from './support/dice.js';
import { MemoryStore } from './support/memory-store.js';

t.test('items are found by their messages and taken out wherever they stand, and leave no memory behind', async (t) => {
  for (let seed = 1; seed <= 100; seed++) {
    const roll = dice(seed);
    const total = { items: 0, bytes: 0, memory: 0 };
    const queue = new OutboxQueue(null, ['domain', 'events'], (items, bytes, memory) => {
      total.items += items;
      total.bytes += bytes;
      total.memory += memory;
    });
    /** Sequences and ids of the items that wait; null: an item without a message. */
    let wanted: { readonly sequence: number; readonly id: string | null }[] = [];
    for (let step = 0, sequence = 0; step < 400; step++) {
      const what = roll(4);
      if (what < 2) {
        const id = roll(5) === 0 ? null : `m${roll(20)}`;
        queue.push('an item', 0, null, id ?? '', null);
        wanted.push({ sequence: sequence++, id });
      } else if (what === 2) {
        queue.shift();
        wanted = wanted.slice(1);
      } else {
        const id = `m${roll(20)}`;
        const found = queue.ofMessage(id);
        const own = wanted.filter((one) => one.id === id).map((one) => one.sequence);
        if (found.join() !== own.join()) t.fail(`seed ${seed}: ${found} is not ${own}`);
        const gone = own[roll(Math.max(1, own.length))];
        if (gone === undefined) continue;
        const place = queue.placeOf(gone);
        if (place !== wanted.findIndex((one) => one.sequence === gone))
          t.fail(`seed ${seed}: ${gone} stands at ${place}`);
        queue.removeAnywhere(place);
        wanted = wanted.filter((one) => one.sequence !== gone);
      }
      const sequences = [...queue.sequences()];
      if (sequences.join() !== wanted.map((one) => one.sequence).join()) t.fail(`seed ${seed}: ${sequences}`);
    }
    while (queue.shift());
    t.strictSame(total, { items: 0, bytes: 0, memory: 0 }, `seed ${seed}`);
  }
});

t.test('ids that a user makes so that a sum over their characters is the same do not find each other', async (t) => {
  const queue = new OutboxQueue(null, ['domain', 'events'], () => undefined);
  const ids = Array.from({ length: 64 }, (_, n) =>
    n.toString(2).padStart(6, '0').replaceAll('0', 'Aa').replaceAll('1', 'BB'),
  );
  for (const id of ids) queue.push('an item', 0, null, id, null);
  t.strictSame(
    ids.map((id) => [...queue.ofMessage(id)]),
    ids.map((_, sequence) => [sequence]),
  );
});

t.test('a damaged record of an item costs itself, and the others are sent', async (t) => {
  const table = new MemoryStore().table<Kept>('webhooks');
  const open = () => new OutboxQueue(table, ['domain', 'events'], () => undefined);
  const before = open();
  for (const text of ['one', 'two', 'three']) before.push(text, 1, null, '', null);
  table.put(['domain', 'events', 1], { odd: 1 } as never);
  const counted = damagedRecords();
  const after = open();
  t.strictSame([...after.sequences()], [0, 2]);
  after.push('four', 1, null, '', null);
  t.strictSame([...after.sequences()], [0, 2, 3]);
  t.equal(damagedRecords() - counted, 1);
});
