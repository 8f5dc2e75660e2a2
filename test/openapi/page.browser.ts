import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import t from 'tap';
import { openApiDocument } from '../../src/http/openapi/document.js';
import { blocks, inline } from '../../src/http/openapi/markup.js';
import { curl, page } from '../../src/http/openapi/page.js';
import { SCHEMAS } from '../../src/protocols/schemas.js';
import { HANG_MS } from '../support/hang.js';
import { launch } from '../support/library.js';
import { childEnvironment } from '../support/process.js';
import { program, skipWithout } from '../support/programs.js';
import { testServer } from '../support/server.js';

const run = promisify(execFile);
const document = openApiDocument('6.0.0', null);
const html = page(document);
const auth = { domain: 'localhost', apikey: 'public' };

function textOf(escaped: string): string {
  const entities = new Map([
    ['&lt;', '<'],
    ['&gt;', '>'],
    ['&quot;', '"'],
    ['&#39;', "'"],
    ['&amp;', '&'],
  ]);
  return escaped.replace(/&(lt|gt|quot|#39|amp);/g, (entity) => entities.get(entity) ?? entity);
}

t.test('the page shows every operation, parameter, answer and refusal of the document', async (t) => {
  const articles = new Map(
    html
      .split('<article id="')
      .slice(1)
      .map((part) => [part.slice(0, part.indexOf('"')), part] as const),
  );
  for (const [path, item] of Object.entries(document.paths)) {
    for (const operation of Object.values(item)) {
      const article = articles.get(operation.operationId) ?? '';
      t.ok(article.includes(path), `${path} is there`);
      for (const code of Object.keys(operation.responses))
        t.ok(article.includes(`>${code}</code>`), `${path}: ${code}`);
    }
  }
  for (const [call, { properties }] of Object.entries(SCHEMAS)) {
    const article = articles.get(call === 'push' ? 'message' : call) ?? '';
    for (const name of Object.keys(properties)) t.ok(article.includes(`<dt><code>${name}</code>`), `${call}: ${name}`);
  }
  for (const name of ['Frame', 'MessagePacket', 'PresencePacket', 'StatusPacket', 'Error'])
    t.ok(articles.get(name), name);
  const errors = html.slice(html.indexOf('id="errors"'));
  for (const response of Object.values(document.components.responses)) {
    const [example] = Object.values(response.content?.['application/json']?.examples ?? {});
    t.ok(textOf(errors).includes(JSON.stringify(example?.value)));
  }
});

t.test('markup in the texts of the document is shown as text on the page', async (t) => {
  t.equal(inline('a < b & `<i>"` **c**'), 'a &lt; b &amp; <code>&lt;i&gt;&quot;</code> <strong>c</strong>');
  t.equal(
    blocks('one\n\n- a\n- `b`\n\n```\n<x>\n```'),
    '<p>one</p><ul><li>a</li><li><code>b</code></li></ul><pre><code>&lt;x&gt;</code></pre>',
  );
});

t.test('a command quotes what a shell would read otherwise', async (t) => {
  const command = curl('/v5/x', 'post', { a: 'plain', b: `it's $HOME \`x\`` });
  t.match(command, `-d a=plain`);
  t.match(command, `--data-urlencode 'b=it'\\''s $HOME \`x\`'`);
});

t.test('every command on the page does what it says', { skip: skipWithout('curl') }, async (t) => {
  const server = await testServer(t, { domains: [{ ...auth, history: {} }], data: t.testdir() });
  await server.site(auth).online('rose', { show: 'away', rooms: 'lobby' });
  const commands = [...html.matchAll(/<code>(curl [\s\S]*?)<\/code>/g)].map(([, command = '']) => textOf(command));
  t.equal(commands.length, 20, 'one for each request that is answered at once');
  const path = program('curl')?.replace(/\/curl$/, '') ?? '';
  let TICKET = '';
  // OFFLINE comes second on the page, and would end the ticket of all the others.
  const isLast = (command: string): number => (command.includes('/presences/offline') ? 1 : 0);
  for (const command of commands.sort((a, b) => isLast(a) - isLast(b))) {
    const NEXTALK = `http://${server.host}`;
    const env = { ...childEnvironment(), NEXTALK, DOMAIN: auth.domain, APIKEY: auth.apikey, TICKET };
    const { stdout } = await run('/bin/sh', ['-c', command.replace(/^curl /, 'curl -sS --fail-with-body ')], {
      env: { ...env, PATH: `${path}:${process.env.PATH}` },
    });
    const answer: { ticket?: string } = JSON.parse(stdout);
    TICKET = answer.ticket ?? TICKET;
    t.ok(/"status":"ok"|"success":true|"rose":"away"|"lobby":2|"id":"rose"/.test(stdout), `${command}: ${stdout}`);
  }
});

t.test('a browser shows the page wide and narrow, light and dark', { skip: skipWithout('chromium') }, async (t) => {
  const server = await testServer(t);
  const browser = await launch(t);
  for (const width of [1280, 360]) {
    for (const colorScheme of ['light', 'dark'] as const) {
      const context = await browser.newContext({ viewport: { width, height: 800 }, colorScheme });
      const tab = await context.newPage();
      tab.setDefaultTimeout(HANG_MS);
      const complaints: string[] = [];
      const requests: string[] = [];
      tab.on('console', (message) => complaints.push(message.text()));
      tab.on('request', (request) => requests.push(request.url()));
      await tab.goto(`http://${server.host}/v5/docs`);
      const seen = await tab.evaluate(`({
        background: getComputedStyle(document.body).backgroundColor,
        overflow: document.documentElement.scrollWidth - innerWidth,
        headings: document.querySelectorAll('h3').length,
      })`);
      const background = colorScheme === 'light' ? 'rgb(255, 255, 255)' : 'rgb(20, 24, 30)';
      t.match(seen, { background, overflow: 0 }, `${colorScheme} at ${width}`);
      t.strictSame(complaints, [], 'the policy has nothing to refuse');
      t.ok(
        requests.every((url) => url.startsWith(`http://${server.host}/`)),
        requests.join(' '),
      );
      await context.close();
    }
  }
});
