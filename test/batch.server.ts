/** Many messages in one call, and the data of messages: PROTOCOL.md section 11. */
import t from 'tap';
import { siteA, siteB, testServer } from './support/server.js';
import type { Person, Site } from './support/site.js';
import { transports } from './support/transports.js';

function batch(site: Site, messages: unknown, more: object = {}) {
  const json = { domain: site.domain, messages, ...more };
  return site.send({ method: 'POST', path: '/v5/messages/batch', json });
}

t.test('each message of a batch has its answer in its place, and a bad one holds up no other', async (t) => {
  const server = await testServer(t);
  const site = server.site();
  const { ticket } = await site.online('anna', { nick: 'Anna' });
  const jack = await site.arrive('jack');
  const answer = await batch(site, [
    { from: 'news', to: 'jack', body: 'one' },
    { from: 'news', to: 'jack', body: '' },
    { ticket, to: 'jack', body: 'two', receipt: true, id: 'b' },
    { ticket: 'uid:anna:00', to: 'jack', body: 'x' },
    7,
    null,
    { ticket, to: ['jack', 'nobody'], body: 'three', receipt: '1', id: 'c' },
  ]);
  t.equal(answer.status, 200);
  t.strictSame(answer.body, {
    status: 'ok',
    results: [
      { status: 'ok' },
      { status: 'error', message: 'bad request', detail: 'body must not be empty' },
      { status: 'ok', id: 'b', outcome: 'delivered' },
      { status: 'error', message: 'ticket not found' },
      { status: 'error', message: 'bad request', detail: 'ticket is required' },
      { status: 'error', message: 'bad request', detail: 'ticket is required' },
      { status: 'ok', id: 'c', outcomes: { jack: 'delivered', nobody: 'dropped' } },
    ],
  });
  for (const body of ['one', 'two', 'three']) t.hasStrict(await jack.next(), { body });
  t.equal(server.metrics.refused.ticketNotFound, 1);
});

t.test('a batch of messages to a thousand each holds nobody up until its end, and keeps their order', async (t) => {
  const server = await testServer(t);
  const site = server.site();
  const jack = await site.arrive('jack');
  const to = ['jack', ...Array.from({ length: 999 }, (_, n) => `n${n}`)].join(',');
  let isAnswered = false;
  const answered = batch(
    site,
    Array.from({ length: 100 }, (_, n) => ({ from: 'news', to, body: String(n) })),
  ).then((answer) => {
    isAnswered = true;
    return answer;
  });
  t.hasStrict(await jack.next(), { body: '0' });
  t.notOk(isAnswered, 'the first is there before the last is sent');
  for (let n = 1; n < 100; n++) t.hasStrict(await jack.next(), { body: String(n) });
  const { results } = (await answered).body as { results: unknown[] };
  t.equal(results.length, 100);
});

t.test('what is no batch is refused as a whole', async (t) => {
  const site = (await testServer(t, { domains: [{ ...siteA, limits: { batchMessages: 3 } }, siteB] })).site();
  const message = { from: 'news', to: 'jack', body: 'x' };
  t.match(await batch(site, Array(4).fill(message)), { status: 400, body: { detail: 'messages must be at most 3' } });
  t.match(await batch(site, Array(3).fill(message)), { status: 200 });
  t.strictSame((await batch(site, [])).body, { status: 'ok', results: [] });
  for (const messages of [undefined, 'x', { a: 1 }]) {
    t.match(await batch(site, messages), { status: 400, body: { detail: 'messages must be a list' } });
  }
  const path = '/v5/messages/batch';
  t.equal((await site.post(path, { messages: 'x' })).status, 415);
  t.equal((await site.send({ method: 'POST', path, body: '[]', type: 'application/json' })).status, 400);
  t.equal((await site.send({ path })).status, 405);
  t.equal((await batch(site, [message], { domain: 'b.example' })).status, 401);
  const large = await batch(site, [{ ...message, body: 'x'.repeat(1024 * 1024) }]);
  t.equal(large.status, 413);
  t.match((await batch(site, [{ ...message, body: 'x'.repeat(100_000) }])).body, {
    results: [{ detail: /^body must be/ }],
  });
});

t.test('the last of many messages is in the same place as the first', async (t) => {
  const site = (await testServer(t)).site();
  const jack = await site.arrive('jack');
  const messages = Array.from({ length: 1000 }, (_, n) => ({
    from: 'news',
    to: 'jack',
    body: `${n}`,
    receipt: 1,
    id: `i${n}`,
  }));
  const { body } = await batch(site, messages);
  const { results } = body as { results: { id: string }[] };
  t.strictSame(
    results.map(({ id }) => id),
    messages.map(({ id }) => id),
  );
  for (const { body: text } of messages) t.equal((await jack.next()).body, text);
});

/** The data of the next message. */
async function dataOf(person: Person): Promise<unknown> {
  const packet: Readonly<Record<string, unknown>> = await person.next();
  return packet.data;
}

const DATA = { card: { n: 1.5, 'ü "': ['/', null, true, 12345678901] }, __proto__x: [] };

for (const transport of transports) {
  t.test(`by ${transport.name} the data of a message comes as the value that it is, before the id`, async (t) => {
    const site = (await testServer(t, { mqtt: { port: -1 } })).site();
    const jack = await site.arrive('jack', {}, transport);
    const message = { from: 'news', to: 'jack', body: 'a card', timestamp: '1.5e12' };
    await site.post('/v5/messages', { ...message, data: ` ${JSON.stringify(DATA)}\n` });
    t.strictSame(await dataOf(jack), DATA, 'from a form');
    // A long number elsewhere in the JSON is kept as text, and must not make texts of the data's.
    const json = { domain: site.domain, ...message, timestamp: 12345678901234567n, data: DATA };
    const text = JSON.stringify(json, (_name, value) => (typeof value === 'bigint' ? Number(value) : value));
    await site.send({ method: 'POST', path: '/v5/messages', body: text, type: 'application/json' });
    t.strictSame(await dataOf(jack), DATA, 'from JSON');
    await batch(site, [{ ...message, data: DATA }]);
    t.strictSame(await dataOf(jack), DATA, 'from a batch');
  });
}

t.test('data may be any value, and what is no JSON is refused', async (t) => {
  const site = (await testServer(t, { limits: { messageBytes: 400 } })).site();
  const jack = await site.arrive('jack');
  const send = (data: string) => site.post('/v5/messages', { from: 'news', to: 'jack', body: 'x', data });
  for (const data of ['0', '""', 'false', '[]', 'null', '"text"', '{"id":"x"}', '["\\u00e9"]']) {
    t.equal((await send(data)).text, '{"status":"ok"}', data);
    t.strictSame(await dataOf(jack), JSON.parse(data));
  }
  t.equal((await send('')).status, 200);
  t.notOk('data' in (await jack.next()), 'empty is none');
  const nested = (depth: number) => '['.repeat(depth) + ']'.repeat(depth);
  t.equal((await send(nested(100))).status, 200);
  for (const data of ['{', 'text', '{"a":1,}', '"\\ud800"', nested(101), nested(5000)]) {
    t.match(await send(data), { status: 400, body: { detail: 'data is not JSON' } }, data.slice(0, 20));
  }
  for (const data of ['1e999', '[{"a":-1e999}]']) {
    t.match(await send(data), { status: 400, body: { detail: 'data is not JSON' } }, 'null would be received');
    const body = `{"domain":"a.example","from":"a","to":"jack","body":"c","data":${data}}`;
    t.match(await site.send({ method: 'POST', path: '/v5/messages', body, type: 'application/json' }), { status: 400 });
  }
  t.match(await send(`"${'x'.repeat(399)}"`), { status: 400, body: { detail: 'data must be at most 400 bytes' } });
  t.equal((await send(`"${'x'.repeat(398)}"`)).status, 200);
  const deep = `{"domain":"a.example","from":"a","to":"b","body":"c","data":${nested(4000)}}`;
  const answer = await site.send({ method: 'POST', path: '/v5/messages', body: deep, type: 'application/json' });
  t.match(answer, { status: 400, body: { detail: 'data is not JSON' } });
});

t.test('data is kept by the offline store', async (t) => {
  const data = t.testdir();
  const settings = { data, domains: [{ ...siteA, offline: true }] };
  const first = await testServer(t, settings);
  await first.site().push('news', 'jack', 'a card', { data: '{"a":[1]}' });
  await first.close();
  const jack = await (await testServer(t, settings)).site().arrive('jack');
  t.match(await jack.next(), { body: 'a card', data: { a: [1] } });
});
