/** Parts of endpoints that a node which is gone had, and that another node has taken over: they count no more. */
import type { Address } from '../actors/address.js';
import type { Tracker } from '../actors/tracker.js';
import { peerOf } from './peer.js';
import type { Start } from './ticket-records.js';

/** Forgets the part that a start of a node had of an endpoint. The node may still be within its lease here. */
export function forgetPart(
  tracker: Pick<Tracker, 'records' | 'takenOver'>,
  address: Address,
  [name, incarnation]: Start,
): void {
  const record = tracker.records.get(address);
  const part = record?.parts.find(({ node }) => node.name === name && peerOf(node).incarnation <= incarnation);
  if (record && part) tracker.takenOver(record, part);
}
