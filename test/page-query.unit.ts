import t from 'tap';
import { readForm } from '../src/protocols/form.js';
import { readPageQuery } from '../src/protocols/page-query.js';
import { Parameters } from '../src/protocols/parameters.js';

const NAMES = ['domain', 'ticket', 'position', 'callback'] as const;

/** What the reader of forms says of a query, in the fields of a page's query. */
function asForm(text: string, most: number): unknown {
  const parameters = new Parameters();
  const fault = readForm(text, parameters, most);
  return { ...Object.fromEntries(NAMES.map((name) => [name, parameters.get(name)])), fault };
}

function asQuery(text: string, most: number): unknown {
  const { domain, ticket, position, callback, fault } = readPageQuery(text, most);
  return { domain, ticket, position, callback, fault };
}

const PAIRS = [
  'domain=a.example',
  'domain=b',
  'ticket=uid%3A1%3Aabc',
  'ticket=uid:1:abc',
  'position=0',
  'position=',
  'position',
  'callback=jsonp1',
  'c%61llback=f',
  'callback[]=f',
  'callback%5B%5D=f',
  'position[]=1',
  '_=1400000000000',
  'other=%E5%BC%A0',
  'ticket=a+b',
  'ticket=a=b',
  'ticket=%ff',
  'other=%',
  'domain=\ufffd',
  '',
  '=x',
];

t.test('a query of a page is read as any form is, whatever stands in it', async (t) => {
  const texts = PAIRS.flatMap((a) => PAIRS.flatMap((b) => PAIRS.map((c) => [a, b, c].join('&'))));
  for (const text of texts) {
    const [read, form] = [asQuery(text, 2), asForm(text, 2)];
    if (JSON.stringify(read) !== JSON.stringify(form)) t.strictSame(read, form, text);
    const [all, whole] = [asQuery(text, 0), asForm(text, 0)];
    if (JSON.stringify(all) !== JSON.stringify(whole)) t.strictSame(all, whole, text);
  }
  t.ok(texts.length > 9000, `${texts.length} queries`);
});

t.test('a callback is counted as often as a query names it, however it is written', async (t) => {
  const counts = [
    ['domain=a', 0],
    ['callback=f', 1],
    ['callback=f&_=1&ticket=a%3Ab', 1],
    ['callback=f&callback=f', 2],
    ['callback=f&c%61llback=g', 2],
    ['callback[]=f&callback=f', 2],
    ['callback=f&ticket=a+b', 1],
    ['callbacks=f&xcallback=f&callback=f', 1],
  ] as const;
  for (const [text, count] of counts) t.equal(readPageQuery(text, 0).callbacks, count, text);
});
