import t from 'tap';
import { ManualClock } from './mqtt/support/clock.js';
import type { Answer } from './support/http.js';
import { packetsOf } from './support/packets.js';
import { openPoll, poll, pollPackets, unwrap } from './support/polling.js';
import { siteA, testServer } from './support/server.js';

const empty = { status: 'ok', messages: [], presences: [], statuses: [] };

function arrays(value: unknown): unknown {
  const { status, messages, presences, statuses } = value as Record<string, unknown>;
  return { status, messages, presences, statuses };
}

t.test('a poll with a callback is answered with a script that calls it', async (t) => {
  const server = await testServer(t);
  const { ticket } = await server.site().online('1', { nick: 'Jack' });
  await server.site().push('2', '1', 'hi', { nick: 'Two', timestamp: '5' });
  const answer = await poll(server, ticket, { callback: 'jsonp1407' }).answer;
  t.equal(answer.status, 200);
  t.equal(answer.headers['content-type'], 'application/javascript; charset=utf-8');
  t.equal(answer.headers['x-content-type-options'], 'nosniff');
  t.equal(answer.headers['cache-control'], 'no-store');
  t.ok(answer.text.startsWith('/**/'), 'the guard stands in front');
  const { callback, value } = unwrap(answer);
  t.equal(callback, 'jsonp1407');
  t.hasStrict(value, { status: 'ok', presences: [], statuses: [] });
  const hi = { kind: 'message', from: '2', to: '1', nick: 'Two', timestamp: '5', type: 'chat', body: 'hi', style: '' };
  t.strictSame(packetsOf(value), [hi]);
});

t.test('a poll without a callback is answered with JSON', async (t) => {
  const server = await testServer(t);
  const { ticket } = await server.site().online('1');
  await server.site().push('2', '1', 'hi');
  const answer = await poll(server, ticket).answer;
  t.equal(answer.headers['content-type'], 'application/json; charset=utf-8');
  t.equal(answer.headers['cache-control'], 'no-store');
  t.hasStrict(answer.body, { status: 'ok', messages: [{ body: 'hi' }], presences: [], statuses: [] });
});

t.test('a poll under /v4 or with a trailing slash is answered alike', async (t) => {
  const server = await testServer(t);
  const { ticket } = await server.site().online('1');
  for (const path of ['/v4/packets', '/v5/packets/', '/v4/packets/']) {
    await server.site().push('2', '1', path);
    t.hasStrict(await pollPackets(server, ticket, { path }), [{ body: path }]);
  }
});

t.test('callbacks that are dotted identifiers are called', async (t) => {
  const server = await testServer(t);
  const { ticket } = await server.site().online('1');
  for (const callback of ['f', 'jsonp1407', 'parent.jsonp1407', '_a.$b.c1', '$', 'a'.repeat(128)]) {
    await server.site().push('2', '1', 'hi');
    t.equal(unwrap(await poll(server, ticket, { callback }).answer).callback, callback);
  }
});

t.test('a callback that is no dotted identifier is refused and not echoed', async (t) => {
  const server = await testServer(t);
  const { ticket } = await server.site().online('1');
  await server.site().push('2', '1', 'kept');
  const injections = [
    '',
    'alert(1)',
    'a;b',
    'a b',
    'a.',
    '.a',
    'a..b',
    '1a',
    'a.1',
    'a[0]',
    "a['b']",
    '<script>',
    'a\nb',
    'a\u2028b',
    'a\u0000',
    'a//',
    '/**/a',
    'a-b',
    'a=',
    'a%',
    '{}',
    'a`',
    'é(1)',
    'a'.repeat(129),
  ];
  for (const callback of injections) {
    const answer = await poll(server, ticket, { callback }).answer;
    t.equal(answer.status, 400, encodeURIComponent(callback));
    t.match(answer.body, { status: 'error', message: 'bad request', detail: /\bcallback\b/ }, answer.text);
    t.notMatch(answer.headers['content-type'], /javascript/);
  }
  for (const twice of ['callback=a&callback=b', 'callback=a&%63allback=b']) {
    const path = `/v5/packets?domain=${siteA.domain}&ticket=${encodeURIComponent(ticket)}&${twice}`;
    t.equal((await server.request({ path })).status, 400, 'a repeated callback');
  }
  t.hasStrict(await pollPackets(server, ticket), [{ body: 'kept' }]);
});

t.test('an unknown ticket is a 404 that a script can read', async (t) => {
  const server = await testServer(t);
  const { ticket } = await server.site().online('1');
  await server.site().offline(ticket);
  for (const gone of [ticket, 'uid:1:00', 'x', '']) {
    const answer = await poll(server, gone, { callback: 'parent.f' }).answer;
    const title = `${JSON.stringify(gone)}: ${answer.text}`;
    // An empty ticket may count as a missing parameter.
    if (gone === '' && answer.status === 400) continue;
    t.equal(answer.status, 404, title);
    t.strictSame(unwrap(answer), { callback: 'parent.f', value: { status: 'error', message: 'ticket not found' } });
    t.equal(answer.headers['content-type'], 'application/javascript; charset=utf-8');
    const plain = await poll(server, gone).answer;
    t.strictSame([plain.status, plain.body], [404, { status: 'error', message: 'ticket not found' }]);
    t.ok(plain.headers['access-control-allow-origin'], 'a page may read it');
  }
});

t.test('a poll waits until a packet arrives', async (t) => {
  const server = await testServer(t);
  const { ticket } = await server.site().online('1');
  const waiting = await openPoll(server, ticket, { callback: 'f' });
  await server.site().push('2', '1', 'hi');
  t.hasStrict(unwrap(await waiting.answer).value, { messages: [{ body: 'hi' }] });
});

t.test('a poll that waits too long is answered with an empty frame', async (t) => {
  const clock = new ManualClock();
  const server = await testServer(t, { poll: { timeoutMs: 80 } }, clock);
  const { ticket } = await server.site().online('1');
  const waiting = await openPoll(server, ticket, { callback: 'f' });
  clock.advance(79);
  await server.settled();
  t.equal(server.metrics.connections.jsonp, 1, 'not before its time');
  clock.advance(1);
  const answer = await waiting.answer;
  t.equal(answer.status, 200);
  t.strictSame(arrays(unwrap(answer).value), empty);
  const plain = await openPoll(server, ticket);
  clock.advance(80);
  t.strictSame(arrays((await plain.answer).body), empty);
});

t.test('what arrives between two polls is queued and comes in one frame, in order', async (t) => {
  const server = await testServer(t);
  const site = server.site();
  const a = await site.arrive('a', { buddies: '1' });
  const { ticket } = await site.online('1');
  await a.next();
  for (let n = 0; n < 5; n++) await site.message(a.ticket, '1', `${n}`);
  await a.show('away');
  await site.status(a.ticket, '1', 'typing');
  const packets = await pollPackets(server, ticket, {});
  t.strictSame(
    packets.map(({ kind, body, show }) => body ?? `${kind} ${show}`),
    ['presence away', 'status typing', '0', '1', '2', '3', '4'],
  );
});

t.test('a second poll with the same ticket ends the first with an empty frame', async (t) => {
  const server = await testServer(t);
  const { ticket } = await server.site().online('1');
  const first = await openPoll(server, ticket, { callback: 'first' });
  const second = await openPoll(server, ticket, { callback: 'second' });
  t.strictSame(arrays(unwrap(await first.answer).value), empty);
  const third = await openPoll(server, ticket);
  t.strictSame(arrays(unwrap(await second.answer).value), empty);
  await server.site().push('2', '1', 'hi');
  t.hasStrict((await third.answer).body, { messages: [{ body: 'hi' }] });
});

t.test('OFFLINE answers an open poll with the status stopped', async (t) => {
  const server = await testServer(t);
  for (const callback of ['f', undefined]) {
    const { ticket } = await server.site().online('1');
    const open = await openPoll(server, ticket, { callback });
    await server.site().offline(ticket);
    const answer: Answer = await open.answer;
    t.equal(answer.status, 200);
    t.strictSame(callback ? unwrap(answer).value : answer.body, { status: 'stopped' });
    t.equal((await poll(server, ticket, { callback }).answer).status, 404);
  }
});

t.test('packets that an aborted poll had taken are not lost', async (t) => {
  const server = await testServer(t);
  const { ticket } = await server.site().online('1');
  for (let round = 0; round < 10; round++) {
    const open = await openPoll(server, ticket);
    open.abort();
    await server.site().push('2', '1', `round ${round}`);
    const seen = await pollPackets(server, ticket);
    t.equal(seen.at(-1)?.body, `round ${round}`);
  }
});

t.test('a poll aborted in the moment in which its answer is written loses nothing', async (t) => {
  const server = await testServer(t);
  const { ticket } = await server.site().online('1');
  const seen = new Set<string | undefined>();
  for (let round = 0; round < 30; round++) {
    const open = await openPoll(server, ticket);
    const pushed = server.site().push('2', '1', `${round}`);
    if (round % 2) await new Promise((resolve) => setImmediate(resolve));
    open.abort();
    await pushed;
    const answer = await open.answer.catch(() => undefined);
    for (const { body } of answer ? packetsOf(answer.body) : []) seen.add(body);
  }
  await server.site().push('2', '1', 'last');
  while (!seen.has('last')) for (const { body } of await pollPackets(server, ticket)) seen.add(body);
  const missing = Array.from({ length: 30 }, (_, n) => `${n}`).filter((body) => !seen.has(body));
  t.strictSame(missing, []);
});

t.test('line separators of Unicode are escaped in a script', async (t) => {
  const server = await testServer(t);
  const { ticket } = await server.site().online('1');
  const body = 'a\u2028b\u2029c</script>';
  await server.site().push('2', '1', body);
  const answer = await poll(server, ticket, { callback: 'f' }).answer;
  t.notMatch(answer.text, /[\u2028\u2029]/);
  t.match(answer.text, /\\u2028.*\\u2029/);
  t.hasStrict(unwrap(answer).value, { messages: [{ body }] });
});

t.test('a poll needs its domain and its ticket', async (t) => {
  const server = await testServer(t);
  const { ticket } = await server.site().online('1');
  const rows = [
    { query: { ticket }, detail: /\bdomain\b/ },
    { query: { domain: siteA.domain }, detail: /\bticket\b/ },
  ];
  for (const { query, detail } of rows) {
    const answer = await server.request({ path: '/v5/packets', query });
    t.match(answer, { status: 400, body: { status: 'error', message: 'bad request', detail } }, answer.text);
  }
});
