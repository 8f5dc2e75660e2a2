/**
 * The rooms of a domain: who is in them, on which nodes, and which are the largest. A room exists while it has members.
 * Written by tracker.ts, with the parts of the endpoints that are members; read by all.
 */
import type { DomainMetrics } from '../metrics.js';
import type { Address } from './address.js';
import type { RemoteNode } from './cluster.js';
import { type EndpointRecord, isOnline, momentsOf, NOWHERE, type Part } from './endpoint-record.js';
import { FOOTPRINT, type Memory } from './memory.js';
import type { Moment } from './moments.js';
import { type RoomSize, RoomSizes, type SizedRoom } from './room-sizes.js';
import { EMPTY, type SmallSet, sizeOf, withItem, withoutItem } from './small-set.js';

export interface Room extends SizedRoom {
  /** Members with a part on this node. */
  here: SmallSet<EndpointRecord>;
  /** Members without a part on this node. */
  elsewhere: SmallSet<EndpointRecord>;
  /** Members, here or elsewhere, that are away: they get what is said in the room, and are not counted as members. */
  away: SmallSet<EndpointRecord>;
  /** How many members each other node has; null: no other node has members. */
  nodes: Map<RemoteNode, number> | null;
}

export class Rooms {
  readonly #rooms = new Map<Address, Room>();
  readonly #sizes: RoomSizes;
  /** Called when nobody in a room is online any more; null: nobody wants to know. */
  onEmpty: ((room: Address) => void) | null = null;

  constructor(
    private readonly memory: Memory,
    metrics: Pick<DomainMetrics, 'rooms'>,
  ) {
    this.#sizes = new RoomSizes(metrics);
  }

  get(address: Address): Room | undefined {
    return this.#rooms.get(address);
  }

  /** How many rooms there are, on all nodes. */
  get total(): number {
    return this.#rooms.size;
  }

  /** How many members a room has that are online, on all nodes. */
  size(address: Address): number {
    return this.#rooms.get(address)?.size ?? 0;
  }

  /** Members of a room that are online, on all nodes. */
  *members(address: Address): Iterable<EndpointRecord> {
    const room = this.#rooms.get(address);
    if (!room) return;
    for (const record of room.here) if (isOnline(record)) yield record;
    for (const record of room.elsewhere) if (isOnline(record)) yield record;
  }

  /** The largest rooms, in order. */
  largest(count: number): RoomSize[] {
    return this.#sizes.largest(count);
  }

  /** Rooms and moments as a part keeps them: names as this directory has them, so that each is in memory once. */
  keep(moments: readonly Moment[]): Pick<Part, 'rooms' | 'entered'> {
    if (moments.length === 0) return NOWHERE;
    const rooms = moments.map(([name]) => this.#rooms.get(name)?.address ?? name);
    return { rooms, entered: moments.map(([, stamp]) => stamp) };
  }

  /** Enters a part of an endpoint into rooms and takes it out of others; a room that it is in already gets the later moment. */
  change(part: Pick<Part, 'rooms' | 'entered'>, entered: readonly Moment[], left: readonly Moment[]): void {
    const [first = null] = entered.length + left.length === 1 ? entered : [];
    if (first && !part.rooms.includes(first[0])) {
      const one = this.keep([first]);
      part.rooms = part.rooms.concat(one.rooms);
      part.entered = part.entered.concat(one.entered);
      return;
    }
    const rooms = new Map(momentsOf(part));
    for (const [room] of left) rooms.delete(room);
    for (const [room, stamp] of entered) rooms.set(room, Math.max(stamp, rooms.get(room) ?? 0));
    const all = this.keep([...rooms]);
    part.rooms = all.rooms;
    part.entered = all.entered;
  }

  /**
   * An endpoint that leaves rooms by one of its parts leaves them by all that have not entered them later. Each of these says so itself,
   * but a node that has died does not.
   */
  leaveAll(parts: readonly Part[], left: readonly Moment[]): void {
    for (const part of left.length === 0 ? [] : parts) {
      const leaving = left.filter(([room, stamp]) => (part.entered[part.rooms.indexOf(room)] ?? stamp) < stamp);
      if (leaving.length === 0) continue;
      this.count(part, -1);
      this.change(part, [], leaving);
      this.count(part, 1);
    }
  }

  /** Enters an endpoint as a member of a room, here or elsewhere; null: it is no member any more. */
  place(record: EndpointRecord, address: Address, place: 'here' | 'elsewhere' | null): void {
    const room = this.#room(address);
    const { here, elsewhere, away } = room;
    const isAway = place !== null && !isOnline(record);
    room.away = isAway ? withItem(away, record) : withoutItem(away, record);
    room.here = place === 'here' ? withItem(here, record) : withoutItem(here, record);
    room.elsewhere = place === 'elsewhere' ? withItem(elsewhere, record) : withoutItem(elsewhere, record);
    const { size } = room;
    this.#sizes.change(room, sizeOf(room.here) + sizeOf(room.elsewhere) - sizeOf(room.away));
    if (size > 0 && room.size === 0) this.onEmpty?.(address);
    this.#forgetEmpty(room);
  }

  /** Another node's part comes into its rooms, or leaves them. */
  count({ rooms, node }: Part, by: 1 | -1): void {
    for (const address of rooms) {
      const room = this.#room(address);
      room.nodes ??= new Map();
      const count = (room.nodes.get(node) ?? 0) + by;
      if (count > 0) room.nodes.set(node, count);
      else room.nodes.delete(node);
      if (room.nodes.size > 0) continue;
      room.nodes = null;
      // Members whose node is not heard of have no place in the room: nobody else forgets it.
      this.#forgetEmpty(room);
    }
  }

  #forgetEmpty({ address, here, elsewhere, nodes }: Room): void {
    if (sizeOf(here) + sizeOf(elsewhere) > 0 || nodes !== null) return;
    this.#rooms.delete(address);
    this.memory.subtract(FOOTPRINT.room);
  }

  clear(): void {
    for (const room of this.#rooms.values()) this.#sizes.change(room, 0);
    this.memory.subtract(this.#rooms.size * FOOTPRINT.room);
    this.#rooms.clear();
  }

  #room(address: Address): Room {
    let room = this.#rooms.get(address);
    if (!room) {
      room = { address, size: 0, here: EMPTY, elsewhere: EMPTY, away: EMPTY, nodes: null };
      this.#rooms.set(address, room);
      this.memory.add(FOOTPRINT.room);
    }
    return room;
  }
}
