import t from 'tap';
import { FAMILIES } from '../src/admin/families.js';
import { DomainMetrics, Histogram, Metrics } from '../src/metrics.js';
import { exchange } from './support/http.js';
import { parseMetrics, seriesOf } from './support/prometheus.js';
import { siteA, siteB, type TestServer, testServer } from './support/server.js';
import { longPolling } from './support/transports.js';
import { WebSocketClient } from './support/websocket.js';

const admin = { admin: { port: -1 } };

async function scrape(server: TestServer): Promise<Map<string, number>> {
  return seriesOf((await exchange(server.adminPort, { path: '/metrics' }).answer).text);
}

/** What has changed between two scrapes, of the families that begin so. */
function changes(before: Map<string, number>, after: Map<string, number>, ...begin: string[]): Record<string, number> {
  const found: Record<string, number> = {};
  for (const [series, value] of after) {
    const change = value - (before.get(series) ?? 0);
    if (change !== 0 && begin.some((name) => series.startsWith(name))) found[series] = change;
  }
  return found;
}

t.test('a histogram counts each value in the first bucket that it is not over', async (t) => {
  const histogram = new Histogram(1, 4);
  for (const value of [0, 0.5, 1, 1.01, 2, 3, 4, 5, 8, 8.1, 1e12]) histogram.observe(value);
  t.strictSame(
    [0, 1, 2, 3, 4].map((i) => histogram.bound(i)),
    [1, 2, 4, 8, Number.POSITIVE_INFINITY],
  );
  t.strictSame([...histogram.counts], [3, 2, 2, 2, 2]);
  t.equal(histogram.sum, 1e12 + 32.61);
});

t.test('a domain’s numbers are the same object each time, and totals add up all domains', async (t) => {
  const metrics = new Metrics();
  metrics.domain('a').clients = 2;
  metrics.domain('b').clients = 3;
  t.type(metrics.domain('a'), DomainMetrics);
  t.equal(metrics.domain('a').clients, 2);
  t.equal(
    metrics.total(({ clients }) => clients),
    5,
  );
});

t.test('/metrics is well-formed, and every family is there with its meaning', async (t) => {
  const server = await testServer(t, admin);
  const answer = await exchange(server.adminPort, { path: '/metrics' }).answer;
  t.equal(answer.status, 200);
  t.match(answer.headers['content-type'], /^text\/plain; version=0\.0\.4/);
  const families = parseMetrics(answer.text);
  t.strictSame(
    [...families.keys()],
    FAMILIES.map(({ name }) => name),
  );
  for (const { name, type, help } of FAMILIES) {
    t.match(families.get(name), { type, help }, name);
    t.equal(type === 'counter', name.endsWith('_total'), `${name}: counters, and they alone, end in _total`);
    t.match(help, /^[A-Z].*\.$/, `${name}: help is a sentence`);
  }
});

t.test('counters count what happened', async (t) => {
  const server = await testServer(t, { ...admin, domains: [{ ...siteA, limits: {} }, siteB] });
  const start = await scrape(server);
  const site = server.site();
  const one = await site.arrive('1', { buddies: '2', rooms: 'r' });
  const two = await site.arrive('2', { rooms: 'r' }, longPolling);
  const other = await server.site(siteB).arrive('1');
  await site.message(one.ticket, '2', 'hi');
  await site.status(one.ticket, '2', 'typing');
  await site.say(one.ticket, 'r', 'all');
  await site.push('9', 'nobody', 'lost');
  // Both clients read up to a marker: what came before it has been sent.
  const toOne = await one.before(two);
  const toTwo = await two.before();
  t.strictSame([toOne.map(({ type }) => type), toTwo.length], [['online', 'grponline'], 3]);
  const after = await scrape(server);
  t.strictSame(changes(start, after, 'nextalk_packets'), {
    // hi, all, lost, and two markers
    'nextalk_packets_accepted_total{kind="message"}': 5,
    // 2 to its buddy 1; 1 and 2 to the room, which each had entered
    'nextalk_packets_accepted_total{kind="presence"}': 3,
    'nextalk_packets_accepted_total{kind="status"}': 1,
    'nextalk_packets_delivered_total{kind="message"}': 4,
    'nextalk_packets_delivered_total{kind="presence"}': 2,
    'nextalk_packets_delivered_total{kind="status"}': 1,
    'nextalk_packets_sent_total{kind="message"}': 4,
    'nextalk_packets_sent_total{kind="presence"}': 2,
    'nextalk_packets_sent_total{kind="status"}': 1,
    // Neither of them keeps a position: what is written to them is confirmed by that.
    'nextalk_packets_confirmed_total{kind="message"}': 4,
    'nextalk_packets_confirmed_total{kind="presence"}': 2,
    'nextalk_packets_confirmed_total{kind="status"}': 1,
    'nextalk_packets_dropped_total{reason="offline"}': 1,
  });
  t.match(changes(start, after, 'nextalk_domain'), {
    'nextalk_domain_connections{domain="a.example",transport="websocket"}': 1,
    'nextalk_domain_connections{domain="b.example",transport="websocket"}': 1,
    'nextalk_domain_endpoints_online{domain="a.example"}': 2,
    'nextalk_domain_endpoints_online{domain="b.example"}': 1,
    'nextalk_domain_rooms{domain="a.example"}': 1,
    'nextalk_domain_packets_accepted_total{domain="a.example",kind="message"}': 5,
    'nextalk_domain_packets_sent_total{domain="a.example",kind="message"}': 4,
    'nextalk_domain_packets_dropped_total{domain="a.example",reason="offline"}': 1,
  });
  t.equal(after.get('nextalk_connections{transport="websocket"}'), 2);
  t.equal(after.get('nextalk_endpoints_online'), 3);
  t.equal(after.get('nextalk_clients'), 3);
  t.equal(after.get('nextalk_queue_packets'), 0);
  t.equal(after.get('nextalk_delivery_duration_seconds_count'), 7);
  t.equal(after.get('nextalk_delivery_duration_seconds_bucket{le="+Inf"}'), 7);
  t.equal(after.get('nextalk_http_requests_total{route="online",status="200"}'), 3);
  t.equal(after.get('nextalk_http_requests_total{route="messages",status="200"}'), 5);
  t.equal(after.get('nextalk_http_request_duration_seconds_count{route="statuses"}'), 1);
  t.equal(after.get('nextalk_dead_letters_total'), 0);
  for (const person of [one, two, other]) await person.offline();
});

t.test('gauges fall back to 0 when everybody has gone', async (t) => {
  const server = await testServer(t, { ...admin, presence: { clientIdleMs: 600_000, graceMs: 0 } });
  const person = await server.site().arrive('1', { rooms: 'r' });
  await person.offline();
  await person.client.ended;
  const gauges = ['nextalk_endpoints_online', 'nextalk_clients', 'nextalk_rooms', 'nextalk_queue_packets'];
  const gone = async (): Promise<boolean> => {
    const now = await scrape(server);
    return gauges.every((name) => now.get(name) === 0) && now.get('nextalk_connections{transport="websocket"}') === 0;
  };
  await server.settledWhile(async () => !(await gone()));
  t.equal((await scrape(server)).get('nextalk_domain_endpoints_online{domain="a.example"}'), 0);
});

t.test('each refusal is counted under its reason', async (t) => {
  const server = await testServer(t, { ...admin, limits: { bodyBytes: 1000 } });
  const site = server.site();
  const { ticket } = await site.online('1');
  const before = await scrape(server);
  await site.post('/v5/presences/online', { nick: 'Nobody' });
  await server.request({ method: 'POST', path: '/v5/messages', form: { domain: 'a.example', apikey: 'wrong' } });
  await site.post('/v5/presences/offline', { ticket: `${ticket}0` });
  await server.request({ path: '/nothing' });
  await server.request({ path: '/v5/messages' });
  await site.post('/v5/messages', { from: '1', to: '2', body: 'x'.repeat(2000) });
  await site.send({ method: 'POST', path: '/v5/messages', body: 'x', type: 'text/plain' });
  await server.request({ path: '/v5/packets', query: { domain: 'a.example', ticket: 'uid:1:0' } });
  const socket = await WebSocketClient.open(server);
  socket.send('hello');
  await socket.closed;
  const binary = await WebSocketClient.open(server);
  binary.send(Buffer.from('x'));
  await binary.closed;
  t.strictSame(changes(before, await scrape(server), 'nextalk_refusals'), {
    'nextalk_refusals_total{reason="badRequest"}': 2,
    'nextalk_refusals_total{reason="authenticationFailed"}': 1,
    'nextalk_refusals_total{reason="ticketNotFound"}': 2,
    'nextalk_refusals_total{reason="notFound"}': 1,
    'nextalk_refusals_total{reason="methodNotAllowed"}': 1,
    'nextalk_refusals_total{reason="payloadTooLarge"}': 1,
    'nextalk_refusals_total{reason="unsupportedMediaType"}': 1,
    'nextalk_refusals_total{reason="malformed"}': 1,
  });
});

t.test('packets that leave a queue unseen are counted under their reason', async (t) => {
  const server = await testServer(t, { ...admin, limits: { queuePackets: 2 }, presence: { graceMs: 0 } });
  const site = server.site();
  const { ticket } = await site.online('1');
  for (const body of ['a', 'b', 'c']) await site.push('2', '1', body);
  await site.status((await site.online('2')).ticket, '1', 'typing');
  const dropped = async () => {
    const now = await scrape(server);
    return (reason: string) => now.get(`nextalk_packets_dropped_total{reason="${reason}"}`);
  };
  // Of the client's queue one message and the status are dropped, and one message of those that are kept for the next client.
  const full = await dropped();
  t.equal(full('queueOverflow'), 3);
  await site.offline(ticket);
  await server.settledWhile(async () => ((await dropped())('offline') ?? 0) < 2);
  t.equal((await dropped())('offline'), 2, 'the messages that nobody came back for');
});

t.test('/metrics of 2,000 domains that are all used has at most 200 KB, and the list has them all', async (t) => {
  const names = Array.from({ length: 2000 }, (_, n) => `site-${n}.customers.example`);
  const server = await testServer(t, { ...admin, domains: names.map((domain) => ({ domain, apikey: 'key' })) });
  for (let n = 0; n < names.length; n += 50) {
    const sites = names.slice(n, n + 50).map((domain) => server.site({ domain, apikey: 'key' }));
    await Promise.all(
      sites.map(async (site) => {
        const { ticket } = await site.online('1', { rooms: 'r' });
        await site.message(ticket, '2', 'hi');
        await site.post('/v5/messages', { ticket: 'wrong' });
      }),
    );
  }
  const { text } = await exchange(server.adminPort, { path: '/metrics' }).answer;
  t.ok(text.length <= 200_000, `${text.length} characters`);
  const accepted = [...seriesOf(text)].filter(([name]) => name.startsWith('nextalk_domain_packets_accepted_total'));
  const messages = accepted.filter(([name]) => name.endsWith(',kind="message"}'));
  t.equal(messages.length, 51);
  t.equal(
    messages.reduce((sum, [, count]) => sum + count, 0),
    2000,
  );
  const listed: string[] = [];
  for (let after: string | null = ''; after !== null; ) {
    const page = await exchange(server.adminPort, { path: `/api/domains?limit=1000&after=${after}` }).answer;
    const { domains, next } = page.body as { domains: { domain: string; endpoints: number }[]; next: string | null };
    listed.push(...domains.filter(({ endpoints }) => endpoints === 1).map(({ domain }) => domain));
    after = next;
  }
  t.strictSame(listed, [...names].sort());
});
