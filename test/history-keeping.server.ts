/** What a history keeps, for how long, and what is forgotten when a site asks for it: PROTOCOL.md section 18. */
import t from 'tap';
import { client } from './mqtt/support/clients.js';
import { ManualClock } from './mqtt/support/clock.js';
import { ALL, bodies, forget, history, list, serve } from './support/history.js';
import { siteA, siteB, testServer } from './support/server.js';
import { WebhookServer } from './support/webhook.js';

t.test('statuses, presences, broadcasts, what expires and what goes to a webhook only are not kept', async (t) => {
  const hook = await WebhookServer.start(t);
  const server = await serve(
    t,
    { webhookPrivate: true, services: { bot: { webhook: hook.url } } },
    { mqtt: { port: -1 } },
  );
  const site = server.site();
  const anna = await site.arrive('anna', { rooms: 'lobby' });
  await site.show(anna.ticket, 'away');
  await site.status(anna.ticket, 'jack', 'typing');
  await site.push('jack', '*', 'to all', { type: 'broadcast' });
  await site.push('anna', 'sid:bot', 'to the webhook');
  await hook.next();
  const mqtt = await client(t, `mqtt://127.0.0.1:${server.mqttPort}`, {
    username: siteA.domain,
    password: siteA.apikey,
  });
  const message = (body: string) => JSON.stringify({ from: 'jack', body });
  const address = `/domain/${siteA.domain}/uid/anna`;
  await mqtt.client.publishAsync(address, message('for a minute'), {
    qos: 1,
    properties: { messageExpiryInterval: 60 },
  });
  t.strictSame(await list(site, 'anna'), []);
  await mqtt.client.publishAsync(address, message('by MQTT'), { qos: 1 });
  t.strictSame(await list(site, 'anna'), [['jack', 1, 'by MQTT']]);
  await site.arrive('sid:bot');
  await site.push('anna', 'sid:bot', 'to a person and the webhook');
  t.strictSame((await list(site, 'anna'))[0], ['sid:bot', 0, 'to a person and the webhook']);
});

t.test('one message is forgotten, and its receivers are told', async (t) => {
  const site = (await serve(t)).site();
  const anna = await site.arrive('anna', { rooms: 'lobby' });
  const jack = await site.arrive('jack', { rooms: 'lobby' });
  await anna.before();
  await site.push('jack', 'anna', 'oops');
  await site.say(jack.ticket, 'lobby', 'oops, all');
  await site.push('jack', 'anna', 'well');
  await anna.before();
  const [oops] = (await history(site, 'anna', { with: 'jack' })).messages;
  const ok = { status: 200, body: { status: 'ok' } };
  t.strictSame(await forget(site, { name: 'jack', with: 'anna', id: oops?.id }), ok);
  t.strictSame(await anna.next(), {
    kind: 'status',
    from: 'jack',
    to: 'anna',
    nick: 'JACK',
    show: `deleted ${oops?.id}`,
  });
  t.strictSame(await bodies(site, 'anna', 'jack'), ['well']);
  const [all] = (await history(site, 'anna', { with: 'gid:lobby' })).messages;
  t.strictSame(await forget(site, { name: 'anna', with: 'gid:lobby', id: all?.id }), ok, 'whoever of them is named');
  t.strictSame(await anna.next(), {
    kind: 'status',
    from: 'jack',
    to: 'lobby',
    nick: 'JACK',
    show: `deleted ${all?.id}`,
  });
  t.strictSame(await bodies(site, 'anna', 'gid:lobby'), []);
  t.strictSame(await list(site, 'jack'), [['anna', 0, 'well']], 'an empty conversation is none');
  t.match(await forget(site, { name: 'jack', with: 'anna', id: oops?.id }), { status: 404 }, 'twice');
});

t.test('a user’s conversations are forgotten for both sides, and what that user has written in rooms', async (t) => {
  const server = await serve(t);
  const site = server.site();
  await site.arrive('anna', { rooms: 'lobby' });
  for (let i = 0; i < 60; i++) {
    await site.push('jack', `friend${i}`, 'hi');
    await site.push('jack', `room${i}`, 'hi', { type: 'grpchat' });
  }
  await site.push('anna', 'friend1', 'of others');
  await site.push('anna', 'lobby', 'of others', { type: 'grpchat' });
  await site.push('jack', 'lobby', 'of jack', { type: 'grpchat' });
  t.strictSame(await forget(site, { name: 'jack' }), { status: 200, body: { status: 'ok' } });
  t.strictSame(await list(site, 'jack'), []);
  t.strictSame(await list(site, 'friend1'), [['anna', 1, 'of others']]);
  t.strictSame(await bodies(site, 'anna', 'gid:lobby'), ['of others']);
  for (let i = 0; i < 60; i += 7) t.strictSame(await bodies(site, 'x', `gid:room${i}`), []);
  t.match(server.metrics.domain(siteA.domain).history, { messages: 2, deleted: 121 });
  await site.push('jack', 'friend1', 'again');
  t.strictSame(await bodies(site, 'friend1', 'jack'), ['again']);
  t.strictSame(await forget(site, { name: 'jack', with: 'friend1' }), { status: 200, body: { status: 'ok' } });
  t.strictSame(await bodies(site, 'friend1', 'jack'), []);
});

t.test('the history survives a restart, and one that is turned off and on', async (t) => {
  const data = t.testdir();
  const first = await serve(t, {}, {}, data);
  await first.site().push('jack', 'anna', 'one');
  await first.site().push('jack', 'anna', 'two');
  const [{ id } = { id: '' }] = (await history(first.site(), 'anna', { with: 'jack' })).messages;
  const anna = await first.site().online('anna');
  await first.site().status(anna.ticket, 'jack', `read ${id}`);
  await first.site().push('jack', 'anna', 'three');
  await first.close();
  const second = await serve(t, {}, {}, data);
  t.strictSame(await bodies(second.site(), 'anna', 'jack'), ['one', 'two', 'three'], 'also what was said last');
  t.strictSame(await list(second.site(), 'anna'), [['jack', 2, 'three']]);
  t.match(second.metrics.domain(siteA.domain).history, { messages: 3 });
  second.reload({ data, domains: [{ ...siteA, ...ALL, history: null }] });
  await second.site().push('jack', 'anna', 'unheard of');
  second.reload({ data, domains: [{ ...siteA, ...ALL, history: { messages: 2 } }] });
  await second.site().push('jack', 'anna', 'four');
  t.strictSame(await bodies(second.site(), 'anna', 'jack'), ['three', 'four']);
});

t.test('a domain’s history is bounded in bytes: the oldest would go, and what is new is not kept', async (t) => {
  const server = await serve(t, { limits: { historyBytes: 2000 } });
  const site = server.site();
  for (let i = 0; i < 30; i++) {
    await site.push('jack', `friend${i}`, 'x'.repeat(100));
    await history(site, 'jack');
  }
  const { kept, refused, bytes } = server.metrics.domain(siteA.domain).history;
  t.ok(kept >= 8 && kept < 15, `${kept} were kept`);
  t.equal(kept + refused, 30);
  t.ok(bytes >= 2000 && bytes < 2400, `${bytes} bytes`);
  await forget(site, { name: 'jack' });
  await site.push('jack', 'anna', 'there is room again');
  t.strictSame(await bodies(site, 'anna', 'jack'), ['there is room again']);
});

t.test(
  'what one client sends itself fills a hundredth of the history in a day, and the site is not bound by it',
  async (t) => {
    const clock = new ManualClock();
    const server = await testServer(
      t,
      { data: t.testdir(), domains: [{ ...siteA, ...ALL }, siteB], limits: { historyBytes: 100_000 } },
      clock,
    );
    const site = server.site();
    const numbers = server.metrics.domain(siteA.domain).history;
    const tickets = new Map<string, string>();
    for (const name of ['mallory', 'anna']) tickets.set(name, (await site.online(name)).ticket);
    const send = async (from: string, count: number) => {
      const calls = Array.from({ length: count }, (_, n) => ({ call: 'message', to: `v${n}`, body: 'x'.repeat(100) }));
      const query = { domain: siteA.domain, ticket: tickets.get(from) };
      await server.request({ method: 'POST', path: '/v5/packets', query, body: JSON.stringify(calls) });
      await list(site, from);
    };
    await send('mallory', 20);
    t.strictSame([numbers.kept, numbers.refused], [3, 17]);
    await send('anna', 2);
    for (let n = 0; n < 5; n++) await site.push('mallory', 'anna', 'by the site');
    await list(site, 'mallory');
    t.strictSame([numbers.kept, numbers.refused], [10, 17]);
    clock.advance(24 * 60 * 60_000);
    tickets.set('mallory', (await site.online('mallory')).ticket);
    await send('mallory', 2);
    t.equal(numbers.kept, 12, 'on the next day again');
  },
);
