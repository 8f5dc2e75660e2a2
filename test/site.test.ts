import { type Browser, chromium, type Page } from 'playwright-core';
import t from 'tap';
import { type RunningSite, startSite } from '../examples/site/site.js';
import { HANG_MS } from './support/hang.js';
import { freePort } from './support/ports.js';
import { program, skipWithout } from './support/programs.js';
import { siteA, testServer } from './support/server.js';

const flags = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];
const realTimes = { presence: { clientIdleMs: 10_000, graceMs: 8_000 }, poll: { timeoutMs: 25_000 } };

/** A visitor's own browser window, signed in and connected. */
async function visit(browser: Browser, site: RunningSite, name: string, transport: string): Promise<Page> {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 } });
  context.setDefaultTimeout(HANG_MS);
  const page = await context.newPage();
  await page.addInitScript(`sessionStorage.transport ??= '${transport}'`);
  await page.goto(site.url);
  await page.getByLabel('Your name').fill(name);
  await page.getByRole('button', { name: 'Come in' }).click();
  await page.locator(`#link[data-state=connected][data-kind=${transport}]`).waitFor();
  return page;
}

function buddy(page: Page, id: string, show: string) {
  return page.locator(`#people a[data-place="user:${id}"][data-show=${show}]`);
}

function bubble(page: Page, text: string) {
  return page.locator('#log .bubble').filter({ hasText: text });
}

async function open(page: Page, place: string): Promise<void> {
  await page.locator(`a.row[data-place="${place}"]`).click();
  await page.locator(`#app[data-open="${place}"]`).waitFor();
}

async function say(page: Page, text: string): Promise<void> {
  await page.getByLabel('Your message').fill(text);
  await page.getByRole('button', { name: 'Send' }).click();
  await page.locator('.message.own[data-sent=yes] .bubble').filter({ hasText: text }).waitFor();
}

async function setStatus(page: Page, words: string): Promise<void> {
  await page.locator('#me').click();
  await page.getByRole('radio', { name: words }).check();
  await page.keyboard.press('Escape');
}

/** Whether a click in the middle of an element meets the element itself, not another one that lies over it. */
function isOnTop(page: Page, selector: string): Promise<boolean> {
  return page.evaluate(`{
    const found = document.querySelector('${selector}');
    const { x, y, width, height } = found.getBoundingClientRect();
    found.contains(document.elementFromPoint(x + width / 2, y + height / 2));
  }`);
}

/** Writes down every presence that the page shows for a person from now on. */
async function recordPresence(page: Page, id: string): Promise<() => Promise<string[]>> {
  await page.evaluate(`{
    const row = document.querySelector('#people a[data-place="user:${id}"]');
    const seen = (window.seenPresences = []);
    new MutationObserver(() => seen.push(row.dataset.show)).observe(row, { attributeFilter: ['data-show'] });
  }`);
  return () => page.evaluate<string[]>('seenPresences');
}

// The test waits for the whole grace of a visitor who signs out.
t.setTimeout(800_000);

t.test('the example site in Chromium', { skip: skipWithout('chromium') }, async (t) => {
  // The port is not 0: the restart below takes the same port again, which Linux allows only where both ask for it by number.
  const port = await freePort();
  const server = await testServer(t, { ...realTimes, port });
  const site = await startSite({ port: 0, server: `http://127.0.0.1:${server.port}`, ...siteA });
  t.teardown(() => site.close());
  const browser = await chromium.launch({ executablePath: program('chromium') ?? '', args: flags });
  t.teardown(() => browser.close());
  const mistakes: string[] = [];

  const alice = await visit(browser, site, 'Alice', 'websocket');
  const bob = await visit(browser, site, 'Bob', 'polling');
  for (const page of [alice, bob]) page.on('pageerror', (error) => mistakes.push(String(error)));

  await t.test('shows each visitor to the other, and a notice about the newcomer', async () => {
    await buddy(alice, 'bob', 'available').waitFor();
    await buddy(bob, 'alice', 'available').waitFor();
    await alice.locator('#notices').getByText('Bob is new here.').waitFor();
  });

  await t.test('carries a chat both ways between a socket and long polling', async (t) => {
    await open(alice, 'user:bob');
    await say(alice, 'Hello <b>Bob</b> & all');
    await bob.locator('a[data-place="user:alice"] .badge').getByText('1').waitFor();
    await open(bob, 'user:alice');
    await bubble(bob, 'Hello <b>Bob</b> & all').waitFor();
    t.equal(await bob.locator('#log b').count(), 0, 'what people write is text, never HTML');
    await bob.locator('a[data-place="user:alice"] .badge').waitFor({ state: 'hidden' });
    await say(bob, 'Hello Alice 你好 🙂');
    await bubble(alice, 'Hello Alice 你好 🙂').waitFor();
  });

  await t.test('shows that the other one is typing, until the message comes', async () => {
    await bob.getByLabel('Your message').pressSequentially('Wait');
    await alice.locator('#typing').getByText('Bob is typing').waitFor();
    await say(bob, 'Wait for me');
    await bubble(alice, 'Wait for me').waitFor();
    await alice.locator('#typing:empty').waitFor({ state: 'attached' });
  });

  await t.test('carries the room, with its members, joining and leaving', async (t) => {
    await open(alice, 'room:lobby');
    await open(bob, 'room:lobby');
    await alice.locator('#members-list').getByText('Bob').waitFor();
    await say(alice, 'Good morning, everybody');
    await bubble(bob, 'Good morning, everybody').waitFor();
    await say(bob, 'Good morning to you');
    await bubble(alice, 'Good morning to you').waitFor();
    await bob.getByRole('button', { name: 'Leave the Lobby' }).click();
    await alice.locator('#log').getByText('Bob left the room').waitFor();
    await alice.locator('#members-count').getByText('1').waitFor();
    t.ok(await bob.getByLabel('Your message').isDisabled(), 'who is not in the room cannot write there');
    await bob.getByRole('button', { name: 'Join the Lobby' }).click();
    await alice.locator('#log').getByText('Bob joined the room').waitFor();
    await bob.locator('#members-list').getByText('Alice').waitFor();
  });

  await t.test('hides who is invisible, who still receives, and shows them again', async () => {
    await setStatus(bob, 'Invisible');
    await buddy(alice, 'bob', 'unavailable').waitFor();
    await alice.locator('#log').getByText('Bob went offline').waitFor();
    await alice.locator('#members-count').getByText('1').waitFor();
    await say(alice, 'Is anybody here?');
    await bubble(bob, 'Is anybody here?').waitFor();
    await setStatus(bob, 'Away');
    await buddy(alice, 'bob', 'away').waitFor();
    await alice.locator('#members-count').getByText('2').waitFor();
  });

  await t.test('lets a visitor reload without a flicker, and loses nothing sent meanwhile', async (t) => {
    await open(alice, 'user:bob');
    await open(bob, 'user:alice');
    const presences = await recordPresence(alice, 'bob');
    let arrived: () => void;
    let release: () => void;
    const away = new Promise<void>((resolve) => {
      arrived = resolve;
    });
    const back = new Promise<void>((resolve) => {
      release = resolve;
    });
    // The reloaded page is held just before it comes online: its old client is gone, its new one not there yet.
    await bob.route('**/api/online', async (route) => {
      arrived();
      await back;
      await route.continue();
    });
    const reloaded = bob.reload();
    await away;
    await say(alice, 'Sent while you reload');
    release!();
    await reloaded;
    await bubble(bob, 'Sent while you reload').waitFor();
    await bob.locator('#link[data-state=connected]').waitFor();
    await say(bob, 'Got it');
    await bubble(alice, 'Got it').waitFor();
    t.equal(await bubble(bob, 'Sent while you reload').count(), 1, 'it is shown once, though it may come twice');
    t.equal(await bubble(bob, 'Wait for me').count(), 1, 'the conversation is still there');
    const others = (await presences()).filter((show) => show !== 'away');
    t.same(others, [], 'the other one never saw anything else than before');
  });

  await t.test('switches the transport without losing what is under way', async () => {
    await bob.locator('#me').click();
    await bob.locator('.segments').getByText('WebSocket').click();
    await say(alice, 'Sent while you switch');
    await bubble(bob, 'Sent while you switch').waitFor();
    await bob.locator('#link[data-state=connected][data-kind=websocket]').waitFor();
    await bob.keyboard.press('Escape');
  });

  await t.test('signs out, and the other one sees it after the grace', async () => {
    await bob.locator('#me').click();
    await bob.getByRole('button', { name: 'Sign out' }).click();
    await bob.getByLabel('Your name').waitFor();
    await buddy(alice, 'bob', 'unavailable').waitFor();
  });

  const carol = await visit(browser, site, 'Carol', 'polling');

  await t.test('keeps notices off the buttons of a narrow window', async (t) => {
    await alice.setViewportSize({ width: 390, height: 780 });
    await alice.locator('#notices').getByText('Carol is new here.').waitFor();
    t.ok(await isOnTop(alice, '#back'), 'the way back to the list');
    await alice.locator('#back').click();
    await alice.locator('#app[data-open=""]').waitFor();
    t.ok(await isOnTop(alice, '#me'), 'the menu in the list');
    await alice.setViewportSize({ width: 1280, height: 800 });
  });

  await t.test('comes online again when the server was restarted and knows no ticket', async () => {
    await server.close();
    await alice.locator('#link[data-state=waiting]').waitFor();
    await carol.locator('#link[data-state=waiting]').waitFor();
    await testServer(t, { ...realTimes, port });
    await buddy(alice, 'carol', 'available').waitFor();
    await alice.locator('#link[data-state=connected]').waitFor();
    await open(alice, 'user:carol');
    await say(alice, 'Welcome back');
    await open(carol, 'user:alice');
    await bubble(carol, 'Welcome back').waitFor();
  });

  t.same(mistakes, [], 'no script failed in either page');
});
