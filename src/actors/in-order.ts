/** Messages that stand in several queues, as one list. */
import type { Packet } from './packet.js';

/** A place in the list: of a message, or (null) the end of the list. */
interface Place {
  readonly packet: Packet | null;
  /** The place before this one; null: this is the first. */
  before: Place | null;
}

/** Lists of messages as one, without repetitions: what a list alone has stands before what follows it there and an earlier list has. */
export function inOrder(lists: Iterable<readonly Packet[]>): readonly Packet[] {
  const end: Place = { packet: null, before: null };
  const places = new Map<Packet, Place>();
  for (const list of lists) {
    // Backwards, so that the place is known before which a message comes that earlier lists do not have.
    let next = end;
    for (const packet of list.toReversed()) {
      const known = places.get(packet);
      next = known ?? putBefore(next, packet);
      if (!known) places.set(packet, next);
    }
  }
  const packets: Packet[] = [];
  for (let place = end.before; place?.packet; place = place.before) packets.push(place.packet);
  return packets.reverse();
}

function putBefore(next: Place, packet: Packet): Place {
  next.before = { packet, before: next.before };
  return next.before;
}
