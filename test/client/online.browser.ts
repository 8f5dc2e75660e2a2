/** The browser library in Chromium, with a site that calls ONLINE and sends by itself, as sites of NexTalk 5 do. */
import type { Browser } from 'playwright-core';
import t from 'tap';
import { builtLibrary, kept, launch, startSmallSite, until, untilFresh, visit } from '../support/library.js';
import { freePort } from '../support/ports.js';
import { skipWithout } from '../support/programs.js';
import { siteA, testServer } from '../support/server.js';

const script = `
  import { connect } from '/lib/client.js';
  const query = new URLSearchParams(location.search);
  const name = query.get('name');
  let ticket;
  const options = {
    domain: '${siteA.domain}',
    online: async () => {
      const answer = await (await fetch('/online?name=' + name)).json();
      ticket = window.ticket = answer.ticket;
      return answer;
    },
    send: async ({ to, body, type, id }) => {
      const answer = await fetch('/send', { method: 'POST', body: JSON.stringify({ ticket, to, body, type, id, nick: name }) });
      return answer.json();
    },
  };
  keep(connect(query.has('user') ? { ...options, user: name } : options));
`;

const skip = skipWithout('chromium');

t.test('pages of a site that does all by itself', { skip }, async (t) => {
  const port = await freePort();
  const folder = await builtLibrary();
  let server = await testServer(t, { port });
  const small = await startSmallSite(t, () => server.site(), folder, { script });
  const browser: Browser = await launch(t);
  const mistakes: string[] = [];
  const context = await browser.newContext();
  context.on('weberror', (error) => mistakes.push(String(error.error())));

  const anna = await visit(context, `${small.url}/?name=anna`);
  await until(anna, 'states', 'online websocket');
  const jack = await visit(await browser.newContext(), `${small.url}/?name=jack`);
  await until(jack, 'states', 'online websocket');

  await t.test('two pages talk, and each message is shown once', async (t) => {
    for (const body of ['one', 'two', 'three'])
      await anna.evaluate((text) => window.chat.send({ to: 'jack', body: text }), body);
    await until(jack, 'heard', 'anna: three');
    t.strictSame(await kept(jack, 'heard'), ['anna: one', 'anna: two', 'anna: three']);
    const sent = await jack.evaluate(() => window.chat.send({ to: 'gid:lobby', body: 'all', id: 'mine' }));
    t.strictSame(sent, { id: 'mine', outcome: 'sent' });
    await until(anna, 'heard', 'jack: all');
  });

  await t.test('each knows who is there', async (t) => {
    t.strictSame(await anna.evaluate(() => [...window.chat.presences.keys()]), ['jack']);
    t.strictSame(await jack.evaluate(() => [...window.chat.presences.entries()]), [
      ['anna', { show: 'available', status: '', nick: '' }],
    ]);
    t.strictSame(await anna.evaluate(() => [...(window.chat.rooms.get('lobby')?.keys() ?? [])]), ['jack']);
  });

  await t.test('a listener that throws disturbs nobody, and the page learns of its mistake', async (t) => {
    await anna.evaluate(() => {
      window.chat.on('message', () => {
        throw new Error('a mistake of the page');
      });
      window.chat.on('message', ({ body }: { body: string }) => void window.heard.push(`second: ${body}`));
    });
    await jack.evaluate(() => window.chat.send({ to: 'anna', body: 'careful' }));
    await until(anna, 'heard', 'second: careful');
    t.strictSame(mistakes, ['Error: a mistake of the page']);
  });

  await t.test('the next page of the site goes on with the same ticket', async (t) => {
    const page = await visit(await browser.newContext(), `${small.url}/?name=paul&user`);
    await until(page, 'states', 'online websocket');
    const { online } = small.asked;
    await page.goto(`${small.url}/?name=paul&user&next`);
    await until(page, 'states', 'online websocket');
    t.equal(small.asked.online, online);
    await jack.evaluate(() => window.chat.send({ to: 'paul', body: 'still there?' }));
    await until(page, 'heard', 'jack: still there?');
    await page.goto(`${small.url}/?name=peter&user`);
    await until(page, 'states', 'online websocket');
    t.equal(small.asked.online, online + 1, 'another user does not');
  });

  await t.test('a server that forgets its tickets when it starts again: online anew, and told so', async (t) => {
    await server.close();
    await jack.waitForFunction(() => window.states.at(-1)?.startsWith('waiting'));
    server = await testServer(t, { port });
    await untilFresh(jack);
    await untilFresh(anna);
    await until(jack, 'missed', null);
    await anna.evaluate(() => window.chat.send({ to: 'jack', body: 'again' }));
    await until(jack, 'heard', 'anna: again');
    await server.close();
  });
});

t.test('where sockets are blocked, a page polls', { skip }, async (t) => {
  const folder = await builtLibrary();
  const server = await testServer(t);
  const small = await startSmallSite(t, () => server.site(), folder, { script });
  const browser = await launch(t);
  const context = await browser.newContext();
  await context.routeWebSocket(/wsocket/, (socket) => void socket.close());
  await context.route(/v5\/events/, (route) => route.abort());
  const page = await visit(context, `${small.url}/?name=jack`);
  await until(page, 'states', 'online poll');
  await server.settledWhile(() => server.metrics.connections.jsonp !== 1);
  const site = server.site();
  for (const body of ['one', 'two']) await site.post('/v5/messages', { from: 'news', to: 'jack', body });
  await until(page, 'heard', 'news: two');
  t.strictSame(await kept(page, 'heard'), ['news: one', 'news: two']);
});

t.test('who was signed out stays so', { skip }, async (t) => {
  const folder = await builtLibrary();
  const server = await testServer(t);
  const small = await startSmallSite(t, () => server.site(), folder, { script });
  const browser = await launch(t);
  const page = await visit(await browser.newContext(), `${small.url}/?name=jack`);
  await until(page, 'states', 'online websocket');
  await server.site().offline(await page.evaluate(() => window.ticket));
  await until(page, 'states', 'stopped stopped');
  await page.evaluate(() => window.dispatchEvent(new Event('online')));
  await t.rejects(
    page.evaluate(() => window.chat.join('lobby')),
    /stopped/,
  );
  t.equal(small.asked.online, 1);
});
