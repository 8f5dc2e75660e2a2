/**
 * Getting started, followed to the letter: its first part in PHP and in Node, with the widget, and its second one, by plain
 * REST. Two visitors talk on each page.
 */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { text as streamText } from 'node:stream/consumers';
import type { Browser, Page } from 'playwright-core';
import t from 'tap';
import { NexTalk } from '../sdk/node/src/index.js';
import { HANG_MS } from './support/hang.js';
import { builtLibrary, launch } from './support/library.js';
import { type Block, readBlocks } from './support/markdown.js';
import { FOLLOWED } from './support/pages.js';
import { freePort } from './support/ports.js';
import { spawnTethered } from './support/process.js';
import { program, skipWithout } from './support/programs.js';
import { reader } from './support/reader.js';
import { type Cleaner, type TestServer, testServer } from './support/server.js';
import { until } from './support/until.js';
import { hears, online, openChat, write } from './support/widget.js';

const page = 'docs/getting-started.md';
const programs = FOLLOWED['docs-site.browser.ts'][page];
const read = (name: string): string => readFileSync(new URL(`../${name}`, import.meta.url), 'utf8');
const text = read(page);
/** The page, cut before each heading. */
const sections = text.split(/^(?=##)/m);
const second = sections.findIndex((section) => section.startsWith('## The same by plain REST'));
const ofWidget = sections.slice(0, second);
const ofRest = sections.slice(second);

function blocksOf(list: readonly string[]): Block[] {
  return list.flatMap(readBlocks);
}

function titled(title: string): string {
  return readBlocks(text).find((block) => block.attributes.get('title') === title)?.text ?? '';
}

/** A page of a visitor's own browser, which has the library and the widget as the server has them once it is built. */
async function open(browser: Browser, folder: string, url: string): Promise<Page> {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 } });
  for (const name of ['widget.js', 'client.js']) {
    await context.route(`**/v5/${name}`, (route) => route.fulfill({ path: join(folder, name) }));
  }
  const page = await context.newPage();
  page.setDefaultTimeout(HANG_MS);
  await page.goto(url);
  return page;
}

async function visit(browser: Browser, folder: string, url: string): Promise<Page> {
  const page = await open(browser, folder, url);
  await page.getByText('You are').waitFor();
  return page;
}

interface Test extends Cleaner {
  testdir(files: Record<string, string>): string;
}

async function started(t: Cleaner): Promise<{ folder: string; browser: Browser }> {
  const folder = await builtLibrary();
  const browser = await launch(t);
  return { folder, browser };
}

/** Waits until something listens there. */
async function answers(url: string): Promise<void> {
  const response = await until(`an answer of ${url}`, () => fetch(url).catch(() => null));
  await response.text();
}

async function say(page: Page, text: string): Promise<void> {
  await page.getByPlaceholder('Say something').fill(text);
  await page.getByRole('button', { name: 'Send' }).click();
}

function line(page: Page, text: string): Promise<void> {
  return page.locator('#log li').getByText(text, { exact: true }).waitFor();
}

t.test(
  'the two lines are the same everywhere, and their own lines are as many as the page says, under 20',
  async (t) => {
    const promised = (name: string): string =>
      readBlocks(read(name)).find(({ language, attributes }) => language === 'html' && !attributes.has('title'))
        ?.text ?? '';
    t.equal(promised('docs/widget.md').split('\n').length, 2);
    t.equal(promised(page), promised('docs/widget.md'));
    t.equal(promised('README.md'), promised('docs/widget.md'));
    const [, php, node] = /(\d+) in PHP, (\d+) in Node/.exec(text) ?? [];
    for (const [title, said] of [
      ['chat.php', php],
      ['chat.mjs', node],
    ] as const) {
      const lines = titled(title)
        .split('\n')
        .filter((line) => line.trim() !== '');
      t.equal(lines.length, Number(said), title);
      t.ok(lines.length < 20, `${title} is short`);
      t.ok(Math.max(...lines.map((line) => line.length)) <= 130, `${title} has lines that one can read`);
    }
    const typed = blocksOf(ofWidget.filter((section) => !/^(##+ In Node|## 4)/.test(section))).filter(
      ({ language }) => language === 'sh',
    );
    t.equal(typed.length, 2, 'and two commands, as it says');
  },
);

for (const [way, other, needs] of [
  ['In PHP', 'In Node', ['php']],
  ['In Node', 'In PHP', []],
] as const) {
  const title = `the first part of getting started, ${way.toLowerCase()}: two people talk on its page`;
  t.test(title, { skip: skipWithout(...programs, ...needs) }, async (t) => {
    const { folder, browser } = await started(t);
    // As `npm start` has it, which keeps a history.
    const own = t.testdir({});
    const follower = await reader(t, own, { NEXTALK_DATA: join(own, 'data') });
    const steps = ofWidget.filter((section) => !section.startsWith(`### ${other}`) && !section.startsWith('## 4'));
    await follower.follow(blocksOf(steps));
    const site = `http://localhost:${follower.port(3000)}/`;
    await answers(site);
    const [anna, jack] = [
      await open(browser, folder, `${site}?name=Anna`),
      await open(browser, folder, `${site}?name=Jack`),
    ];
    await Promise.all([online(anna), online(jack)]);

    await anna.getByRole('button', { name: 'Open chat' }).click();
    await anna.locator('nextalk-chat').getByText('Jack', { exact: true }).first().click();
    await write(anna, 'Hello <b>Jack</b> 你好');
    await jack.getByRole('button', { name: 'Open chat, 1 unread' }).click();
    await jack.locator('nextalk-chat').getByText('Anna', { exact: true }).first().click();
    await hears(jack, 'Hello <b>Jack</b> 你好');
    await write(jack, 'Hello Anna');
    await hears(anna, 'Hello Anna');
    for (const page of [anna, jack]) await openChat(page, 'gid:lobby');
    await write(jack, 'Hello, all');
    await hears(anna, 'Hello, all');

    await anna.reload();
    await online(anna);
    await openChat(anna, 'Jack');
    await hears(anna, 'Hello Anna');
    await hears(anna, 'Hello <b>Jack</b> 你好');
  });
}

t.test('the configuration for a domain of one’s own lets in its own pages, with its own tokens', async (t) => {
  const own = t.testdir({});
  const follower = await reader(t, own, { NEXTALK_DATA: join(own, 'data') });
  await follower.follow(blocksOf(ofWidget.filter((section) => section.startsWith('## 4'))));
  const { domain, apikey: apiKey, tokenSecret, origins } = JSON.parse(titled('nextalk.json')).domains[0];
  const server = `http://localhost:${follower.port(8080)}`;
  const come = (origin: string, secret: string): Promise<Response> => {
    const token = new NexTalk({ server, domain, apiKey, tokenSecret: secret }).token('anna', { nick: 'Anna' });
    const body = new URLSearchParams({ token });
    return fetch(`${server}/v5/presences/online`, { method: 'POST', headers: { origin }, body });
  };
  t.equal((await come(origins[0], tokenSecret)).status, 200);
  const refused = await come('https://elsewhere.example', tokenSecret);
  t.equal(refused.status, 400);
  t.match(await refused.text(), 'origin is not allowed');
  t.equal((await come(origins[0], 'development-only-secret-of-localhost')).status, 401);
});

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
    const code =
      readBlocks(text).find(({ language, attributes }) => language === 'php' && !attributes.has('title'))?.text ?? '';
    const script = `$userId = '42'; $userName = 'Zoë'; ${code.replace('8080', String(server.port))} echo $status, ' ', $me['ticket'];`;
    const php = spawn(program('php') ?? '', ['-r', script], { stdio: ['ignore', 'pipe', 'inherit'] });
    t.match(await streamText(php.stdout), /^200 uid:42:[0-9a-f]{32}/);
  },
);

t.test('the page by plain REST carries a chat', { skip: skipWithout(...programs) }, async (t) => {
  const { folder, browser } = await started(t);
  // Nobody leaves by having been idle: the page itself must say that it goes.
  const follower = await reader(t, t.testdir({}), { NEXTALK_SET: 'presence.clientIdleMs=300000;presence.graceMs=100' });
  await follower.follow(blocksOf(ofRest));
  const site = `http://localhost:${follower.port(3001)}/`;

  const anna = await visit(browser, folder, `${site}?name=Anna`);
  const jack = await visit(browser, folder, `${site}?name=Jack&poll`);
  await line(anna, 'Jack is here');
  await say(anna, 'Hello <b>Jack</b>');
  await line(jack, 'Anna: Hello <b>Jack</b>');
  await line(anna, 'Anna: Hello <b>Jack</b>');
  await say(jack, 'Hello Anna 你好');
  await line(anna, 'Jack: Hello Anna 你好');
  await jack.goto('about:blank');
  await line(anna, 'Jack has left');
  t.equal(await anna.locator('#log li').count(), 4, 'and nothing was shown twice');
});

/** The two files of the second part as they stand, with a server of the test's own: its address, and a browser. */
async function ownSite(
  t: Test,
  domain: object,
): Promise<{ server: TestServer; site: string; browser: Browser; folder: string }> {
  const server = await testServer(t, { domains: [{ domain: 'localhost', apikey: 'public', ...domain }] });
  const port = await freePort();
  const ported = (title: string): string =>
    titled(title).replaceAll('8080', String(server.port)).replaceAll('3001', String(port));
  const cwd = t.testdir({ 'site.mjs': ported('site.mjs'), 'page.html': ported('page.html') });
  const child = spawnTethered(process.execPath, ['site.mjs'], { cwd, stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = once(child, 'close');
  t.teardown(async () => {
    child.kill('SIGKILL');
    await ended;
  });
  if (child.stdout) await once(child.stdout, 'data');
  return { server, site: `http://localhost:${port}/`, ...(await started(t)) };
}

const skip = skipWithout('chromium');

t.test('a page whose origin is refused says so and asks no more', { skip }, async (t) => {
  const { server, site, browser, folder } = await ownSite(t, { origins: ['https://elsewhere.example'] });
  const page = await open(browser, folder, 'about:blank');
  await page.clock.install();
  let asked = 0;
  page.on('websocket', () => {
    asked += 1;
  });
  page.on('request', (request) => {
    if (/\/v5\/(packets|events)/.test(request.url())) asked += 1;
  });
  await page.goto(`${site}?name=Anna`);
  await page.getByText('stopped: origin is not allowed').waitFor();
  t.equal(asked, 1);
  await page.clock.runFor(10 * 60_000);
  t.equal(asked, 1, 'not in the next ten minutes either');
  t.equal(server.metrics.connections.websocket, 0);
});

t.test('a page whose socket failed once comes back to a socket, and what was said meanwhile', { skip }, async (t) => {
  const { server, site, browser, folder } = await ownSite(t, {});
  const page = await open(browser, folder, 'about:blank');
  await page.clock.install();
  let sockets = 0;
  await page.routeWebSocket(/wsocket/, (socket) => {
    sockets += 1;
    if (sockets === 2) void socket.close();
    else {
      const real = socket.connectToServer();
      if (sockets === 1) cut = () => void Promise.all([real.close(), socket.close()]);
    }
  });
  let cut = (): void => undefined;
  await page.goto(`${site}?name=Anna`);
  await page.getByText('You are').waitFor();
  const news = server.site({ domain: 'localhost', apikey: 'public' });
  const push = (body: string) => news.post('/v5/messages', { from: 'x', nick: 'News', to: 'Anna', body });
  await push('before');
  await line(page, 'News: before');
  cut();
  await page.getByText('waiting:').waitFor();
  await push('meanwhile');
  for (let minute = 0; minute < 10 && sockets < 3; minute += 1) await page.clock.runFor(60_000);
  await line(page, 'News: meanwhile');
  await page.getByText('You are').waitFor();
  t.ok(sockets >= 3, `${sockets} sockets`);
  t.equal(await page.locator('#log li').count(), 2, 'and nothing was shown twice');
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
    const browser = await launch(t);
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
