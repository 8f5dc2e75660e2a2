/** What a node that ends leaves of an endpoint's queues, in pieces where it is long. */
import t from 'tap';
import type { Address } from '../../src/actors/address.js';
import { LeftQueues } from '../../src/cluster/left-queues.js';
import { MemoryStream } from '../support/memory-stream.js';

const name = 'a.example';
const address = '/domain/a.example/uid/jack' as Address;

/** A stream with what a node has left in some twenty pieces, and the number of these. */
async function leave() {
  const stream = new MemoryStream();
  const left = new LeftQueues(stream.portOf({ isDead: false }));
  const text = JSON.stringify({ queues: null, packets: [], at: 0, rest: 'x'.repeat(2_000_000) });
  const count = Number(await left.write(name, address, ['n1', 1], text));
  const read = (pieces: unknown) => left.read(name, address, ['n1', 1], pieces);
  return { stream, count, read };
}

t.test('what was left in many pieces is read from all of them', async (t) => {
  const { stream, count, read } = await leave();
  t.strictSame(await read(count), { queues: null, packets: [] });
  t.equal(stream.reads, count);
});

t.test('a damaged record that names more pieces than there are does not have them all asked for', async (t) => {
  const { stream, count, read } = await leave();
  t.equal(await read(100_000), null);
  t.ok(stream.reads < 2 * count, `${stream.reads} pieces were asked for`);
  for (const pieces of [0, -1, 1.5, count - 1]) t.equal(await read(pieces), null);
});
