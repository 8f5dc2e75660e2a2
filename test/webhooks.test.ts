import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import t from 'tap';
import { ManualClock } from './mqtt/support/clock.js';
import { basic, encode } from './support/http.js';
import { nextalk } from './support/process.js';
import { type Cleaner, type Settings, siteA, siteB, testServer } from './support/server.js';
import { type Reply, signature, WebhookServer } from './support/webhook.js';

function served(services: Record<string, unknown>): Settings {
  return { domains: [{ ...siteA, webhookPrivate: true, services }, siteB] };
}

async function hooked(t: Cleaner, reply?: (nth: number) => Reply) {
  const webhook = await WebhookServer.start(t, reply);
  const server = await testServer(t, served({ bot: { webhook: webhook.url } }));
  return { webhook, site: server.site() };
}

t.test('a message to a service with a webhook is POSTed to the site, signed', async (t) => {
  const { webhook, site } = await hooked(t);
  const { ticket } = await site.online('1', { nick: 'Jack' });
  await site.message(ticket, 'sid:bot', 'hello 你好', { timestamp: '7', style: 's' });
  const call = await webhook.next();
  t.equal(call.method, 'POST');
  t.equal(call.path, '/hook');
  t.match(call.headers['content-type'], /^application\/json/);
  t.equal(call.headers['x-nextalk-signature'], signature(siteA.apikey, call.text));
  const message = {
    from: '1',
    to: 'sid:bot',
    nick: 'Jack',
    timestamp: '7',
    type: 'chat',
    body: 'hello 你好',
    style: 's',
  };
  t.match(call.text, /hello 你好/);
  const body = call.body as Record<string, unknown>;
  t.hasStrict('messages' in body ? (body.messages as unknown[])[0] : (body.message ?? body), message, call.text);
  t.notMatch(call.text, new RegExp(siteA.apikey), 'the key itself never travels');
  t.notMatch(call.text, new RegExp(ticket), 'nor does the ticket');
});

t.test('the webhook is called whether or not clients of the service are connected', async (t) => {
  const { webhook, site } = await hooked(t);
  await site.push('1', 'sid:bot', 'nobody there');
  t.match((await webhook.next()).text, /nobody there/);
  const agent = await site.arrive('sid:bot');
  await site.push('1', 'sid:bot', 'somebody there');
  t.match((await webhook.next()).text, /somebody there/);
  t.hasStrict(await agent.next(), { body: 'somebody there' });
});

t.test('a failed call is tried again with growing pauses, then calls go on in order', async (t) => {
  const { webhook, site } = await hooked(t, (nth) => (nth < 2 ? 500 : 200));
  await site.push('1', 'sid:bot', 'first');
  const calls = [await webhook.next(), await webhook.next(), await webhook.next()];
  t.equal(new Set(calls.map(({ text }) => text)).size, 1, 'the same message each time');
  t.equal(new Set(calls.map(({ headers }) => headers['x-nextalk-signature'])).size, 1);
  const [one, two, three] = calls.map(({ atMs }) => atMs) as [number, number, number];
  t.ok(two > one && three - two > two - one, `pauses of ${two - one} and ${three - two} ms`);
  await site.push('1', 'sid:bot', 'second');
  t.match((await webhook.next()).text, /second/);
});

t.test('a site that asks to wait is called again, one that refuses the message is not', async (t) => {
  const replies = [429, 408, 200, 400, 200] as const;
  const { webhook, site } = await hooked(t, (nth) => replies[nth] ?? 200);
  for (const body of ['one', 'two', 'three']) await site.push('1', 'sid:bot', body);
  const bodies: unknown[] = [];
  for (let n = 0; n < replies.length; n++) bodies.push(JSON.parse((await webhook.next()).text).body);
  t.strictSame(bodies, ['one', 'one', 'one', 'two', 'three']);
});

/** Collects garbage now: what only a weak reference holds is gone then. */
function collectGarbage(): void {
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
}

t.test('a webhook that never answers is called again after ten seconds, garbage collected meanwhile', async (t) => {
  const clock = new ManualClock();
  const webhook = await WebhookServer.start(t, (nth) => (nth === 0 ? 'hang' : 200));
  const server = await testServer(t, served({ bot: { webhook: webhook.url } }), clock);
  await server.site().push('1', 'sid:bot', 'one');
  await server.site().push('1', 'sid:bot', 'two');
  t.hasStrict((await webhook.next()).body, { body: 'one' });
  collectGarbage();
  clock.advance(9_999);
  await server.settled();
  t.equal(webhook.calls.length, 1, 'it has ten seconds');
  clock.advance(1);
  const again = webhook.next();
  // The pause before the next attempt begins when the call has failed, which takes turns of the event loop.
  const pausing = setInterval(() => clock.advance(250), 5);
  t.teardown(() => clearInterval(pausing));
  t.hasStrict((await again).body, { body: 'one' });
  t.hasStrict((await webhook.next()).body, { body: 'two' }, 'what waits behind it goes on');
});

t.test('a webhook follows no redirection, so that messages go to no other address', async (t) => {
  const { webhook, site } = await hooked(t, (nth) => (nth === 0 ? 307 : 200));
  await site.push('1', 'sid:bot', 'one');
  const calls = [await webhook.next(), await webhook.next()];
  t.strictSame(
    calls.map(({ path }) => path),
    ['/hook', '/hook'],
  );
});

t.test('a site with a hashed key signs with the hash as it stands in its configuration', async (t) => {
  const webhook = await WebhookServer.start(t);
  const hash = createHash('sha256').update(siteA.apikey).digest('hex');
  const hashed = {
    ...siteA,
    webhookPrivate: true,
    apikey: `sha256:${hash}`,
    services: { bot: { webhook: webhook.url } },
  };
  const server = await testServer(t, { domains: [hashed, siteB] });
  await server.site().push('1', 'sid:bot', 'one');
  const call = await webhook.next();
  t.equal(call.headers['x-nextalk-signature'], signature(hash, call.text));
});

t.test('several messages reach the webhook in their order', async (t) => {
  const { webhook, site } = await hooked(t);
  for (let n = 0; n < 20; n++) await site.push('1', 'sid:bot', `number ${n};`);
  let texts = '';
  while (!texts.includes('number 19;')) texts += (await webhook.next()).text;
  const order = [...texts.matchAll(/number (\d+);/g)].map((match) => Number(match[1]));
  t.strictSame(
    order,
    Array.from({ length: 20 }, (_, n) => n),
  );
});

t.test('a dead webhook holds nobody up', async (t) => {
  const hanging = await WebhookServer.start(t, () => 'hang');
  const good = await WebhookServer.start(t);
  // No time passes: what is answered has waited for no timeout of a call.
  const server = await testServer(
    t,
    served({
      hanging: { webhook: hanging.url },
      gone: { webhook: 'http://127.0.0.1:1/x' },
      good: { webhook: good.url },
    }),
    new ManualClock(),
  );
  const site = server.site();
  const user = await site.arrive('1');
  const agent = await site.arrive('sid:hanging');
  for (let n = 0; n < 50; n++) {
    await site.push('1', 'sid:hanging', `${n}`);
    await site.push('1', 'sid:gone', `${n}`);
  }
  await site.push('2', '1', 'to a user');
  t.hasStrict(await user.next(), { body: 'to a user' });
  await site.push('2', 'sid:good', 'to the good one');
  t.match((await good.next()).text, /to the good one/);
  t.hasStrict(await agent.next(), { body: '0' }, 'nor its own service’s clients');
});

t.test('a domain’s webhook serves those of its services that name none', async (t) => {
  const [own, common] = [await WebhookServer.start(t), await WebhookServer.start(t)];
  const services = { bot: { webhook: own.url }, help: { delivery: 'turns' } };
  const server = await testServer(t, {
    domains: [{ ...siteA, webhookPrivate: true, webhook: common.url, services }, siteB],
  });
  const site = server.site();
  await site.push('1', 'sid:bot', 'to bot');
  await site.push('1', 'sid:help', 'to help');
  t.match((await own.next()).text, /to bot/);
  t.match((await common.next()).text, /to help/);
});

t.test('after SIGHUP messages go to the new address, signed with the new key, those that wait too', async (t) => {
  // The second message is not answered, and the third waits behind it.
  const before = await WebhookServer.start(t, (nth) => (nth === 0 ? 200 : 'hang'));
  const after = await WebhookServer.start(t);
  const file = join(t.testdir({}), 'nextalk.json');
  const configure = (apikey: readonly string[], services: Record<string, object>): void =>
    writeFileSync(file, JSON.stringify({ domains: [{ domain: 'a', apikey, webhookPrivate: true, services }] }));
  configure(['old-key'], { bot: { webhook: before.url } });
  const flags = ['--config', file, '--port', '0', '--mqtt-port', '0', '--admin-port', '0'];
  const server = nextalk(t, flags);
  const { url } = await server.event('started');
  const push = async (apikey: string, to: string, body: string): Promise<void> => {
    const headers = { authorization: basic('a', apikey), 'content-type': 'application/x-www-form-urlencoded' };
    const answer = await fetch(`${url}/v5/messages`, {
      method: 'POST',
      headers,
      body: encode({ from: '1', to, body }),
    });
    t.equal(answer.status, 200);
  };
  const expectCall = async (webhook: WebhookServer, apikey: string, body: string): Promise<void> => {
    const call = await webhook.next();
    t.hasStrict(call.body, { body });
    t.equal(call.headers['x-nextalk-signature'], signature(apikey, call.text), `${body} is signed with ${apikey}`);
  };
  for (const body of ['one', 'two', 'three']) await push('old-key', 'sid:bot', body);
  for (const body of ['one', 'two']) await expectCall(before, 'old-key', body);

  configure(['new-key', 'old-key'], { bot: { webhook: after.url }, more: { webhook: after.url } });
  server.kill('SIGHUP');
  t.match(await server.event('reloaded'), { changes: ['domain a: apikey, services'] });
  for (const body of ['two', 'three']) await expectCall(after, 'new-key', body);
  await push('new-key', 'sid:bot', 'four');
  await expectCall(after, 'new-key', 'four');
  await push('new-key', 'sid:more', 'to a service that is new');
  await expectCall(after, 'new-key', 'to a service that is new');

  configure(['newest-key'], { bot: { webhook: after.url } });
  server.kill('SIGHUP');
  await server.event('reloaded');
  await push('newest-key', 'sid:bot', 'five');
  await expectCall(after, 'newest-key', 'five');
  t.equal(before.calls.length, 2, 'and the old address is called no more');
});

t.test('what waits for a service’s webhook outlives a restart, where there is a data folder', async (t) => {
  const data = t.testdir();
  const webhook = await WebhookServer.start(t);
  const settings = (url: string): Settings => ({ ...served({ bot: { webhook: url } }), data });
  const first = await testServer(t, settings('http://127.0.0.1:1/dead'));
  for (const body of ['one', 'two', 'three']) await first.site().push('1', 'sid:bot', body);
  await first.close();
  const second = await testServer(t, settings(webhook.url));
  await second.site().push('1', 'sid:bot', 'four');
  for (const body of ['one', 'two', 'three', 'four']) t.hasStrict((await webhook.next()).body, { body });
  await second.settledWhile(() => second.metrics.domain(siteA.domain).sent.message < 4);
  await second.close();
  const third = await testServer(t, { ...served({}), data });
  t.equal(third.metrics.domain(siteA.domain).events.discarded, 0, 'nothing is left of what was taken');
});
