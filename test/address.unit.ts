import t from 'tap';
import {
  addressOf,
  isAddressOf,
  isClientName,
  isId,
  type Node,
  parseTarget,
  shortId,
  shortIdOf,
} from '../src/actors/address.js';
import { legalIds, refusedIds } from './support/ids.js';
import fc, { anyText } from './support/properties.js';

const domain = 'a.example';
const nodes: readonly Node[] = ['uid', 'vid', 'gid', 'sid'];
const prefixed = /^(uid|vid|gid|sid):/;

/** Any text that section 2 allows as an id. */
const id = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 60 }).filter(isId);
const node = fc.constantFrom(...nodes);
const client = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 20 }).filter(isClientName);

t.test('legal ids are ids', async (t) => {
  for (const legal of legalIds) t.ok(isId(legal), JSON.stringify(legal));
});

t.test('an illegal id is refused bare, with a prefix and in a full address', async (t) => {
  for (const [why, refused] of refusedIds) {
    t.notOk(isId(refused), why);
    t.equal(parseTarget(domain, refused), null, why);
    t.equal(parseTarget(domain, `vid:${refused}`), null, why);
    t.equal(parseTarget(domain, `/domain/${domain}/uid/${refused}`), null, why);
  }
  t.notOk(isId('a\ud800b'), 'half a surrogate');
});

t.test('a short id is read as its node and its id', async (t) => {
  const rows: readonly (readonly [text: string, node: Node, id: string])[] = [
    ['1', 'uid', '1'],
    ['uid:1', 'uid', '1'],
    ['vid:abc', 'vid', 'abc'],
    ['sid:help', 'sid', 'help'],
    ['gid:r1', 'gid', 'r1'],
    ['a:b', 'uid', 'a:b'],
    ['UID:1', 'uid', 'UID:1'],
    ['xid:1', 'uid', 'xid:1'],
    ['uid:vid:x', 'uid', 'vid:x'],
    ['vid:uid:x', 'vid', 'uid:x'],
    [' uid: 1 ', 'uid', '1'],
    ['domain', 'uid', 'domain'],
  ];
  for (const [text, node, id] of rows) {
    const address = `/domain/${domain}/${node}/${id}`;
    t.strictSame(parseTarget(domain, text), { address, node, id, client: null }, text);
  }
  t.equal(parseTarget(domain, 'r1', 'gid')?.node, 'gid', 'a bare id is a room where the context says so');
  t.equal(parseTarget(domain, 'uid:1', 'gid')?.node, 'uid', 'a prefix says more than the context');
});

t.test('a full address is read like a short id and may name a terminal', async (t) => {
  const address = `/domain/${domain}/vid/x`;
  t.strictSame(parseTarget(domain, address), { address, node: 'vid', id: 'x', client: null });
  t.strictSame(parseTarget(domain, `${address}/client/phone`), { address, node: 'vid', id: 'x', client: 'phone' });
});

t.test('a text that is no address of this domain is refused', async (t) => {
  const refused = [
    '/',
    '//',
    '/domain',
    `/domain/${domain}`,
    `/domain/${domain}/uid`,
    `/domain/${domain}/uid/`,
    `/domain/${domain}/uid//client/x`,
    `/domain/${domain}/xid/1`,
    `/domain/${domain}/UID/1`,
    `/domain/${domain}/uid/1/`,
    `/domain/${domain}/uid/1/client`,
    `/domain/${domain}/uid/1/client/`,
    `/domain/${domain}/uid/1/clients/x`,
    `/domain/${domain}/uid/1/client/x/y`,
    `/domain/${domain}/uid/1/client/${'x'.repeat(65)}`,
    `domain/${domain}/uid/1`,
    '/domain/b.example/uid/1',
    '/domain//uid/1',
    `/Domain/${domain}/uid/1`,
    `/domain/${domain}/__proto__/1`,
    `/domain/${domain}/uid/+`,
    `/domain/${domain}/uid/#`,
  ];
  for (const text of refused) t.equal(parseTarget(domain, text), null, text);
});

t.test('a terminal’s name has 1 to 64 characters', async (t) => {
  t.ok(isClientName('x'));
  t.ok(isClientName('x'.repeat(64)));
  t.ok(isClientName('张'.repeat(64)));
  t.ok(isClientName('👍'.repeat(64)));
  t.notOk(isClientName(''));
  t.notOk(isClientName('x'.repeat(65)));
  t.notOk(isClientName('a/b'));
});

t.test('any endpoint’s short id reads back as that endpoint', async () => {
  fc.assert(
    fc.property(node, id, (node, id) => {
      const address = addressOf(domain, node, id);
      const short = shortId(domain, address);
      const read = parseTarget(domain, short, node === 'gid' ? 'gid' : 'uid');
      return short === shortIdOf(node, id) && read?.address === address && read.node === node && read.id === id;
    }),
  );
});

t.test('no two endpoints that may meet share a short id', async () => {
  const writer = fc.constantFrom<Node>('uid', 'vid', 'sid');
  const tricky = fc.tuple(fc.constantFrom('', 'uid:', 'vid:', 'sid:', 'gid:'), id).map(([head, tail]) => head + tail);
  fc.assert(
    fc.property(writer, tricky, writer, tricky, (node, id, otherNode, otherId) => {
      const isSame = node === otherNode && id === otherId;
      return isSame === (shortIdOf(node, id) === shortIdOf(otherNode, otherId));
    }),
  );
});

t.test('users and rooms are written bare unless their id reads like a prefixed one', async () => {
  fc.assert(
    fc.property(fc.constantFrom<Node>('uid', 'gid'), id, (node, id) => {
      return shortIdOf(node, id) === (prefixed.test(id) ? `${node}:${id}` : id);
    }),
  );
});

t.test('any full address reads back, with its terminal', async () => {
  fc.assert(
    fc.property(node, id, client, (node, id, client) => {
      const read = parseTarget(domain, `${addressOf(domain, node, id)}/client/${client}`);
      return read?.address === addressOf(domain, node, id) && read.client === client;
    }),
  );
});

t.test('the parser of addresses reads or refuses any text, and never throws', async () => {
  const anything = fc.oneof(
    anyText,
    fc.string().map((text) => `/domain/${domain}/${text}`),
  );
  fc.assert(
    fc.property(anything, (text) => {
      const read = parseTarget(domain, text);
      return read === null || (isId(read.id) && read.address === addressOf(domain, read.node, read.id));
    }),
  );
});

t.test('an address is told to be that of an id as if the text had been made', async (t) => {
  const parts = ['a', 'b/c', '', '/', 'uid', 'uid/a', 'gid', 'a.example', '中'];
  const address = addressOf('a.example', 'uid', 'a');
  for (const node of parts) {
    for (const id of parts) {
      t.equal(
        isAddressOf(address, 'a.example', node, id),
        address === `/domain/a.example/${node}/${id}`,
        `${node} ${id}`,
      );
    }
  }
});
