import t from 'tap';
import { Aliases } from '../../src/protocols/mqtt/aliases.js';

t.test('Topics get as many aliases as the client allows, then a new topic takes the oldest one', async (t) => {
  const aliases = new Aliases(2);
  const assign = (topic: string) => {
    const { next } = aliases;
    aliases.assign(topic);
    return next;
  };
  t.equal(aliases.known('a'), 0);
  t.equal(assign('a'), 1);
  t.equal(assign('b'), 2);
  t.equal(assign('c'), 1);
  t.equal(aliases.known('a'), 0);
  t.equal(aliases.known('b'), 2);
  t.equal(aliases.known('c'), 1);
  t.equal(assign('d'), 2);
});

t.test('A client that allows no aliases gets none', async (t) => {
  t.equal(new Aliases(0).next, 0);
});
