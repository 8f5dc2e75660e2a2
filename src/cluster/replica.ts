/**
 * What this node knows of a domain's endpoints, on whichever node they live. An endpoint is one record; each node that
 * has clients of it holds one part of it, which only that node writes. PRESENCES, MEMBERS and ONLINE's `presences` are
 * answered from here, and what changes here is what the clients of this node are told: what they believe and what the
 * server answers cannot differ.
 *
 * Nick, show and status belong to the record: of two parts that set them, the later one counts (`stamp`, `shown`).
 */
import type { Address } from '../actors/address.js';
import type { PresenceType } from '../actors/packet.js';
import { type Appearance, appearance, type Show, transition } from '../actors/presence.js';
import type { RoomSizes, SizedRoom } from '../actors/room-sizes.js';
import type { Left, Moment } from './moments.js';
import type { Peer } from './peer.js';

const NO_ROOMS: readonly Address[] = [];
const NO_STAMPS: readonly number[] = [];
const NO_PARTS: Part[] = [];

/** One node's share of an endpoint. */
export interface Part {
  /** null: this node. */
  readonly peer: Peer | null;
  /** Stamp of when it came; the oldest part is the one that messages go through. */
  birth: number;
  rooms: readonly Address[];
  /** When each of them was entered. */
  entered: readonly number[];
  /** Its node is not heard of, or has not named it since it was asked for everything. */
  hidden: boolean;
  /** Not named yet in a snapshot that is coming in. */
  stale: boolean;
  /** How many of its clients are connected; kept by nodes that have a part themselves. */
  connected: number;
  /** Of this node's part: nodes that have one, of which the endpoint here does not know yet; nothing is relayed there. */
  unmet: Peer[] | null;
}

export interface Profile {
  /** When the nick was set. */
  readonly stamp: number;
  readonly nick: string;
  /** When show and status were set; 0: never, and they are what they are unless somebody says. */
  readonly shown: number;
  readonly show: Show;
  readonly status: string;
}

export interface Record extends Profile {
  readonly address: Address;
  stamp: number;
  nick: string;
  shown: number;
  show: Show;
  status: string;
  /** Where this node has a part, or had one: the rooms that were left. */
  left: Left | null;
  /** What this node's clients have been told of it last; null: offline. */
  appearance: Appearance | null;
  /** The oldest first. */
  parts: Part[];
}

export interface RoomRecord extends SizedRoom {
  readonly members: Set<Record>;
  /** Parts of members, by their node. */
  readonly peers: Map<Peer | null, number>;
}

/** How a change of rooms is told, where it does not come with the endpoint itself. */
export interface RoomChange {
  readonly type: 'join' | 'grponline';
  /** In place of the endpoint's own. */
  readonly nick: string | null;
}

const JOINED: RoomChange = { type: 'join', nick: null };

export interface ReplicaEvents {
  /** To those who hear of it. */
  changed(record: Record, type: 'online' | 'offline' | 'show'): void;
  /** To the members of a room, and those who watch it. */
  inRoom(record: Record, room: Address, type: PresenceType, nick: string | null): void;
  /** A node has a part that was not there, or had not been heard of for a while (`isBack`). */
  appeared(record: Record, peer: Peer, isBack: boolean): void;
  /** It was not known before. */
  remembered(): void;
  /** Nobody has a part any more. */
  forgotten(record: Record): void;
  /** This node's part of it is a later one than another worker's of this server, or is no more. */
  shared(by: 1 | -1): void;
}

export class Replica {
  readonly records = new Map<Address, Record>();
  readonly rooms = new Map<Address, RoomRecord>();
  /** How many endpoints have a part that counts, by its node. */
  readonly online = new Map<Peer | null, number>();

  constructor(
    private readonly events: ReplicaEvents,
    private readonly roomSizes: RoomSizes,
    /** Names of the other workers of this server; none where it has no others. */
    private readonly siblings: ReadonlySet<string>,
  ) {}

  appearance(address: Address): Appearance | null {
    return this.records.get(address)?.appearance ?? null;
  }

  /** This node's own part. */
  localPart(address: Address): Part | null {
    return this.records.get(address)?.parts.find(({ peer }) => peer === null) ?? null;
  }

  /** The part that messages go through: a node that ended in order still counts as online for a while, but takes none. */
  primary(record: Record, except?: Peer): Part | null {
    for (const part of record.parts) {
      if (!part.hidden && part.peer?.up !== false && (part.peer === null || part.peer !== except)) return part;
    }
    return null;
  }

  /** A part is there, as it says itself. */
  up(address: Address, peer: Peer | null, birth: number, profile: Profile, rooms: readonly Moment[]): void {
    const record = this.records.get(address) ?? this.#newRecord(address, profile);
    const known = record.parts.find((part) => part.peer === peer);
    const isNew = !known || known.birth !== birth;
    const isBack = !isNew && known.hidden;
    this.#change(record, JOINED, () => {
      this.#adopt(record, profile);
      const part = known ?? this.#newPart(peer, birth);
      if (known) this.#countRooms(part, -1);
      if (!known || known.hidden) this.#countOnline(peer, 1);
      Object.assign(part, { birth, hidden: false, stale: false, ...this.#own(rooms) });
      // A list that is pushed to has room for many; nearly every endpoint has one part.
      if (!known) record.parts = record.parts.length === 0 ? [part] : [...record.parts, part];
      if (record.parts.length > 1) record.parts.sort((a, b) => a.birth - b.birth);
      this.#countRooms(part, 1);
    });
    if (peer && (isNew || isBack)) this.events.appeared(record, peer, isBack);
  }

  /** Nick, show or status have been set. */
  set(address: Address, profile: Profile): void {
    const record = this.records.get(address);
    if (record) this.#change(record, JOINED, () => this.#adopt(record, profile));
  }

  enter(
    address: Address,
    peer: Peer | null,
    add: readonly Moment[],
    remove: readonly Moment[],
    change: RoomChange,
  ): void {
    const record = this.records.get(address);
    const part = record?.parts.find((other) => other.peer === peer);
    if (!record || !part) return;
    this.#change(record, change, () => {
      this.#countRooms(part, -1);
      const rooms = new Map(momentsOf(part));
      for (const [room] of remove) rooms.delete(room);
      for (const [room, stamp] of add) rooms.set(room, Math.max(stamp, rooms.get(room) ?? 0));
      Object.assign(part, this.#own([...rooms]));
      this.#countRooms(part, 1);
    });
  }

  /** A part has gone. */
  down(address: Address, peer: Peer | null): void {
    const record = this.records.get(address);
    const part = record?.parts.find((other) => other.peer === peer);
    if (record && part) this.#remove(record, part);
  }

  /** A node is not heard of: what it has counts as offline, and is kept in mind. */
  hide(peer: Peer): void {
    for (const record of this.records.values()) {
      const part = record.parts.find((other) => other.peer === peer);
      if (part && !part.hidden) {
        this.#change(record, JOINED, () => {
          part.hidden = true;
          this.#countOnline(peer, -1);
        });
      }
    }
  }

  /** A node begins to say what it has. */
  expect(peer: Peer): void {
    for (const { parts } of this.records.values()) {
      for (const part of parts) if (part.peer === peer) part.stale = true;
    }
  }

  /** It has said everything: what it did not name it does not have. */
  settle(peer: Peer): void {
    this.#removeOf(peer, ({ stale }) => stale);
  }

  drop(peer: Peer): void {
    this.#removeOf(peer, () => true);
  }

  /** The domain is served here no more: forgets what the other nodes have of it, and tells nobody. */
  end(): void {
    for (const room of this.rooms.values()) this.roomSizes.change(room, 0);
    this.rooms.clear();
    for (const record of [...this.records.values()]) {
      if (this.#isShared(record)) this.events.shared(-1);
      record.parts = record.parts.filter(({ peer }) => peer === null);
      if (record.parts.length > 0) continue;
      this.records.delete(record.address);
      this.events.forgotten(record);
    }
  }

  #removeOf(peer: Peer, isGone: (part: Part) => boolean): void {
    for (const record of [...this.records.values()]) {
      const part = record.parts.find((other) => other.peer === peer);
      if (part && isGone(part)) this.#remove(record, part);
    }
  }

  #remove(record: Record, part: Part): void {
    this.#change(record, JOINED, () => {
      this.#countRooms(part, -1);
      if (!part.hidden) this.#countOnline(part.peer, -1);
      record.parts = record.parts.filter((other) => other !== part);
    });
    if (record.parts.length > 0) return;
    this.records.delete(record.address);
    this.events.forgotten(record);
  }

  #newRecord(address: Address, { stamp, nick, shown, show, status }: Profile): Record {
    const known = { stamp, nick, shown, show, status };
    const record: Record = { address, ...known, left: null, appearance: null, parts: NO_PARTS };
    this.records.set(address, record);
    this.events.remembered();
    return record;
  }

  #newPart(peer: Peer | null, birth: number): Part {
    return {
      peer,
      birth,
      rooms: NO_ROOMS,
      entered: NO_STAMPS,
      hidden: false,
      stale: false,
      connected: 0,
      unmet: null,
    };
  }

  #adopt(record: Record, { stamp, nick, shown, show, status }: Profile): void {
    if (stamp > record.stamp) Object.assign(record, { stamp, nick });
    if (shown > record.shown) Object.assign(record, { shown, show, status });
  }

  /** The replica's own copies of the names of rooms that are there. */
  #own(moments: readonly Moment[]): Pick<Part, 'rooms' | 'entered'> {
    if (moments.length === 0) return { rooms: NO_ROOMS, entered: NO_STAMPS };
    const rooms = moments.map(([room]) => this.rooms.get(room)?.address ?? room);
    return { rooms, entered: moments.map(([, stamp]) => stamp) };
  }

  #countOnline(peer: Peer | null, by: 1 | -1): void {
    const count = (this.online.get(peer) ?? 0) + by;
    if (count > 0) this.online.set(peer, count);
    else this.online.delete(peer);
  }

  #countRooms({ rooms, peer }: Part, by: 1 | -1): void {
    for (const address of rooms) {
      const room = this.#room(address);
      const count = (room.peers.get(peer) ?? 0) + by;
      if (count > 0) room.peers.set(peer, count);
      else room.peers.delete(peer);
    }
  }

  #room(address: Address): RoomRecord {
    let room = this.rooms.get(address);
    if (!room) {
      room = { address, size: 0, members: new Set(), peers: new Map() };
      this.rooms.set(address, room);
    }
    return room;
  }

  /** Changes a record, then tells what of it can be seen. */
  #change(record: Record, change: RoomChange, mutate: () => void): void {
    const roomsBefore = roomsOf(record);
    const wasShared = this.#isShared(record);
    mutate();
    const isShared = this.#isShared(record);
    if (wasShared !== isShared) this.events.shared(isShared ? 1 : -1);
    const roomsAfter = roomsOf(record);
    const before = record.appearance;
    const isOnline = record.parts.some(({ hidden }) => !hidden);
    const after = isOnline ? appearance(record.show, record.status) : null;
    record.appearance = after;
    const type = transition(before, after);
    if (type !== null) this.events.changed(record, type);
    if (roomsBefore === roomsAfter && (type === null || type === 'show')) return;
    for (const room of roomsBefore) {
      if (roomsAfter.includes(room)) continue;
      this.#leave(record, room);
      if (before) this.events.inRoom(record, room, after && isOnline ? 'leave' : 'grpoffline', change.nick);
    }
    for (const room of roomsAfter) {
      const isNew = !roomsBefore.includes(room);
      if (isNew) this.#enter(record, room);
      if (type === 'offline' && !isNew) this.events.inRoom(record, room, 'grpoffline', null);
      else if (type === 'online') this.events.inRoom(record, room, 'grponline', null);
      else if (isNew && after) this.events.inRoom(record, room, change.type, change.nick);
    }
  }

  /** Whether this node has a part of it, and another worker of this server an older one. */
  #isShared({ parts }: Record): boolean {
    if (parts.length === 1) return false;
    const own = parts.findIndex(({ peer }) => peer === null);
    return parts.some(({ peer, hidden }, i) => i < own && peer !== null && !hidden && this.siblings.has(peer.name));
  }

  #enter(record: Record, address: Address): void {
    const room = this.#room(address);
    room.members.add(record);
    this.roomSizes.change(room, room.members.size);
  }

  #leave(record: Record, address: Address): void {
    const room = this.rooms.get(address);
    if (!room) return;
    room.members.delete(record);
    this.roomSizes.change(room, room.members.size);
    if (room.members.size === 0 && room.peers.size === 0) this.rooms.delete(address);
  }
}

/** The rooms an endpoint is in, by those of its parts that count. */
export function roomsOf({ parts }: Record): readonly Address[] {
  const [first] = parts;
  if (!first) return NO_ROOMS;
  if (parts.length === 1) return first.hidden ? NO_ROOMS : first.rooms;
  return [...new Set(parts.filter(({ hidden }) => !hidden).flatMap(({ rooms }) => rooms))];
}

/** The rooms of a part, with the stamps of when they were entered. */
export function momentsOf({ rooms, entered }: Part): Moment[] {
  return rooms.map((room, at) => [room, entered[at] ?? 0] as const);
}

/** When an endpoint entered a room, by those of its parts that count; 0: it is not in there. */
export function enteredAt({ parts }: Record, room: Address): number {
  let latest = 0;
  for (const { hidden, rooms, entered } of parts) {
    if (!hidden) latest = Math.max(latest, entered[rooms.indexOf(room)] ?? 0);
  }
  return latest;
}
