/**
 * Who is online in a domain, on whichever node, and in which rooms. An endpoint is one record. Each node that has
 * clients of it holds one part of it, which only that node writes: here the endpoint's own actor, for other nodes what
 * they tell. PRESENCES, MEMBERS and ONLINE's `presences` are answered from here, and what changes here is what the
 * clients of this node are told: what they believe and what the server answers cannot differ.
 *
 * It is read by all and changed by few; nobody asks an actor and waits. A node without others has one part of each record.
 */
import type { DomainMetrics } from '../metrics.js';
import { atOnce } from '../slices.js';
import type { Address } from './address.js';
import type { DomainCluster, RemoteNode } from './cluster.js';
import type { EndpointMessage } from './endpoint.js';
import {
  type Change,
  EndpointRecord,
  enteredAt,
  isCounted,
  isOnline,
  isOnlineHere,
  isShared,
  LOST,
  NOWHERE,
  newPart,
  ORPHAN,
  type Part,
  type Profile,
  partOf,
  primaryOf,
  roomsOf,
  type StampedProfile,
  THERE,
} from './endpoint-record.js';
import { lookup } from './lists.js';
import { FOOTPRINT, type Memory } from './memory.js';
import type { Moment } from './moments.js';
import type { PresenceType } from './packet.js';
import { type Appearance, appearance, transition } from './presence.js';
import { adopt } from './profile.js';
import { Records } from './records.js';
import { RoomPresence } from './room-presence.js';
import { Rooms } from './rooms.js';
import type { SmallSet } from './small-set.js';
import type { Ref } from './system.js';
import { Watchers } from './watchers.js';

type Addresses = readonly Address[];

/** Lets this node's clients hear of what changes. */
export interface PresenceListener {
  changed(record: EndpointRecord, type: 'online' | 'offline' | 'show'): void;
  inRoom(record: EndpointRecord, room: Address, type: PresenceType, nick: string | null): void;
  /** Whether it is online, or its rooms, have changed, whoever can see it. */
  moved(record: EndpointRecord, wasOnline: boolean, before: Addresses, after: Addresses, change: Change): void;
  /** Another node has taken an endpoint for offline that is online. */
  contradicted(record: EndpointRecord): void;
}

export class Tracker {
  readonly records = new Records();
  readonly rooms: Rooms;
  /** How many endpoints have a part that counts, by the node of the part; null: this node. */
  readonly online = new Map<RemoteNode | null, number>();
  /** How many endpoints are online, on all nodes. */
  onlineCount = 0;
  readonly #watchers = new Watchers(this.records);
  readonly #inRooms: RoomPresence;

  constructor(
    private readonly cluster: DomainCluster,
    private readonly listener: PresenceListener,
    private readonly memory: Memory,
    metrics: Pick<DomainMetrics, 'rooms'>,
  ) {
    this.rooms = new Rooms(memory, metrics);
    this.#inRooms = new RoomPresence(this.rooms, listener);
  }

  /** How others see an endpoint; null where it is offline to them. */
  appearance(address: Address): Appearance | null {
    return this.records.get(address)?.appearance ?? null;
  }

  /** An endpoint's actor on this node; null where it has none. */
  actor(address: Address): Ref<EndpointMessage> | null {
    return this.records.get(address)?.actor ?? null;
  }

  /** Endpoints that have an actor on this node. */
  *here(): Iterable<EndpointRecord & { readonly actor: Ref<EndpointMessage> }> {
    for (const record of this.records.values()) {
      if (record.actor) yield record as EndpointRecord & { readonly actor: Ref<EndpointMessage> };
    }
  }

  /** An endpoint's record, made where there is none yet. */
  record(address: Address): EndpointRecord {
    return this.records.get(address) ?? this.#newRecord(address);
  }

  /** An endpoint's actor on this node has stopped. */
  detachActor(record: EndpointRecord): void {
    record.actor = null;
    this.#forgetEmpty(record);
  }

  /** This node's own part of an endpoint comes online, or changes its nick, show, status or rooms. */
  update(record: EndpointRecord, profile: Profile, enter: Addresses, leave: Addresses, change: Change): void {
    this.#change(record, change, () => {
      if (record.birth === 0) this.#comeUp(record, profile, enter, change);
      else {
        this.#setProfile(record, profile, change);
        this.#moveRooms(record, enter, leave, change);
        if (change.isBack) this.#setOwnAway(record, false);
      }
    });
  }

  /** Sets this node's part of an endpoint away, so that others see it go while it stays in its rooms; or sets it back. */
  setAway(record: EndpointRecord, isAway: boolean, since?: number): void {
    if (record.birth === 0 || record.away === isAway) return;
    this.#change(record, { type: 'grponline', since }, () => this.#setOwnAway(record, isAway));
  }

  #setOwnAway(record: EndpointRecord, isAway: boolean): void {
    record.away = isAway;
    this.#countOnline(null, isAway ? -1 : 1);
    this.cluster.wentAway(record);
  }

  #comeUp(record: EndpointRecord, profile: Profile, rooms: readonly Address[], { isShown, isAway }: Change): void {
    const stamp = this.cluster.stamp();
    const moments = rooms.map((room) => [room, enteredAt(record, room) || stamp] as const);
    record.birth = stamp;
    record.away = isAway === true;
    adopt(record, { ...profile, stamp, shown: isShown ? stamp : record.shown });
    const { rooms: kept, entered } = this.rooms.keep(moments);
    record.rooms = kept;
    record.entered = entered;
    if (!record.away) this.#countOnline(null, 1);
    this.memory.add(FOOTPRINT.endpoint);
    this.cluster.cameUp(record);
  }

  #setProfile(record: EndpointRecord, { nick, show, status }: Profile, { isShown }: Change): void {
    const isRenamed = record.nick !== nick;
    const isChanged = isShown || record.show !== show || record.status !== status;
    if (!isRenamed && !isChanged) return;
    const now = this.cluster.stamp();
    adopt(record, {
      nick,
      show,
      status,
      stamp: isRenamed ? now : record.stamp,
      shown: isChanged ? now : record.shown,
    });
    this.cluster.changed(record);
  }

  #moveRooms(record: EndpointRecord, enter: readonly Address[], leave: readonly Address[], change: Change): void {
    if (enter.length + leave.length === 0) return;
    const has = lookup(record.rooms, enter.length + leave.length);
    const stamps = new Map(change.moments);
    const now = this.cluster.stamp();
    const momentOf = (room: Address): Moment => [room, stamps.get(room) ?? now];
    const entered = enter.filter((room) => !has(room)).map(momentOf);
    const left = leave.filter(has).map(momentOf);
    if (entered.length + left.length === 0) return;
    this.rooms.change(record, entered, left);
    this.rooms.leaveAll(record.parts, left);
    this.cluster.roomsChanged(record, entered, left, change);
  }

  /** An endpoint enters rooms again that it is in: that counts as later than what other nodes may have done before. */
  renew(record: EndpointRecord, moments: readonly Moment[]): void {
    this.rooms.change(record, moments, []);
  }

  /** Ends this node's part of an endpoint, which leaves its rooms and watches nobody any more. Answers the stamp of the end. */
  goOffline(record: EndpointRecord, since?: number): number {
    let stamp = 0;
    if (record.birth > 0) {
      this.#change(record, { type: 'join', since }, () => {
        if (isOnlineHere(record)) this.#countOnline(null, -1);
        record.birth = 0;
        record.away = false;
        record.connected = 0;
        record.rooms = NOWHERE.rooms;
        record.entered = NOWHERE.entered;
        this.memory.subtract(FOOTPRINT.endpoint);
        stamp = this.cluster.wentDown(record);
      });
      if (record.parts.length > 0) this.cluster.primaryMoved(record.address, null);
    }
    this.memory.subtract(record.watching.length * FOOTPRINT.buddy);
    this.#watchers.remove(record);
    record.endOwnPart();
    this.#forgetEmpty(record);
    return stamp;
  }

  /** An endpoint lists further buddies: from now on it hears of them, and they of it. */
  watch(record: EndpointRecord, buddies: readonly Address[]): void {
    const added = this.#watchers.add(record, buddies);
    this.memory.add(added.length * FOOTPRINT.buddy);
    if (added.length > 0) this.cluster.watch(record, added);
  }

  /** The endpoints of this node that list an address. */
  watchers(address: Address): SmallSet<EndpointRecord> {
    return this.#watchers.of(address);
  }

  /** The addresses of all that hear of an endpoint while they are online: the relation holds both ways. */
  buddiesOf(record: EndpointRecord): Set<Address> {
    const buddies = new Set(record.watching);
    for (const { address } of this.watchers(record.address)) buddies.add(address);
    for (const address of this.cluster.watchedBy(record.address)) buddies.add(address);
    return buddies;
  }

  /** A part of another node is there, as that node says itself. */
  up(
    address: Address,
    node: RemoteNode,
    birth: number,
    profile: StampedProfile,
    rooms: readonly Moment[],
    away = false,
  ): void {
    const record = this.record(address);
    const known = partOf(record, node);
    const isNew = !known || known.birth !== birth;
    const isBack = !isNew && (known.hidden || node.lostAt > 0);
    const isFirst = record.parts.length === 0 && record.actor === null;
    this.#change(record, isBack ? LOST : THERE, () => {
      adopt(record, profile);
      const part = known ?? newPart(node, birth, away);
      this.rooms.count(part, -1);
      this.#set(part, false, away);
      ({ rooms: part.rooms, entered: part.entered } = this.rooms.keep(rooms));
      part.birth = birth;
      part.stale = false;
      record.parts = (known ? record.parts.slice() : record.parts.concat([part])).sort((a, b) => a.birth - b.birth);
      this.rooms.count(part, 1);
    });
    if (isNew || isBack) this.cluster.appeared(record, node, isBack ? 'back' : isFirst ? 'first' : 'new');
  }

  /** Nick, show or status have been set on another node. */
  set(address: Address, profile: StampedProfile): void {
    const record = this.records.get(address);
    if (record) this.#change(record, THERE, () => adopt(record, profile));
  }

  /** Another node's part has gone away, or is back. */
  partAway(address: Address, node: RemoteNode, isAway: boolean, isLast = true): void {
    const record = this.records.get(address);
    const part = record && partOf(record, node);
    if (!record || !part) return;
    const change = isAway && !isLast ? ORPHAN : THERE;
    this.#change(record, { ...change, type: 'grponline' }, () => this.#set(part, part.hidden, isAway));
    if (isAway && isLast) this.listener.contradicted(record);
  }

  /** Another node's part enters rooms and leaves others. */
  enter(address: Address, node: RemoteNode, entered: readonly Moment[], left: readonly Moment[], change: Change): void {
    const record = this.records.get(address);
    const part = record && partOf(record, node);
    if (!record || !part) return;
    this.#change(record, { ...change, cause: 'there' }, () => {
      this.rooms.count(part, -1);
      this.rooms.change(part, entered, left);
      this.rooms.count(part, 1);
      this.rooms.leaveAll(record.parts, left);
    });
  }

  /** Another node's part has gone. */
  down(address: Address, node: RemoteNode, isLast = true): void {
    const record = this.records.get(address);
    const part = record && partOf(record, node);
    if (!record || !part) return;
    this.#remove(record, part, isLast ? THERE : ORPHAN);
    if (isLast && isCounted(part)) this.listener.contradicted(record);
  }

  /** The part that a node which is gone had of an endpoint has been taken over by another node, and counts no more. */
  takenOver(record: EndpointRecord, part: Part): void {
    this.#remove(record, part, LOST);
  }

  /** A node is not heard of: its parts of endpoints count as offline, but are remembered. One endpoint a step: there may be many. */
  *hide(node: RemoteNode): Generator<void> {
    for (const record of this.records.values()) {
      const part = partOf(record, node);
      if (!part || part.hidden) continue;
      yield this.#change(record, LOST, () => this.#set(part, true, part.away));
    }
  }

  /** A node begins to announce its parts of endpoints: those known so far are marked until it has named them. */
  expect(node: RemoteNode): void {
    for (const record of this.records.values()) {
      const part = partOf(record, node);
      if (part) part.stale = true;
    }
  }

  /** A node has announced all its parts of endpoints: removes those that it did not name. */
  settle(node: RemoteNode): void {
    atOnce(this.#removeOf(node, ({ stale }) => stale));
  }

  /** Removes all parts of a node that is gone for good, one a step. */
  drop(node: RemoteNode): Generator<void> {
    return this.#removeOf(node, () => true);
  }

  /** The domain is no longer served here: forgets all parts on other nodes, and tells nobody. */
  end(): void {
    this.rooms.clear();
    for (const record of [...this.records.values()]) {
      if (isShared(record)) this.cluster.shared(-1);
      record.parts = [];
      this.#forgetEmpty(record);
    }
  }

  *#removeOf(node: RemoteNode, isGone: (part: Part) => boolean): Generator<void> {
    for (const record of this.records.values()) {
      const part = partOf(record, node);
      if (part && isGone(part)) yield this.#remove(record, part, LOST);
    }
  }

  #remove(record: EndpointRecord, part: Part, change: Change): void {
    this.#change(record, change, () => {
      this.rooms.count(part, -1);
      if (isCounted(part)) this.#countOnline(part.node, -1);
      record.parts = record.parts.filter((other) => other !== part);
    });
    if (primaryOf(record) !== undefined) this.cluster.primaryMoved(record.address, part.node);
    this.#forgetEmpty(record);
  }

  #newRecord(address: Address): EndpointRecord {
    const record = new EndpointRecord(this.#watchers.recorded(address));
    this.records.set(record.address, record);
    this.cluster.remembered();
    return record;
  }

  #forgetEmpty(record: EndpointRecord): void {
    if (record.actor !== null || record.birth > 0 || record.parts.length > 0) return;
    this.records.delete(record.address);
    this.#watchers.unrecorded(record);
    this.cluster.forgotten(record.address);
  }

  #set(part: Part, hidden: boolean, away: boolean): void {
    const before = isCounted(part);
    part.hidden = hidden;
    part.away = away;
    if (before !== isCounted(part)) this.#countOnline(part.node, before ? -1 : 1);
  }

  #countOnline(node: RemoteNode | null, by: 1 | -1): void {
    const count = (this.online.get(node) ?? 0) + by;
    if (count > 0) this.online.set(node, count);
    else this.online.delete(node);
  }

  /** Changes a record, then tells what of it can be seen. */
  #change(record: EndpointRecord, change: Change, mutate: () => void): void {
    const wasOnline = isOnline(record);
    const wasShared = isShared(record);
    const isHereOnly = record.parts.length === 0;
    const primary = primaryOf(record);
    const roomsBefore = roomsOf(record);
    const { appearance: before, rooms: ownBefore } = record;
    mutate();
    if (wasShared !== isShared(record)) this.cluster.shared(wasShared ? -1 : 1);
    const isMoved = primary !== undefined && ![undefined, primary].includes(primaryOf(record));
    if (isMoved) this.cluster.primaryMoved(record.address, primary);
    const online = isOnline(record);
    if (online !== wasOnline) this.onlineCount += online ? 1 : -1;
    const after = online ? appearance(record.show, record.status) : null;
    record.appearance = after;
    const type = transition(before, after);
    if (type !== null) this.listener.changed(record, type);
    const roomsAfter = roomsOf(record);
    this.listener.moved(record, wasOnline, roomsBefore, roomsAfter, change);
    const isSame = roomsBefore === roomsAfter && ownBefore === record.rooms && online === wasOnline;
    if (isSame && (type === null || type === 'show')) return;
    const known = { rooms: roomsBefore, isVisible: before !== null };
    const isStill = isHereOnly && record.parts.length === 0 && online === wasOnline;
    this.#inRooms.moved(record, known, roomsAfter, type, change, isStill);
  }
}
