/** Which parts of a message become links, which images are shown, what counts as emoji. */
import t from 'tap';
import { isEmoji, pieces, shownImage } from '../../client/widget/src/text.js';

const links: readonly (readonly [text: string, ...links: readonly string[]])[] = [
  ['see https://example.com.', 'https://example.com'],
  ['(http://example.com/a_(b)) and more', 'http://example.com/a_(b)'],
  ['https://example.com/?q=a,b;c!', 'https://example.com/?q=a,b;c'],
  ['www.example.com, www.example.org/x', 'www.example.com', 'www.example.org/x'],
  ['看 https://example.com/路径。', 'https://example.com/路径'],
  ['https://user:pass@example.com/', 'https://user:pass@example.com/'],
  ['"https://example.com/a"<b>', 'https://example.com/a'],
  ['HTTPS://EXAMPLE.COM/A', 'HTTPS://EXAMPLE.COM/A'],
  ['javascript:alert(1) data:text/html,x file:///etc/passwd'],
  ['http:// https://. www. ftp://example.com'],
  ['https://example.com/\u202egpj.exe', 'https://example.com/'],
];

t.test('addresses of http and https are links, and nothing is lost or added around them', async (t) => {
  for (const [text, ...wanted] of links) {
    const found = pieces(text);
    t.strictSame(
      found.filter(({ url }) => url !== null).map((piece) => piece.text),
      wanted,
      text,
    );
    t.equal(found.map((piece) => piece.text).join(''), text);
    t.ok(found.every(({ url }) => url === null || /^https?:\/\//.test(url)));
  }
});

t.test('a message has 100 links at most; what follows is text', async (t) => {
  const found = pieces('https://a.example/ '.repeat(1_000));
  t.equal(found.filter(({ url }) => url).length, 100);
  t.equal(found.map(({ text }) => text).join(''), 'https://a.example/ '.repeat(1_000));
});

t.test('images are shown of https and of hosts that are named, with their port', async (t) => {
  const hosts = ['images.example', 'more.example:8443'];
  for (const good of ['https://images.example/a.png', 'https://more.example:8443/a', 'https://images.example:443/a'])
    t.ok(shownImage(good, hosts), good);
  for (const bad of [
    'http://images.example/a.png',
    'https://images.example.evil/a',
    'https://evil/images.example',
    'https://images.example@evil/a',
    'https://user:pass@images.example/a.png',
    'https://images.example:444/a.png',
    'https://іmages.example/a.png',
    'https://images.example\\@evil.example/a.png'.replace('images', 'evil'),
    'https://more.example/a',
    'data:image/png;base64,AA',
    'images.example/a.png',
    '',
  ])
    t.equal(shownImage(bad, hosts), null, bad);
});

t.test('a few emoji alone are large', async (t) => {
  for (const text of ['👍', '👍🏽 🎉', '👩‍👩‍👧', '🇨🇳', '❤️']) t.ok(isEmoji(text), text);
  for (const text of ['', 'a👍', '12', '#', '👍'.repeat(20)]) t.notOk(isEmoji(text), text);
});
