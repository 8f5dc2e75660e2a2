/** The widget on pages, with servers and among people that mean it no good, or too much of it. */
import type { BrowserContext, Page } from 'playwright-core';
import t from 'tap';
import { type SmallSite, sign, stopClock, visit } from '../support/library.js';
import { skipWithout } from '../support/programs.js';
import { Relay } from '../support/relay.js';
import { hears, messages, online, openChat, type Stage, stage, widgetPage, write } from '../support/widget.js';

const skip = skipWithout('chromium');
const STEP_MS = 250;

/** A context of pages whose time stands until the test moves it. */
async function standing({ browser }: Stage): Promise<BrowserContext> {
  const context = await browser.newContext();
  await stopClock(context);
  return context;
}

/** Lets a page's time pass in small steps until `isThere`. */
async function pass(page: Page, isThere: () => Promise<boolean>): Promise<void> {
  while (!(await isThere())) await page.clock.runFor(STEP_MS);
}

const stateOf = (page: Page): Promise<string> =>
  page.evaluate(`document.querySelector('nextalk-chat').chat?.state.state ?? ''`);

/** Waits until the widget says this of its connection. */
const says = (page: Page, text: string | RegExp): Promise<void> =>
  page.locator('.banner > :first-child').filter({ hasText: text }).waitFor();

/** What is in the widget's tree: how many elements. */
const elements = (page: Page): Promise<number> =>
  page.evaluate(`document.querySelector('nextalk-chat').shadowRoot.querySelectorAll('*').length`);

t.test('two widgets on one page, of two users', { skip }, async (t) => {
  const { server, browser, site, push } = await stage(t);
  const of = (name: string, other: string): string =>
    `server="http://${server.host}" token="${sign(name, { buddies: [other] })}"`;
  const html = widgetPage(
    `id="one" mode="inline" ${of('anna', 'jack')}`,
    `<nextalk-chat id="two" mode="docked" ${of('jack', 'anna')}></nextalk-chat>`,
  );
  const page = await visit(await browser.newContext(), (await site(html)).url);
  const one = page.locator('#one');
  const two = page.locator('#two');
  await one.getByRole('button', { name: /^jack/ }).click();
  await one.getByRole('textbox', { name: 'Message to jack' }).fill('from the other one');
  await page.keyboard.press('Enter');
  await two.getByRole('button', { name: 'Open chat, 1 unread' }).waitFor();
  await push('mia', 'anna', 'to the first one');
  await one.getByRole('button', { name: /^mia.* 1 unread$/ }).waitFor();
  t.equal(await page.title(), '(2) Page', 'the title counts both');
  await two.getByRole('button', { name: 'Open chat, 1 unread' }).click();
  await two.getByRole('button', { name: /^anna.* 1 unread$/ }).click();
  await two.locator('.bubble').getByText('from the other one').waitFor();
  t.equal(await page.title(), '(1) Page');
  await page.evaluate(`document.querySelector('#one').remove()`);
  await page.waitForFunction(
    () => (globalThis as unknown as { document: { title: string } }).document.title === 'Page',
  );
});

t.test('no server at all, and one that is gone for an hour', { skip }, async (t) => {
  const stand = await stage(t);
  const { server, site } = stand;
  const relay = await Relay.start(t, () => server.port);
  await server.site().arrive('jack', { nick: 'jack', buddies: 'anna' });
  const context = await standing(stand);
  const small = await site(
    widgetPage(`server="${relay.url}" token-url="/token?name=anna" mode="inline" open-with="jack"`),
    (name) => sign(name, { buddies: ['jack'] }),
  );
  let asked = 0;
  relay.refuse = () => {
    asked += 1;
    return { status: 503 };
  };
  const page = await visit(context, small.url);
  await says(page, /^Reconnecting/);
  relay.refuse = () => null;
  await pass(page, async () => (await stateOf(page)) === 'online');
  await page.locator('.banner').waitFor({ state: 'hidden' });
  await write(page, 'before');
  await page
    .locator('.outcome')
    .filter({ hasText: /^(Sent|Delivered)$/ })
    .waitFor();
  relay.blocksSockets = true;
  asked = 0;
  relay.refuse = () => {
    asked += 1;
    return { status: 503 };
  };
  relay.cut();
  await pass(page, async () => (await stateOf(page)) === 'waiting');
  await write(page, 'meanwhile');
  await page.getByText('Sending…').waitFor();
  for (let minute = 0; minute < 60; minute++) {
    await page.clock.runFor(60_000);
    await page.evaluate(() => fetch('/'));
  }
  // Every 15 to 45 s, by three transports.
  t.ok(asked <= 240 * 3 + 10, `asked ${asked} times in an hour`);
  await page.getByText('Not sent', { exact: true }).waitFor();
  relay.refuse = () => null;
  relay.blocksSockets = false;
  await pass(page, async () => (await stateOf(page)) === 'online');
  await page.getByRole('button', { name: 'Try again' }).click();
  await page.getByText('Not sent', { exact: true }).waitFor({ state: 'detached' });
  t.strictSame(await messages(page).allInnerTexts(), ['before', 'meanwhile']);
});

t.test(
  'a site that gives no token, one that says that nobody is signed in, one that gives nonsense',
  { skip },
  async (t) => {
    const stand = await stage(t);
    const { server, site } = stand;
    let token = '';
    const small: SmallSite = await site(
      widgetPage(`server="http://${server.host}" token-url="/token?name=anna" mode="inline"`),
      () => token || sign('anna'),
    );
    small.tokenStatus = 500;
    const page = await visit(await standing(stand), small.url);
    await says(page, /^Reconnecting/);
    small.tokenStatus = null;
    await pass(page, async () => (await stateOf(page)) === 'online');

    await page.goto('about:blank');
    small.tokenStatus = 401;
    const out = await visit(await stand.browser.newContext(), small.url);
    await says(out, 'You are signed out of the chat');
    small.tokenStatus = null;
    await out.getByRole('button', { name: 'Connect' }).click();
    await online(out);
    token = 'no.token.at.all';
    await out.evaluate(
      `document.querySelector('nextalk-chat').token = () => { throw new Error('a mistake of the page'); }`,
    );
    await says(out, /^Reconnecting/);
    await out.evaluate(`document.querySelector('nextalk-chat').token = 'nonsense'`);
    await says(out, 'The chat does not accept this page');
    await out.evaluate(
      `document.querySelector('nextalk-chat').token = undefined; document.querySelector('nextalk-chat').removeAttribute('token-url')`,
    );
    await out.getByRole('alert').getByText('The chat is not set up: connect needs `token`').waitFor();
  },
);

const SCRIPT = `<img src=x onerror="document.title='hacked'"><script>document.title='hacked'</script>`;

t.test(
  'script in every field is text, long names end, and what runs from the right stays in its place',
  { skip },
  async (t) => {
    const stand = await stage(t);
    const { server, user } = stand;
    const long = 'W'.repeat(1024);
    const site = server.site();
    await site.arrive('evil', { nick: SCRIPT, show: 'available', status: SCRIPT, buddies: 'anna', rooms: 'lobby' });
    await site.arrive('long', { nick: long, show: 'available', status: long, buddies: 'anna', rooms: 'lobby' });
    await site.arrive(SCRIPT.replaceAll('/', ''), { nick: '‮gnirts', show: 'available', buddies: 'anna' });
    const page = await user('anna', 'mode="inline"', { rooms: ['lobby', SCRIPT.replaceAll(/[/,+#]/g, '')] });
    const post = (from: string, nick: string, fields: object = {}) =>
      site.post('/v5/messages', { from, nick, to: 'anna', body: SCRIPT, style: SCRIPT, ...fields });
    await post('evil', SCRIPT, { data: JSON.stringify({ image: `javascript:document.title='hacked'` }) });
    await post('evil', SCRIPT, {
      body: 'x',
      data: JSON.stringify({ image: `https://evil.example/"onerror="document.title='hacked'` }),
    });
    await post('long', long);
    await post('rtl', '‮evil‬', { body: 'שלום javascript:alert(1) https://example.com/‮gpj.exe' });
    await site.post('/v5/messages', { from: 'evil', nick: SCRIPT, to: 'lobby', type: 'grpchat', body: SCRIPT });
    await page.getByRole('button', { name: /^W+ Available/ }).waitFor();
    for (const id of ['evil', 'long', 'rtl', 'gid:lobby']) {
      await openChat(page, id);
      await hears(page, id === 'rtl' ? 'שלום javascript:alert(1) https://example.com/‮gpj.exe' : SCRIPT);
      const hrefs = await page.evaluate<string[]>(
        `[...document.querySelector('nextalk-chat').shadowRoot.querySelectorAll('a')].map((a) => a.href)`,
      );
      t.ok(
        hrefs.every((href) => /^https:\/\/(evil\.example|example\.com)\//.test(href)),
        hrefs.join(),
      );
      const sizes = await page.evaluate<number[]>(
        `[...document.querySelector('nextalk-chat').shadowRoot.querySelectorAll('.panel, .side, .main, .log, .list')].map((e) => e.scrollWidth - e.clientWidth)`,
      );
      t.ok(
        sizes.every((surplus) => surplus <= 2),
        `nothing is wider than its place: ${sizes}`,
      );
    }
    t.equal(
      await page.evaluate(`document.querySelector('nextalk-chat').shadowRoot.querySelectorAll('img, script').length`),
      0,
    );
    t.match(await page.title(), /Page$/);
  },
);

t.test(
  '2,000 buddies: those in sight are in the document, the keyboard reaches the last, search finds one',
  { skip },
  async (t) => {
    const { server, browser, site } = await stage(t);
    const context = await browser.newContext();
    const buddies = Object.fromEntries(
      Array.from({ length: 2000 }, (_, i) => [`buddy ${i}`, i % 3 ? 'available' : 'away']),
    );
    await context.route('**/v5/presences/online', async (route) => {
      const answer = await route.fetch();
      const json = await answer.json();
      await route.fulfill({ response: answer, json: { ...json, presences: buddies } });
    });
    const html = widgetPage(`server="http://${server.host}" token="${sign('anna')}" mode="docked"`);
    const page = await visit(context, (await site(html)).url);
    await online(page);
    await page.getByRole('button', { name: 'Open chat' }).click();
    await page.getByRole('button', { name: /^buddy 1 / }).waitFor();
    t.ok((await elements(page)) < 500, `${await elements(page)} elements`);
    await page.keyboard.press('End');
    await page.getByRole('button', { name: /^buddy 1998 Away/ }).waitFor();
    t.ok((await elements(page)) < 500);
    await page.getByRole('searchbox').fill('1234');
    await page.getByRole('button', { name: /^buddy 1234 / }).click();
    await page.getByRole('textbox', { name: 'Message to buddy 1234' }).waitFor();
  },
);
