/** What is in flight to one client, on its own: identifiers, the receive maximum, sending again, QoS 2. */
import fc from 'fast-check';
import t from 'tap';
import { Inflight } from '../../src/protocols/mqtt/inflight.js';

function send(inflight: Inflight<string>, item: string, qos: 1 | 2 = 1): number {
  const entry = inflight.add(item, qos);
  inflight.sent(entry);
  return entry.id;
}

/** Sends again what an earlier connection had in flight, as far as the client takes it. */
function sendAgain(inflight: Inflight<string>): [id: number, item: string, released: boolean][] {
  const again: [number, string, boolean][] = [];
  for (let entry = inflight.nextAgain(); entry; entry = inflight.nextAgain()) {
    if (!entry.released && !inflight.hasQuota) break;
    again.push([entry.id, entry.item, entry.released]);
    inflight.sent(entry);
  }
  return again;
}

t.test(
  'A client takes as many publications as its receive maximum, and one more for each that it acknowledges',
  (t) => {
    const inflight = new Inflight<string>();
    t.notOk(inflight.hasQuota, 'without a connection it takes none');
    inflight.connected(2);
    t.equal(send(inflight, 'a'), 1);
    t.ok(inflight.hasQuota);
    t.equal(send(inflight, 'b'), 2);
    t.notOk(inflight.hasQuota);
    t.match(inflight.acknowledge({ cmd: 'puback', id: 1, reason: 0 }), { kind: 'completed', entry: { item: 'a' } });
    t.ok(inflight.hasQuota);
    t.match(inflight.acknowledge({ cmd: 'puback', id: 1, reason: 0 }), { kind: 'unknown' });
    t.equal(send(inflight, 'c'), 3, 'an identifier that is free again is not the next');
    t.notOk(inflight.hasQuota, 'what is acknowledged twice makes room once');
    t.end();
  },
);

t.test(
  'A publication of QoS 2 completes by PUBREC and PUBCOMP, and PUBREC with a refusal completes it at once',
  (t) => {
    const inflight = new Inflight<string>();
    inflight.connected(10);
    const id = send(inflight, 'a', 2);
    t.match(inflight.acknowledge({ cmd: 'puback', id, reason: 0 }), { kind: 'breach' });
    t.match(inflight.acknowledge({ cmd: 'pubcomp', id, reason: 0 }), { kind: 'breach' }, 'PUBREC has not come');
    t.match(inflight.acknowledge({ cmd: 'pubrec', id, reason: 0x10 }), { kind: 'release', entry: { item: 'a' } });
    t.match(inflight.acknowledge({ cmd: 'pubrec', id, reason: 0 }), { kind: 'release', entry: { item: 'a' } });
    t.match(inflight.acknowledge({ cmd: 'pubcomp', id, reason: 0 }), { kind: 'completed', entry: { item: 'a' } });
    t.strictSame(inflight.acknowledge({ cmd: 'pubrec', id, reason: 0 }), { kind: 'release', entry: null });
    t.match(inflight.acknowledge({ cmd: 'pubrec', id, reason: 0x92 }), { kind: 'unknown' });
    const refused = send(inflight, 'b', 2);
    t.match(inflight.acknowledge({ cmd: 'pubrec', id: refused, reason: 0x97 }), { kind: 'completed' });
    const first = send(inflight, 'c');
    t.match(inflight.acknowledge({ cmd: 'pubrec', id: first, reason: 0 }), { kind: 'breach' }, 'QoS 1 knows no PUBREC');
    t.equal(inflight.size, 1);
    t.end();
  },
);

t.test(
  'A new connection is sent what was in flight again, in order, under its identifiers, and PUBREL where that is due',
  (t) => {
    const inflight = new Inflight<string>();
    inflight.connected(10);
    for (const item of ['a', 'b', 'c']) send(inflight, item, 2);
    inflight.acknowledge({ cmd: 'pubrec', id: 2, reason: 0 });
    inflight.disconnected();
    t.notOk(inflight.hasQuota);
    inflight.connected(1);
    t.notOk(inflight.isCaughtUp);
    t.strictSame(sendAgain(inflight), [
      [1, 'a', false],
      [2, 'b', true],
    ]);
    t.notOk(inflight.isCaughtUp, 'the client takes no more');
    inflight.acknowledge({ cmd: 'pubrec', id: 1, reason: 0x80 });
    t.strictSame(sendAgain(inflight), [[3, 'c', false]]);
    t.ok(inflight.isCaughtUp);
    t.end();
  },
);

t.test('What is acknowledged before it was sent again is not sent again', (t) => {
  const inflight = new Inflight<string>();
  inflight.connected(10);
  for (const item of ['a', 'b']) send(inflight, item);
  inflight.connected(10);
  inflight.acknowledge({ cmd: 'puback', id: 1, reason: 0 });
  t.strictSame(sendAgain(inflight), [[2, 'b', false]]);
  t.end();
});

t.test('Identifiers count on from what was restored, begin again at 1, and pass over those in flight', (t) => {
  const inflight = new Inflight<string>();
  inflight.restore(65_534, 'kept', 1, false);
  inflight.restore(65_535, 'released', 2, true);
  inflight.connected(10);
  t.strictSame(sendAgain(inflight), [
    [65_534, 'kept', false],
    [65_535, 'released', true],
  ]);
  t.equal(send(inflight, 'a'), 1);
  inflight.clear();
  t.equal(inflight.size, 0);
  inflight.restore(1, 'x', 1, false);
  inflight.restore(65_535, 'y', 1, false);
  t.equal(inflight.add('b', 1).id, 2);
  t.end();
});

t.test(
  'No identifier is in flight twice, and no more is unacknowledged than the receive maximum, whatever happens',
  (t) => {
    const step = fc.oneof(
      fc.record({ do: fc.constant('send' as const), qos: fc.constantFrom(1 as const, 2 as const) }),
      fc.record({
        do: fc.constantFrom('puback' as const, 'pubrec' as const, 'pubcomp' as const),
        id: fc.integer({ min: 1, max: 12 }),
        reason: fc.constantFrom(0, 0x80),
      }),
      fc.record({ do: fc.constant('connect' as const), maximum: fc.integer({ min: 1, max: 4 }) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const inflight = new Inflight<string>();
        let maximum = 3;
        inflight.connected(maximum);
        const ids = new Set<number>();
        const unacknowledged = () =>
          [...inflight.entries()].filter(({ released, waits }) => !released && !waits).length;
        for (const next of steps) {
          if (next.do === 'connect') {
            maximum = next.maximum;
            inflight.connected(maximum);
            sendAgain(inflight);
          } else if (next.do === 'send') {
            if (!inflight.hasQuota || !inflight.isCaughtUp) continue;
            const id = send(inflight, 'x', next.qos);
            if (ids.has(id)) return false;
            ids.add(id);
          } else {
            const { kind } = inflight.acknowledge({ cmd: next.do, id: next.id, reason: next.reason });
            if (kind === 'completed' && !ids.delete(next.id)) return false;
            sendAgain(inflight);
          }
          if (unacknowledged() > maximum || inflight.size !== ids.size) return false;
        }
        return true;
      }),
      { seed: 7, numRuns: 500 },
    );
    t.end();
  },
);
