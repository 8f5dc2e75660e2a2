import t from 'tap';
import { Distinct } from '../../src/usage/distinct.js';
import { ManualClock } from '../mqtt/support/clock.js';
import { siteA, type TestServer, testServer } from '../support/server.js';
import { Admin } from './support.js';

const HOUR_MS = 3_600_000;
const path = `/api/domains/${siteA.domain}/usage`;

async function usage(server: TestServer, query: string) {
  const answer = await new Admin(server).ask('GET', `${path}?${query}`);
  return { ...answer, rows: (answer.body as { usage: Record<string, number>[] } | undefined)?.usage ?? [] };
}

t.test('different users are counted within a few percent, on one node or on several', async (t) => {
  for (const count of [0, 1, 10, 100, 1000, 10_000, 100_000]) {
    const [one, two] = [new Distinct(), new Distinct()];
    for (let n = 0; n < count; n++)
      for (const node of n % 3 === 0 ? [one, two] : [n % 2 ? one : two]) node.add(`user ${n}`);
    one.merge(two.registers);
    t.ok(Math.abs(one.count - count) <= Math.max(1, count * 0.08), `${count}: ${one.count}`);
    t.equal(new Distinct(one.registers).count, one.count);
  }
});

t.test('what a domain uses is told hour by hour and day by day, as JSON and CSV, and is kept', async (t) => {
  const data = t.testdir();
  const clock = new ManualClock();
  const settings = { admin: { port: -1 }, data };
  const server = await testServer(t, settings, clock);
  const start = clock.now() - (clock.now() % HOUR_MS);
  const tick = async () => {
    for (let second = 0; second < 5; second++) clock.advance(1000);
    await server.settled();
  };
  const site = server.site();
  await site.arrive('jack');
  await site.online('ann');
  await site.push('2', 'jack', 'hello');
  await tick();
  t.match((await usage(server, '')).rows, [{ from: start, peakOnline: 2, users: 2, messagesIn: 1, restCalls: 3 }]);
  clock.advance(HOUR_MS);
  await tick();
  await site.push('2', 'jack', 'again');
  await tick();
  const { rows } = await usage(server, 'step=hour');
  t.match(rows, [{ messagesIn: 1 }, { from: start + HOUR_MS, messagesIn: 1, users: 2 }]);
  t.ok((rows[1]?.connectionHours ?? 0) > 0 && (rows[0]?.bytesIn ?? 0) > 5 && (rows[0]?.bytesOut ?? 0) > 5);
  const day = await usage(server, 'step=day');
  t.match(day.rows, [{ users: 2, messagesIn: 2, peakOnline: 2 }]);
  const csv = await usage(server, 'format=csv');
  t.match(csv.headers, { 'content-type': 'text/csv; charset=utf-8' });
  t.match(csv.text, /^from,peakOnline,users,messagesIn,.*\n\d{4}-\d\d-\d\dT\d\d:00:00\.000Z,2,2,1,/);
  t.strictSame((await usage(server, `from=${start + HOUR_MS}`)).rows.length, 1);
  for (const query of ['from=x', 'step=week', 'from=5&to=4']) t.equal((await usage(server, query)).status, 400, query);
  await server.close();
  const second = await testServer(t, settings, clock);
  t.match((await usage(second, '')).rows, [{ messagesIn: 1 }, { messagesIn: 1 }]);
});
