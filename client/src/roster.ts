/** Who is there, as the packets tell: buddies, and the members of rooms. */
import { isObject, type Json, type Presence } from './wire.js';

export interface Person {
  readonly show: string;
  readonly status: string;
  /** The nick; empty where the server has not told it. */
  readonly nick: string;
}

export interface RosterCopy {
  readonly presences: readonly (readonly [string, Person])[];
  readonly rooms: readonly (readonly [string, readonly (readonly [string, Person])[]])[];
}

const GONE: ReadonlySet<string> = new Set(['leave', 'grpoffline']);
const OF_ROOMS: ReadonlySet<string> = new Set([...GONE, 'join', 'grponline']);

/** How an answer tells of a person: by a show, or with `full` by an object. */
function personOf(value: unknown, before: Person | undefined): Person {
  const { show, status, nick } = isObject(value) ? value : { show: value, status: before?.status, nick: before?.nick };
  return { show: String(show ?? ''), status: String(status ?? ''), nick: String(nick || before?.nick || '') };
}

function replace(map: Map<string, Person>, answer: Json): void {
  const before = new Map(map);
  map.clear();
  for (const [id, value] of Object.entries(answer)) map.set(id, personOf(value, before.get(id)));
}

export class Roster {
  readonly presences = new Map<string, Person>();
  readonly rooms = new Map<string, Map<string, Person>>();

  /** Takes a presence in, and answers it as listeners have it. */
  take(packet: Presence): Presence {
    const { from, to, nick, type, show } = packet;
    if (OF_ROOMS.has(type)) {
      const members = this.room(to);
      // The status of such a packet is the room's id.
      if (GONE.has(type)) members.delete(from);
      else members.set(from, { show, nick, status: members.get(from)?.status ?? '' });
      return { ...packet, room: to };
    }
    const person = { show, nick, status: packet.status };
    if (type === 'offline') this.presences.delete(from);
    else this.presences.set(from, person);
    for (const members of this.rooms.values()) if (type !== 'offline' && members.has(from)) members.set(from, person);
    return packet;
  }

  room(id: string): Map<string, Person> {
    const members = this.rooms.get(id) ?? new Map<string, Person>();
    this.rooms.set(id, members);
    return members;
  }

  /** Who of the buddies is online, as an answer of the server has it. */
  setPresences(answer: unknown): void {
    replace(this.presences, isObject(answer) ? answer : {});
  }

  setMembers(room: string, answer: unknown): void {
    replace(this.room(room), isObject(answer) ? answer : {});
  }

  copy(): RosterCopy {
    return {
      presences: [...this.presences],
      rooms: [...this.rooms].map(([room, members]) => [room, [...members]] as const),
    };
  }

  restore(copy: RosterCopy): void {
    this.presences.clear();
    this.rooms.clear();
    for (const [id, person] of copy.presences) this.presences.set(id, person);
    for (const [room, members] of copy.rooms) this.rooms.set(room, new Map(members));
  }
}

const SEEN = 2_000;

/** What tells one message from all others. */
export function keyOf(from: string, id: string): string {
  return `${from}\n${id}`;
}

/** Which messages have been shown: `from` and `id` tell. The oldest are forgotten. */
export class Seen {
  readonly #keys = new Set<string>();

  has({ from, id }: { readonly from: string; readonly id?: string }): boolean {
    return id !== undefined && this.#keys.has(keyOf(from, id));
  }

  /** Adds a message; false where it had been shown before. */
  add({ from, id }: { readonly from: string; readonly id?: string }): boolean {
    if (id === undefined) return true;
    const key = keyOf(from, id);
    if (this.#keys.has(key)) return false;
    this.#keys.add(key);
    for (const oldest of this.#keys) {
      if (this.#keys.size <= SEEN) break;
      this.#keys.delete(oldest);
    }
    return true;
  }
}
