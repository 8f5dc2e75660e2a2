/**
 * No parser of what strangers send takes more than linear work: twice the input, at most twice the work. Counted, not timed.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import t from 'tap';
import { isId, parseTarget } from '../src/actors/address.js';
import type { Domain } from '../src/actors/domain.js';
import { parseAsked } from '../src/actors/position.js';
import { parseTicket } from '../src/actors/ticket.js';
import { Auth } from '../src/admin/auth.js';
import { Dispatcher } from '../src/admin/dispatch.js';
import { basicDomain } from '../src/http/auth.js';
import { readBatchParameters } from '../src/http/messages.js';
import { isHost } from '../src/http/public-url.js';
import { namesTag } from '../src/http/reference.js';
import { decodeSegment, mediaType, readParameters } from '../src/http/request.js';
import { findRoute, refusal } from '../src/http/routes.js';
import { isInside } from '../src/inside.js';
import { clientAddress, forwarded, networkOf } from '../src/protocols/client-address.js';
import type { Context } from '../src/protocols/context.js';
import { type Headers, readHeaders } from '../src/protocols/headers.js';
import { isCallback } from '../src/protocols/jsonp.js';
import { receiversOf } from '../src/protocols/letter.js';
import { chosen } from '../src/protocols/mqtt/websocket.js';
import { matchesOrigin } from '../src/protocols/origin.js';
import { readPageQuery } from '../src/protocols/page-query.js';
import { readData } from '../src/protocols/parameters.js';
import { parseSubscribe } from '../src/protocols/subscribe.js';
import { workOf } from './support/work.js';

const LENGTH = 240;
/** Work that does not grow with the input. */
const FIXED = 600;

function header(name: string): (text: string) => unknown {
  return (value) => readHeaders({ forEach: (line) => line(name, value) });
}

function body(text: string, type: 'form' | 'json'): unknown {
  return readParameters('', type, Buffer.from(text), 10_000);
}

const auth = new Auth(
  () => 'secret',
  () => 0,
);

function admin(headers: IncomingMessage['headers'], method = 'GET'): unknown {
  const socket = { remoteAddress: '127.0.0.1', localPort: 8081 };
  return auth.check({ headers, method, socket } as unknown as IncomingMessage);
}

const noResponse = { writeHead: () => undefined, end: () => undefined } as unknown as ServerResponse;
const dispatcher = new Dispatcher(
  () => ({ ready: true, remarks: [] }),
  new Auth(
    () => null,
    () => 0,
  ),
  new Map(),
  new Map([['GET /api/domains/{domain}/keys/{fingerprint}', () => undefined]]),
);

function adminPath(url: string): void {
  const socket = { remoteAddress: '127.0.0.1', localPort: 8081 };
  dispatcher.respond({ url, method: 'GET', headers: { host: 'localhost' }, socket } as never, noResponse);
}

const nobody = { domains: new Map() } as unknown as Context;

interface Parser {
  readonly name: string;
  readonly parse: (text: string) => unknown;
  /** A character of each class that the parser tells apart. */
  readonly classes: string;
  /** What may stand before and behind a run. */
  readonly around?: readonly (readonly [before: string, behind: string])[];
}

const PARSERS: readonly Parser[] = [
  { name: 'If-None-Match', parse: (text) => namesTag(text, '"abc"'), classes: ' ,"aW*/', around: [['a', 'b']] },
  { name: 'Content-Length', parse: header('content-length'), classes: '1 ,+x' },
  { name: 'Transfer-Encoding', parse: header('transfer-encoding'), classes: 'chunked, ' },
  {
    name: 'Authorization',
    parse: (text) => basicDomain(nobody, text, { address: () => '' }),
    classes: 'aZ9+/=_- :%',
    around: [
      ['basic ', ''],
      ['Basic ', '%'],
      ['basic a', ' x'],
    ],
  },
  {
    name: 'Content-Type',
    parse: (contentType) => mediaType({ contentType, contentEncoding: '' } as Headers),
    classes: 'a/; =\t',
    around: [['application/json', ';']],
  },
  { name: 'X-Forwarded-For', parse: (text) => forwarded(text, 10), classes: ', 1.:a[]' },
  { name: 'an address', parse: (text) => clientAddress('::1', text, 1), classes: ', 1.:a[]%0', around: [['[', ']:1']] },
  {
    name: 'a network',
    parse: networkOf,
    classes: '0:1.f%',
    around: [
      ['::ffff:', ''],
      ['fe80::1%', ''],
    ],
  },
  {
    name: 'Host',
    parse: isHost,
    classes: 'a1.:-[]_',
    around: [
      ['[', ']:1'],
      ['a:', ''],
    ],
  },
  {
    name: 'Origin',
    parse: (text) => matchesOrigin('https://*.a.b', text),
    classes: 'a.:/-',
    around: [['https://', '.a.b']],
  },
  {
    name: 'a form',
    parse: (text) => body(text, 'form'),
    classes: 'a=&+%[]1\ufffd',
    around: [
      ['a[', ']=1'],
      ['a=', '%41'],
    ],
  },
  {
    name: 'a JSON body',
    parse: (text) => body(text, 'json'),
    classes: '"\\{}[],:1-.eE \ud83d',
    around: [
      ['{"a":"', '"}'],
      ['{"a":', '}'],
      ['{"\\ud800":"', '1.5"}'],
      ['{"a":[', '1]}'],
      ['{"a":1.5,"b":"', '"}'],
    ],
  },
  {
    name: 'data',
    parse: readData,
    classes: '"\\{}[],:1-.eE \ud83d',
    around: [
      ['[', '1]'],
      ['{"\\ud800":"', '"}'],
      ['["', '",null]'],
    ],
  },
  {
    name: 'a batch',
    parse: (text) => readBatchParameters('', 'json', Buffer.from(text), 1000),
    classes: '"\\{}[],:1-.eE \ud83d',
    around: [
      ['{"messages":[', '1]}'],
      ['{"messages":[{"a":"', '","data":1.5}]}'],
    ],
  },
  {
    name: 'a list of receivers',
    parse: (text) => receiversOf({ name: 'd' } as Domain, text, 'uid'),
    classes: 'a ,:/+',
    around: [['uid:', ',a']],
  },
  { name: 'Idempotency-Key', parse: header('idempotency-key'), classes: 'a" ' },
  { name: 'a position', parse: parseAsked, classes: 'aZ9_~-.0 ', around: [['a.', '']] },
  {
    name: 'an address that a webhook leads to',
    parse: isInside,
    classes: '0:1.f%',
    around: [
      ['::ffff:', ''],
      ['fe80::1%', ''],
    ],
  },
  {
    name: 'a path of the admin port',
    parse: adminPath,
    classes: 'a/%4.{}',
    around: [
      ['/api/domains/', '/keys/a'],
      ['/api/domains/a/keys/', ''],
    ],
  },
  { name: 'a query', parse: (text) => readParameters(text, 'form', Buffer.alloc(0), 0), classes: 'a=&+%[]1' },
  {
    name: "a page's query",
    parse: (text) => readPageQuery(text, 0),
    classes: 'a=&+%[]1',
    around: [['ticket=a%3A', '&']],
  },
  { name: 'a path segment', parse: decodeSegment, classes: 'a%4+', around: [['%41', '%']] },
  {
    name: 'a path',
    parse: (text) => refusal(findRoute(text), text, 'GET'),
    classes: 'a/%. ',
    around: [
      ['/v5/', '/'],
      ['/v5/rooms/', '/join'],
      ['/v5/packets', '/'],
    ],
  },
  { name: 'a callback', parse: isCallback, classes: 'a1$_. (', around: [['a', '.a']] },
  {
    name: 'a first WebSocket text',
    parse: parseSubscribe,
    classes: 'a \n:',
    around: [
      ['subscribe ', ' a'],
      ['subscribe a ', ''],
      ['resume a ', ' b'],
    ],
  },
  { name: 'an id', parse: isId, classes: 'a /+#,\u0001\ud800 ' },
  {
    name: 'a target',
    parse: (text) => parseTarget('d', text),
    classes: 'a /:+#,\u3000',
    around: [
      ['uid:', ' '],
      ['/domain/d/uid/', '/client/x'],
      [' vid: ', ''],
    ],
  },
  {
    name: 'a ticket',
    parse: parseTicket,
    classes: 'a:0fg',
    around: [
      ['uid:1:', ''],
      ['uid:', ':00g'],
    ],
  },
  { name: 'subprotocols', parse: chosen, classes: 'a, mqtt' },
  {
    name: 'the admin cookie',
    parse: (cookie) => admin({ cookie }),
    classes: ' ;=a1.',
    around: [
      ['nextalk-admin-8081=', ';'],
      ['nextalk-admin-8081=1.', '.'],
    ],
  },
  {
    name: 'the admin token',
    parse: (authorization) => admin({ authorization }),
    classes: ' a:',
    around: [
      ['Bearer ', ''],
      ['Bearer', 'a '],
    ],
  },
  { name: 'the admin host', parse: (host) => admin({ host, origin: 'http://a' }, 'POST'), classes: 'a:1[]' },
  {
    name: 'the admin origin',
    parse: (origin) => admin({ host: 'a', origin }, 'POST'),
    classes: 'a:/1',
    around: [['http://', '']],
  },
];

/** Runs of each class, of each after each other, and of two by turns. */
function runs(classes: string, length: number): string[] {
  const characters = [...new Set(classes)];
  const pairs = characters.flatMap((a) => characters.filter((b) => b !== a).map((b) => [a, b] as const));
  return [
    ...characters.map((a) => a.repeat(length)),
    ...pairs.map(([a, b]) => a.repeat(length) + b.repeat(length)),
    ...pairs.map(([a, b]) => (a + b).repeat(length)),
    ...pairs.map(([a, b]) => a.repeat(length) + b),
  ];
}

for (const { name, parse, classes, around = [] } of PARSERS) {
  t.test(`work grows linearly with the length of ${name}`, async (t) => {
    const short = runs(classes, LENGTH);
    const long = runs(classes, 2 * LENGTH);
    const faults: string[] = [];
    for (const [before, behind] of [['', ''] as const, ...around]) {
      for (const [i, run] of short.entries()) {
        const once = workOf(parse, before + run + behind);
        const twice = workOf(parse, before + long[i] + behind);
        if (twice <= 2.2 * once + FIXED) continue;
        faults.push(
          `${JSON.stringify(`${before}${run.slice(0, 4)}…${run.slice(-4)}${behind}`)}: ${once}, then ${twice}`,
        );
      }
    }
    t.strictSame(faults.slice(0, 5), []);
  });
}

t.test('the counter finds an expression that is quadratic, and one that is exponential', async (t) => {
  const split = (text: string) => text.split(/ *, */);
  const spaces = ' '.repeat(LENGTH);
  t.ok(workOf(split, `a${spaces}${spaces}b`) > 3 * workOf(split, `a${spaces}b`));
  t.throws(() => workOf((text) => /^(a+)+$/.test(text), `${'a'.repeat(40)}b`), /steps/);
  const searches = (text: string) => [...text].map((_, i) => text.slice(i).includes('b'));
  t.ok(workOf(searches, `${spaces}${spaces}`) > 3 * workOf(searches, spaces));
});
