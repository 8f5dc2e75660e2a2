import t from 'tap';
import { dice } from './support/dice.js';
import { attack, Bystanders, isRefusal } from './support/hostile.js';
import { basic } from './support/http.js';
import { rawRequest, requestText } from './support/raw.js';
import { siteA, testServer } from './support/server.js';

const authorization = `Authorization: ${basic(siteA.domain, siteA.apikey)}`;
const form = 'Content-Type: application/x-www-form-urlencoded';
const json = 'Content-Type: application/json';

const malformed: readonly (readonly [title: string, bytes: string | Buffer])[] = [
  ['nothing', ''],
  ['empty lines', '\r\n\r\n\r\n\r\n'],
  ['zeros', Buffer.alloc(2000)],
  ['high bytes', Buffer.alloc(2000, 0xff)],
  ['a TLS hello', Buffer.from('16030100b0010000ac0303', 'hex')],
  ['an MQTT connect', Buffer.from('100c00044d5154540402003c0000', 'hex')],
  ['a line without a version', 'GET /v5/presences\r\n\r\n'],
  ['a version from the future', 'GET /v5/presences HTTP/9.9\r\nHost: x\r\n\r\n'],
  ['a method that is a sentence', `${'GET'.repeat(5000)} / HTTP/1.1\r\nHost: x\r\n\r\n`],
  ['a method in bad letters', 'G\u0000T / HTTP/1.1\r\nHost: x\r\n\r\n'],
  ['CONNECT', 'CONNECT im.example:443 HTTP/1.1\r\nHost: im.example\r\n\r\n'],
  ['no host', 'GET /v5/presences?ids=1 HTTP/1.1\r\n\r\n'],
  ['a path without a slash', 'GET v5 HTTP/1.1\r\nHost: x\r\n\r\n'],
  ['a path with zeros', 'GET /v5/\u0000/presences HTTP/1.1\r\nHost: x\r\n\r\n'],
  ['a path with raw Latin-1', Buffer.from('GET /v5/rooms/\xe9/members HTTP/1.1\r\nHost: x\r\n\r\n', 'latin1')],
  ['a path of a megabyte', `GET /${'x'.repeat(1_000_000)} HTTP/1.1\r\nHost: x\r\n\r\n`],
  ['a header without a colon', 'GET /v5/presences HTTP/1.1\r\nHost: x\r\nnonsense\r\n\r\n'],
  ['a header without a name', 'GET /v5/presences HTTP/1.1\r\nHost: x\r\n: x\r\n\r\n'],
  ['a header with zeros', 'GET /v5/presences HTTP/1.1\r\nHost: x\r\nX: a\u0000b\r\n\r\n'],
  ['a thousand headers', `GET /v5/presences HTTP/1.1\r\nHost: x\r\n${'X: y\r\n'.repeat(1000)}\r\n`],
  ['line feeds alone', 'GET /v5/presences HTTP/1.1\nHost: x\n\n'],
  ['a negative length', requestText('POST /v5/messages', ['Content-Length: -1', form])],
  ['a length that is no number', requestText('POST /v5/messages', ['Content-Length: ten', form], 'x')],
  [
    'a length beyond all numbers',
    requestText('POST /v5/messages', ['Content-Length: 99999999999999999999', form], 'x'),
  ],
  ['a length of eight gigabytes', requestText('POST /v5/messages', ['Content-Length: 8589934592', form], 'x')],
  ['two lengths', requestText('POST /v5/messages', ['Content-Length: 3', 'Content-Length: 4', form], 'a=b&')],
  [
    'a length and chunks',
    requestText('POST /v5/messages', ['Content-Length: 5', 'Transfer-Encoding: chunked', form], '0\r\n\r\nx'),
  ],
  [
    'a chunk of no size',
    requestText('POST /v5/messages', ['Transfer-Encoding: chunked', form], 'zz\r\nab\r\n0\r\n\r\n'),
  ],
  [
    'a chunk of all sizes',
    requestText('POST /v5/messages', ['Transfer-Encoding: chunked', form], 'ffffffffffffffff\r\nab\r\n0\r\n\r\n'),
  ],
  ['an unknown transfer encoding', requestText('POST /v5/messages', ['Transfer-Encoding: gzip', form], 'x')],
  ['a cut body', requestText('POST /v5/messages', ['Content-Length: 100', authorization, form], 'from=1')],
  ['a cut header', 'POST /v5/messages HTTP/1.1\r\nHost: x\r\nConten'],
];

t.test('malformed HTTP is answered as the client’s mistake or with a closed connection', async (t) => {
  const server = await testServer(t);
  const bystanders = await Bystanders.meet(server);
  for (const [title, bytes] of malformed) {
    await t.test(title, async (t) => {
      const answer = await attack(server, bytes);
      t.ok(isRefusal(answer), `${answer.status} ${answer.text.slice(0, 200)}`);
      await bystanders.chat(t);
    });
  }
});

const bodies: readonly (readonly [title: string, type: string, body: string])[] = [
  ['JSON 30,000 levels deep', json, '['.repeat(30_000)],
  ['JSON lists 30,000 levels deep', json, `{"to":${'['.repeat(30_000)}${']'.repeat(30_000)}}`],
  ['a JSON __proto__', json, '{"__proto__":{"from":"1","to":"2","body":"x"}}'],
  ['a JSON constructor', json, '{"constructor":{"prototype":{"to":"2"}},"from":"1","body":"x"}'],
  ['JSON with a number too large', json, '{"from":"1","to":"2","body":1e999,"nick":{}}'],
  ['JSON with a byte order mark and no end', json, '\ufeff{'],
  ['JSON with trailing text', json, '{"from":"1","to":"2","body":"x"}}'],
  ['JSON with comments', json, '{/*x*/"from":"1"}'],
  ['a form of many fields', form, 'a=&'.repeat(20_000)],
  ['a form of one name', form, 'a'.repeat(60_000)],
  ['a form of ampersands', form, '&'.repeat(60_000)],
  ['a form of equals', form, '='.repeat(60_000)],
  ['a form of percents', form, `to=${'%'.repeat(60_000)}`],
  ['a form with __proto__', form, '__proto__=x&__proto__[to]=2&constructor=y'],
  ['a form with brackets', form, 'to[]=1&to[a]=2&body[]=x'],
  ['a form cut in an escape', form, 'from=1&to=%'],
];

t.test('a body made to hurt is answered 400', async (t) => {
  const server = await testServer(t);
  const bystanders = await Bystanders.meet(server);
  for (const [title, type, body] of bodies) {
    const bytes = requestText('POST /v5/messages', [authorization, type], body);
    const answer = await rawRequest(server, bytes);
    t.equal(answer.status, 400, `${title}: ${answer.text.slice(0, 200)}`);
  }
  await bystanders.chat(t);
  t.equal(({} as Record<string, unknown>).to, undefined, 'no prototype was touched');
});

t.test('a valid request with any bytes changed is never answered 500', async (t) => {
  const server = await testServer(t);
  const bystanders = await Bystanders.meet(server);
  const { ticket } = await server.site().online('1');
  const valid = [
    requestText('POST /v5/messages', [authorization, form], `ticket=${encodeURIComponent(ticket)}&to=2&body=hello`),
    requestText(
      'POST /v5/presences/online',
      [authorization, json],
      '{"name":"9","nick":"Nine","buddies":["1"],"rooms":[]}',
    ),
    requestText('GET /v5/presences?ids=1%2C2%2Cvid%3A3', [authorization]),
    requestText('GET /v5/packets?domain=a.example&ticket=uid:1:00&callback=parent.f'),
  ];
  const roll = dice(7);
  for (let round = 0; round < 300; round++) {
    const bytes = Buffer.from(valid[roll(valid.length)] ?? '');
    for (let changes = roll(4) + 1; changes > 0; changes--) bytes[roll(bytes.length)] = roll(256);
    const { status, text } = await attack(server, bytes);
    t.ok(
      status < 500 || status === 505 || status === 501,
      `${status} ${text}: ${JSON.stringify(bytes.toString('latin1'))}`,
    );
  }
  await bystanders.chat(t);
});

t.test('names of an object’s own properties are names like others, everywhere', async (t) => {
  const server = await testServer(t);
  const site = server.site();
  for (const name of ['__proto__', 'constructor', 'toString', 'hasOwnProperty', 'valueOf']) {
    t.strictSame(Object.keys(await site.presences(name)), [], `${name} is not online`);
    const { ticket } = await site.online(name, { client: name, nick: name, status: name, rooms: name, buddies: name });
    t.strictSame(Object.keys(await site.members(ticket, name)), [name]);
    const unknown = await site.get('/v5/packets', { ticket: name, domain: name, callback: name });
    t.equal(unknown.status, 404);
    const query = { [name]: 'x', ids: name };
    t.strictSame(Object.keys((await site.get('/v5/presences', query)).body as object), [name]);
    await site.offline(ticket);
  }
});
