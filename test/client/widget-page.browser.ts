/** The widget on pages as sites have them: a strict policy, a language of its own, images, a script of NexTalk 5 beside it. */

import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Page } from 'playwright-core';
import t from 'tap';
import { sign, visit } from '../support/library.js';
import { skipWithout } from '../support/programs.js';
import { type Cleaner, siteA } from '../support/server.js';
import { between, hears, online, openChat, source, stage, widgetPage, write } from '../support/widget.js';

const skip = skipWithout('chromium');

/** A site whose page has a Content-Security-Policy. */
async function strictSite(t: Cleaner, html: string, policy: string, script: string): Promise<string> {
  const site = http.createServer((req, res) => {
    if (req.url === '/lib/widget.js') return res.writeHead(200, { 'content-type': 'text/javascript' }).end(script);
    return res.writeHead(200, { 'content-type': 'text/html', 'content-security-policy': policy }).end(html);
  });
  site.listen(0, '127.0.0.1');
  await once(site, 'listening');
  t.teardown(() => {
    site.closeAllConnections();
    site.close();
  });
  return `http://127.0.0.1:${(site.address() as AddressInfo).port}`;
}

function complaints(page: Page): string[] {
  const found: string[] = [];
  page.on('console', (message) => void found.push(message.text()));
  page.on('pageerror', (error) => void found.push(String(error)));
  return found;
}

t.test('a strict Content-Security-Policy with Trusted Types has nothing against the widget', { skip }, async (t) => {
  const { server, browser, folder, push } = await stage(t);
  const { host } = server;
  const policy = `default-src 'none'; script-src 'self'; connect-src http://${host} ws://${host}; img-src 'none'; style-src 'none'; base-uri 'none'; require-trusted-types-for 'script'; trusted-types 'none'`;
  const html = widgetPage(`server="http://${host}" token="${sign('anna', { buddies: ['jack'] })}"`);
  const url = await strictSite(t, html, policy, source(folder, 'widget.js'));
  const page = await (await browser.newContext()).newPage();
  const found = complaints(page);
  await page.goto(url);
  await online(page);
  await push('jack', 'anna', 'https://example.com/');
  await page.getByRole('button', { name: 'Open chat, 1 unread' }).click();
  await page.getByRole('button', { name: /^Your status/ }).click();
  await page.keyboard.press('Escape');
  await page.getByRole('button', { name: /^jack/ }).click();
  await write(page, 'under a policy');
  await hears(page, 'under a policy');
  const box = await page.locator('.panel').boundingBox();
  t.equal(box?.width, 380, 'its style is there');
  t.strictSame(found, []);
});

t.test('images of hosts that the page names are shown, all others are links', { skip }, async (t) => {
  const { server, browser, site } = await stage(t);
  const context = await browser.newContext();
  const deliver = await between(context);
  const pixel = Buffer.from('R0lGODlhAQABAIAAAP///wAAACH5BAAAAAAALAAAAAABAAEAAAICRAEAOw==', 'base64');
  const asked: string[] = [];
  await context.route(/\.example[:/]/, (route) => {
    asked.push(`${route.request().url()} ${route.request().headers().referer ?? ''}`);
    return route.fulfill({ contentType: 'image/gif', body: pixel });
  });
  const html = widgetPage(
    `server="http://${server.host}" token="${sign('anna')}" mode="inline" open-with="jack" image-hosts="images.example, more.example:8443"`,
  );
  const page = await visit(context, (await site(html)).url);
  await online(page);
  const images = {
    'A cat': 'https://images.example/a.gif',
    looks: 'https://evil.example/b.gif',
    plain: 'http://images.example/c.gif',
    similar: 'https://images.example.evil.example/d.gif',
    script: 'javascript:alert(1)',
    port: 'https://more.example:8443/e.gif',
  };
  const fields = { from: 'jack', to: 'anna', nick: 'Jack', type: 'chat', style: '', timestamp: '1796000000000' };
  deliver(Object.entries(images).map(([body, image], i) => ({ ...fields, id: `m${i}`, body, data: { image } })));
  await hears(page, 'port');
  t.strictSame(
    await page.evaluate(
      `[...document.querySelector('nextalk-chat').shadowRoot.querySelectorAll('img')].map((i) => i.src + ' ' + i.alt)`,
    ),
    ['https://images.example/a.gif A cat', 'https://more.example:8443/e.gif port'],
  );
  for (const name of [
    'https://evil.example/b.gif',
    'http://images.example/c.gif',
    'https://images.example.evil.example/d.gif',
  ])
    await page.getByRole('link', { name, exact: true }).waitFor();
  await page.waitForFunction(
    `[...document.querySelector('nextalk-chat').shadowRoot.querySelectorAll('img')].every((image) => image.complete)`,
  );
  t.ok(
    asked.every((line) => /^https:\/\/(images\.example|more\.example:8443)\/\w\.gif $/.test(line)),
    asked.join('; '),
  );
});

t.test('Chinese by the page’s language, Arabic by words of the page’s own, from right to left', { skip }, async (t) => {
  const { server, browser, site } = await stage(t);
  const tag = `server="http://${server.host}" token="${sign('anna', { buddies: ['jack'] })}" mode="inline"`;
  const html = widgetPage(tag).replace('<html lang="en">', '<html lang="zh-CN">');
  const page = await visit(await browser.newContext(), (await site(html)).url);
  await online(page);
  await page.getByRole('searchbox', { name: '搜索联系人和群组' }).waitFor();
  await page.evaluate(
    `{ const chat = document.querySelector('nextalk-chat'); chat.lang = 'ar'; chat.strings = { searchFor: 'ابحث عن أشخاص', available: 'متاح' }; }`,
  );
  const search = page.getByRole('searchbox', { name: 'ابحث عن أشخاص' });
  await search.waitFor();
  t.equal(await page.evaluate(`document.querySelector('nextalk-chat').shadowRoot.querySelector('.root').dir`), 'rtl');
  const [field, panel] = await Promise.all([search.boundingBox(), page.locator('.panel').boundingBox()]);
  if (!field || !panel) throw new Error('both are there');
  t.ok(field.x > panel.x + panel.width / 2, 'the list is on the right');
  await page.getByRole('heading', { name: 'Rooms' }).or(page.getByText('Nobody else')).first().waitFor();
});

/** A page as scripts of NexTalk 5 made it: the site calls ONLINE, the page polls by JSONP and shows what comes. */
function oldPage(answer: { readonly ticket: string; readonly jsonp: string }): string {
  return `<!doctype html><title>Old</title><ul id="log"></ul><script>
    function poll() {
      var name = 'jsonp' + String(Math.random()).slice(2), script = document.createElement('script');
      window[name] = function (data) {
        for (var i = 0; i < data.messages.length; i++) {
          var item = document.createElement('li');
          item.textContent = data.messages[i].nick + ': ' + data.messages[i].body;
          document.getElementById('log').appendChild(item);
        }
        document.head.removeChild(script);
        if (data.status === 'ok') poll();
      };
      script.src = '${answer.jsonp}?callback=' + name + '&domain=${siteA.domain}&ticket=${answer.ticket}';
      document.head.appendChild(script);
    }
    window.onload = function () { setTimeout(poll, 0); };
  </script>`;
}

t.test('one user has an old page and the widget at once: each gets every message, once', { skip }, async (t) => {
  const { server, browser, site, user, push } = await stage(t);
  const answer = await server.site().online('anna', { nick: 'Anna', buddies: 'jack', rooms: 'lobby' });
  const old = await visit(await browser.newContext(), (await site(oldPage(answer as never))).url);
  const widget = await user('anna');
  await openChat(widget, 'jack');
  await server.settledWhile(() => server.metrics.connections.jsonp === 0);
  for (const body of ['one', 'two', 'three']) await push('jack', 'anna', body);
  await hears(widget, 'three');
  await old.getByText('jack: three').waitFor();
  t.strictSame(await old.getByRole('listitem').allTextContents(), ['jack: one', 'jack: two', 'jack: three']);
  t.strictSame(await widget.locator('.bubble').allTextContents(), ['one', 'two', 'three']);
});

/** A page that cannot show notifications, and keeps what it was asked. */
const NOTIFICATIONS = `
  window.asked = []; window.hides = false;
  window.Notification = class {
    static permission = 'default';
    static async requestPermission() { asked.push('permission'); return (Notification.permission = 'granted'); }
    constructor(title, { body }) { asked.push(title + ': ' + body); window.notification = this; }
    close() {}
  };
  Object.defineProperty(document, 'visibilityState', { get: () => (hides ? 'hidden' : 'visible') });`;

t.test(
  'notifications are asked for on a click and never before, and shown while the page is hidden',
  { skip },
  async (t) => {
    const { browser, user, push } = await stage(t);
    const context = await browser.newContext();
    await context.addInitScript(NOTIFICATIONS);
    const page = await user('anna', 'mode="docked"', {}, context);
    const asked = (): Promise<string[]> => page.evaluate('asked');
    await push('jack', 'anna', 'one');
    await page.getByRole('button', { name: 'Open chat, 1 unread' }).click();
    t.strictSame(await asked(), []);
    await page.getByRole('button', { name: /^Your status/ }).click();
    await page.getByRole('menuitemcheckbox', { name: 'Sound', checked: false }).click();
    await page.getByRole('menuitemcheckbox', { name: 'Notifications', checked: false }).click();
    await page.getByRole('menuitemcheckbox', { name: 'Notifications', checked: true }).waitFor();
    await page.keyboard.press('Escape');
    await push('jack', 'anna', 'two');
    await page.getByRole('button', { name: /^jack.* 2 unread$/ }).waitFor();
    t.strictSame(await asked(), ['permission'], 'the page is visible');
    await page.evaluate('hides = true');
    await push('jack', 'anna', 'three');
    await page.waitForFunction('asked.length > 1');
    t.strictSame(await asked(), ['permission', 'jack: three']);
    await page.reload();
    await online(page);
    t.strictSame(await asked(), [], 'the choice is kept, and nothing is asked');
  },
);

t.test(
  'a notification of a widget that was drawn anew opens its conversation in what is shown now',
  { skip },
  async (t) => {
    const { browser, user, push } = await stage(t);
    const context = await browser.newContext();
    await context.addInitScript(NOTIFICATIONS);
    await context.addInitScript(`Notification.permission = 'granted'; hides = true;
    localStorage.setItem('nextalk-widget', '{"notifications":true}');`);
    const page = await user('anna', 'mode="docked"', {}, context);
    await push('jack', 'anna', 'one');
    await page.waitForFunction('asked.length > 0');
    await page.evaluate(`document.querySelector('nextalk-chat').strings = { open: 'Öffnen' }`);
    await page.getByRole('button', { name: 'Öffnen, 1 unread' }).waitFor();
    await page.evaluate('notification.onclick()');
    await hears(page, 'one');
    t.match(await page.title(), /Page$/);
  },
);

t.test('a page that draws the widget anew as a message comes has it once in its title', { skip }, async (t) => {
  const { user, push } = await stage(t);
  const page = await user('anna', 'mode="docked"');
  await page.evaluate(`{
    const widget = document.querySelector('nextalk-chat');
    widget.chat.on('message', () => { widget.strings = { search: 'Suche' }; widget.open(); });
  }`);
  await push('jack', 'anna', 'one');
  await page.getByPlaceholder('Suche').waitFor();
  await page.getByRole('button', { name: /^jack.* 1 unread$/ }).waitFor();
  t.equal(await page.title(), '(1) Page');
  await page.evaluate(`document.querySelector('nextalk-chat').remove()`);
  await page.waitForFunction(`document.title === 'Page'`);
});
