/** The widget with 10,000 messages of history, and with minutes of 20 messages a second: what is in the document stays small. */
import type { Page } from 'playwright-core';
import t from 'tap';
import { sign, visit } from '../support/library.js';
import { skipWithout } from '../support/programs.js';
import {
  between,
  type Deliver,
  messages,
  online,
  openChat,
  open as openDomain,
  type Stage,
  stage,
  widgetPage,
  write,
} from '../support/widget.js';

const skip = skipWithout('chromium');
/** Messages in the document at most. */
const SHOWN = 150;
const FIRST = Date.UTC(2026, 0, 1);

function numbered(n: number): object {
  return {
    id: `m${n}`,
    from: 'jack',
    to: 'anna',
    nick: 'Jack',
    type: 'chat',
    body: `message ${n}`,
    timestamp: String(FIRST + n * 60_000),
    style: '',
  };
}

interface Far {
  total: number;
  readonly deliver: Deliver;
}

async function open({ server, browser, site }: Stage, total: number): Promise<{ page: Page; far: Far }> {
  const context = await browser.newContext();
  const deliver = await between(context, (call) => {
    if (call.call !== 'history') return null;
    if (!call.with) return { conversations: [{ with: 'jack', last: numbered(far.total - 1), unread: 3 }] };
    const end = call.before === undefined ? far.total : Number(call.before);
    const start = Math.max(0, end - Number(call.limit));
    const list = Array.from({ length: end - start }, (_, i) => numbered(start + i));
    return { messages: list, ...(start > 0 ? { next: String(start) } : {}) };
  });
  const far = { total, deliver };
  const html = widgetPage(`server="http://${server.host}" token="${sign('anna')}" mode="docked"`);
  const page = await visit(context, (await site(html)).url);
  await online(page);
  return { page, far };
}

const numbers = async (page: Page): Promise<number[]> =>
  (await messages(page).allTextContents()).map((text) => Number(text.replace('message ', '')));

function scroll(page: Page, top: string): Promise<void> {
  return page.evaluate(
    `{ const log = document.querySelector('nextalk-chat').shadowRoot.querySelector('.log'); log.scrollTop = ${top}; }`,
  );
}

const isRow = (list: readonly number[]): boolean => list.every((n, i) => i === 0 || n === (list[i - 1] ?? 0) + 1);

t.test('10,000 messages of history come as one scrolls, and go', { skip }, async (t) => {
  const { page, far } = await open(await stage(t), 10_000);
  await page.getByRole('button', { name: 'Open chat, 3 unread' }).click();
  await page.getByRole('button', { name: /^Jack .* 3 unread$/ }).click();
  await page.locator('.bubble', { hasText: 'message 9999' }).waitFor();
  let wrong = '';
  const check = async (): Promise<number[]> => {
    const list = await numbers(page);
    if (!isRow(list) || list.length > SHOWN) wrong ||= `${list.length} from ${list[0]} to ${list.at(-1)}`;
    return list;
  };
  for (let list = await check(); list[0] !== 0 && !wrong; list = await check()) await scroll(page, '0');
  t.equal(wrong, '', 'back to the first one, in a row');
  await page.getByText('Thursday, January 1').or(page.getByText('January 1, 2026')).waitFor();

  far.total += 1;
  far.deliver([numbered(10_000)]);
  const newest = page.getByRole('button', { name: 'Jump to the newest' });
  await newest.getByText('1 new').waitFor();
  for (let i = 0; i < 40; i++) {
    await scroll(page, 'log.scrollHeight');
    await check();
  }
  t.equal(wrong, '', 'and on again, in a row');
  await newest.click();
  await page.locator('.bubble', { hasText: 'message 10000' }).waitFor();
  await newest.waitFor({ state: 'hidden' });
  t.equal(wrong, '');
});

t.test(
  'ten minutes of 20 messages a second: the document is as large at their end as after the first',
  { skip },
  async (t) => {
    const { page, far } = await open(await stage(t), 0);
    await openChat(page, 'jack');
    const size = (): Promise<number> =>
      page.evaluate(`document.querySelector('nextalk-chat').shadowRoot.querySelectorAll('*').length`);
    const sizes: number[] = [];
    for (let minute = 0; minute < 10; minute++) {
      for (let second = 0; second < 60; second++) {
        const list = Array.from({ length: 20 }, (_, i) => numbered((minute * 60 + second) * 20 + i));
        far.deliver(list);
      }
      await page.locator('.bubble', { hasText: `message ${(minute + 1) * 1200 - 1}` }).waitFor();
      sizes.push(await size());
    }
    // The line of a new day may come and go.
    t.ok(Math.max(...sizes) <= (sizes[0] ?? 0) + 5, sizes.join());
    t.equal((await numbers(page)).length, SHOWN);
  },
);

t.test(
  'a server that keeps a history: the list, older messages, and what was read, on another page',
  { skip },
  async (t) => {
    const stand = await stage(t, {
      domains: [{ ...openDomain, history: { messages: 200, days: 30 } }],
      data: t.testdir({}),
      presence: { clientIdleMs: 600_000, graceMs: 600_000 },
    });
    const { user, push } = stand;
    for (let n = 1; n <= 120; n++) await push('jack', 'anna', `message ${n}`);
    const first = await user('anna', 'mode="docked"');
    await first.getByRole('button', { name: 'Open chat, 120 unread' }).click();
    await first.getByRole('button', { name: /^jack .* message 120 120 unread$/ }).click();
    await first.locator('.bubble', { hasText: 'message 120' }).waitFor();
    for (let list = await numbers(first); list[0] !== 1; list = await numbers(first)) await scroll(first, '0');
    t.ok(isRow(await numbers(first)));
    await first.getByRole('button', { name: 'Jump to the newest' }).click();
    await write(first, 'message 121');
    await first.locator('.outcome').waitFor();
    // The server has read marks in the order in which they were sent.
    await first.evaluate(`document.querySelector('nextalk-chat').chat.conversations()`);
    const second = await user('anna', 'mode="docked"');
    await second.getByRole('button', { name: 'Open chat', exact: true }).click();
    await second.getByRole('button', { name: /^jack .* You: message 121$/ }).click();
    await second.locator('.bubble', { hasText: 'message 121' }).waitFor();
    const list = await numbers(second);
    t.ok(isRow(list) && list.length >= 50);
  },
);
