/** Ids that senders name: who sends the same again is answered as the first time. PROTOCOL.md section 11. */
import t from 'tap';
import { REMEMBERED_MS } from '../src/actors/message-ids.js';
import { ManualClock } from './mqtt/support/clock.js';
import { siteA, type TestServer, testServer } from './support/server.js';

const push = { from: 'shop', to: 'jack', body: 'hi' };

t.test('a message that is sent again under its id comes once, and is answered as the first time', async (t) => {
  const server = await testServer(t);
  const site = server.site();
  const jack = await site.arrive('jack');
  const first = await site.post('/v5/messages', { ...push, id: 'order-7', receipt: 1 });
  t.equal(first.text, '{"status":"ok","id":"order-7","outcome":"delivered"}');
  t.hasStrict(await jack.next(), { body: 'hi' });
  await jack.offline();
  for (let n = 0; n < 3; n++) {
    t.equal((await site.post('/v5/messages', { ...push, id: 'order-7', receipt: 1 })).text, first.text);
  }
  t.equal((await site.post('/v5/messages', { ...push, id: 'order-7' })).text, '{"status":"ok"}');
  const again = await site.arrive('jack');
  t.strictSame(await again.before(), []);
  t.equal(server.metrics.domain('a.example').messagesRepeated, 4);
});

t.test('another sender, another id and a receiver who is named for the first time have the message', async (t) => {
  const site = (await testServer(t)).site();
  const [jack, anna] = [await site.arrive('jack'), await site.arrive('anna')];
  await site.post('/v5/messages', { ...push, id: 'a' });
  await site.post('/v5/messages', { ...push, id: 'a', from: 'news', body: 'another sender' });
  await site.post('/v5/messages', { ...push, id: 'b', body: 'another id' });
  const both = await site.post('/v5/messages', { ...push, id: 'a', to: 'jack,anna,nobody', receipt: 1 });
  t.match(both.body, { outcomes: { jack: 'delivered', anna: 'delivered', nobody: 'dropped' } });
  for (const body of ['hi', 'another sender', 'another id']) t.hasStrict(await jack.next(), { body });
  t.strictSame(await jack.before(), []);
  t.hasStrict(await anna.next(), { to: 'anna', body: 'hi' });
});

t.test('an empty id is none, and a malformed one is refused', async (t) => {
  const site = (await testServer(t)).site();
  const jack = await site.arrive('jack');
  for (let n = 0; n < 2; n++) t.equal((await site.post('/v5/messages', { ...push, id: '' })).text, '{"status":"ok"}');
  for (let n = 0; n < 2; n++) t.hasStrict(await jack.next(), { body: 'hi' });
  for (const id of ['a b', 'ä', 'a/b', 'x'.repeat(65), '"']) {
    t.match(await site.post('/v5/messages', { ...push, id }), { status: 400, body: { detail: /^id must be/ } });
  }
  t.match(await site.post('/v5/messages', { ...push, id: 'x'.repeat(64) }), { status: 200 });
});

t.test('the header Idempotency-Key names a message, quoted or not, unless a parameter does', async (t) => {
  const site = (await testServer(t)).site();
  const jack = await site.arrive('jack');
  const ask = async (key: string, id?: string) => {
    const form = { domain: siteA.domain, ...push, id, receipt: 1 };
    return site.send({ method: 'POST', path: '/v5/messages', form, headers: { 'Idempotency-Key': key } });
  };
  t.match((await ask('k-1')).body, { id: 'k-1' });
  t.match((await ask('"k-1"')).body, { id: 'k-1' });
  t.match((await ask('k-1', 'mine')).body, { id: 'mine' });
  t.match(await ask('no key'), { status: 400, body: { detail: /^id must be/ } });
  for (let n = 0; n < 2; n++) t.hasStrict(await jack.next(), { body: 'hi' });
  t.strictSame(await jack.before(), []);
});

t.test('what was refused is not remembered', async (t) => {
  const site = (await testServer(t)).site();
  const jack = await site.arrive('jack');
  t.equal((await site.post('/v5/messages', { ...push, id: 'a', to: 'jack,a/b' })).status, 400);
  t.equal((await site.post('/v5/messages', { ...push, id: 'a' })).status, 200);
  t.hasStrict(await jack.next(), { body: 'hi' });
});

t.test('after ten minutes an id may be used again', async (t) => {
  const clock = new ManualClock();
  const server = await testServer(t, {}, clock);
  const site = server.site();
  const metrics = server.metrics.domain('a.example');
  await site.post('/v5/messages', { ...push, id: 'a' });
  clock.advance(REMEMBERED_MS - 1);
  t.match((await site.post('/v5/messages', { ...push, id: 'a', receipt: 1 })).body, { outcome: 'dropped' });
  t.equal(metrics.messagesRepeated, 1);
  clock.advance(1);
  await site.arrive('jack');
  t.match((await site.post('/v5/messages', { ...push, id: 'a', receipt: 1 })).body, { outcome: 'delivered' });
  t.equal(metrics.messagesRepeated, 1);
  for (const id of ['b', 'c', 'd']) await site.post('/v5/messages', { ...push, id });
  t.equal(metrics.messageIds, 4);
  clock.advance(REMEMBERED_MS + 60_000);
  t.equal(metrics.messageIds, 0, 'nobody has to ask for what is over');
});

t.test('beyond the limit the oldest ids are forgotten, and counted', async (t) => {
  const server = await testServer(t, { limits: { idsPerDomain: 2 } });
  const site = server.site();
  const jack = await site.arrive('jack');
  for (const id of ['a', 'b', 'c', 'a']) await site.post('/v5/messages', { ...push, id, body: id });
  for (const body of ['a', 'b', 'c', 'a']) t.hasStrict(await jack.next(), { body });
  const metrics = server.metrics.domain('a.example');
  t.equal(metrics.messageIds, 2);
  t.equal(metrics.messageIdsForgotten, 2);
});

t.test('ids outlive a restart, with what was stored', async (t) => {
  const data = t.testdir();
  const settings = { data, domains: [{ ...siteA, offline: true }] };
  const first = await testServer(t, settings);
  await first.site().arrive('anna');
  const form = { ...push, to: 'jack,anna', id: 'order-7', receipt: 1 };
  const answer = await first.site().post('/v5/messages', form);
  t.match(answer.body, { outcomes: { jack: 'stored', anna: 'delivered' } });
  await first.close();
  const second = await testServer(t, settings);
  t.equal((await second.site().post('/v5/messages', form)).text, answer.text);
  const jack = await second.site().arrive('jack');
  t.hasStrict(await jack.next(), { body: 'hi' });
  t.strictSame(await jack.before(), []);
});

t.test('ids that clients name push out none of their site’s, in whatever number', async (t) => {
  const domains = [{ ...siteA, clientCalls: true, clientSend: ['http'] }];
  const clock = new ManualClock();
  const data = t.testdir();
  const settings = { data, domains, limits: { idsPerDomain: 10 } };
  const first = await testServer(t, settings, clock);
  for (const id of ['a', 'b']) await first.site().post('/v5/messages', { ...push, id });
  const { ticket } = await first.site().online('jack');
  const flood = async (server: TestServer, from: number) => {
    const calls = Array.from({ length: 20 }, (_, n) => ({
      call: 'message',
      to: 'anna',
      body: 'x',
      id: `c${from + n}`,
    }));
    const query = { domain: siteA.domain, ticket };
    const answer = await server.request({ method: 'POST', path: '/v5/packets', query, body: JSON.stringify(calls) });
    t.ok((answer.body as { status: string }[]).every(({ status }) => status === 'ok'));
  };
  await flood(first, 0);
  await first.close();
  const second = await testServer(t, settings, clock);
  clock.advance(1000);
  await flood(second, 20);
  for (const id of ['a', 'b']) await second.site().post('/v5/messages', { ...push, id });
  t.equal(second.metrics.domain(siteA.domain).messagesRepeated, 2);
  t.equal(second.metrics.domain(siteA.domain).messageIds, 10, 'two of the site, and the latest eight of the client');
});
