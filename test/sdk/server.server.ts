/** The calls of the site libraries against a real server, and its webhooks against them, in each language. */
import { createHash } from 'node:crypto';
import t from 'tap';
import { skipWithout } from '../support/programs.js';
import { siteA, type TestServer, testServer } from '../support/server.js';
import { WebhookServer } from '../support/webhook.js';
import { type Ask, languages } from './languages.js';
import type { Json } from './table.js';

type Call = (call: string, ...args: readonly unknown[]) => Promise<unknown>;

/** Calls as site A, whose answer is what the library returns; a throw is a failure of the test's. */
function caller(ask: Ask, server: TestServer, more: Json = {}): Call {
  const client = {
    server: `http://${server.host}`,
    domain: siteA.domain,
    apiKey: siteA.apikey,
    now: 0,
    random: 0,
    ...more,
  };
  return async (call, ...args) => {
    const { returns, throws } = await ask({ client, call, args });
    return throws === undefined ? returns : { throws };
  };
}

for (const { name, needs, start } of languages) {
  t.test(`the ${name} library and a real server`, { skip: skipWithout(...needs) }, async (t) => {
    const server = await testServer(t);
    const ask = start(t);
    const call = caller(ask, server);
    const anna = await server.site().arrive('anna', { rooms: 'lobby' });

    const online = await call('online', 'jack', {
      nick: 'Jäck & Co',
      buddies: ['anna'],
      show: 'away',
      client: 'phone',
    });
    t.match(online, {
      ticket: /^uid:jack:/,
      websocket: `ws://${server.host}/v5/wsocket`,
      presences: { anna: 'available' },
    });
    const who = { ticket: (online as { ticket: string }).ticket };
    t.match(await anna.next(), { from: 'jack', nick: 'Jäck & Co', type: 'online', show: 'away' }, 'online');

    t.equal(await call('show', who, 'dnd', { status: 'in a meeting' }), undefined);
    t.match(await anna.next(), { from: 'jack', type: 'show', show: 'dnd', status: 'in a meeting' }, 'show');

    const sent = await call('send', { ...who, to: 'anna', body: 'Hi + 100% ☃', style: 'color:red' });
    t.match(sent, { id: /./ });
    t.match(await anna.next(), { from: 'jack', to: 'anna', body: 'Hi + 100% ☃', style: 'color:red' }, 'a message');
    t.match(await call('send', { from: 'news', to: 'anna', body: 'News', nick: 'News' }), { id: /./ });
    t.match(await anna.next(), { from: 'news', nick: 'News', body: 'News' }, 'a push');

    const card = { card: { n: 1.5, ü: ['/', null] } };
    const order = { from: 'shop', to: ['anna', 'paul'], body: 'Order 7', id: 'order-7', data: card, receipt: true };
    const outcomes = { id: 'order-7', outcomes: { anna: 'delivered', paul: 'dropped' } };
    for (let n = 0; n < 2; n++) t.strictSame(await call('send', order), outcomes, 'again under its id');
    t.match(await anna.next(), { from: 'shop', body: 'Order 7', data: card });
    const room = { from: 'shop', to: 'lobby', type: 'grpchat', body: 'all', id: 'all-1', receipt: true };
    t.strictSame(await call('send', room), { id: 'all-1', outcome: 'delivered', members: 1 });
    t.match(await anna.next(), { to: 'lobby', body: 'all' });
    const batch = [
      { from: 'news', to: 'anna', body: 'a' },
      { from: 'news', to: ['anna', 'paul'], body: 'b', id: 'b-1', data: [card], receipt: true },
      { from: 'news', to: 'a/b', body: 'c' },
    ];
    t.match(await call('sendBatch', batch), [
      { id: /./ },
      { id: 'b-1', outcomes: { anna: 'delivered', paul: 'dropped' } },
      { error: { status: 400, message: 'bad request', detail: /^to / } },
    ]);
    t.match(await anna.next(), { body: 'a' });
    t.match(await anna.next(), { body: 'b', data: [card] });

    t.equal(await call('status', who, 'anna', 'typing'), undefined);
    t.match(await anna.next(), { from: 'jack', to: 'anna', show: 'typing' }, 'a status');

    t.equal(await call('join', 'lobby', who), undefined);
    t.match(await anna.next(), { from: 'jack', to: 'lobby', type: 'join' });
    t.strictSame(await call('members', 'lobby', who), { anna: 'available', jack: 'dnd' });
    t.equal(await call('leave', 'lobby', who), undefined);
    t.match(await anna.next(), { from: 'jack', to: 'lobby', type: 'leave' });

    t.equal(await call('join', '..', who), undefined, 'a room that is named like a step of a path');
    t.strictSame(await call('members', '..', who), { jack: 'dnd' });

    t.strictSame(await call('presences', ['jack', 'anna', 'paul']), { jack: 'dnd', anna: 'available' });
    const strangers = Array.from({ length: 500 }, (_, i) => `stranger-${i}`);
    t.strictSame(await call('presences', [...strangers, 'anna']), { anna: 'available' }, 'of 501');

    const byName = { name: 'jack' };
    t.equal(await call('show', byName, 'away', { status: 'at lunch' }), undefined, 'by name');
    t.match(await anna.next(), { from: 'jack', type: 'show', show: 'away', status: 'at lunch' });
    t.equal(await call('status', byName, 'anna', 'typing'), undefined);
    t.match(await anna.next(), { from: 'jack', show: 'typing' });
    t.equal(await call('join', 'lobby', byName), undefined);
    t.match(await anna.next(), { from: 'jack', to: 'lobby', type: 'join' });
    const jack = { show: 'away', nick: 'Jäck & Co', status: 'at lunch' };
    t.match(await call('fullMembers', 'lobby'), { jack });
    t.strictSame(await call('fullPresences', ['jack', 'paul']), { jack });
    const everybody = (await call('allPresences', { limit: 1 })) as [string, string][];
    t.strictSame(Object.fromEntries(everybody), { jack: 'away', anna: 'available' }, 'all, in pages');
    t.equal(await call('leave', 'lobby', byName), undefined);
    t.match(await anna.next(), { from: 'jack', to: 'lobby', type: 'leave' });
    t.match(await call('join', 'lobby', { name: 'paul' }), { throws: { status: 404, message: 'not online' } });
    t.equal(await call('offline', { name: 'jack' }), undefined, 'signs out');
    const gone = { throws: { status: 404, message: 'ticket not found' } };
    t.strictSame(await call('offline', who), gone, 'a ticket that was signed out');
    t.strictSame(await call('show', who, 'away'), gone);
    const malformed = { status: 400, message: 'bad request', detail: 'show is unknown' };
    t.match(await call('show', who, 'gone'), { throws: { ...malformed, detail: /show/ } });
    const wrong = caller(ask, server, { apiKey: 'wrong' });
    t.strictSame(await wrong('presences', ['anna']), { throws: { status: 401, message: 'authentication failed' } });
  });

  t.test(`the ${name} library reads the history of a real server`, { skip: skipWithout(...needs) }, async (t) => {
    const domains = [{ ...siteA, history: {} }];
    const server = await testServer(t, { domains, data: t.testdir() });
    const call = caller(start(t), server);
    const anna = await server.site().arrive('anna', { rooms: 'lobby' });
    for (const body of ['one', 'two ☃', 'three']) await call('send', { from: 'jäck', to: 'anna', body });
    await call('send', { from: 'jäck', to: 'lobby', type: 'grpchat', body: 'all' });
    const page = (await call('history', 'anna', 'jäck', { limit: 2 })) as { messages: Json[]; next: string };
    t.match(page.messages, [{ from: 'jäck', to: 'anna', body: 'two ☃', id: /./ }, { body: 'three' }]);
    const older = (await call('history', 'anna', 'jäck', { before: page.next })) as Json;
    t.match(older, { messages: [{ body: 'one' }] });
    t.equal(older.next ?? undefined, undefined, 'there is no more');
    t.match(await call('conversations', 'anna'), {
      conversations: [
        { with: 'gid:lobby', last: { body: 'all' }, unread: 1 },
        { with: 'jäck', last: { body: 'three' }, unread: 3 },
      ],
    });
    const [two] = page.messages;
    await call('forget', 'jäck', { with: 'anna', id: two?.id });
    t.match(await anna.before(), [{}, {}, {}, {}, { kind: 'status', from: 'jäck', show: `deleted ${two?.id}` }]);
    await call('forget', 'jäck', { with: 'anna' });
    t.match(await call('history', 'anna', 'jäck'), { messages: [] });
    await call('forget', 'jäck');
    t.match(await call('history', 'anna', 'gid:lobby'), { messages: [] });
    const none = { status: 404, message: 'not found' };
    t.match(await call('forget', 'jäck', { with: 'anna', id: 'none' }), { throws: none });
    const bare = caller(start(t), await testServer(t));
    const refused = { status: 403, message: 'forbidden', detail: 'the domain keeps no history' };
    t.match(await bare('conversations', 'anna'), { throws: refused });
  });

  t.test(`the ${name} library verifies a real service's webhook`, { skip: skipWithout(...needs) }, async (t) => {
    const ask = start(t);
    const hash = `sha256:${createHash('sha256').update(siteA.apikey).digest('hex')}`;
    for (const apikey of [siteA.apikey, hash]) {
      const hook = await WebhookServer.start(t);
      const services = { echo: { webhook: hook.url } };
      const server = await testServer(t, {
        domains: [{ domain: siteA.domain, apikey, webhookPrivate: true, services }],
      });
      const call = caller(ask, server);
      await call('send', { from: 'jäck', to: 'sid:echo', body: 'Hi ☃' });
      const { text, headers } = await hook.next();
      const signature = headers['x-nextalk-signature'];
      t.equal(await call('verifyWebhook', text, signature), true, apikey);
      t.equal(await call('verifyWebhook', `${text} `, signature), false);
      t.match(await call('parseMessage', text), { from: 'jäck', to: 'sid:echo', body: 'Hi ☃' });
    }
  });

  t.test(
    `the ${name} library verifies and parses a real server's events`,
    { skip: skipWithout(...needs) },
    async (t) => {
      const ask = start(t);
      const hook = await WebhookServer.start(t);
      const events = { url: hook.url, kinds: ['online', 'undelivered'] };
      const webhookSecret = ['a new secret', 'an old secret'];
      const server = await testServer(t, { domains: [{ ...siteA, webhookPrivate: true, webhookSecret, events }] });
      const call = caller(ask, server, { webhookSecret: 'an old secret' });
      await call('online', 'jäck');
      await call('send', { from: 'anna', to: 'rose', body: 'Hi ☃' });
      const found: unknown[] = [];
      while (found.length < 2) {
        const { text, headers } = await hook.next();
        const signature = headers['x-nextalk-signature'];
        t.equal(await call('verifyWebhook', text, signature), true);
        t.equal(await call('verifyWebhook', `${text} `, signature), false);
        const parsed = (await call('parseEvents', text)) as { domain: string; events: unknown[] };
        t.equal(parsed.domain, siteA.domain);
        found.push(...parsed.events);
      }
      t.match(found, [
        { kind: 'online', name: 'jäck', show: 'available', id: /./, time: Number },
        { kind: 'undelivered', name: 'rose', outcome: 'dropped', packet: { from: 'anna', body: 'Hi ☃' } },
      ]);
    },
  );

  t.test(`a token of the ${name} library brings its page online`, { skip: skipWithout(...needs) }, async (t) => {
    const ask = start(t);
    const tokenSecret = 'a secret of the domain, of 32 bytes and more';
    const server = await testServer(t, { domains: [{ ...siteA, tokenSecret }] });
    const anna = await server.site().arrive('anna');
    const call = caller(ask, server, { tokenSecret, now: Math.floor(Date.now() / 1000) });
    const token = await call('token', 'vid:7', { nick: 'Jäck ☃', buddies: ['anna'], rooms: ['lobby'], show: 'away' });
    const body = new URLSearchParams({ token: String(token) });
    const answer = await fetch(`http://${server.host}/v5/presences/online`, { method: 'POST', body });
    t.match(await answer.json(), { success: true, ticket: /^vid:7:/, presences: { anna: 'available' } });
    t.match(await anna.next(), { from: 'vid:7', nick: 'Jäck ☃', type: 'online', show: 'away' });
    t.strictSame(await call('presences', ['vid:7']), { 'vid:7': 'away' });
  });
}
