/** The page at `/`, the favicon and the browser library, as the HTTP port serves them. */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import t from 'tap';
import { HttpListener } from '../src/http/listener.js';
import { addWelcome } from '../src/http/welcome.js';
import { Metrics } from '../src/metrics.js';
import { exchange } from './support/http.js';
import { builtLibrary, launch, visit } from './support/library.js';
import { pristine } from './support/process.js';
import { skipWithout } from './support/programs.js';
import { testServer } from './support/server.js';
import { hears, online, source, write } from './support/widget.js';

const run = promisify(execFile);

t.test('whoever opens the server in a browser reads that it works, under a policy that allows no script', async (t) => {
  const server = await testServer(t);
  const page = await server.request({ path: '/' });
  t.equal(page.status, 200);
  t.match(page.headers, {
    'content-type': 'text/html; charset=utf-8',
    'content-security-policy': /default-src 'none'/,
  });
  t.match(page.text, /works/);
  for (const [, link = ''] of page.text.matchAll(/href="([^"]+)"/g)) {
    if (/^v5\/(client|widget)/.test(link)) continue;
    t.equal((await server.request({ path: `/${link}` })).status, 200, link);
  }
  t.match((await server.request({ path: '/favicon.ico' })).headers['content-type'], /^image\/svg\+xml/);
  const known = await server.request({ path: '/', headers: { 'if-none-match': page.headers.etag } });
  t.equal(known.status, 304);
});

async function serveLibrary(
  t: Parameters<typeof testServer>[0],
  folder: string,
  isDevelopment = false,
): Promise<number> {
  const listener = new HttpListener(null, '127.0.0.1', false, (app) =>
    addWelcome(app, new Metrics(), isDevelopment, folder),
  );
  await listener.listen(0);
  t.teardown(() => listener.close());
  return listener.port;
}

t.test('the built library is served to pages of every origin, for ever under a name with its version', async (t) => {
  const folder = t.testdir();
  await run('env', [...pristine, process.execPath, join(import.meta.dirname, '../client/build.mjs'), folder]);
  const port = await serveLibrary(t, folder);
  const get = (path: string, headers = {}) => exchange(port, { path, headers }).answer;
  const module = await get('/v5/client.js');
  t.equal(module.status, 200);
  t.match(module.headers, {
    'content-type': 'text/javascript; charset=utf-8',
    'access-control-allow-origin': '*',
    'cache-control': 'public, max-age=300',
  });
  const version = /nextalk-client (\d+\.\d+\.\d+)/.exec(module.text)?.[1];
  const versioned = await get(`/v5/client-${version}.js`);
  t.equal(versioned.text, module.text);
  t.match(versioned.headers['cache-control'], /immutable/);
  t.equal((await get('/v5/client.global.js')).status, 200);
  t.match((await get(`/v5/client-tabs-${version}.js`)).headers['cache-control'], /immutable/);
  const widget = await get('/v5/widget.js');
  t.match(widget.headers, { 'access-control-allow-origin': '*', 'cache-control': 'public, max-age=300' });
  t.match(widget.text, /nextalk-chat/);
  const kept = await get(`/v5/widget-${version}.js`);
  t.equal(kept.text, widget.text);
  t.match(kept.headers['cache-control'], /immutable/);
  t.equal((await get('/v5/client.js', { 'if-none-match': module.headers.etag })).status, 304);
});

t.test('where the library is not built its path says what to do', async (t) => {
  const port = await serveLibrary(t, join(t.testdir(), 'nothing'));
  const { status, text } = await exchange(port, { path: '/v5/client.js' }).answer;
  t.equal(status, 404);
  t.match(text, /not built.*npm run build/);
});

t.test('of the development domain the page shows two users, who talk to each other', async (t) => {
  const folder = t.testdir({ 'widget.js': '/*! nextalk-chat 1.0.0, MIT */' });
  const page = await exchange(await serveLibrary(t, folder, true), { path: '/' }).answer;
  const frames = [...page.text.matchAll(/<iframe src="([^"]+)"/g)].map(([, path]) => `/${path}`);
  t.strictSame(frames, ['/welcome/anna', '/welcome/jack']);
  t.match(page.headers['content-security-policy'], /frame-src 'self'/);
  const other = await exchange(await serveLibrary(t, folder), { path: '/' }).answer;
  t.notMatch(other.text, /iframe/, 'of no other domain');

  await t.test('in a browser', { skip: skipWithout('chromium') }, async (t) => {
    const server = await testServer(t, { domains: [] });
    const widget = source(await builtLibrary(), 'widget.js');
    const browser = await launch(t);
    const context = await browser.newContext();
    await context.route('**/v5/widget.js', (route) => route.fulfill({ contentType: 'text/javascript', body: widget }));
    const [anna, jack] = await Promise.all(frames.map((path) => visit(context, `http://${server.host}${path}`)));
    if (!anna || !jack) throw new Error('there are two');
    await Promise.all([online(anna), online(jack)]);
    await write(anna, 'Hi Jack');
    await hears(jack, 'Hi Jack');
  });

  const server = await testServer(t);
  t.equal((await server.request({ path: '/welcome/token/anna' })).status, 404, 'tokens of no other domain are signed');
});
