/** Which clients of a node that is gone have which of the messages that JetStream has for their endpoint. */
import t from 'tap';
import type { Target } from '../../src/actors/address.js';
import type { KeptEndpoint } from '../../src/actors/kept.js';
import { partOf, queuesOf, withMore } from '../../src/cluster/found-parts.js';
import type { FoundPart } from '../../src/cluster/ticket-records.js';

const target = { node: 'uid', id: 'ada' } as Target;
const client = (name: string) => ({ hash: name, name, isNamed: false, isAway: false });
const kept = { clients: [client('first'), client('second')] } as unknown as KeptEndpoint;

t.test('each client has all messages, in order, where none came later than one of them', async (t) => {
  const { unseen, clients } = withMore(queuesOf(target, kept), [0, 1], () => true);
  t.strictSame(unseen, [0, 1]);
  t.strictSame(
    clients.map(({ name, accepted, entries, elders }) => [name, accepted, entries, elders]),
    [
      ['first', 2, [0, 1], null],
      ['second', 2, [0, 1], null],
    ],
  );
});

t.test(
  'a client has no message that came before it, which would be behind later ones, until the others end',
  async (t) => {
    const isFor = (name: string, number: number) => name === 'first' || number >= 2;
    const { unseen, clients } = withMore(queuesOf(target, kept), [0, 1, 2], isFor);
    t.strictSame(unseen, [0, 1, 2], 'for the next client');
    t.strictSame(
      clients.map(({ accepted, entries, elders, given }) => [accepted, entries, elders, given]),
      [
        [3, [0, 1, 2], null, []],
        [1, [2], [['first', 2]], [2]],
      ],
    );
  },
);

t.test(
  'a client of two nodes that have died one after the other, the second as it took the client over, is taken over once',
  (t) => {
    const part = (node: string, revision: number, adopter: string): FoundPart =>
      ({ node, kept, revision, adopter: [adopter, 1] }) as unknown as FoundPart;
    // A node takes the client over from the second one, of which another node that comes then learns.
    t.equal(partOf([part('n1', 1, 'n2'), part('n2', 3, 'n3')], 'first')?.node, 'n2');
    t.end();
  },
);
