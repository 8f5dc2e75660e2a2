/** The widget in a real browser: built as it is shipped, on pages of a small site. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Browser, BrowserContext, Locator, Page, WebSocketRoute } from 'playwright-core';
import { builtLibrary, launch, type SmallSite, sign, startSmallSite, tokenSecret, visit } from './library.js';
import { type Cleaner, siteA, type TestServer, testServer } from './server.js';
import { until } from './until.js';

/** The element, as far as functions that run in a page use it. */
interface WidgetElement {
  readonly chat: { readonly state: { readonly state: string; readonly reason?: string } } | null;
}

/** A domain whose clients may do all that the widget does. */
export const open = {
  ...siteA,
  tokenSecret,
  clientCalls: true,
  clientSend: ['websocket', 'http'],
  clientJoin: ['*'],
};

export const settings = { domains: [open], presence: { clientIdleMs: 600_000, graceMs: 600_000 } };

/** A page with one widget. `attributes` stand in its tag; `more` follows it. */
export function widgetPage(attributes: string, more = ''): string {
  return `<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
    <title>Page</title><script type="module" src="/lib/widget.js"></script>
    <main><h1>Page</h1><div id="box"><nextalk-chat ${attributes}></nextalk-chat></div></main>${more}</html>`;
}

export interface Stage {
  readonly server: TestServer;
  readonly browser: Browser;
  /** The folder of the built files. */
  readonly folder: string;
  /** Starts a site whose page is `html`. */
  site(html: string, token?: (name: string) => string): Promise<SmallSite>;
  /** A page of `name` with an inline widget, in a browser context of its own, online. */
  user(name: string, attributes?: string, claims?: object, context?: BrowserContext): Promise<Page>;
  /** Sends a message as a user without a client. */
  push(from: string, to: string, body: string, more?: object): Promise<unknown>;
}

/** A server, a browser and the widget. */
export async function stage(t: Cleaner, overrides: object = settings): Promise<Stage> {
  const folder = await builtLibrary();
  const server = await testServer(t, overrides as never);
  const browser = await launch(t);
  const site: Stage['site'] = (html, token = (name) => sign(name)) =>
    startSmallSite(t, () => server.site(), folder, { html, token });
  const user: Stage['user'] = async (name, attributes = 'mode="inline"', claims = {}, context) => {
    const token = sign(name, { buddies: ['anna', 'jack'], rooms: ['lobby'], ...claims });
    const small = await site(widgetPage(`server="http://${server.host}" token="${token}" ${attributes}`));
    const page = await visit(context ?? (await browser.newContext()), small.url);
    await online(page);
    return page;
  };
  const push: Stage['push'] = (from, to, body, more = {}) =>
    server.site().post('/v5/messages', { from, nick: from, to, body, ...more });
  return { server, browser, folder, site, user, push };
}

/** What the widget of a page is: `online`, `waiting: no network`; `none` where there is no widget, or not yet. */
function stateOf(page: Page): Promise<string> {
  return page.evaluate(() => {
    const { document } = globalThis as unknown as {
      document: { querySelector(selector: string): WidgetElement | null };
    };
    const { state, reason } = document.querySelector('nextalk-chat')?.chat?.state ?? { state: 'none' };
    return reason === undefined ? state : `${state}: ${reason}`;
  });
}

export async function online(page: Page, state = 'online'): Promise<void> {
  let seen = 'none';
  await until(
    () => `a widget that is ${state}, it is ${seen}`,
    async () => {
      seen = await stateOf(page);
      return seen.startsWith(state);
    },
  );
}

/** Opens a conversation, as a page's own script would. */
export function openChat(page: Page, id: string): Promise<void> {
  return page.evaluate(`document.querySelector('nextalk-chat').open(${JSON.stringify(id)})`);
}

/** Writes into the conversation that is open. */
export async function write(page: Page, text: string): Promise<void> {
  const box = page.getByRole('textbox', { name: /^Message to/ });
  await box.fill(text);
  await box.press('Enter');
}

export function messages(page: Page): Locator {
  return page.locator('nextalk-chat .bubble');
}

/** Waits until a message stands in the open conversation. */
export function hears(page: Page, text: string): Promise<void> {
  return messages(page).getByText(text, { exact: true }).first().waitFor();
}

export function source(folder: string, name: string): string {
  return readFileSync(join(folder, name), 'utf8');
}

/** A call of a client, as it stands on its WebSocket. */
export interface WireCall {
  readonly call?: string;
  readonly ref?: string;
  readonly with?: string;
  readonly before?: string;
  readonly limit?: string;
}

/** Sends the page messages as the server would. */
export type Deliver = (messages: readonly object[]) => void;

/**
 * Stands between the pages of a context and the server: calls that `answer` answers do not reach the server, and what is
 * delivered does not come from it.
 */
export async function between(
  context: BrowserContext,
  answer: (call: WireCall) => object | null = () => null,
): Promise<Deliver> {
  let page: WebSocketRoute | null = null;
  await context.routeWebSocket(/wsocket/, (socket) => {
    const server = socket.connectToServer();
    page = socket;
    socket.onMessage((text) => {
      const call: WireCall = String(text).startsWith('{') ? JSON.parse(String(text)) : {};
      const reply = answer(call);
      if (reply) socket.send(JSON.stringify({ reply: call.ref, status: 'ok', ...reply }));
      else server.send(text);
    });
  });
  return (list) => page?.send(JSON.stringify({ status: 'ok', messages: list, presences: [], statuses: [] }));
}
