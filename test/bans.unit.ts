import t from 'tap';
import { type Ban, Bans, MOST_BANS } from '../src/directory/bans.js';

function banOf(n: number, since: number, until: number): Ban {
  const stamp = since * 1024 + n;
  return { domain: 'a.example', kind: 'clientId', value: String(n), stamp, until, since, reason: '', by: 'admin' };
}

t.test('a domain that has had as many bans as may be sets further ones when earlier ones have ended', async (t) => {
  let now = 0;
  const bans = new Bans(
    null,
    () => now,
    () => undefined,
  );
  const own = bans.of('a.example');
  for (let n = 0; n < MOST_BANS; n++) bans.set(banOf(n, now, n < 2 ? 60_000 : 120_000));
  const further = banOf(MOST_BANS, now, 120_000);
  t.notOk(own.hasRoom(further), 'all hold');
  bans.set(further);
  t.equal(own.find({ clientId: further.value }), null);
  t.ok(own.hasRoom(banOf(5, now, 180_000)), 'one that is there is set anew');
  now = 60_000;
  t.ok(own.hasRoom(further));
  bans.set({ ...further, until: 180_000 });
  t.match(own.find({ clientId: further.value }), { until: 180_000 });
  t.equal(own.size, MOST_BANS);
  t.match(own.find({ clientId: '2' }), { until: 120_000 }, 'no ban that holds has gone');
});
