/** Getting started, followed to the letter: its two files serve a page on which two visitors talk. */
import { spawn, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { text as streamText } from 'node:stream/consumers';
import { type Browser, chromium, type Page } from 'playwright-core';
import t from 'tap';
import { HANG_MS } from './support/hang.js';
import { readBlocks } from './support/markdown.js';
import { FOLLOWED } from './support/pages.js';
import { program, skipWithout } from './support/programs.js';
import { reader } from './support/reader.js';
import { testServer } from './support/server.js';

async function visit(browser: Browser, url: string): Promise<Page> {
  const page = await (await browser.newContext()).newPage();
  page.setDefaultTimeout(HANG_MS);
  await page.goto(url);
  await page.getByText('You are').waitFor();
  return page;
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
  const browser = await chromium.launch({
    executablePath: program('chromium') ?? '',
    args: ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run'],
  });
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
