/** The browser library in Chromium when things go wrong between the page and the server. */
import type { Browser, Page } from 'playwright-core';
import t from 'tap';
import {
  builtLibrary,
  kept,
  launch,
  type SmallSite,
  startSmallSite,
  stopClock,
  until,
  visit,
} from '../support/library.js';
import { skipWithout } from '../support/programs.js';
import { Relay } from '../support/relay.js';
import { type Cleaner, siteA, type TestServer, testServer } from '../support/server.js';

const script = (server: string): string => `
  import { connect } from '/lib/client.js';
  const query = new URLSearchParams(location.search);
  const name = query.get('name');
  keep(connect({
    server: '${server}',
    domain: '${siteA.domain}',
    user: name,
    online: async () => {
      const answer = await fetch('/online?name=' + name);
      if (!answer.ok) throw new Error('the site has a fault');
      return answer.json();
    },
    transports: query.get('transports')?.split(',') ?? ['websocket', 'poll'],
  }));
`;

interface Stage {
  readonly server: TestServer;
  readonly relay: Relay;
  readonly small: SmallSite;
  readonly browser: Browser;
  /** A page whose time the test moves. */
  open(query: string): Promise<Page>;
  push(body: string): Promise<unknown>;
}

async function stage(t: Cleaner): Promise<Stage> {
  const folder = await builtLibrary();
  const server = await testServer(t);
  const relay = await Relay.start(t, () => server.port);
  const small = await startSmallSite(t, () => server.site(), folder, { script: script(relay.url) });
  const browser = await launch(t);
  const open = async (query: string): Promise<Page> => {
    const context = await browser.newContext();
    await stopClock(context);
    return visit(context, `${small.url}/?${query}`);
  };
  const push = (body: string) => server.site().post('/v5/messages', { from: 'news', to: 'jack', body });
  return { server, relay, small, browser, open, push };
}

/** Lets the page ask the server whether it is there, and waits for the answer. */
async function answered(page: Page, relay: Relay, server: TestServer): Promise<void> {
  const { heard } = relay;
  await page.clock.runFor(21_000);
  await server.settledWhile(() => relay.heard === heard);
}

const STEP_MS = 250;

/** Lets the page's time pass in small steps until it has said this so often; answers how much has passed, in milliseconds. */
async function pass(page: Page, state: string, times: number): Promise<number> {
  const said = async () => (await kept(page, 'states')).filter((text) => text === state).length;
  let passed = 0;
  for (; (await said()) < times; passed += STEP_MS) await page.clock.runFor(STEP_MS);
  return passed;
}

const skip = skipWithout('chromium');

t.test(
  'a relay that goes silent is found within 25 s, and nothing is lost that came meanwhile',
  { skip },
  async (t) => {
    const { relay, open, push, server } = await stage(t);
    const page = await open('name=jack');
    await until(page, 'states', 'online websocket');
    await answered(page, relay, server);
    relay.isSilent = true;
    const passedMs = await pass(page, 'waiting no answer', 1);
    t.ok(passedMs <= 25_000 + STEP_MS, `${passedMs} ms`);
    relay.cut();
    relay.isSilent = false;
    await push('while it was away');
    await pass(page, 'online websocket', 2);
    await until(page, 'heard', 'news: while it was away');
  },
);

t.test('a machine that has slept finds its dead connection at once', { skip }, async (t) => {
  const { relay, open, server } = await stage(t);
  const page = await open('name=jack');
  await until(page, 'states', 'online websocket');
  await answered(page, relay, server);
  relay.isSilent = true;
  await page.clock.fastForward(3_600_000);
  await page.clock.runFor(5_100);
  await until(page, 'states', 'waiting no answer');
});

t.test('the network is back: a page that waits connects at once', { skip }, async (t) => {
  const { relay, small, open } = await stage(t);
  const page = await open('name=jack');
  await until(page, 'states', 'online websocket');
  relay.blocksSockets = true;
  relay.cut();
  await page.waitForFunction(() => window.states.at(-1)?.startsWith('waiting'));
  await page.clock.runFor(1_000);
  await page.waitForFunction(() => window.states.filter((state) => state.startsWith('waiting')).length >= 2);
  relay.blocksSockets = false;
  await page.evaluate(() => window.dispatchEvent(new Event('online')));
  await until(page, 'states', 'online websocket', 2);
  t.equal(small.asked.online, 1, 'with the ticket it has');
});

t.test('a proxy that blocks WebSocket: polls, and a socket again when it is gone', { skip }, async (t) => {
  const { relay, open, push } = await stage(t);
  relay.blocksSockets = true;
  const page = await open('name=jack');
  await pass(page, 'online poll', 1);
  relay.blocksSockets = false;
  // A poll that is never answered would be a dead one.
  for (const body of ['one', 'two', 'three']) {
    await push(body);
    await until(page, 'heard', `news: ${body}`);
    await page.clock.runFor(20_500);
  }
  await until(page, 'states', 'online websocket');
  await push('four');
  await until(page, 'heard', 'news: four');
  t.strictSame(await kept(page, 'heard'), ['news: one', 'news: two', 'news: three', 'news: four']);
});

t.test(
  'a site that has a fault is asked again later; a server that is busy is left alone for as long as it says',
  { skip },
  async (t) => {
    const { relay, small, open } = await stage(t);
    relay.refuse = (path) => (path.includes('/v5/packets') ? { status: 429, headers: { 'Retry-After': '20' } } : null);
    const page = await open('name=jack&transports=poll');
    await until(page, 'states', 'waiting status 429');
    // Taken in the listener itself: however slow the machine, no time passes between the two.
    const waitMs = await page.evaluate(() => window.waits.at(-1) ?? 0);
    t.ok(waitMs >= 19_000, `${waitMs} ms`);
    relay.refuse = () => null;
    await page.clock.runFor(Math.ceil(waitMs));
    await pass(page, 'online poll', 1);
    t.equal(small.asked.online, 1);
  },
);

t.test('a page that was put aside comes back and goes on', { skip }, async (t) => {
  const { small, open, push, server } = await stage(t);
  const page = await open('name=jack');
  await until(page, 'states', 'online websocket');
  const turn = (name: string) =>
    page.evaluate((type) => {
      window.dispatchEvent(new PageTransitionEvent(type, { persisted: true }));
    }, name);
  await turn('pagehide');
  await until(page, 'states', 'waiting the page is put aside');
  await server.settledWhile(() => server.metrics.connections.websocket > 0);
  await push('meanwhile');
  await page.clock.runFor(30_000);
  t.equal(server.metrics.connections.websocket, 0, 'it connects to nobody meanwhile');
  await turn('pageshow');
  await until(page, 'heard', 'news: meanwhile');
  t.equal(small.asked.online, 1);
});
