/** Everything that another node is to know of this node's part of a domain, as items: it has come, or has not been heard of for a while. */
import { nodesOf, partOf } from '../actors/endpoint-record.js';
import type { SignOuts } from '../actors/sign-outs.js';
import type { Tracker } from '../actors/tracker.js';
import type { Items } from './items.js';
import type { LeftRooms } from './left-rooms.js';
import { type Peer, peerOf } from './peer.js';
import { slices } from './pieces.js';

/** How many signed-out names or tickets one item has at most. */
const SIGN_OUTS = 100;

/** What tells a part of the snapshot by itself. */
interface Part {
  snapshot(): Iterable<string>;
}

export interface SnapshotParts {
  readonly domain: { readonly signOuts: Pick<SignOuts, 'entries' | 'ended'> };
  readonly items: Items;
  readonly tracker: Pick<Tracker, 'here' | 'records'>;
  readonly left: Pick<LeftRooms, 'moments'>;
  readonly awayCounts: { snapshot(): string };
  readonly interest: Part;
  readonly topics: Part;
  readonly sessions: Part;
}

export function* snapshotOf(cluster: SnapshotParts, peer: Peer): Iterable<string> {
  const { items, tracker, left } = cluster;
  for (const record of tracker.here()) {
    const { address, birth, watching } = record;
    if (birth === 0) continue;
    yield items.cameUp(record);
    const hearers = watching.filter((buddy) => nodesOf(tracker.records.get(buddy)).map(peerOf).includes(peer));
    if (hearers.length > 0) yield items.watches(address, hearers);
    if (!partOf(record, peer)) continue;
    yield items.connected(record);
    const moments = left.moments(address);
    if (moments.length > 0) yield items.mirror(address, { left: moments });
  }
  yield* signOuts(cluster);
  yield cluster.awayCounts.snapshot();
  yield* cluster.interest.snapshot();
  yield* cluster.topics.snapshot();
  yield* cluster.sessions.snapshot();
}

function* signOuts({ items, domain }: SnapshotParts): Iterable<string> {
  for (const names of slices([...domain.signOuts.entries()], SIGN_OUTS)) yield items.signedOutByName(false, names);
  for (const tickets of slices(domain.signOuts.ended(), SIGN_OUTS)) yield items.ticketsSignedOut(tickets);
}
