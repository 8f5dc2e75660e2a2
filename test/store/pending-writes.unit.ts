/** A table of a cluster's store while its writes are pending, against a naive model of it. */
import t from 'tap';
import { PendingWrites } from '../../src/store/pending-writes.js';
import { ReplicatedTable } from '../../src/store/replicated-table.js';
import type { Key, Table } from '../../src/store/store.js';
import { subjectOf } from '../../src/store/wire.js';
import type { Write } from '../../src/store/writes.js';
import { dice } from '../support/dice.js';

let number = 0;

function write(key: Key, value: unknown): Write {
  number += 1;
  return {
    subject: subjectOf('offline', key),
    key,
    value,
    number,
    text: '',
    commit: 0,
    sequence: 0,
    heard: 0,
  } as never;
}

t.test('pending writes are found by the first parts of their keys, whatever came and went', (t) => {
  for (let seed = 1; seed <= 50; seed++) {
    const roll = dice(seed);
    const pending = new PendingWrites();
    const model = new Map<string, Write>();
    for (let step = 0; step < 200; step++) {
      const key: Key = roll(4) === 0 ? [`a${roll(3)}`] : [`a${roll(3)}`, roll(2) ? `b${roll(3)}` : roll(3), roll(4)];
      const one = write(key, step);
      const known = model.get(one.subject);
      if (known && roll(2) === 0) {
        pending.delete(known);
        model.delete(known.subject);
      } else {
        pending.set(one);
        model.set(one.subject, one);
      }
      const prefix: Key = roll(2) ? [`a${roll(3)}`] : [`a${roll(3)}`, `b${roll(3)}`];
      const wanted = [...model.values()].filter((other) => prefix.every((part, at) => other.key[at] === part));
      const found = new Set(pending.near(prefix));
      t.ok(wanted.length === found.size && wanted.every((other) => found.has(other)), `seed ${seed}, step ${step}`);
      const firsts = new Set([...model.values()].map((other) => other.key[0]));
      t.strictSame([[...pending.firsts()].sort(), pending.size], [[...firsts].sort(), model.size]);
    }
  }
  t.end();
});

t.test('a domain whose only record is still on its way is among the first parts', (t) => {
  const copy = { firsts: () => ['old'], get: () => undefined, entries: () => [] } as unknown as Table<string>;
  const table = new ReplicatedTable<string>(
    'offline',
    copy,
    (_table, _subject, key, value) => write(key, value),
    () => undefined,
  );
  table.put(['new', 'jack', 1], 'hi');
  t.strictSame([...table.firsts()].sort(), ['new', 'old']);
  t.strictSame([...table.entries('new')], [[['new', 'jack', 1], 'hi']]);
  t.strictSame([...table.entries(['new', 'anna'])], []);
  t.end();
});
