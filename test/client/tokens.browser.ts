/** The browser library in Chromium with tokens that the site signs: the program of the documentation, and one connection for many tabs. */
import { readFileSync } from 'node:fs';
import type { Page } from 'playwright-core';
import t from 'tap';
import { builtLibrary, kept, launch, sign, startSmallSite, tokenSecret, until, visit } from '../support/library.js';
import { readBlocks } from '../support/markdown.js';
import { skipWithout } from '../support/programs.js';
import { siteA, testServer } from '../support/server.js';
import { until as comes } from '../support/until.js';

const settings = { domains: [{ ...siteA, tokenSecret }], presence: { clientIdleMs: 600_000, graceMs: 600_000 } };
const skip = skipWithout('chromium');

t.test('the program of docs/browser-library.md, and what it is told', { skip }, async (t) => {
  const folder = await builtLibrary();
  const server = await testServer(t, settings);
  const [block] = readBlocks(readFileSync(new URL('../../docs/browser-library.md', import.meta.url), 'utf8')).filter(
    ({ language }) => language === 'js',
  );
  const lines = (block?.text ?? '').split('\n').filter((line) => !line.includes('chat.send('));
  t.ok(lines.length > 7);
  const script = lines
    .join('\n')
    .replace('./client.js', '/lib/client.js')
    .replace('https://im.example.com', `http://${server.host}`)
    .replace('/chat-token', '/token?name=jack');
  const small = await startSmallSite(t, () => server.site(), folder, {
    script: `const show = (nick, body) => window.heard.push(nick + ': ' + body);\n${script}\nwindow.chat = chat; await chat.ready; window.states.push(chat.id);`,
    token: (name) => sign(name),
  });
  const browser = await launch(t);
  const page = await visit(await browser.newContext(), small.url);
  await until(page, 'states', 'jack');
  await server.site().post('/v5/messages', { from: 'anna', nick: 'Anna', to: 'jack', body: 'Hi' });
  await until(page, 'heard', 'Anna: Hi');
  t.equal(small.asked.token, 1);
  t.equal(small.asked.online, 0, 'the site is not called for anything else');
});

t.test('the page of client/README.md, and the script tag', { skip }, async (t) => {
  const folder = await builtLibrary();
  const server = await testServer(t, settings);
  const readme = readFileSync(new URL('../../client/README.md', import.meta.url), 'utf8');
  const page = readBlocks(readme).find(({ language }) => language === 'html')?.text ?? '';
  const html = page
    .replace('./client.js', '/lib/client.js')
    .replace('http://localhost:8080', `http://${server.host}`)
    .replace('/chat-token', '/token?name=jack');
  const browser = await launch(t);
  const byTag = html
    .replace('<script type="module">', '<script src="/lib/client.global.js"></script><script>')
    .replace(/import .*/, 'const { connect } = NexTalk;');
  for (const text of [html, byTag]) {
    const small = await startSmallSite(t, () => server.site(), folder, { html: text, token: (name) => sign(name) });
    const tab = await visit(await browser.newContext(), small.url);
    await server.settledWhile(() => server.metrics.connections.websocket === 0);
    await server.site().post('/v5/messages', { from: 'anna', nick: 'Anna', to: 'jack', body: 'Hi' });
    await tab.getByText('Anna: Hi').waitFor();
    await tab.close();
    await server.settledWhile(() => server.metrics.connections.websocket > 0);
  }
});

t.test('a token that the server refuses stops the chat; a site without a token is asked again', { skip }, async (t) => {
  const folder = await builtLibrary();
  const server = await testServer(t, settings);
  const token = `async () => { const answer = await fetch('/token?name=jack'); if (!answer.ok) throw new Error('fault'); return answer.text(); }`;
  const script = `import { connect } from '/lib/client.js'; keep(connect({ server: 'http://${server.host}', token: ${token} }));`;
  let claims = {};
  const small = await startSmallSite(t, () => server.site(), folder, { script, token: (name) => sign(name, claims) });
  const browser = await launch(t);
  small.tokenStatus = 500;
  const page = await visit(await browser.newContext(), small.url);
  await until(page, 'states', 'waiting the site gives no token');
  small.tokenStatus = null;
  await until(page, 'states', 'online websocket');
  claims = { iat: 1, exp: 2 };
  const other = await visit(await browser.newContext(), small.url);
  await until(other, 'states', 'stopped authentication failed');
});

/** A page whose tabs share a connection. */
function sharing(host: string): string {
  return `import { connect } from '/lib/client.js';
    keep(connect({ server: 'http://${host}', token: async () => (await fetch('/token?name=jack')).text(), shareTabs: true }));`;
}

/** What makes the channel by which the tabs of such a page speak to each other. */
function channelOf(host: string): string {
  return `new BroadcastChannel('nextalk http://${host}  uid:jack')`;
}

t.test('a tab that went into the back/forward cache keeps no other tab from leaving', { skip }, async (t) => {
  const folder = await builtLibrary();
  const server = await testServer(t, settings);
  const script = sharing(server.host);
  const small = await startSmallSite(t, () => server.site(), folder, { script, token: (name) => sign(name) });
  const browser = await launch(t);
  const context = await browser.newContext();
  const stays = await visit(context, small.url);
  await until(stays, 'states', 'online websocket');
  const goes = await visit(context, small.url);
  await until(goes, 'states', 'online websocket');
  const channel = channelOf(server.host);
  await stays.evaluate(`{ ${channel}.onmessage = ({ data }) => heard.push(data); }`);
  await goes.evaluate("dispatchEvent(new PageTransitionEvent('pagehide', { persisted: true }))");
  await goes.evaluate(`${channel}.postMessage('gone')`);
  await until(stays, 'heard', 'gone');
  const [said] = await Promise.all([
    stays.waitForRequest((request) => request.url().includes('/v5/packets')),
    stays.evaluate(() => window.chat.close()),
  ]);
  t.match(said.postDataJSON(), { call: 'offline' });
});

t.test('ten tabs of a user share one connection, whichever of them goes', { skip }, async (t) => {
  const folder = await builtLibrary();
  const server = await testServer(t, settings);
  const script = sharing(server.host);
  const small = await startSmallSite(t, () => server.site(), folder, {
    script,
    token: (name) => sign(name, { buddies: ['anna'] }),
  });
  const browser = await launch(t);
  const context = await browser.newContext();
  const push = (body: string) => server.site().post('/v5/messages', { from: 'news', to: 'jack', body });
  const pages: Page[] = [];
  for (let tab = 0; tab < 10; tab++) {
    const page = await visit(context, small.url);
    await until(page, 'states', 'online websocket');
    pages.push(page);
  }
  const { connections } = server.metrics;
  t.equal(connections.websocket, 1);
  await push('one');
  for (const page of pages) await until(page, 'heard', 'news: one');
  const tickets = async (): Promise<number> =>
    new Set(await Promise.all(pages.map((page) => page.evaluate(() => window.chat.id)))).size;
  t.equal(await tickets(), 1);

  await t.test('the tab that has the connection is closed: another one goes on', async (t) => {
    await pages.shift()?.close();
    await push('two');
    for (const page of pages) await until(page, 'heard', 'news: two');
    await push('three');
    for (const page of pages) {
      await until(page, 'heard', 'news: three');
      t.strictSame(await kept(page, 'heard'), ['news: one', 'news: two', 'news: three']);
    }
    t.equal(connections.websocket, 1);
  });

  await t.test('one tab closes the chat: the others stay', async (t) => {
    await pages[3]?.evaluate(() => window.chat.close());
    await push('four');
    for (const [i, page] of pages.entries()) if (i !== 3) await until(page, 'heard', 'news: four');
    t.notOk((await kept(pages[3] as Page, 'heard')).includes('news: four'));
  });

  await t.test('a new tab knows who is there without a connection of its own', async (t) => {
    await server.site().online('anna');
    await pages[0]?.waitForFunction(() => window.chat.presences.has('anna'));
    const page = await visit(context, small.url);
    await until(page, 'states', 'online websocket');
    await page.waitForFunction(() => window.chat.presences.has('anna'));
    t.equal(connections.websocket, 1);
    pages.push(page);
  });

  await t.test('signing out ends them all', async () => {
    await pages[1]?.evaluate(() => window.chat.signOut());
    for (const [i, page] of pages.entries()) if (i !== 3) await until(page, 'states', 'stopped closed');
  });

  await t.test('a tab that has the connection before it hears that all have signed out stops, too', async () => {
    const page = await visit(context, small.url);
    await until(page, 'states', 'online websocket');
    const note = { kind: 'state', change: { state: 'stopped', reason: 'closed' } };
    await page.evaluate(`${channelOf(server.host)}.postMessage(${JSON.stringify(note)})`);
    await until(page, 'states', 'stopped closed');
    await comes('its connection ends', () => connections.websocket === 0);
  });
});
