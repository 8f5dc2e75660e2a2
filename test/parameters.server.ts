import t from 'tap';
import { readForm } from '../src/protocols/form.js';
import { Parameters, readJson } from '../src/protocols/parameters.js';
import { siteA, testServer } from './support/server.js';

function form(text: string, most = 0): unknown {
  const into = new Parameters();
  return readForm(text, into, most) ?? Object.fromEntries(into);
}

function json(text: string, most = 0): unknown {
  const into = new Parameters();
  return readJson(text, into, most) ?? Object.fromEntries(into);
}

const forms: readonly (readonly [title: string, text: string, read: unknown])[] = [
  ['pairs', 'a=1&b=%E5%BC%A0+x', { a: '1', b: '张 x' }],
  ['empty pairs and names without a value', '&&a&=x&b=', { a: '', '': 'x', b: '' }],
  ['the last of several', 'a=1&a=2', { a: '2' }],
  ['items of a list as PHP writes them', 'rooms[]=1&rooms[]=2', { rooms: ['1', '2'] }],
  ['items that are percent-encoded', 'rooms%5B0%5D=r1&rooms%5B7%5D=r2', { rooms: ['r1', 'r2'] }],
  ['a text after a list', 'rooms[]=1&rooms=2', { rooms: '2' }],
  ['a list after a text', 'rooms=2&rooms[]=1', { rooms: ['1'] }],
  ['names that are no list', '[]=1&a[x]=2&a[][]=3&a]=4', { '[]': '1', 'a[x]': '2', 'a[][]': '3', 'a]': '4' }],
  ['two lists side by side', 'a[]=1&b[]=2&a[]=3', { a: ['1', '3'], b: ['2'] }],
  ['broken UTF-8', 'a=%ff', 'malformed'],
  ['a broken escape', 'a=%', 'malformed'],
];

t.test('a form is read', async (t) => {
  for (const [title, text, read] of forms) t.strictSame(form(text), read, title);
});

t.test('however many parameters there are, each is found, replaced and removed by its name', async (t) => {
  for (const count of [1, 15, 16, 17, 40]) {
    const names = Array.from({ length: count }, (_, n) => `name ${n}`);
    const parameters = new Parameters(names.map((name) => [name, 'first']));
    for (const name of names) parameters.set(name, `of ${name}`);
    t.strictSame(
      [...parameters],
      names.map((name) => [name, `of ${name}`]),
      'in the order in which they came',
    );
    t.notOk(parameters.has('nobody'));
    t.equal(parameters.get('nobody'), undefined);
    for (const name of names.slice(0, -1)) parameters.delete(name);
    parameters.delete('nobody');
    parameters.set('late', 1);
    t.strictSame(new Set([...parameters].map(([name]) => name)), new Set([names.at(-1), 'late']));
  }
});

t.test('a form of more parameters than allowed is not read', async (t) => {
  t.strictSame(form('a=1&b=2', 2), { a: '1', b: '2' });
  t.equal(form('a=1&b=2&a=3', 2), 'tooMany', 'a repeated one counts');
  t.equal(form('a[]=1&a[]=2&a[]=3', 2), 'tooMany', 'an item of a list counts');
});

t.test('a JSON body of more values than allowed is not read', async (t) => {
  t.strictSame(json('{"a":1,"b":"2,3,4,[{"}', 2), { a: '1', b: '2,3,4,[{' }, 'what a text holds does not count');
  t.strictSame(json('{"a":"\\"],[,,,{"}', 2), { a: '"],[,,,{' }, 'nor after an escaped quote');
  for (const text of ['{"a":1,"b":2,"c":3}', '{"a":[1,2,3]}', '{"a":{"b":{"c":[]}}}', '{"a":[[[]]]}']) {
    t.equal(json(text, 2), 'tooMany', text);
  }
});

const path = '/v5/presences/online';

const escapes: readonly (readonly [title: string, nick: string, read: string])[] = [
  ['escapes of ASCII, in capital and small letters', '%4fne%2C%2fTwo', 'One,/Two'],
  ['plus signs and escapes of plus signs', 'a+b%2Bc', 'a b+c'],
  ['escapes of what divides a form, or begins an escape', '%26b%3Dc%25d%2541', '&b=c%d%41'],
  ['escapes of UTF-8', 'a%E5%BC%A0%41', 'a张A'],
  ['UTF-8 that is not escaped', '张%41%E5%BC%A0', '张A张'],
  ['a control character', 'a%09b', 'a\tb'],
];

const broken: readonly (readonly [title: string, nick: string])[] = [
  ['a percent sign at the end', 'x%'],
  ['an escape that ends too early', 'x%4'],
  ['an escape of no hex digits', '%zzx'],
  ['a percent sign before an escape that says the first digit of another', '%%341'],
  ['a percent sign before an escape that says the digits of another', '%%34%31'],
  ['half a character of UTF-8', '%E5%BC'],
  ['half a character of UTF-8 before ASCII', '%E5%41'],
];

t.test('the body of a form is decoded', async (t) => {
  const server = await testServer(t);
  const post = (nick: string) => {
    const body = `%6eame=me&nick=${nick}`;
    return server.request({ method: 'POST', path, auth: siteA, body, type: 'application/x-www-form-urlencoded' });
  };
  for (const [title, nick, read] of escapes) {
    await post(nick);
    const { body } = await server.request({ path: '/v5/presences?ids=me&full=1', auth: siteA });
    t.match(body, { me: { nick: read } }, title);
  }
  for (const [title, nick] of broken) t.match(await post(nick), { status: 400, text: /percent-encoded/ }, title);
});

t.test('a site that sends more than limits.parameters is told so', async (t) => {
  const server = await testServer(t, { limits: { parameters: 5 } });
  const many = { name: '1', nick: 'One', a: '1', b: '2', c: '3', d: '4' };
  const detail = /more than 5 parameters/;
  for (const body of [{ form: many }, { json: many }, { json: { name: '1', nick: 'One', buddies: [1, 2, 3, 4] } }]) {
    t.match(await server.request({ method: 'POST', path, auth: siteA, ...body }), { status: 400, text: detail });
  }
  const query = { domain: 'a.example', apikey: 'key-a', ids: '1', a: '1', b: '2', c: '3' };
  t.match(await server.request({ path: '/v5/presences', query }), { status: 400, text: detail });
  t.match(await server.request({ path: '/v5/packets', query }), { status: 400, text: /too many parameters/ });
});

t.test('PHP’s lists of buddies and rooms are lists', async (t) => {
  const server = await testServer(t);
  const site = server.site();
  for (const id of ['1', 'vid:2']) await site.online(id);
  const body = 'name=me&nick=Me&buddies%5B%5D=1&buddies%5B%5D=vid:2&rooms[0]=r1&rooms[1]=r2';
  const type = 'application/x-www-form-urlencoded';
  const answer = await server.request({ method: 'POST', path, auth: siteA, body, type });
  t.hasStrict(answer.body, { presences: { '1': 'available', 'vid:2': 'available' } });
  const { ticket } = answer.body as { ticket: string };
  for (const room of ['r1', 'r2']) t.strictSame(await site.members(ticket, room), { me: 'available' });
  t.strictSame((await server.request({ path: '/v5/presences?ids[]=1&ids[]=me', auth: siteA })).body, {
    '1': 'available',
    me: 'available',
  });
  const refused = await server.request({ method: 'POST', path, auth: siteA, body: 'name=1&nick[]=x', type });
  t.match(refused, { status: 400, text: /nick must be text/ });
});

t.test('an endpoint that comes online with spaces around its id is found without them', async (t) => {
  const server = await testServer(t);
  const site = server.site();
  const { ticket } = await site.online(' jack ');
  t.match(ticket, /^uid:jack:/);
  await site.online('vid: 7', {});
  t.strictSame(await site.presences('jack,vid:7, vid: 7'), { jack: 'available', 'vid:7': 'available' });
  t.equal((await site.post('/v5/rooms/%20r1%20/join', { ticket })).status, 200);
  t.strictSame(await site.members(ticket, 'r1'), { jack: 'available' });
  const rose = await site.arrive('rose');
  await site.push(' jack', ' rose ', 'hi');
  t.hasStrict(await rose.next(), { from: 'jack', to: 'rose', body: 'hi' });
  for (const name of [' ', 'a\tb', '\tjack', 'vid: '])
    t.equal((await site.post(path, { name, nick: 'x' })).status, 400, name);
});

t.test('whatever two characters stand behind a percent sign, they are read as the engine reads them', async (t) => {
  const characters = [
    '',
    ' ',
    '%',
    '/',
    '0',
    '2',
    '4',
    '7',
    '8',
    '9',
    ':',
    '@',
    'A',
    'F',
    'G',
    '`',
    'a',
    'f',
    'g',
    '\u0141',
  ];
  for (const first of characters) {
    for (const second of characters) {
      const text = `a%${first}${second}`;
      let expected: unknown = 'malformed';
      try {
        expected = { name: decodeURIComponent(text) };
      } catch {}
      t.strictSame(form(`name=${text}`), expected, text);
    }
  }
});
