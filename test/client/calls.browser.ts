/** Two pages in Chromium that do all by themselves: send, type, join, show, leave, on each transport. */
import t from 'tap';
import { builtLibrary, kept, launch, sign, startSmallSite, tokenSecret, until, visit } from '../support/library.js';
import { skipWithout } from '../support/programs.js';
import { siteA, testServer } from '../support/server.js';

const domain = {
  ...siteA,
  tokenSecret,
  clientCalls: true,
  clientSend: ['websocket', 'http'],
  clientJoin: ['public-*'],
};

for (const transport of ['websocket', 'events', 'poll']) {
  t.test(`two pages by ${transport}`, { skip: skipWithout('chromium') }, async (t) => {
    const folder = await builtLibrary();
    const server = await testServer(t, { domains: [domain], presence: { clientIdleMs: 600_000, graceMs: 1 } });
    const script = `
      import { connect } from '/lib/client.js';
      const name = new URLSearchParams(location.search).get('name');
      const token = async () => (await fetch('/token?name=' + name)).text();
      const chat = connect({ server: 'http://${server.host}', token, transports: ['${transport}'] });
      chat.on('status', ({ from, show }) => window.heard.push(from + ' ' + show));
      keep(chat);`;
    const small = await startSmallSite(t, () => server.site(), folder, {
      script,
      token: (name) => sign(name, { buddies: ['anna', 'jack'], rooms: 'lobby' }),
    });
    const browser = await launch(t);
    const anna = await visit(await browser.newContext(), `${small.url}/?name=anna`);
    await until(anna, 'states', `online ${transport}`);
    const jack = await visit(await browser.newContext(), `${small.url}/?name=jack`);
    await until(jack, 'states', `online ${transport}`);

    const data = { card: { n: 1.5, list: ['/', null] } };
    const sent = await anna.evaluate((data) => window.chat.send({ to: 'jack', body: 'hi', id: 'm-1', data }), data);
    t.strictSame(sent, { id: 'm-1', outcome: transport === 'poll' ? sent.outcome : 'delivered' });
    t.match(sent.outcome, /^(delivered|queued)$/);
    const again = await anna.evaluate(() => window.chat.send({ to: 'jack', body: 'hi', id: 'm-1' }));
    t.strictSame(again, sent, 'again under its id');
    const all = await anna.evaluate(() => window.chat.send({ to: 'gid:lobby', body: 'all' }));
    t.match(all, { id: /^[\w.~-]+$/, members: 2 });
    await until(jack, 'heard', 'anna: all');
    t.strictSame(await kept(jack, 'heard'), ['anna: hi', 'anna: all']);
    await anna.evaluate(() => window.chat.typing('jack'));
    await until(jack, 'heard', 'anna typing');
    await jack.waitForFunction(
      () => window.chat.rooms.get('lobby')?.has('anna') && window.chat.rooms.get('lobby')?.has('jack'),
    );

    await anna.evaluate(() => window.chat.join('public-tea'));
    await jack.evaluate(() => window.chat.join('public-tea'));
    await anna.waitForFunction(() => window.chat.rooms.get('public-tea')?.has('jack'));
    const refused = await jack.evaluate(() =>
      window.chat.join('den').catch(({ code, message }) => ({ code, message })),
    );
    t.strictSame(refused, { code: 403, message: 'forbidden' });
    await jack.evaluate(() => window.chat.show('dnd', 'busy'));
    await anna.waitForFunction(() => window.chat.presences.get('jack')?.show === 'dnd');
    await jack.evaluate(() => window.chat.close());
    await anna.waitForFunction(() => !window.chat.presences.has('jack'));
    t.equal(small.asked.online, 0, 'the site was called for nothing');
  });
}
