/** What a node makes of packets that come back from another node, or that are for a connection here. */
import t from 'tap';
import type { Address } from '../../src/actors/address.js';
import type { EndpointMessage } from '../../src/actors/endpoint.js';
import { Packet } from '../../src/actors/packet.js';
import type { CountedFrame } from '../../src/actors/transport.js';
import { type Recipients, take } from '../../src/cluster/incoming.js';
import { Items } from '../../src/cluster/items.js';
import { Peer } from '../../src/cluster/peer.js';
import { RemoteTransports } from '../../src/cluster/remote-transport.js';
import { wireOf } from '../../src/cluster/wire.js';

const NOW = 1_000_000;
const LATER = 5000;
const ada = '/domain/a.example/uid/ada' as Address;

/** A message that nobody is to receive after `NOW + LATER`, as another node writes it. */
function expiring(): unknown {
  const fields = { from: 'bob', to: 'ada', nick: 'B', timestamp: '1', type: 'chat', body: 'hi', style: '' } as const;
  const packet = new Packet('message', fields as never, ada, null);
  packet.expiresAt = NOW + LATER;
  return JSON.parse(wireOf(packet, () => JSON.stringify(fields), 'n2', NOW));
}

function node() {
  const told: EndpointMessage[] = [];
  const frames: CountedFrame[] = [];
  const pushed: Packet[] = [];
  const resumed: unknown[] = [];
  const client = { name: 'tab', endpoint: { tell: (message: EndpointMessage) => void told.push(message) } };
  const tickets = { find: (token: string) => (token === 'token' ? client : undefined) };
  const items = new Items('a.example', { name: 'n1', encode: () => '{}' }, () => NOW);
  const recipients = {
    domain: { name: 'a.example', tickets, trace: null, runtime: { clock: { now: () => NOW } } },
    remoteTransports: new RemoteTransports({ tickets } as never, items, { send: () => undefined }, () => false),
    remoteClients: {
      resumed: (...told: unknown[]) => void resumed.push(told),
      frame: (_id: number, frame: CountedFrame) => void frames.push(frame),
      push: (_id: number, packets: readonly Packet[]) => void pushed.push(...packets),
    },
  } as unknown as Recipients;
  const peer = new Peer('n2', 1, 0, false);
  const takes = (kind: string, ...fields: unknown[]) => take(recipients, peer, kind, fields);
  return { told, frames, pushed, resumed, items, takes };
}

t.test('a packet that a connection elsewhere gives back expires when it would have, not at once', async (t) => {
  const { told, takes } = node();
  takes('va', 1, 'token', 'websocket', 0);
  t.equal(takes('vd', 1, 'token', 0, [expiring(), expiring()]), 'taken');
  const [, detach] = told;
  if (detach?.kind !== 'detach') throw new Error('not detached');
  t.strictSame(
    detach.unsent.map(({ expiresAt }) => expiresAt),
    [NOW + LATER, NOW + LATER],
  );
  takes('vd', 2, 'token', 0, [expiring()]);
  t.match(told[2], { kind: 'deliver', packet: { expiresAt: NOW + LATER }, only: 'tab' }, 'nor of one taken for lost');
});

t.test('a packet for a connection here expires when it would have', async (t) => {
  const { frames, pushed, takes } = node();
  t.equal(takes('vp', 1, [expiring()]), 'taken');
  t.equal(takes('vf', 1, null, 0, 0, 'e.1', [expiring()]), 'taken');
  t.match([pushed, frames[0]?.packets], [[{ expiresAt: NOW + LATER }], [{ expiresAt: NOW + LATER }]]);
});

t.test(
  'a client on another node is told that it goes on from a position, or that what it had confirmed is unknown',
  async (t) => {
    const { items, resumed, takes } = node();
    for (const at of [{ era: 'e', n: 7 }, 'first'] as const) {
      const [kind, _domain, ...fields] = JSON.parse(items.resumed(1, at)) as [string, string, ...unknown[]];
      t.equal(takes(kind, ...fields), 'taken');
    }
    t.strictSame(resumed, [
      [1, 'e.7'],
      [1, '0'],
    ]);
  },
);
