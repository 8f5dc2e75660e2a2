/** The widget for everybody: what a screen reader is told, and the keyboard alone. */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { Page } from 'playwright-core';
import t from 'tap';
import { skipWithout } from '../support/programs.js';
import { until } from '../support/until.js';
import { hears, openChat, type Stage, stage, write } from '../support/widget.js';

const skip = skipWithout('chromium');
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** What axe-core has to say against a page, a line for each element. */
async function violations(page: Page): Promise<string[]> {
  await page.evaluate(axe);
  const found = await page.evaluate<{ id: string; nodes: { html: string; failureSummary: string }[] }[]>(
    'axe.run().then(({ violations }) => violations)',
  );
  return found.flatMap(({ id, nodes }) => nodes.map(({ html, failureSummary }) => `${id}: ${html} ${failureSummary}`));
}

/** A page with something of everything. */
async function lively(
  { user, push, server, browser }: Stage,
  attributes: string,
  colorScheme: 'light' | 'dark',
): Promise<Page> {
  const site = server.site();
  for (const [name, show] of [
    ['jack', 'available'],
    ['mia', 'away'],
    ['sven', 'dnd'],
    ['omar', 'busy'],
  ] as const)
    await site.arrive(name, { nick: name, show, status: 'in a meeting', buddies: 'anna', rooms: 'lobby' });
  const context = await browser.newContext({ colorScheme, reducedMotion: 'reduce' });
  const page = await user('anna', attributes, { buddies: ['jack', 'mia', 'sven', 'omar'] }, context);
  await push('jack', 'anna', 'See https://example.com/');
  await push('mia', 'anna', '👍');
  await openChat(page, 'jack');
  await hears(page, 'See https://example.com/');
  await write(page, 'Thanks');
  await openChat(page, 'nobody');
  await page.evaluate(() => undefined);
  await openChat(page, 'jack');
  return page;
}

for (const scheme of ['light', 'dark'] as const) {
  t.test(`axe-core finds nothing wrong, ${scheme}`, { skip }, async (t) => {
    const stand = await stage(t);
    const docked = await lively(stand, 'mode="docked"', scheme);
    t.strictSame(await violations(docked), [], 'a conversation');
    await docked.getByRole('button', { name: 'Back' }).click();
    t.strictSame(await violations(docked), [], 'the list');
    await docked.getByRole('button', { name: /^Your status/ }).click();
    t.strictSame(await violations(docked), [], 'the menu of the status');
    await docked.keyboard.press('Escape');
    await openChat(docked, 'gid:lobby');
    await docked.getByRole('button', { name: 'Members' }).click();
    await docked.getByRole('group', { name: 'Members of lobby' }).getByText('jack').waitFor();
    t.strictSame(await violations(docked), [], 'members of a room');
    await docked.keyboard.press('Escape');
    await docked.keyboard.press('Escape');
    t.strictSame(await violations(docked), [], 'closed');
    const inline = await lively(stand, `mode="inline" theme="${scheme}"`, scheme === 'light' ? 'dark' : 'light');
    t.strictSame(await violations(inline), [], 'inline, with a theme of its own');
  });
}

t.test('a screen reader is told who is there, what is open and what comes', { skip }, async (t) => {
  const { user, push, server } = await stage(t);
  await server.site().arrive('jack', { nick: 'jack', buddies: 'anna', rooms: 'lobby' });
  const page = await user('anna', 'mode="docked"');
  await push('jack', 'anna', 'Hello');
  const launcher = page.getByRole('button', { name: 'Open chat, 1 unread', expanded: false });
  await launcher.click();
  const list = await page.getByRole('region', { name: 'Chat' }).ariaSnapshot();
  t.equal(
    list.replace(/\d+:\d\d [AP]M/g, 'TIME'),
    [
      '- region "Chat":',
      '  - navigation "Conversations":',
      `    - 'button "Your status: Available"': Available`,
      '    - button "Close"',
      '    - searchbox "Search people and rooms"',
      '    - heading "Conversations" [level=2]',
      '    - button "jack Available TIME Hello 1 unread":',
      '      - text: jack Available',
      '      - time: TIME',
      '      - text: Hello 1 unread',
      '    - heading "Rooms" [level=2]',
      '    - button "lobby 2 here"',
    ].join('\n'),
  );
  await page.getByRole('button', { name: /^jack Available.* 1 unread$/ }).click();
  await write(page, 'Hi');
  await page
    .getByText('Sent', { exact: true })
    .or(page.getByText('Delivered', { exact: true }))
    .waitFor();
  const open = await page.getByRole('group', { name: 'jack' }).ariaSnapshot();
  t.match(open.replace(/\d+:\d\d [AP]M/g, 'TIME'), /heading "jack" \[level=2\]/);
  t.match(open, /log "Messages with jack":.*Today.*jack.*Hello.*You.*Hi/s);
  t.match(open, /textbox "Message to jack"/);
  await push('jack', 'anna', 'How are you?');
  await page.getByRole('status').getByText('jack: How are you?').waitFor({ state: 'attached' });
});

t.test('the keyboard alone is enough', { skip }, async (t) => {
  const { user, push, server } = await stage(t);
  for (const name of ['jack', 'mia']) await server.site().arrive(name, { nick: name, buddies: 'anna', rooms: 'lobby' });
  const page = await user('anna', 'mode="docked"', { buddies: ['jack', 'mia'] });
  const focused = (): Promise<string> =>
    page.evaluate(
      `(() => { const e = document.querySelector('nextalk-chat').shadowRoot.activeElement; return e?.getAttribute('aria-label') ?? e?.querySelector('.name')?.textContent ?? ''; })()`,
    );
  const press = async (...keys: readonly string[]): Promise<string> => {
    for (const key of keys) await page.keyboard.press(key);
    return focused();
  };
  t.equal(await press('Tab'), 'Open chat');
  t.equal(await press('Enter'), 'lobby', 'the first row');
  t.equal(await press('ArrowDown'), 'jack');
  t.equal(await press('End'), 'mia');
  t.equal(await press('Home', 'ArrowDown', 'Enter'), 'Message to jack');
  await page.keyboard.type('Hello');
  await press('Shift+Enter');
  await page.keyboard.type('Jack');
  await press('Enter');
  await hears(page, 'Hello\nJack');
  t.equal(await press('Shift+Tab'), 'Messages with jack', 'which scrolls');
  t.equal(await press('Escape'), 'jack', 'back where one came from');
  t.equal(await press('Shift+Tab'), 'Search people and rooms');
  await page.keyboard.type('mi');
  t.equal(await press('ArrowDown'), 'mia');
  t.equal(await press('Shift+Tab', 'Escape', 'Shift+Tab', 'Shift+Tab'), 'Your status: Available');
  await press('ArrowDown', 'ArrowDown', 'Enter');
  await page.getByRole('button', { name: 'Your status: Away' }).waitFor();
  await until('the focus back on the button', async () => (await focused()) === 'Your status: Away');
  await push('jack', 'anna', 'still there?');
  await page.getByRole('button', { name: /^jack Available.* 1 unread$/ }).waitFor();
  t.equal(await focused(), 'Your status: Away', 'what comes takes no focus');
  t.equal(await press('Escape'), 'Open chat, 1 unread', 'the panel closes, and the button has the focus');
});
