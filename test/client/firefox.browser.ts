/** The browser library and the widget in Firefox, on each transport. */
import t from 'tap';
import { Firefox, type FirefoxPage } from '../support/firefox.js';
import { builtLibrary, sign, startSmallSite } from '../support/library.js';
import { skipWithout } from '../support/programs.js';
import { testServer } from '../support/server.js';
import { settings, widgetPage } from '../support/widget.js';

const skip = skipWithout('firefox-esr');

/** Waits until the page has been handed a message. */
function hears(page: FirefoxPage, text: string): Promise<void> {
  return page.until(`heard.includes(${JSON.stringify(text)})`);
}

t.test(
  'Firefox: pages of the library talk on every transport, and go on when they are loaded anew',
  { skip },
  async (t) => {
    const folder = await builtLibrary();
    const server = await testServer(t, settings);
    const script = `
    import { connect } from '/lib/client.js';
    const query = new URLSearchParams(location.search);
    const token = async () => (await fetch('/token?name=' + query.get('name'))).text();
    keep(connect({ server: 'http://${server.host}', token, transports: [query.get('by')] }));`;
    const token = (name: string): string => sign(name, { buddies: ['anna', 'jack'], rooms: ['lobby'] });
    const small = await startSmallSite(t, () => server.site(), folder, { script, token });
    const firefox = await Firefox.launch(t);

    const anna = await firefox.visit(`${small.url}/?name=anna&by=websocket`);
    await anna.until(`states.includes('online websocket')`);
    for (const by of ['websocket', 'events', 'poll']) {
      const name = `jack-${by}`;
      const jack = await firefox.visit(`${small.url}/?name=${name}&by=${by}`);
      await jack.until(`states.includes('online ${by}')`);
      t.match(await jack.evaluate(`chat.send({ to: 'anna', body: 'Hello 你好' })`), { outcome: 'delivered' }, by);
      await hears(anna, `${name}: Hello 你好`);
      await anna.evaluate(`chat.send({ to: '${name}', body: 'Hello Jack' })`);
      await hears(jack, 'anna: Hello Jack');
      await anna.evaluate(`chat.send({ to: 'gid:lobby', body: 'Hello ${by}' })`);
      await hears(jack, `anna: Hello ${by}`);

      const came = `performance.getEntriesByType('resource').some(({ name }) => name.endsWith('/presences/online'))`;
      t.equal(await jack.evaluate(came), true);
      await jack.reload();
      await jack.until(`states.includes('online ${by}')`);
      await anna.evaluate(`chat.send({ to: '${name}', body: 'Still there?' })`);
      await hears(jack, 'anna: Still there?');
      t.strictSame(await jack.evaluate('heard'), ['anna: Still there?'], `${by}: nothing is shown twice`);
      t.equal(await jack.evaluate(came), false, `${by}: with the ticket that it had`);
      t.strictSame(await jack.evaluate('[mistakes, missed]'), [[], []], `${by}: without mistakes`);
    }
  },
);

t.test('Firefox: two people talk in the widget, by mouse and keyboard', { skip }, async (t) => {
  const folder = await builtLibrary();
  const server = await testServer(t, settings);
  const firefox = await Firefox.launch(t);
  const come = async (name: string, nick: string): Promise<FirefoxPage> => {
    const token = sign(name, { nick, buddies: ['anna', 'jack'], rooms: ['lobby'] });
    const attributes = `server="http://${server.host}" token="${token}"`;
    const { url } = await startSmallSite(t, () => server.site(), folder, { html: widgetPage(attributes) });
    const page = await firefox.visit(url);
    await page.until(`document.querySelector('nextalk-chat')?.chat?.state.state === 'online'`);
    return page;
  };
  const [anna, jack] = [await come('anna', 'Anna'), await come('jack', 'Jack')];
  const root = `document.querySelector('nextalk-chat').shadowRoot`;
  const hasBubble = (text: string): string =>
    `[...${root}.querySelectorAll('.bubble')].some(({ textContent }) => textContent.includes(${JSON.stringify(text)}))`;

  await anna.click(`${root}.querySelector('button[aria-label^="Open chat"]')`);
  await anna.until(`${root}.textContent.includes('Jack')`);
  await anna.evaluate(`document.querySelector('nextalk-chat').open('jack')`);
  await anna.click(`${root}.querySelector('textarea')`);
  await anna.type('Hello <b>Jack</b>');
  await jack.evaluate(`document.querySelector('nextalk-chat').open('anna')`);
  await jack.until(hasBubble('Hello <b>Jack</b>'));
  await jack.click(`${root}.querySelector('textarea')`);
  await jack.type('Hello Anna');
  await anna.until(hasBubble('Hello Anna'));
  t.equal(await jack.evaluate(`${root}.querySelectorAll('.bubble').length`), 2, 'and nothing is shown twice');
});
