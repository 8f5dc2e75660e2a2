/** The example site in Chromium: a community with a board, whose chat is the widget and nothing else. */
import { join } from 'node:path';
import type { Page } from 'playwright-core';
import t from 'tap';
import { startSite } from '../examples/site/site.js';
import { builtLibrary, launch, tokenSecret, visit } from './support/library.js';
import { freePort } from './support/ports.js';
import { skipWithout } from './support/programs.js';
import { siteA, testServer } from './support/server.js';
import { hears, messages, online, openChat, write } from './support/widget.js';

const skip = skipWithout('chromium');

t.test('two visitors of the example site talk, and the site itself has no part in it', { skip }, async (t) => {
  const folder = await builtLibrary();
  // The server that is started again below takes the same port, which Linux allows only where both ask for it by number.
  const settings = {
    port: await freePort(),
    data: t.testdir({}),
    presence: { graceMs: 100 },
    domains: [
      {
        ...siteA,
        tokenSecret,
        clientCalls: true,
        clientSend: ['websocket', 'http'],
        clientJoin: ['lobby'],
        carbons: true,
        history: { messages: 100, days: 1 },
      },
    ],
  };
  const server = await testServer(t, settings as never);
  const address = `http://127.0.0.1:${server.port}`;
  const site = await startSite({ port: 0, server: address, ...siteA, tokenSecret });
  t.teardown(() => site.close());
  const browser = await launch(t);
  const mistakes: string[] = [];

  const come = async (name: string): Promise<Page> => {
    const context = await browser.newContext({ viewport: { width: 1280, height: 800 } });
    // As the server has it once it is built.
    await context.route('**/v5/widget.js', (route) => route.fulfill({ path: join(folder, 'widget.js') }));
    const page = await visit(context, site.url);
    page.on('pageerror', (error) => mistakes.push(String(error)));
    page.on('console', (line) => /Content Security Policy/.test(line.text()) && mistakes.push(line.text()));
    await page.getByLabel('Your name').fill(name);
    await page.getByRole('button', { name: 'Come in' }).click();
    await online(page);
    return page;
  };

  const alice = await come('Alice <i>A</i>');
  const bob = await come('Bob');

  await t.test('a button of the page opens a conversation, and what people write is text', async (t) => {
    await bob.getByRole('button', { name: 'Message Alice <i>A</i>' }).click();
    await write(bob, 'Hello <b>Alice</b>');
    await alice.getByRole('button', { name: 'Open chat, 1 unread' }).click();
    await alice.getByRole('button', { name: /^Bob Available/ }).click();
    await hears(alice, 'Hello <b>Alice</b>');
    t.equal(await alice.locator('nextalk-chat b').count(), 0);
    t.equal(await bob.locator('main i').count(), 0);
    await write(alice, 'Hello Bob');
    await hears(bob, 'Hello Bob');
  });

  await t.test('a note on the board is pushed into the room by the site', async () => {
    await openChat(alice, 'gid:lobby');
    await bob.getByLabel('Your note').fill('Rope <found> at the pier');
    await bob.keyboard.press('Enter');
    await bob.locator('article').getByText('Rope <found> at the pier').waitFor();
    await hears(alice, 'Bob has pinned a note: Rope <found> at the pier');
  });

  await t.test('the next page goes on with the conversation, of which nothing is missing or twice', async (t) => {
    await online(bob);
    await openChat(alice, 'bob');
    await write(alice, 'Where was it?');
    await bob.getByRole('link', { name: 'Lobby' }).click();
    await online(bob);
    await openChat(bob, 'alice <i>a<%2fi>');
    await hears(bob, 'Where was it?');
    t.strictSame(await messages(bob).allInnerTexts(), ['Hello <b>Alice</b>', 'Hello Bob', 'Where was it?']);
  });

  await t.test('a restart of the server is a reconnect, and what is written meanwhile arrives', async () => {
    await server.stop();
    await online(alice, 'waiting');
    await online(bob, 'waiting');
    await write(alice, 'Written meanwhile');
    await testServer(t, settings as never);
    await online(alice);
    await online(bob);
    await hears(bob, 'Written meanwhile');
  });

  await t.test('who signs out of the site has left its chat, in all tabs', async () => {
    const second = await visit(bob.context(), site.url);
    await online(second);
    await bob.getByRole('button', { name: 'Sign out' }).click();
    await bob.getByLabel('Your name').waitFor();
    await online(second, 'stopped');
    await openChat(alice, 'bob');
    await alice.locator('.main').getByText('Offline', { exact: true }).waitFor();
  });

  t.same(mistakes, [], 'no script failed, and no policy was broken');
});

t.test('the example site refuses names that are none, and tokens to strangers', async (t) => {
  const site = await startSite({ port: 0, server: 'http://127.0.0.1:1', ...siteA, tokenSecret });
  t.teardown(() => site.close());
  const post = (path: string, body: string) =>
    fetch(`${site.url}${path}`, { method: 'POST', body, redirect: 'manual' });
  const named = (name: string) => post('signin', `name=${encodeURIComponent(name)}`);
  for (const name of ['', '  \n', 'x'.repeat(41)]) t.equal((await named(name)).status, 400, JSON.stringify(name));
  t.equal((await post('signin', 'x'.repeat(10_000))).status, 413);
  t.equal((await fetch(`${site.url}chat-token`)).status, 401);
  t.equal((await fetch(`${site.url}chat-token`, { headers: { cookie: 'session=1' } })).status, 401);
  const { status, headers } = await named('Zoë, the 1st');
  t.equal(status, 303);
  const cookie = headers.get('set-cookie') ?? '';
  t.match(cookie, /HttpOnly; SameSite=Lax/);
  const token = await (
    await fetch(`${site.url}chat-token`, { headers: { cookie: cookie.split(';')[0] ?? '' } })
  ).text();
  const claims = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString());
  t.match(claims, { sub: 'zoë%2c the 1st', nick: 'Zoë, the 1st', rooms: ['lobby'] });
  t.equal((await fetch(`${site.url}nothing`)).status, 404);
});
