import t from 'tap';
import { newMessageId } from '../src/actors/message-id.js';

t.test('100,000 ids are all different, have 26 characters and sort as they were made', async (t) => {
  const ids = Array.from({ length: 100_000 }, () => newMessageId());
  t.equal(new Set(ids).size, ids.length);
  t.ok(ids.every((id) => /^[0-9A-Z]{26}$/.test(id)));
  const byTime = ids.map((id) => id.slice(0, 10));
  t.strictSame([...byTime].sort(), byTime);
});

t.test('ids of one millisecond sort as they were made, and a clock that falls back changes nothing', async (t) => {
  // A module of the test's own: in that of the other tests of the process time would stand still for a minute.
  type Module = typeof import('../src/actors/message-id.js');
  const { newMessageId } = await t.mockImport<Module>('../src/actors/message-id.js', {});
  const later = Date.now() + 60_000;
  const ids = [newMessageId(later), newMessageId(later), newMessageId(later - 5000), newMessageId(later + 1)];
  t.strictSame([...ids].sort(), ids);
});

t.test('what is random in an id differs from the one before in about every place', async (t) => {
  const same = Array.from({ length: 14 }, () => 0);
  let last = newMessageId();
  for (let i = 0; i < 3200; i++) {
    const id = newMessageId();
    for (let at = 0; at < 14; at++) if (id[12 + at] === last[12 + at]) (same[at] as number) += 1;
    last = id;
  }
  t.ok(
    same.every((count) => count > 40 && count < 200),
    `the same digit again ${same.join(' ')} times of 3,200: 100 by chance`,
  );
});

t.test('an id begins with the time at which it is made, whatever was tested before', async (t) => {
  const before = Date.now();
  const digits = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';
  const made = [...newMessageId().slice(0, 10)].reduce((ms, digit) => ms * 32 + digits.indexOf(digit), 0);
  t.ok(made >= before && made <= Date.now(), `${made - before} ms after now`);
});
