import t from 'tap';
import type { Answer } from './support/http.js';
import { openPoll } from './support/polling.js';
import { type Settings, siteA, siteB, testServer } from './support/server.js';
import type { Online } from './support/site.js';

const path = '/v5/presences/online';
const form = { domain: siteA.domain, name: 'demo', nick: 'Demo' };

function urls({ server, jsonp, jsonpd, websocket }: Online): readonly string[] {
  return [server, jsonp, jsonpd, websocket];
}

t.test('ONLINE’s answer has exactly the fields of the contract', async (t) => {
  const server = await testServer(t);
  await server.site().online('uid1');
  await server.site().online('2', { show: 'away' });
  const answer = await server.site().post(path, { name: 'demo', nick: 'Demo', buddies: 'uid1,2,3' });
  const online = answer.body as Online;
  t.strictSame(online, {
    success: true,
    ticket: online.ticket,
    server: `http://${server.host}/v5/packets`,
    jsonp: `http://${server.host}/v5/packets`,
    jsonpd: `http://${server.host}/v5/packets`,
    websocket: `ws://${server.host}/v5/wsocket`,
    presences: { uid1: 'available', 2: 'away' },
  });
});

t.test('a ticket names its node and id and ends in a secret of its own', async (t) => {
  const site = (await testServer(t)).site();
  const seen = new Set<string>();
  for (const [name, head] of [
    ['demo', 'uid:demo'],
    ['vid:abc', 'vid:abc'],
    ['sid:help', 'sid:help'],
    ['a:b', 'uid:a:b'],
    ['张三', 'uid:张三'],
  ] as const) {
    for (let n = 0; n < 20; n++) {
      const { ticket } = await site.online(name);
      const cut = ticket.lastIndexOf(':');
      t.equal(ticket.slice(0, cut), head);
      const token = ticket.slice(cut + 1);
      t.match(token, /^[0-9a-f]{32,}$/, 'at least 128 bits of lower-case hex');
      seen.add(token.slice(-32));
    }
  }
  t.equal(seen.size, 100, 'the last 32 digits are random');
});

t.test('the URLs of ONLINE’s answer name the host of the request', async (t) => {
  const server = await testServer(t);
  for (const host of ['im.example.com', 'im.example.com:8080', '127.0.0.1', '[::1]:8080']) {
    const answer = await server.request({ method: 'POST', path, form, auth: siteA, headers: { host } });
    const poll = `http://${host}/v5/packets`;
    t.strictSame(urls(answer.body as Online), [poll, poll, poll, `ws://${host}/v5/wsocket`]);
  }
});

t.test('a malformed Host comes into no URL of ONLINE’s answer', async (t) => {
  const server = await testServer(t);
  for (const host of ['a/b', 'x@evil.example', 'x"><script>', 'x y', 'x:port', 'x:1:2', 'x?y', 'x#y', '[x]']) {
    const answer = await server.request({ method: 'POST', path, form, auth: siteA, headers: { host } });
    const poll = 'http://localhost/v5/packets';
    t.strictSame(urls(answer.body as Online), [poll, poll, poll, 'ws://localhost/v5/wsocket'], host);
  }
});

t.test('the URLs of ONLINE’s answer follow the configured public URL and a trusted proxy', async (t) => {
  const rows: readonly (readonly [settings: Settings, headers: Record<string, string>, http: string, ws: string])[] = [
    [{ publicUrl: 'https://im.example.com' }, {}, 'https://im.example.com', 'wss://im.example.com'],
    [{ publicUrl: 'http://im.example.com:81' }, {}, 'http://im.example.com:81', 'ws://im.example.com:81'],
    [{ publicUrl: 'https://example.com/im/' }, {}, 'https://example.com/im', 'wss://example.com/im'],
    [
      { publicUrl: 'https://im.example.com' },
      { host: 'x', 'x-forwarded-proto': 'http' },
      'https://im.example.com',
      'wss://im.example.com',
    ],
    [{ trustProxy: true }, { host: 'x', 'x-forwarded-proto': 'https' }, 'https://x', 'wss://x'],
    [{ trustProxy: true }, { host: 'x', 'x-forwarded-proto': 'http' }, 'http://x', 'ws://x'],
    [{ trustProxy: true }, { host: 'x' }, 'http://x', 'ws://x'],
    [{ trustProxy: true }, { host: 'x', 'x-forwarded-proto': 'gopher"' }, 'http://x', 'ws://x'],
    [{}, { host: 'x', 'x-forwarded-proto': 'https' }, 'http://x', 'ws://x'],
    [
      { trustProxy: true },
      { host: 'x', 'x-forwarded-host': 'im.example.com' },
      'http://im.example.com',
      'ws://im.example.com',
    ],
    [{ trustProxy: true }, { host: 'x', 'x-forwarded-host': 'claimed, y' }, 'http://y', 'ws://y'],
    [{ trustProxy: true }, { host: 'x', 'x-forwarded-host': 'a/b' }, 'http://localhost', 'ws://localhost'],
    [{}, { host: 'x', 'x-forwarded-host': 'im.example.com' }, 'http://x', 'ws://x'],
  ];
  for (const [settings, headers, http, ws] of rows) {
    const server = await testServer(t, settings);
    const answer: Answer = await server.request({ method: 'POST', path, form, auth: siteA, headers });
    const poll = `${http}/v5/packets`;
    const title = JSON.stringify([settings, headers]);
    t.strictSame(urls(answer.body as Online), [poll, poll, poll, `${ws}/v5/wsocket`], title);
    await server.close();
  }
});

t.test('ONLINE answers alike under /v4', async (t) => {
  const server = await testServer(t);
  const answer = await server.request({ method: 'POST', path: '/v4/presences/online', form, auth: siteA });
  t.match(urls(answer.body as Online)[0], /\/v[45]\/packets$/);
  t.hasStrict(answer.body, { success: true });
});

t.test('`presences` of ONLINE’s answer lists those of the caller’s buddies who are visible', async (t) => {
  const site = (await testServer(t)).site();
  await site.online('1', { buddies: 'me' });
  await site.online('2', { show: 'invisible' });
  await site.online('vid:3', { show: 'chat' });
  await site.online('sid:4', { show: 'busy' });
  const rows: readonly (readonly [buddies: string, presences: object])[] = [
    ['', {}],
    ['2', {}],
    ['1,2,vid:3,sid:4,5', { 1: 'available', 'vid:3': 'chat', 'sid:4': 'busy' }],
    ['uid:1,/domain/a.example/vid/3', { 1: 'available', 'vid:3': 'chat' }],
    ['3,vid:1', {}],
  ];
  for (const [buddies, presences] of rows) t.strictSame((await site.online('me', { buddies })).presences, presences);
});

t.test('two tabs without a client name never disturb each other', async (t) => {
  const site = (await testServer(t)).site();
  const tabs = [await site.arrive('1'), await site.arrive('1')];
  await site.push('2', '1', 'hi');
  for (const tab of tabs) t.hasStrict(await tab.next(), { body: 'hi' });
});

t.test('a client takes the place of the endpoint’s client with the same name', async (t) => {
  const server = await testServer(t);
  const site = server.site();
  const old = await site.arrive('1', { client: 'chrome' });
  const phone = await site.arrive('1', { client: 'android' });
  const namesake = await site.arrive('2', { client: 'chrome' });
  const fresh = await site.arrive('1', { client: 'chrome' });
  await old.client.ended;
  const gone = await site.post('/v5/presences/show', { ticket: old.ticket, show: 'away' });
  t.strictSame([gone.status, gone.text], [404, '{"status":"error","message":"ticket not found"}']);
  for (const person of [phone, namesake, fresh]) t.strictSame(await person.before(person), []);
  const polled = await site.online('3', { client: 'x' });
  const poll = await openPoll(server, polled.ticket);
  await site.online('3', { client: 'x' });
  t.equal((await poll.answer).status, 200, 'an open poll of the old client is answered');
  t.hasStrict(await site.presences('1', '2', '3'), { 1: 'available', 2: 'available', 3: 'available' });
});

t.test('the name of a client has 1 to 64 characters without a slash', async (t) => {
  const site = (await testServer(t)).site();
  for (const client of ['x', 'x'.repeat(64), '张'.repeat(64)]) {
    t.equal((await site.post(path, { ...form, client })).status, 200, client);
  }
  for (const client of ['x'.repeat(65), 'a/b', 'a#']) {
    const answer = await site.post(path, { ...form, client });
    t.match(answer, { status: 400, body: { success: false, detail: /\bclient\b/ } }, answer.text);
  }
});

t.test('mqtt and mqttd are handed out only while MQTT is enabled', async (t) => {
  const off = await testServer(t, { mqtt: { port: 0 } });
  const online = await off.site(siteB).online('1');
  t.notOk('mqtt' in online);
  t.notOk('mqttd' in online);
});
