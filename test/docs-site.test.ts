/** Getting started, followed to the letter: its two files serve a page on which two visitors talk. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { text as streamText } from 'node:stream/consumers';
import { type Browser, chromium, type Page } from 'playwright-core';
import t from 'tap';
import { HANG_MS } from './support/hang.js';
import { readBlocks } from './support/markdown.js';
import { FOLLOWED } from './support/pages.js';
import { freePort } from './support/ports.js';
import { spawnTethered } from './support/process.js';
import { program, skipWithout } from './support/programs.js';
import { reader } from './support/reader.js';
import { type Cleaner, type TestServer, testServer } from './support/server.js';

async function visit(browser: Browser, url: string): Promise<Page> {
  const page = await (await browser.newContext()).newPage();
  page.setDefaultTimeout(HANG_MS);
  await page.goto(url);
  await page.getByText('You are').waitFor();
  return page;
}

interface Test extends Cleaner {
  testdir(files: Record<string, string>): string;
}

/** The two files of the page as they stand, with a server of the test's own: its address, and a browser. */
async function ownSite(t: Test, domain: object): Promise<{ server: TestServer; site: string; browser: Browser }> {
  const server = await testServer(t, { domains: [{ domain: 'localhost', apikey: 'public', ...domain }] });
  const blocks = readBlocks(text);
  const titled = (title: string): string => blocks.find((block) => block.attributes.get('title') === title)?.text ?? '';
  const port = await freePort();
  const cwd = t.testdir({
    'site.mjs': titled('site.mjs').replaceAll('8080', String(server.port)).replaceAll('3000', String(port)),
    'page.html': titled('page.html'),
  });
  const child = spawnTethered(process.execPath, ['site.mjs'], { cwd, stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = once(child, 'close');
  t.teardown(async () => {
    child.kill('SIGKILL');
    await ended;
  });
  if (child.stdout) await once(child.stdout, 'data');
  const browser = await launch();
  t.teardown(() => browser.close());
  return { server, site: `http://localhost:${port}/`, browser };
}

function launch(): Promise<Browser> {
  return chromium.launch({
    executablePath: program('chromium') ?? '',
    args: ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run'],
  });
}

/** Waits for what the server counts, which the page has caused. */
async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setImmediate(resolve));
}

async function say(page: Page, text: string): Promise<void> {
  await page.getByPlaceholder('Say something').fill(text);
  await page.getByRole('button', { name: 'Send' }).click();
}

function line(page: Page, text: string): Promise<void> {
  return page.locator('#log li').getByText(text, { exact: true }).waitFor();
}

const page = 'docs/getting-started.md';
const programs = FOLLOWED['docs-site.test.ts'][page];
const text = readFileSync(new URL(`../${page}`, import.meta.url), 'utf8');

/** PHP's curl is a package of its own. */
function withoutCurl(): string | false {
  const { status } = spawnSync(program('php') ?? '', ['-r', 'exit(function_exists("curl_init") ? 0 : 1);']);
  return status === 0 ? false : 'needs the curl extension of PHP';
}

t.test(
  'the PHP function of getting started brings a user online',
  { skip: skipWithout('php') || withoutCurl() },
  async (t) => {
    const server = await testServer(t, { domains: [] });
    const code = readBlocks(text).find(({ language }) => language === 'php')?.text ?? '';
    const script = `$userId = '42'; $userName = 'Zoë'; ${code.replace('8080', String(server.port))} echo $status, ' ', $me['ticket'];`;
    const php = spawn(program('php') ?? '', ['-r', script], { stdio: ['ignore', 'pipe', 'inherit'] });
    t.match(await streamText(php.stdout), /^200 uid:42:[0-9a-f]{32}/);
  },
);

t.test('the page of getting started carries a chat', { skip: skipWithout(...programs) }, async (t) => {
  // Nobody leaves by having been idle: the page itself must say that it goes.
  const follower = await reader(t, t.testdir({}), { NEXTALK_SET: 'presence.clientIdleMs=300000;presence.graceMs=100' });
  await follower.follow(readBlocks(text));
  const browser = await launch();
  t.teardown(() => browser.close());
  const site = `http://localhost:${follower.port(3000)}/`;

  const anna = await visit(browser, `${site}?name=Anna`);
  const jack = await visit(browser, `${site}?name=Jack&poll`);
  await line(anna, 'Jack is here');
  await say(anna, 'Hello <b>Jack</b>');
  await line(jack, 'Anna: Hello <b>Jack</b>');
  await line(anna, 'Anna: Hello <b>Jack</b>');
  await say(jack, 'Hello Anna 你好');
  await line(anna, 'Jack: Hello Anna 你好');
  await jack.goto('about:blank');
  await line(anna, 'Jack has left');
  t.equal(await anna.locator('#log li').count(), 5, 'and nothing was shown twice');
});

const skip = skipWithout('chromium');

t.test('a page whose origin is refused says so and asks no more', { skip }, async (t) => {
  const { server, site, browser } = await ownSite(t, { origins: ['https://elsewhere.example'] });
  const page = await (await browser.newContext()).newPage();
  page.setDefaultTimeout(HANG_MS);
  await page.clock.install();
  let asked = 0;
  page.on('websocket', () => {
    asked += 1;
  });
  page.on('request', (request) => {
    if (request.url().includes('/v5/packets')) asked += 1;
  });
  await page.goto(`${site}?name=Anna`);
  await page.getByText('does not accept this page').waitFor();
  t.equal(asked, 1);
  await page.clock.runFor(10 * 60_000);
  t.equal(asked, 1, 'not in the next ten minutes either');
  t.equal(server.metrics.connections.websocket, 0);
});

t.test('a page whose socket failed once polls for a minute, then has a socket again', { skip }, async (t) => {
  const { server, site, browser } = await ownSite(t, {});
  const { connections } = server.metrics;
  const page = await (await browser.newContext()).newPage();
  page.setDefaultTimeout(HANG_MS);
  await page.clock.install();
  let sockets = 0;
  await page.routeWebSocket(/wsocket/, (socket) => {
    sockets += 1;
    if (sockets === 1) void socket.close();
    else socket.connectToServer();
  });
  await page.goto(`${site}?name=Anna`);
  await until(() => connections.jsonp === 1);
  t.equal(sockets, 1);
  const news = server.site({ domain: 'localhost', apikey: 'public' });
  const push = (body: string) => news.post('/v5/messages', { from: 'x', nick: 'News', to: 'Anna', body });
  await push('by poll');
  await line(page, 'News: by poll');
  await until(() => connections.jsonp === 1);
  await page.clock.fastForward(61_000);
  await push('by poll, a minute later');
  await line(page, 'News: by poll, a minute later');
  await until(() => connections.websocket === 1);
  await push('by socket');
  await line(page, 'News: by socket');
  t.equal(sockets, 2);
});

t.test(
  'the script of docs/long-connections.md for server-sent events shows what comes',
  { skip: skipWithout('chromium') },
  async (t) => {
    const connections = readFileSync(new URL('../docs/long-connections.md', import.meta.url), 'utf8');
    const script = readBlocks(connections).find(({ text }) => text.includes('new EventSource'))?.text ?? '';
    t.ok(script, 'the page has it');
    const server = await testServer(t, { domains: [{ domain: 'localhost', apikey: 'public' }] });
    const site = server.site({ domain: 'localhost', apikey: 'public' });
    const browser = await launch();
    t.teardown(() => browser.close());
    const page = await browser.newPage();
    page.setDefaultTimeout(HANG_MS);
    // A page of the site's: the server's own pages allow no connections.
    const url = `http://localhost:${server.port}/page`;
    await page.route(url, (route) => route.fulfill({ contentType: 'text/html', body: '<p>Jack' }));
    await page.goto(url);
    const { ticket } = await site.online('jack');
    const values = `domain = 'localhost', ticket = ${JSON.stringify(ticket)}`;
    const show = '({ messages }) => { for (const { body } of messages) document.body.append(body); }';
    await page.evaluate(`(() => { const ${values}; const show = ${show}; ${script} })()`);
    await site.push('news', 'jack', 'Rain at six');
    await page.getByText('Rain at six').waitFor();
  },
);
