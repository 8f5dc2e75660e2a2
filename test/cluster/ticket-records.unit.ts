/** Records of endpoints in JetStream whose writes fail while a further change waits. */
import t from 'tap';
import type { Address } from '../../src/actors/address.js';
import type { KeptEndpoint } from '../../src/actors/kept.js';
import { JetStreamError } from '../../src/cluster/jetstream-port.js';
import type { KeptStream } from '../../src/cluster/kept-stream.js';
import { TicketRecords } from '../../src/cluster/ticket-records.js';

type Answer = (revision: number | JetStreamError) => void;
const address = '/domain/a.example/user/one' as Address;

function setUp() {
  const written: { readonly nick: string; readonly answer: Answer }[] = [];
  const erased: number[] = [];
  const jetstream = { available: true, watchers: new Set<(available: boolean) => void>() };
  const stream = {
    write: (_key: string, data: string, answer: Answer) => {
      const [, , , , kept] = JSON.parse(data) as [unknown, unknown, unknown, unknown, KeptEndpoint];
      written.push({ nick: kept.nick, answer });
    },
    erase: async (revision: number) => void erased.push(revision),
  } as unknown as KeptStream;
  const records = new TicketRecords({ jetstream, stream, node: 'n', incarnation: 1, onConflict: () => undefined });
  return {
    written,
    erased,
    records,
    put: (nick: string) => records.put('a.example', address, { nick } as KeptEndpoint),
    answer: (revision: number | JetStreamError) => written.shift()?.answer(revision),
    setAvailable(available: boolean): void {
      jetstream.available = available;
      for (const watcher of jetstream.watchers) watcher(available);
    },
  };
}

t.test('the record of an endpoint that ended while JetStream was lost is removed, and not written again', async (t) => {
  const { written, erased, records, put, answer, setAvailable } = setUp();
  put('before');
  answer(5);
  put('on its way');
  records.remove('a.example', address);
  setAvailable(false);
  answer(new JetStreamError('unavailable', 'lost'));
  setAvailable(true);
  t.strictSame([written, erased], [[], [5]]);
});

t.test('a record that JetStream refuses does not keep the next one from it', async (t) => {
  const { written, put, answer, records } = setUp();
  put('too long');
  put('short');
  answer(new JetStreamError('refused', 'too long'));
  t.strictSame(
    written.map(({ nick }) => nick),
    ['short'],
  );
  answer(1);
  t.equal(records.waiting, 0);
});
