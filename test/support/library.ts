/** The browser library in a real browser: built as it is shipped, on the pages of a small site. */
import { execFile } from 'node:child_process';
import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core';
import wholeRun from 'tap';
import { HANG_MS } from './hang.js';
import { childEnvironment, pristine } from './process.js';
import { program } from './programs.js';
import { type Cleaner, siteA } from './server.js';
import type { Site } from './site.js';

const root = join(import.meta.dirname, '../..');

let built: Promise<string> | undefined;
let browser: Promise<Browser> | undefined;

async function build(): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'nextalk-client-'));
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
  const command = [...pristine, process.execPath, join(root, 'client/build.mjs'), folder, '--no-types'];
  await promisify(execFile)('env', command, { env: childEnvironment() });
  return folder;
}

/** The folder of the library and the widget, without their types: built once for all tests of the process, which only read it. */
export function builtLibrary(): Promise<string> {
  built ??= build();
  return built;
}

async function start(): Promise<Browser> {
  const started = await chromium.launch({
    executablePath: program('chromium') ?? '',
    args: [
      '--headless',
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-dev-shm-usage',
      '--disable-background-networking',
    ],
  });
  wholeRun.teardown(() => started.close());
  return started;
}

/** The browser that the tests of the process share, one after another; the test's end closes every context. */
export async function launch(t: Cleaner): Promise<Browser> {
  browser ??= start();
  if (!(await browser).isConnected()) browser = start();
  const shared = await browser;
  t.teardown(() => Promise.all(shared.contexts().map((context) => context.close())));
  return shared;
}

/** What a page under test keeps for the test to look at. */
const KEEPS = `
  window.heard = []; window.states = []; window.waits = []; window.missed = []; window.mistakes = [];
  window.keep = (chat) => {
    window.chat = chat;
    chat.on('message', ({ from, body }) => window.heard.push(from + ': ' + body));
    chat.on('state', ({ state, transport, reason, fresh, retryAt }) => {
      window.states.push([state, transport ?? reason, fresh ? 'fresh' : ''].filter(Boolean).join(' '));
      if (retryAt) window.waits.push(retryAt - Date.now());
    });
    chat.on('missed', ({ count }) => window.missed.push(count));
  };`;

export const tokenSecret = 'a secret of at least thirty-two bytes';

/** Signs a token of `siteA` with HMAC alone, as a site without a library would. */
export function sign(sub: string, claims: object = {}): string {
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  const now = Math.floor(Date.now() / 1000);
  const all = { aud: siteA.domain, sub, nick: sub, iat: now, exp: now + 600, ...claims };
  const text = `${part({ alg: 'HS256', typ: 'JWT' })}.${part(all)}`;
  return `${text}.${createHmac('sha256', tokenSecret).update(text).digest('base64url')}`;
}

export interface SmallSite {
  readonly url: string;
  /** How often the site was asked to bring somebody online, and how often for a token. */
  readonly asked: { online: number; token: number };
  /** What the next requests for a token are answered with, instead of a token. */
  tokenStatus: number | null;
}

/**
 * Starts a site whose pages have the library: `/` is `html`, or runs `script` as a module; `/online?name=` has the server bring the user
 * online, `/send` sends for the ticket of `from`, `/token?name=` answers what `token` makes.
 */
export async function startSmallSite(
  t: Cleaner,
  site: () => Site,
  folder: string,
  options: { readonly script?: string; readonly html?: string; readonly token?: (name: string) => string },
): Promise<SmallSite> {
  const small = { url: '', asked: { online: 0, token: 0 }, tokenStatus: null as number | null };
  const params = { buddies: 'anna,jack', rooms: 'lobby' };
  const answer = async (url: URL, body: string): Promise<{ status?: number; type: string; text: string }> => {
    const name = url.searchParams.get('name') ?? '';
    const file = /^\/lib\/([\w.-]+\.js)$/.exec(url.pathname)?.[1];
    if (file) return { type: 'text/javascript', text: readFileSync(join(folder, file), 'utf8') };
    if (url.pathname === '/token') {
      small.asked.token += 1;
      if (small.tokenStatus !== null) return { status: small.tokenStatus, type: 'text/plain', text: '' };
      return { type: 'text/plain', text: options.token?.(name) ?? '' };
    }
    if (url.pathname === '/online') {
      small.asked.online += 1;
      const come = await site().online(name, params);
      return { type: 'application/json', text: JSON.stringify({ ...come, rooms: params.rooms }) };
    }
    if (url.pathname === '/send') {
      const { status, text } = await site().post('/v5/messages', JSON.parse(body));
      return { status, type: 'application/json', text };
    }
    const html = `<!doctype html><meta charset="utf-8"><title>page</title><script>${KEEPS}</script>
      <script type="module">${options.script ?? ''}</script>`;
    return { type: 'text/html', text: options.html ?? html };
  };
  const server = http.createServer((req, res) => {
    void (async () => {
      const pieces: Buffer[] = [];
      for await (const piece of req) pieces.push(piece as Buffer);
      const {
        status = 200,
        type,
        text,
      } = await answer(new URL(req.url ?? '/', 'http://x'), Buffer.concat(pieces).toString());
      res.writeHead(status, { 'content-type': `${type}; charset=utf-8` }).end(text);
    })().catch(() => res.writeHead(503).end());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  small.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return small;
}

/** Stops the clock of the pages that `context` will have: only the test moves it. There must be no page yet. */
export async function stopClock(context: BrowserContext): Promise<void> {
  const now = Date.now();
  await context.clock.install({ time: now });
  // Installed alone, it would go on with the machine's own.
  await context.clock.pauseAt(now + 1000);
}

/** A page of the site, in a tab of `context`. */
export async function visit(context: BrowserContext, url: string): Promise<Page> {
  const page = await context.newPage();
  page.setDefaultTimeout(HANG_MS);
  await page.goto(url);
  return page;
}

/** Waits until the page's own list `name` holds `item`. */
export async function until(page: Page, name: 'heard' | 'states' | 'missed', item: unknown, times = 1): Promise<void> {
  await page.waitForFunction(
    `window.${name}.filter((one) => JSON.stringify(one) === ${JSON.stringify(JSON.stringify(item))}).length >= ${times}`,
  );
}

/**
 * Waits until the page has come online anew, which it is told as what came before may be missing. By whichever transport:
 * a server that was away for longer than a few attempts has the library try the others too.
 */
export async function untilFresh(page: Page): Promise<void> {
  await page.waitForFunction(() => window.states.some((state) => /^online \w+ fresh$/.test(String(state))));
}

export function kept(page: Page, name: 'heard' | 'states' | 'missed'): Promise<unknown[]> {
  return page.evaluate(`window.${name}`) as Promise<unknown[]>;
}

declare global {
  /** As browsers have it, for functions that run in a page. */
  var PageTransitionEvent: new (type: string, init: { readonly persisted: boolean }) => Event;
  // The page's own names, for functions that run there.
  var window: {
    chat: import('../../client/src/chat.js').Chat;
    heard: string[];
    waits: number[];
    states: string[];
    missed: unknown[];
    ticket: string;
    dispatchEvent(event: Event): void;
  };
}
