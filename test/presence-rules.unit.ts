import t from 'tap';
import { appearance, isShow, SHOWS, type Show, transition } from '../src/actors/presence.js';
import fc from './support/properties.js';

const show = fc.constantFrom<Show>(...SHOWS);
const status = fc.constantFrom('', 'out', 'busy');

t.test('there are seven shows', async (t) => {
  t.strictSame([...SHOWS].sort(), ['available', 'away', 'busy', 'chat', 'dnd', 'invisible', 'unavailable']);
  for (const text of ['', 'Away', 'offline', '__proto__', 'toString', 'length']) t.notOk(isShow(text), text);
  for (const text of SHOWS) t.ok(isShow(text));
});

t.test('invisible and unavailable look offline, whatever their status says', async (t) => {
  t.equal(appearance('invisible', 'x'), null);
  t.equal(appearance('unavailable', 'x'), null);
  t.strictSame({ ...appearance('away', 'out') }, { show: 'away', status: 'out' });
});

t.test('a watcher who applies each change to what it knew knows how the endpoint looks', async () => {
  const change = fc.record({ show, status });
  fc.assert(
    fc.property(fc.array(change, { maxLength: 20 }), (changes) => {
      let real = null as ReturnType<typeof appearance>;
      let known = null as ReturnType<typeof appearance>;
      for (const { show, status } of changes) {
        const next = appearance(show, status);
        const told = transition(real, next);
        if (told === 'online' && known !== null) return false;
        if (told === 'show' && known === null) return false;
        if (told === 'offline' && known === null) return false;
        if (told !== null) known = told === 'offline' ? null : next;
        real = next;
        if (JSON.stringify(known) !== JSON.stringify(real)) return false;
      }
      return transition(real, real) === null;
    }),
    { numRuns: 500 },
  );
});
