import t from 'tap';
import { Publication } from '../../src/actors/publication.js';
import { Items } from '../../src/cluster/items.js';
import { Topics } from '../../src/cluster/topics.js';

/** A node that has no peers yet. */
function withoutPeers(): Topics {
  let stamp = 0;
  return new Topics({
    items: new Items('a.example', { name: 'n1', encode: () => '' }, () => 0),
    mesh: { peers: new Map(), send: () => undefined, broadcast: () => undefined },
    stamps: { next: () => ++stamp, heard: () => undefined },
    interest: { isEmpty: true, peers: () => new Set(), count: () => undefined },
    settled: (done) => done(),
    now: () => 0,
  });
}

function retained(topic: string): Publication {
  const fields = { qos: 1, retain: true, properties: Buffer.alloc(0), publisher: null } as const;
  return new Publication({ ...fields, topic, payload: Buffer.from('x'), expiresAt: Number.POSITIVE_INFINITY });
}

t.test('retained publications that a broker has no room for are not held for other nodes either', async (t) => {
  const topics = withoutPeers();
  topics.publish(retained('early/1'));
  topics.publish(retained('early/2'));
  const kept = new Set<string>();
  topics.attach({
    deliver: () => undefined,
    keep: ({ topic }) => kept.size < 3 && kept.add(topic).has(topic),
    assign: () => undefined,
  });
  for (let i = 0; i < 100; i++) topics.publish(retained(`t/${i}`));
  const told = [...topics.snapshot()].map(
    (item) => (JSON.parse(item) as [string, string, number, number, [string]])[4][0],
  );
  t.strictSame(told, ['early/1', 'early/2', 't/0']);
});
