/** A page in Chromium and the history of a real server: it reads pages, counts what is unread, and fills its gaps. */
import t from 'tap';
import {
  builtLibrary,
  kept,
  launch,
  sign,
  startSmallSite,
  tokenSecret,
  until,
  untilFresh,
  visit,
} from '../support/library.js';
import { freePort } from '../support/ports.js';
import { skipWithout } from '../support/programs.js';
import { siteA, type TestServer, testServer } from '../support/server.js';

const domain = {
  ...siteA,
  tokenSecret,
  clientCalls: true,
  clientSend: ['websocket', 'http'],
  history: { messages: 500 },
  durability: 'none',
};

const script = (port: number): string => `
  import { connect } from '/lib/client.js';
  const name = new URLSearchParams(location.search).get('name');
  const token = async () => (await fetch('/token?name=' + name)).text();
  keep(connect({ server: 'http://127.0.0.1:${port}', token, transports: ['websocket'] }));`;

t.test('a page and the history', { skip: skipWithout('chromium') }, async (t) => {
  const data = t.testdir({});
  const folder = await builtLibrary();
  const port = await freePort();
  const start = (at: number): Promise<TestServer> => testServer(t, { port: at, data, domains: [domain] });
  let server = await start(port);
  const small = await startSmallSite(t, () => server.site(), folder, {
    script: script(port),
    token: (name) => sign(name, { rooms: 'lobby' }),
  });
  const browser = await launch(t);
  const anna = await visit(await browser.newContext(), `${small.url}/?name=anna`);
  await until(anna, 'states', 'online websocket');

  await t.test('it reads a conversation in pages, and the list of conversations', async (t) => {
    for (let n = 0; n < 7; n++) await server.site().push('jack', 'anna', `m${n}`);
    await server.site().push('jack', 'lobby', 'all', { type: 'grpchat' });
    await until(anna, 'heard', 'jack: all');
    const pages = await anna.evaluate(async () => {
      const found: (string | undefined)[][] = [];
      let before: string | undefined;
      do {
        const page = await window.chat.history('jack', before === undefined ? { limit: 3 } : { before, limit: 3 });
        found.push(page.messages.map(({ body }) => body));
        before = page.next;
      } while (before !== undefined);
      return found;
    });
    t.strictSame(pages, [['m4', 'm5', 'm6'], ['m1', 'm2', 'm3'], ['m0']]);
    const room = await anna.evaluate(() => window.chat.history('gid:lobby'));
    t.match(room, { messages: [{ from: 'jack', body: 'all' }] });
    const list = () => anna.evaluate(() => window.chat.conversations());
    const before = await list();
    t.match(before, {
      conversations: [
        { with: 'gid:lobby', unread: 1, last: { body: 'all' } },
        { with: 'jack', unread: 7, last: { body: 'm6' } },
      ],
    });
    await anna.evaluate(async () => {
      const { messages } = await window.chat.history('jack');
      window.chat.read('jack', messages[5]?.id ?? '');
      await window.chat.call('presences', { ids: 'jack' });
    });
    t.match(await list(), { conversations: [{ with: 'gid:lobby' }, { with: 'jack', unread: 1 }] });
    const refused = await anna.evaluate(() =>
      window.chat.history('gid:den').catch(({ code, message, detail }) => ({ code, message, detail })),
    );
    t.strictSame(refused, { code: 403, message: 'forbidden', detail: 'not in the room' });
  });

  await t.test('a page whose ticket was lost has from the history what was said meanwhile, in order', async (t) => {
    await server.stop();
    // The page does not find this one: what is said here it can only read afterwards.
    server = await start(await freePort());
    for (let n = 0; n < 250; n++) await server.site().push('jack', 'anna', `gap ${n}`);
    await server.site().push('paul', 'anna', 'from somebody new');
    await server.site().push('anna', 'paul', 'of her own');
    await server.close();
    server = await start(port);
    await untilFresh(anna);
    await until(anna, 'heard', 'paul: from somebody new');
    await until(anna, 'heard', 'jack: gap 249');
    const heard = (await kept(anna, 'heard')).slice(8);
    t.strictSame(
      heard.filter((text) => String(text).startsWith('jack')),
      Array.from({ length: 250 }, (_, n) => `jack: gap ${n}`),
    );
    t.equal(heard.length, 251);
    t.strictSame(await kept(anna, 'missed'), [], 'nothing is said to be missing');
  });
});
