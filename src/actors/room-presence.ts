/** Tells rooms of a change of an endpoint that is in them, was in them or enters them. PROTOCOL.md section 4. */
import type { Address } from './address.js';
import type { Change, EndpointRecord } from './endpoint-record.js';
import { lookup } from './lists.js';
import type { Rooms } from './rooms.js';
import type { PresenceListener } from './tracker.js';

type Transition = 'online' | 'offline' | 'show' | null;

/** How an endpoint was before a change. */
export interface Before {
  /** The rooms that the endpoint was in. */
  readonly rooms: readonly Address[];
  /** Whether others saw the endpoint as online. */
  readonly isVisible: boolean;
}

export class RoomPresence {
  constructor(
    private readonly rooms: Rooms,
    private readonly listener: PresenceListener,
  ) {}

  /**
   * An endpoint has moved between rooms, or changed in them. `isStill`: it has a part on this node alone, and is still online, or
   * still offline; then entering one more room costs the same however many rooms the endpoint is in.
   */
  moved(
    record: EndpointRecord,
    before: Before,
    after: readonly Address[],
    type: Transition,
    change: Change,
    isStill: boolean,
  ): void {
    const added = isStill && (type === null || type === 'show') ? addedTo(before.rooms, after) : null;
    if (added === null) {
      this.#left(record, before, after, change.nick ?? null);
      this.#entered(record, before, after, type, change);
    } else {
      this.rooms.place(record, added, 'here');
      if (record.appearance) this.listener.inRoom(record, added, change.type, change.nick ?? null);
    }
  }

  /** An endpoint has left rooms: those that it was in and is not in `after`. */
  #left(record: EndpointRecord, before: Before, after: readonly Address[], nick: string | null): void {
    const stays = lookup(after);
    for (const room of before.rooms) {
      if (stays(room)) continue;
      this.rooms.place(record, room, null);
      if (before.isVisible) this.listener.inRoom(record, room, record.appearance ? 'leave' : 'grpoffline', nick);
    }
  }

  /** An endpoint has come into rooms, or changed in those that it stays in; `type` is what others see of it. */
  #entered(record: EndpointRecord, before: Before, after: readonly Address[], type: Transition, change: Change): void {
    const was = lookup(before.rooms);
    const isHere = lookup(record.rooms);
    for (const room of after) {
      const isNew = !was(room);
      this.rooms.place(record, room, isHere(room) ? 'here' : 'elsewhere');
      if (type === 'offline' && !isNew) this.listener.inRoom(record, room, 'grpoffline', null);
      else if (type === 'online') this.listener.inRoom(record, room, 'grponline', null);
      else if (isNew && record.appearance) this.listener.inRoom(record, room, change.type, change.nick ?? null);
    }
  }
}

/** The room that was appended to a list of rooms, where that is the only difference; null: there is another difference, or none. */
function addedTo(before: readonly Address[], after: readonly Address[]): Address | null {
  if (after.length !== before.length + 1) return null;
  return before.every((room, at) => room === after[at]) ? (after.at(-1) ?? null) : null;
}
