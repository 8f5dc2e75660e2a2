/** Each shape by itself, without a cluster: what fits it, and what is wrong in one thing. */
import t from 'tap';
import { beatOf, beatText, dataText, frameOf, namesOf } from '../../src/cluster/frames.js';
import {
  address,
  addresses,
  count,
  fits,
  flag,
  moments,
  nothing,
  orNull,
  packet,
  packets,
  publication,
  show,
  stamp,
  text,
  transport,
  type Validator,
} from '../../src/cluster/validators.js';

const domain = 'a.example';
const uid = `/domain/${domain}/uid/1`;
const firstBeyond = Date.UTC(2101, 0) * 1024;

const fields = { from: 'x', to: '1', nick: 'X', timestamp: '1', type: 'chat', body: 'hi', style: '' };
const { body: _, ...bodiless } = fields;
const message: readonly unknown[] = ['message', uid, uid, fields];
const published: readonly unknown[] = ['a/b', 1, 0, null, '', ''];

/** The list with one element replaced. */
function but(list: readonly unknown[], at: number, value: unknown): unknown[] {
  return list.map((one, index) => (index === at ? value : one));
}

const rows: readonly (readonly [
  name: string,
  validator: Validator,
  right: readonly unknown[],
  wrong: readonly unknown[],
])[] = [
  ['text', text, ['', 'a'], [undefined, null, 1, {}, ['a']]],
  ['count', count, [0, 7], [-1, 1.5, 2 ** 53, '1', null, undefined]],
  ['stamp', stamp, [0, firstBeyond - 1], [firstBeyond, -1, 1e300, '9', null]],
  ['show', show, ['available', 'dnd'], ['asleep', '', null, 1]],
  ['flag', flag, [true, false, 0, 1], [2, '1', '', null, undefined]],
  ['nothing', nothing, [null], [undefined, '', 0, uid]],
  ['address', address, [uid], ['/domain/b.example/uid/1', `/domain/${domain}`, '', null, [uid]]],
  ['transport', transport, ['websocket', 'jsonp'], ['pigeon', null]],
  ['a text or null', orNull(text), [null, ''], [undefined, 1]],
  ['addresses', addresses, [[], [uid, uid]], [uid, null, { length: 0 }, [uid, '/domain/b.example/uid/1']]],
  [
    'moments',
    moments,
    [[], [[uid, 1]]],
    [[uid], [[uid]], [[1, 1]], [[uid, firstBeyond]], [['/domain/b.example/uid/1', 1]], null],
  ],
  [
    'packet',
    packet,
    [
      message,
      but(message, 2, null),
      [...message, ['n1', 5]],
      but(message, 3, { ...fields, avatar: 'a' }),
      ['status', uid, uid, { from: 'x', to: '1', nick: 'X', show: 'typing' }],
    ],
    [
      null,
      'message',
      but(message, 0, 'secret'),
      but(message, 1, '/domain/b.example/uid/1'),
      but(message, 2, '/domain/b.example/uid/1'),
      but(message, 2, 1),
      but(message, 3, null),
      but(message, 3, 'hi'),
      but(message, 3, bodiless),
      but(message, 3, { ...fields, body: undefined }),
      but(message, 3, { ...fields, style: 1 }),
      but(message, 3, { ...fields, avatar: {} }),
      [...message, 5],
      [...message, [1, 5]],
      [...message, ['n1', -5]],
    ],
  ],
  ['packets', packets, [[], [message]], [message, [message, 5]]],
  [
    'publication',
    publication,
    [published, but(published, 1, 2), but(published, 2, 1), but(published, 3, 5000)],
    [
      null,
      'a/b',
      but(published, 0, null),
      but(published, 1, 3),
      but(published, 1, '1'),
      but(published, 2, 2),
      but(published, 2, false),
      but(published, 3, 'soon'),
      but(published, 3, undefined),
      but(published, 4, {}),
      but(published, 5, null),
    ],
  ],
];

for (const [name, validator, right, wrong] of rows) {
  t.test(`${name} is what it says`, async (t) => {
    for (const value of right) t.ok(validator(value, domain), JSON.stringify(value));
    for (const value of wrong) t.notOk(validator(value, domain), JSON.stringify(value));
  });
}

t.test('every field of an item has its shape, and what stands behind them is a newer version’s', async (t) => {
  t.ok(fits([text, count], ['a', 1], domain));
  t.ok(fits([text, count], ['a', 1, 'new'], domain));
  t.notOk(fits([text, count], ['a'], domain));
  t.notOk(fits([text, count], [1, 'a'], domain));
});

t.test('signs of life and frames are what they say', async (t) => {
  const beat = ['b', 'n1', 5, 1, 'up', 0];
  const frame = ['d', 'n1', 5, 6, 1, 2, 0, []];
  t.strictSame(beatOf(JSON.stringify(beat), 1), beat);
  t.strictSame(frameOf(JSON.stringify(frame)), frame);
  t.doesNotThrow(() => beatOf('["b","n1",5,2,"new"]', 1), 'behind its number another protocol may say what it likes');
  const acknowledging = [...frame, 3, 4];
  t.strictSame(frameOf(JSON.stringify(acknowledging)), acknowledging);
  const wrongBeats = [
    {},
    ['x', 'n1', 5, 1, 'up', 0],
    but(beat, 1, ''),
    but(beat, 2, -1),
    but(beat, 4, 'away'),
    but(beat, 5, 2),
  ];
  for (const wrong of wrongBeats)
    t.throws(() => beatOf(JSON.stringify(wrong), 1), /of no known/, JSON.stringify(wrong));
  const wrongFrames = [
    {},
    but(frame, 0, 'b'),
    but(frame, 1, 7),
    but(frame, 3, 'x'),
    but(frame, 5, null),
    but(frame, 7, 'x'),
    but(acknowledging, 8, 'x'),
    but(acknowledging, 9, -1),
    acknowledging.slice(0, 9),
  ];
  for (const wrong of wrongFrames) t.throws(() => frameOf(JSON.stringify(wrong)), Error, JSON.stringify(wrong));
  t.strictSame(beatOf(beatText('"n1",5', 1, 'up', 0), 1), beat);
  t.strictSame(frameOf(dataText('"n1",5,6', [1, 2, false, ''], null)), frame);
  t.strictSame(frameOf(dataText('"n1",5,6', [1, 2, false, ''], [3, 4])), acknowledging);
  t.strictSame(namesOf('["n1","n2"]'), ['n1', 'n2']);
  for (const wrong of ['{}', '["n1",2]', '["n1"', '"n1"']) t.strictSame(namesOf(wrong), []);
});
