import http from 'node:http';
import type { AddressInfo } from 'node:net';
import type { BrowserContextOptions, Page } from 'playwright-core';
import t from 'tap';
import { askAdmin } from './support/admin.js';
import { CountingSocket } from './support/counting.js';
import { HANG_MS } from './support/hang.js';
import { launch } from './support/library.js';
import { natsServer, testCluster } from './support/nats.js';
import { skipWithout } from './support/programs.js';
import { type Cleaner, siteA, siteB, type TestServer, testServer } from './support/server.js';

const token = 'open sesame';

/** What a page may not do: fail, or ask anybody but its own server. */
class Watched {
  readonly problems: string[] = [];

  constructor(
    readonly page: Page,
    readonly url: string,
  ) {
    page.on('pageerror', ({ message }) => this.problems.push(message));
    page.on('console', (message) => {
      if (['error', 'warning'].includes(message.type())) this.problems.push(message.text());
    });
    page.on('request', (request) => {
      if (new URL(request.url()).origin !== url) this.problems.push(`asked ${request.url()}`);
    });
  }

  /** Waits until the text of an element matches. */
  async says(selector: string, text: string | RegExp): Promise<void> {
    await this.page.locator(selector).filter({ hasText: text }).first().waitFor();
  }
}

/** A proxy that shows the dashboard under a path, and names itself as the host. */
async function proxyUnder(t: Cleaner, path: string, server: TestServer): Promise<string> {
  const proxy = http.createServer((request, response) => {
    if (!request.url?.startsWith(path)) return response.writeHead(404).end();
    const { method, headers } = request;
    const options = { port: server.adminPort, path: request.url.slice(path.length - 1), method };
    const asked = http.request(
      { host: '127.0.0.1', ...options, headers: { ...headers, host: '127.0.0.1' } },
      (answer) => {
        response.writeHead(answer.statusCode ?? 500, answer.headers);
        answer.pipe(response);
      },
    );
    asked.on('error', () => response.destroy());
    response.on('close', () => asked.destroy());
    return request.pipe(asked);
  });
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  t.teardown(() => {
    proxy.closeAllConnections();
    proxy.close();
  });
  return `http://127.0.0.1:${(proxy.address() as AddressInfo).port}${path}`;
}

async function visit(t: Cleaner, server: TestServer, hash = '', options: BrowserContextOptions = {}): Promise<Watched> {
  const url = `http://127.0.0.1:${server.adminPort}`;
  const context = await (await launch(t)).newContext({ viewport: { width: 1280, height: 900 }, ...options });
  const watched = new Watched(await context.newPage(), url);
  watched.page.setDefaultTimeout(HANG_MS);
  await watched.page.goto(`${url}/${hash}`);
  return watched;
}

t.test('the dashboard in Chromium', { skip: skipWithout('chromium') }, async (t) => {
  t.test('shows live numbers in plots, and asks nobody but its server', async (t) => {
    const server = await testServer(t, { admin: { port: -1 } });
    await server.site().arrive('1', { rooms: 'r' });
    const dashboard = await visit(t, server);
    await dashboard.says('#status', 'live');
    await dashboard.says('.tile', /Endpoints online\s*1/);
    await dashboard.says('.plot', /WebSocket 1/);
    t.equal(await dashboard.page.locator('.plot canvas').count(), 9);
    t.notOk(await dashboard.page.locator('#nodes').isVisible(), 'a single node has no others');
    await server.site().arrive('2');
    await dashboard.says('.tile', /Endpoints online\s*2/);
    await dashboard.page.click('text=15 min');
    await server.site().push('9', 'away', 'lost');
    await dashboard.says('#errors', 'away');
    t.strictSame(dashboard.problems, []);
  });

  t.test('shows the nodes of a cluster', { skip: skipWithout('nats-server') }, async (t) => {
    const nats = await natsServer(t);
    const settings = { admin: { port: -1 }, cluster: { leaseMs: 500 } };
    const [n1, n2] = await testCluster(t, nats, 2, settings);
    await n2.site().online('bob');
    const dashboard = await visit(t, n1);
    await dashboard.says('#node-table tr', /n1 \(this\)on NATS0/);
    await dashboard.says('#node-table tr', /n2up1.* ago/);
    await dashboard.says('#node-totals div', /Endpoints in the replica1/);
    await dashboard.says('#node-totals div', /Items refused0/);
    await dashboard.says('#node-plots .plot', 'Between nodes');
    await nats.stop();
    await dashboard.says('#node-table tr', /n1 \(this\).*no NATS/);
    await dashboard.says('#node-table tr', /n2lost0/);
    t.strictSame(dashboard.problems, []);
  });

  t.test('says that all is well, or what is the matter and where to look', async (t) => {
    const server = await testServer(t, { admin: { port: -1 } });
    const dashboard = await visit(t, server);
    // A machine that is busy otherwise makes the event loop lag, which is said too.
    await dashboard.says('#verdict', /Healthy|core can/);
    const { conditions } = server.metrics;
    conditions.raise('disk', 'the disk is nearly full', { ready: true });
    await dashboard.says('#verdict', /Needs attention[\s\S]*the disk is nearly full[\s\S]*--data/);
    conditions.raise('heap', 'memory is nearly used up', { ready: false });
    await dashboard.says('#verdict', /Not ready[\s\S]*memory is nearly used up/);
    await dashboard.says('#status', 'not ready');
    conditions.clear('disk');
    conditions.clear('heap');
    await dashboard.says('#verdict', /^(?!.*(disk|memory))(Healthy|Needs)/s);
    t.strictSame(dashboard.problems, []);
  });

  t.test('lists domains and rooms, and leads to what is in them', async (t) => {
    const server = await testServer(t, { admin: { port: -1 } });
    await server.site().arrive('<b>1<b>', { rooms: 'lobby' });
    const dashboard = await visit(t, server, '#rooms');
    await dashboard.says('#domains', siteA.domain);
    await dashboard.page.click('#rooms >> text=lobby');
    await dashboard.says('#endpoint', 'Members');
    await dashboard.page.click('.chip');
    await dashboard.says('#endpoint h2', '<B>1<B>');
    t.equal(await dashboard.page.locator('#endpoint b').count(), 0, 'what users are called is text');
    t.strictSame(dashboard.problems, []);
  });

  t.test('adds a site, shows its keys once and its first message, and of a domain that is none nothing', async (t) => {
    const server = await testServer(t, { admin: { port: -1 }, data: t.testdir() });
    const dashboard = await visit(t, server, '#rooms');
    const { page } = dashboard;
    await dashboard.says('#domains', siteA.domain);
    await page.fill('#domain-add [name=domain]', siteA.domain);
    await page.click('#domain-add button');
    await dashboard.says('#domain-add .error', 'there is a domain of this name');
    await page.fill('#domain-add [name=domain]', 'shop.example');
    await page.click('#domain-add button');
    await dashboard.says('#domain-made', /apikey[\s\S]*tokenSecret[\s\S]*webhookSecret/);
    const apikey = (await page.locator('#domain-made code').first().textContent()) ?? '';
    await page.click('#domain-made >> text=its page');
    await dashboard.says('#domain-name', 'shop.example');
    await dashboard.says('#domain-state', 'Nobody.');
    const site = server.site({ domain: 'shop.example', apikey });
    const jack = await site.arrive('jack');
    await site.push('anna', 'jack', 'the first');
    t.match(await jack.next(), { body: 'the first' });
    await dashboard.says('#domain-state', 'jack');
    await dashboard.says('#domain-limits tr', /endpointsPerDomain1/);
    await page.click('#domain-keys >> text=Add a key');
    await dashboard.says('#domain-once', /apikey \S{32}/);
    t.equal(await page.locator('#domain-keys tbody tr').count(), 2);
    t.strictSame(dashboard.problems, []);
    await page.evaluate("location.hash = '#domain?domain=nothing.example'");
    await dashboard.says('#domain-missing', 'There is no such domain.');
    t.notOk(await page.locator('#domain-body').isVisible(), 'nothing of the domain before');
  });

  t.test('an owner sees and changes what is theirs, and mistakes stand at their fields', async (t) => {
    const admin = { port: -1, token: [token, { token: 'owner', domains: [siteA.domain] }] };
    const server = await testServer(t, { admin, data: t.testdir(), domains: [siteB] });
    const url = `http://127.0.0.1:${server.adminPort}`;
    await fetch(`${url}/api/domains/${siteA.domain}`, {
      method: 'PUT',
      headers: { authorization: `Bearer ${token}` },
      body: '{}',
    });
    const dashboard = await visit(t, server, 'login');
    const { page } = dashboard;
    await page.fill('[name=token]', 'owner');
    await page.click('[type=submit]');
    await dashboard.says('#status', siteA.domain);
    await dashboard.says('#domains', siteA.domain);
    t.equal(await page.locator('#domains tbody tr').count(), 1);
    t.notOk(await page.locator('#domain-add').isVisible());
    t.strictSame(dashboard.problems, []);
    await page.click(`#domains >> text=${siteA.domain}`);
    await page.fill('[name=origins]', 'no origin');
    await page.click('#domain-forms [type=submit]');
    await dashboard.says('#domain-forms .error', 'origins[0]: must be an origin');
    t.equal(await page.locator('#domain-forms [name=limits]').count(), 0, 'limits are not theirs');
    await page.fill('[name=origins]', 'https://a.example');
    await page.click('#domain-forms [type=submit]');
    await dashboard.says('#domain-forms', 'Saved at');
  });

  t.test('finds an endpoint and traces its packets', async (t) => {
    const server = await testServer(t, { admin: { port: -1 } });
    await server.site().arrive('42', { client: 'tab' });
    const dashboard = await visit(t, server, '#endpoint');
    await dashboard.page.fill('[name=id]', '42');
    await dashboard.page.click('text=Show');
    await dashboard.says('#endpoint', 'websocket');
    await dashboard.page.click('text=Trace for 5 minutes');
    await dashboard.says('#trace', 'Nothing yet');
    await server.site().push('9', '42', 'a secret');
    await dashboard.says(
      '.trace-line',
      /message chat 9 → 42[\s\S]*accepted[\s\S]*queued[\s\S]*sent\s+tab by websocket/,
    );
    t.notMatch(await dashboard.page.locator('#trace').textContent(), 'secret');
    await dashboard.page.click('text=Stop');
    await dashboard.says('#trace', 'ended');
    t.strictSame(dashboard.problems, []);
  });

  t.test('says of each packet whether the client has it, and since when it is open where not', async (t) => {
    const server = await testServer(t, { admin: { port: -1 } });
    const dashboard = await visit(t, server, `#endpoint?domain=${siteA.domain}&id=42`);
    const { ticket } = await server.site().online('42', { client: 'tab' });
    const client = server.own(new CountingSocket(server.port, ticket));
    await client.connect();
    await dashboard.says('#endpoint', 'websocket');
    await dashboard.page.click('text=Trace for 5 minutes');
    await dashboard.says('#trace', 'Nothing yet');
    await server.site().push('9', '42', 'a secret');
    await client.has(1);
    await dashboard.says('.trace-line', /sent\s+tab by websocket[\s\S]*not confirmed\s+[\d.]+ m?s ago/);
    await dashboard.says('#endpoint', /1, for [\d.]+ m?s/);
    client.say('received');
    await dashboard.says('.trace-line', /sent\s+tab by websocket[\s\S]*confirmed\s+tab/);
    await server.settledWhile(async () =>
      /not confirmed/.test((await dashboard.page.locator('#trace').textContent()) ?? ''),
    );
    t.strictSame(dashboard.problems, []);
  });

  t.test('shows where the clients of an endpoint are connected from, and which ended and why', async (t) => {
    const server = await testServer(t, { admin: { port: -1 } });
    const site = server.site();
    await site.arrive('42', { client: 'tab' });
    const { ticket } = await site.online('42', { client: 'phone' });
    const dashboard = await visit(t, server, `#endpoint?domain=${siteA.domain}&id=42`);
    await dashboard.says('#endpoint tr', /tab\s*websocket from 127\.0\.0\.1\s*for \d+ s\s*\d+ s ago/);
    await dashboard.says('#endpoint tr', /phone\s*not connected\s*for \d+ s/);
    t.equal(await dashboard.page.locator('text=Ended lately').count(), 0);
    await site.post('/v5/presences/offline', { ticket });
    await dashboard.says('#endpoint .card', /Ended lately[\s\S]*phone\s*stopped\s*\d+ s ago/);
    await dashboard.says('#endpoint .card', /Ended lately[\s\S]*phone\s*stopped\s*(?![01] s)\d+ s ago/);
    t.strictSame(dashboard.problems, []);
  });

  t.test('fits a phone, light and dark', async (t) => {
    const server = await testServer(t, { admin: { port: -1 } });
    await server.site().arrive('1', { rooms: 'r' });
    const { page, problems } = await visit(t, server, '', { viewport: { width: 375, height: 700 } });
    await page.locator('#status', { hasText: 'live' }).waitFor();
    for (const name of ['overview', 'rooms', 'endpoint']) {
      await page.evaluate(`location.hash = '#${name}?domain=${siteA.domain}&id=1'`);
      await page.locator(`#view-${name}`).waitFor();
      t.equal(await page.evaluate('document.documentElement.scrollWidth'), 375, `${name} does not scroll sideways`);
    }
    for (const [colorScheme, background] of [
      ['dark', 'rgb(14, 17, 22)'],
      ['light', 'rgb(246, 247, 249)'],
    ] as const) {
      await page.emulateMedia({ colorScheme });
      await page.locator(`html[data-theme=${colorScheme}]`).waitFor();
      t.equal(await page.evaluate('getComputedStyle(document.body).backgroundColor'), background);
    }
    t.strictSame(problems, []);
  });

  t.test('asks for the token, and lets in who has it', async (t) => {
    const server = await testServer(t, { admin: { port: -1, token } });
    const dashboard = await visit(t, server);
    const { page } = dashboard;
    t.match(page.url(), /\/login$/);
    await page.fill('[name=token]', 'wrong');
    await page.click('button');
    await dashboard.says('#problem', 'That is not the token.');
    await page.fill('[name=token]', token);
    await page.click('button');
    await dashboard.says('#status', 'live');
    const [cookie] = await page.context().cookies();
    t.match(cookie, { httpOnly: true, sameSite: 'Strict' });
    t.notOk(cookie?.value.includes(token), 'the cookie does not hold it');
    await page.click('text=Log out');
    await dashboard.says('label', 'Token');
    t.strictSame(await page.context().cookies(), []);
    await page.goto(dashboard.url);
    t.match(page.url(), /\/login$/, 'the dashboard asks for the token again');
    t.strictSame(dashboard.problems, []);
  });

  t.test('works under a path of a proxy, from the form to log in to the trace', async (t) => {
    const server = await testServer(t, { admin: { port: -1, token } });
    await server.site().online('1', { rooms: 'r' });
    const url = await proxyUnder(t, '/im-admin/', server);
    const page = await (await launch(t)).newPage();
    const dashboard = new Watched(page, new URL(url).origin);
    page.setDefaultTimeout(HANG_MS);
    await page.goto(url);
    t.equal(page.url(), `${url}login`);
    await page.fill('[name=token]', token);
    await page.click('button');
    await dashboard.says('#status', 'live');
    t.equal(page.url(), url);
    await page.goto(`${url}#rooms`);
    await dashboard.says('#view-rooms', 'a.example');
    await page.goto(`${url}#endpoint?domain=${siteA.domain}&id=1`);
    await dashboard.says('#view-endpoint', 'available');
    const [cookie] = await page.context().cookies();
    t.equal(cookie?.path, '/im-admin', 'what else the host serves does not get the cookie');
    t.strictSame(dashboard.problems, []);
  });
});

t.test('the page and its parts are small, and all there', async (t) => {
  const server = await testServer(t, { admin: { port: -1 } });
  const page = await askAdmin(server, '/');
  t.equal(page.headers['content-type'], 'text/html; charset=utf-8');
  const named = [...page.text.matchAll(/"(assets\/[^"]+)"/g)].map(([, path]) => path as string);
  t.ok(named.length >= 5);
  let bytes = page.text.length;
  for (const path of new Set(named)) {
    const asset = await askAdmin(server, `/${path}`);
    t.equal(asset.status, 200, path);
    bytes += asset.text.length;
  }
  t.ok(bytes < 150_000, `${bytes} bytes`);
  t.equal((await askAdmin(server, '/assets/../admin.ts')).status, 404);
  t.equal((await askAdmin(server, '/assets/dashboard.html')).status, 404);
});
