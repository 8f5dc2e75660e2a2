/** Finding the node of a ticket whose own node is silent, and of one that a node has taken over. */
import t from 'tap';
import type { Address } from '../../src/actors/address.js';
import { Tickets } from '../../src/actors/tickets.js';
import type { Adopted } from '../../src/cluster/adopted.js';
import { Peer } from '../../src/cluster/peer.js';
import { type Whereabout, Whereabouts } from '../../src/cluster/whereabouts.js';

const alice = '/domain/a.com/uid/alice' as Address;
const token = `6e31${'0'.repeat(32)}`;
const home = new Peer('n1', 1, 0, false);

/** What a search comes to where the ticket's node answers `answer` (null: nothing in time), and JetStream says that `adopted` has the endpoint. */
function find(
  answer: string | false | null,
  adopted: Adopted,
  tickets: Pick<Tickets, 'find'> = new Tickets(),
): Promise<Whereabout> {
  const whereabouts = new Whereabouts({
    domain: { name: 'a.com', tickets },
    node: {
      homeOf: () => home,
      rpc: {
        call: (_peer, _kind, _fields, _ms, done) => setImmediate(done, answer),
        callAll: () => undefined,
        expect: () => 0,
        answer: () => undefined,
        withdraw: () => null,
      },
      isAnswering: false,
      leaving: {
        isActive: false,
        whenMoved: (_address, done) => done(),
        whenAllMoved: (done) => done(),
        whenPassedOn: (_address, done) => done(),
        movesTo: () => null,
      },
    },
    peersOf: () => [],
    orphans: {
      mayKnow: () => true,
      find: (_address, _token, done) => done(adopted),
      laterS: () => 1,
      isOrphan: () => false,
      revive: () => false,
      isTaking: () => false,
      whenTaken: (_a, done) => done(adopted !== 'later'),
    },
  });
  return new Promise((resolve) => whereabouts.find(alice, token, false, resolve));
}

t.test('a client whose node does not answer and does not count as gone yet is to come later', async (t) => {
  t.equal(await find(null, { peer: home }), 'later');
});

t.test('a ticket that its node does not know is unknown', async (t) => {
  t.equal(await find(false, { peer: home }), null);
});

t.test('a ticket that its node knows is found there, and one whose endpoint is taken over is found here', async (t) => {
  t.strictSame(await find('1', null), { peer: home, name: '1' });
  t.equal(await find(null, 'here'), 'here');
});

t.test('a client whose endpoint is being taken over here is to come later where too many wait for that', async (t) => {
  const tickets = { find: () => ({ address: alice }) } as unknown as Tickets;
  t.equal(await find(null, 'here', tickets), 'here');
  t.equal(await find(null, 'later', tickets), 'later');
});
