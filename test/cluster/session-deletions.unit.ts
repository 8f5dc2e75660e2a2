/** Messages that are deleted while they wait in an MQTT session of a killed node, which no node has taken over yet. */
import t from 'tap';
import type { Deletion } from '../../src/actors/deletions.js';
import { Publication } from '../../src/actors/publication.js';
import type { SessionDomain } from '../../src/cluster/adopted.js';
import type { KeptStream } from '../../src/cluster/kept-stream.js';
import { deleteLeft } from '../../src/cluster/session-deletions.js';
import { StoredSessions } from '../../src/cluster/session-records.js';
import { wirePublicationOf } from '../../src/cluster/wire.js';
import type { Broker } from '../../src/protocols/mqtt/broker.js';
import { moverOf } from '../../src/protocols/mqtt/session-moving.js';
import { ManualClock } from '../mqtt/support/clock.js';
import { MemoryStream } from '../support/memory-stream.js';

const name = 'a.example';
const domain: SessionDomain = {
  ...{ name, settings: { durability: 'restart' }, stampOf: () => 1, lost: () => undefined },
  keep: () => undefined,
  isAt: () => false,
};
const mover = moverOf({ domain: { name } } as unknown as Broker);
const ofConversation: Deletion = { user: 'jack', other: 'anna', isOfRoom: false, id: null, bySite: true };

function sessionsOf(node: string, stream: MemoryStream): StoredSessions {
  const jetstream = { available: true, watchers: new Set<(available: boolean) => void>() };
  const options = { node, incarnation: 1, clock: new ManualClock() };
  return new StoredSessions({ ...options, jetstream, stream: stream as unknown as KeptStream });
}

/** What waits for a session, as its node keeps it. */
function textOf(from: string, id: string, topic = `/domain/${name}/uid/anna`): string {
  const payload = Buffer.from(JSON.stringify({ messages: [{ from, to: 'anna', type: 'chat', id, body: id }] }));
  const properties = Buffer.alloc(0);
  const more = { properties, retain: false, expiresAt: Number.POSITIVE_INFINITY, publisher: null };
  const publication = new Publication({ topic, payload, qos: 1, ...more });
  return JSON.stringify([wirePublicationOf(publication, 0), 1, false, [], 0]);
}

const state = JSON.stringify({ expiryS: null, lostAt: null, received: [], inFlight: [[1, 7, 0]] });
const fresh = [
  [1, textOf('jack', 'in flight')],
  [2, textOf('jack', 'two')],
  [3, textOf('bob', 'two')],
  [4, textOf('jack', 'four')],
  [5, textOf('jack', 'two', 'free')],
] as const;

/** The sessions `gone`, whose node has been killed, and `here`, whose node lives. */
function setUp() {
  const stream = new MemoryStream();
  const records = sessionsOf('n1', stream).of(domain);
  for (const clientId of ['gone', 'here']) records.put(clientId, { state, subscriptions: null, fresh });
  const remove = (deletion: Deletion): Promise<number> =>
    deleteLeft(
      stream as unknown as KeptStream,
      name,
      (clientId) => clientId === 'gone',
      (kept) => mover.deletedIn(kept, deletion),
    );
  /** The numbers of what a session has at the node that takes it over. */
  const takenOver = async (clientId: string): Promise<number[]> => {
    const sessions = sessionsOf('n2', stream);
    const found = await sessions.read(name, clientId);
    const kept = found && (await sessions.take(domain, found, 0));
    return kept?.fresh.map(([number]) => number) ?? [];
  };
  return { stream, remove, takenOver };
}

t.test(
  'what is deleted of a conversation does not come by an MQTT session of a killed node that is taken over later',
  async (t) => {
    const { remove, takenOver } = setUp();
    t.equal(await remove(ofConversation), 2);
    t.strictSame(await takenOver('gone'), [1, 3, 5], 'what was in flight, is another’s, or is no message');
    t.strictSame(await takenOver('here'), [1, 2, 3, 4, 5], 'a session that lives removes them itself');
    t.equal(await remove(ofConversation), 0);
  },
);

t.test('a single message that is deleted does not come by such a session either', async (t) => {
  const { remove, takenOver } = setUp();
  t.equal(await remove({ ...ofConversation, id: 'two' }), 1);
  t.strictSame(await takenOver('gone'), [1, 3, 4, 5]);
});

t.test('an earlier record with the number of a deleted publication does not come in its place', async (t) => {
  const { stream, remove, takenOver } = setUp();
  const key = [...stream.records.keys()].find((key) => key.startsWith('i.') && key.endsWith('.2')) as string;
  const later = key.split('.').with(-2, '99').join('.');
  stream.write(later, textOf('jack', 'later'), () => undefined);
  t.equal(await remove({ ...ofConversation, id: 'later' }), 1);
  t.strictSame(await takenOver('gone'), [1, 3, 4, 5]);
});

t.test('a deletion that JetStream does not carry out is not taken for done', async (t) => {
  const { stream, remove } = setUp();
  const erase = stream.erase.bind(stream);
  stream.erase = async (revision) => {
    stream.isLost = true;
    return erase(revision);
  };
  await t.rejects(remove(ofConversation));
  stream.isLost = false;
  // Another node, or the session's client, was faster.
  stream.erase = async (revision) => {
    await erase(revision);
    throw new Error('there is no such record');
  };
  t.equal(await remove(ofConversation), 2);
});
