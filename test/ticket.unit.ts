import t from 'tap';
import { isId } from '../src/actors/address.js';
import { formatTicket, newToken, parseTicket } from '../src/actors/ticket.js';
import fc, { anyText } from './support/properties.js';

const id = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 40 }).filter(isId);
const node = fc.constantFrom('uid', 'vid', 'sid' as const);

t.test('any ticket reads back, whatever colons its id has', async () => {
  const tricky = fc.tuple(fc.constantFrom('', ':', 'uid:', 'a:b:'), id).map(([head, tail]) => head + tail);
  fc.assert(
    fc.property(node, fc.oneof(id, tricky), (node, id) => {
      const token = newToken();
      const read = parseTicket(formatTicket(node as 'uid', id, token));
      return read?.node === node && read.id === id && read.token === token;
    }),
  );
});

t.test('tokens are 128 bits of lower-case hex and never the same', async (t) => {
  const tokens = new Set<string>();
  for (let n = 0; n < 2000; n++) {
    const token = newToken();
    if (!/^[0-9a-f]{32,}$/.test(token)) t.fail(token);
    tokens.add(token);
  }
  t.equal(tokens.size, 2000);
});

t.test('a text that cannot be a ticket is refused', async (t) => {
  const token = '0123456789abcdef0123456789abcdef';
  const refused = ['', ':', '::', 'uid', 'uid:1', `uid:${token}`, 'uid:1:', 'uid:1:xyz', `uid:1:${token.slice(1)}`];
  for (const text of [...refused, `uid:1:${token.toUpperCase()}`, `uid:1:${token}\n`, `uid:1:${token} `]) {
    t.equal(parseTicket(text), null, JSON.stringify(text));
  }
});

t.test('the parser of tickets reads or refuses any text, and never throws', async () => {
  fc.assert(
    fc.property(anyText, (text) => {
      const read = parseTicket(text);
      return read === null || `${read.node}:${read.id}:${read.token}` === text;
    }),
  );
});
