/** MQTT sessions in JetStream whose node has not had the answer to the first write of their heads. */
import t from 'tap';
import type { SessionDomain } from '../../src/cluster/adopted.js';
import type { KeptStream } from '../../src/cluster/kept-stream.js';
import { StoredSessions } from '../../src/cluster/session-records.js';
import { ManualClock } from '../mqtt/support/clock.js';
import { MemoryStream } from '../support/memory-stream.js';

const clientId = 'backend';
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** A node with a session. */
function nodeOn(stream: MemoryStream) {
  const jetstream = { available: true, watchers: new Set<(available: boolean) => void>() };
  const clock = new ManualClock();
  const [node, incarnation] = ['n1', 1];
  const sessions = new StoredSessions({ jetstream, stream: stream as unknown as KeptStream, node, incarnation, clock });
  const state = { now: 'first' };
  const domain: SessionDomain = {
    ...{ name: 'a.example', settings: { durability: 'always' }, stampOf: () => 1, lost: () => undefined },
    keep: () => put(),
    isAt: () => false,
  };
  const records = sessions.of(domain);
  const put = (): void => records.put(clientId, { state: state.now, subscriptions: null, fresh: [[1, 'hello']] });
  return { jetstream, clock, sessions, records, state, put };
}

/** A session whose first head is in JetStream, which has not said so; JetStream is there again, and the node is reading the head. */
function setUp() {
  const stream = new MemoryStream();
  const { jetstream, clock, sessions, records, state, put } = nodeOn(stream);
  const setAvailable = (available: boolean): void => {
    stream.isLost = !available;
    jetstream.available = available;
    for (const watcher of jetstream.watchers) watcher(available);
  };
  stream.onWrite = () => setAvailable(false);
  put();
  stream.onWrite = () => undefined;
  setAvailable(true);
  return { stream, sessions, records, state, setAvailable, clock };
}

t.test('a session that ends before its node knows its head leaves nothing in JetStream', async (t) => {
  const { stream, records } = setUp();
  t.equal(stream.records.size, 1);
  records.end(clientId);
  await turn();
  t.equal(stream.records.size, 0);
});

t.test('what is to be written before the head of its session is known counts as written when it is', async (t) => {
  const { stream, sessions, records, state } = setUp();
  state.now = 'second';
  let isWritten = false;
  records.committed(clientId, () => {
    isWritten = true;
  });
  t.notOk(isWritten);
  await turn();
  t.ok(isWritten);
  t.strictSame([(await sessions.read('a.example', clientId))?.state, stream.records.size], ['second', 2]);
});

t.test(
  'a session that ends while JetStream is away leaves nothing there, though its head had been written',
  async (t) => {
    const { stream, records, state, setAvailable } = setUp();
    await turn();
    t.equal(stream.records.size, 2);
    state.now = 'second';
    // The head is written, and the answer is lost.
    stream.onWrite = () => setAvailable(false);
    records.committed(clientId, () => undefined);
    stream.onWrite = () => undefined;
    records.end(clientId);
    await turn();
    setAvailable(true);
    await turn();
    t.strictSame([...stream.records.keys()], []);
  },
);

t.test('the head of a session that has ended is removed again until JetStream has done so', async (t) => {
  const { stream, records, setAvailable } = setUp();
  await turn();
  stream.isLost = true;
  records.end(clientId);
  await turn();
  t.equal(stream.records.size, 2);
  setAvailable(true);
  await turn();
  t.strictSame(
    [...stream.records.keys()].filter((key) => key.startsWith('h.')),
    [],
  );
});

t.test('a session that begins anew while the end of the one before is not told stays', async (t) => {
  const { stream, sessions, records, setAvailable } = setUp();
  await turn();
  stream.isLost = true;
  records.end(clientId);
  await turn();
  records.put(clientId, { state: 'another', subscriptions: null, fresh: [] });
  setAvailable(true);
  await turn();
  await turn();
  t.equal((await sessions.read('a.example', clientId))?.state, 'another');
});

t.test('a damaged head of a session is taken for none, and gives way to the next one', async (t) => {
  for (const data of ['{"no": "JSON', 'null', '["a.example"]']) {
    const stream = new MemoryStream();
    const { sessions, records, put } = nodeOn(stream);
    put();
    await turn();
    const [key] = [...stream.records.keys()].filter((one) => one.startsWith('h.'));
    records.end(clientId);
    await turn();
    stream.write(String(key), data, () => undefined);
    t.equal(await sessions.read('a.example', clientId), null);
    t.strictSame(await sessions.clientIds('a.example'), []);
    let writes = 0;
    stream.onWrite = () => {
      writes += 1;
    };
    put();
    for (let n = 0; n < 10; n += 1) await turn();
    t.equal((await sessions.read('a.example', clientId))?.state, 'first');
    t.ok(writes < 5, `${writes} writes`);
  }
});
