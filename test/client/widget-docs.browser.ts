/** The programs of docs/widget.md, as a page of a site has them, and the files of the server that they name. */
import { readFileSync } from 'node:fs';
import t from 'tap';
import { sign, visit } from '../support/library.js';
import { readBlocks } from '../support/markdown.js';
import { skipWithout } from '../support/programs.js';
import { openChat, stage } from '../support/widget.js';

const skip = skipWithout('chromium');

t.test('the two lines are a chat; the button opens it, colours and words are the page’s own', { skip }, async (t) => {
  const { server, browser, site, push } = await stage(t);
  const blocks = readBlocks(readFileSync(new URL('../../docs/widget.md', import.meta.url), 'utf8'));
  const of = (language: string): string[] =>
    blocks.filter((block) => block.language === language).map(({ text }) => text);
  const [lines = '', button = ''] = of('html');
  const [css = ''] = of('css');
  const [js = ''] = of('js');
  t.equal(lines.trim().split('\n').length, 2);
  t.same([of('html').length, of('css').length, of('js').length], [2, 1, 1], 'and no other program is on the page');
  const widget = lines
    .replace('https://im.example.com/v5/widget.js', '/lib/widget.js')
    .replace('<nextalk-chat ', `<nextalk-chat server="http://${server.host}" `)
    .replace('TOKEN', sign('jack', { buddies: ['support'] }));
  const small = await site(
    `<!doctype html><html lang="de"><title>Page</title><style>${css}</style>${widget}${button}<script>${js}</script></html>`,
  );
  const page = await visit(await browser.newContext(), small.url);
  await page.getByRole('button', { name: 'Ask us' }).click();
  await page.getByRole('textbox', { name: 'Message to support' }).fill('Guten Tag');
  const send = page.getByRole('button', { name: 'Senden' });
  const colour = await page.evaluate(
    `getComputedStyle(document.querySelector('nextalk-chat').shadowRoot.querySelector('.send')).backgroundColor`,
  );
  t.equal(colour, 'rgb(10, 125, 79)');
  await send.click();
  await push('support', 'jack', 'Hallo');
  await page.locator('nextalk-chat .bubble').getByText('Hallo').waitFor();
  await openChat(page, 'gid:lobby');
  await page.locator('.subtitle').getByText('1 hier').waitFor();
});
