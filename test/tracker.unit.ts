/**
 * The tracker against a naive model: random changes of this node's parts and of what two other nodes tell, and after
 * each of them everything that the tracker answers, and what it has told this node's clients.
 */
import { isDeepStrictEqual } from 'node:util';
import t from 'tap';
import type { Address } from '../src/actors/address.js';
import type { RemoteNode } from '../src/actors/cluster.js';
import type { EndpointMessage } from '../src/actors/endpoint.js';
import type { EndpointRecord, StampedProfile } from '../src/actors/endpoint-record.js';
import { FOOTPRINT, Memory } from '../src/actors/memory.js';
import type { Moment } from '../src/actors/moments.js';
import { type Appearance, appearance, type Show } from '../src/actors/presence.js';
import type { Ref } from '../src/actors/system.js';
import { Tracker } from '../src/actors/tracker.js';
import { Metrics } from '../src/metrics.js';
import { atOnce } from '../src/slices.js';
import { dice } from './support/dice.js';
import { Hearers } from './support/hearers.js';

const [RUNS, STEPS] = [60, 250];
const names = ['ada', 'bob', 'cyd', 'dan'].map((id) => `/domain/a.example/uid/${id}` as Address);
const rooms = ['red', 'blue', 'green'].map((id) => `/domain/a.example/gid/${id}` as Address);
const shows: readonly Show[] = ['available', 'away', 'invisible'];
const join = { type: 'join' } as const;

interface ModelPart {
  birth: number;
  hidden: boolean;
  away: boolean;
  stale: boolean;
  readonly rooms: Map<Address, number>;
}

interface ModelEndpoint {
  nick: string;
  stamp: number;
  show: Show;
  status: string;
  shown: number;
  hasActor: boolean;
  watching: Set<Address>;
  /** The endpoint's part on each node; null is this node. */
  readonly parts: Map<RemoteNode | null, ModelPart>;
}

const worker: RemoteNode = { name: 'n1', up: true, isWorker: true, lostAt: 0 };
const machine: RemoteNode = { name: 'n2', up: true, isWorker: false, lostAt: 0 };
const nodes = [worker, machine];

/** The same changes in the tracker and in the model, chosen by dice. */
class Comparison {
  readonly hearers = new Hearers();
  readonly metrics = new Metrics().domain('a.example');
  readonly memory = new Memory(this.metrics, () => ({ bytesPerDomain: 0 }));
  readonly tracker = new Tracker(this.hearers, this.hearers, this.memory, this.metrics);
  readonly model = new Map<Address, ModelEndpoint>();
  readonly #roll: (sides: number) => number;

  constructor(seed: number) {
    this.#roll = dice(seed);
  }

  /** One change; answers what it was. */
  step(): string {
    const name = this.#pick(names);
    const node = this.#pick(nodes);
    switch (this.#roll(15)) {
      case 0:
      case 1:
      case 2:
        return this.#update(name);
      case 3:
        return this.#offline(name);
      case 4:
      case 5:
        return this.#up(name, node);
      case 6:
        return this.#set(name);
      case 7:
      case 8:
        return this.#enter(name, node);
      case 9:
        return this.#down(name, node);
      case 10:
        return this.#hide(node);
      case 11:
        return this.#watch(name);
      case 12:
        return this.#away(name);
      case 13:
        return this.#partAway(name, node);
      default:
        return this.#snapshotOrEnd(node);
    }
  }

  #pick<T>(list: readonly T[]): T {
    return list[this.#roll(list.length)] as T;
  }

  #some<T>(list: readonly T[]): T[] {
    return list.filter(() => this.#roll(2) === 0);
  }

  #endpoint(name: Address): ModelEndpoint {
    let found = this.model.get(name);
    if (!found) {
      const profile = { nick: '', stamp: 0, show: 'available', status: '', shown: 0 } as const;
      found = { ...profile, hasActor: false, watching: new Set(), parts: new Map() };
      this.model.set(name, found);
    }
    return found;
  }

  #forgetEmpty(name: Address): void {
    const { hasActor = true, parts } = this.model.get(name) ?? {};
    if (!hasActor && parts?.size === 0) this.model.delete(name);
  }

  #adopt(found: ModelEndpoint, { nick, stamp, show, status, shown }: StampedProfile): void {
    if (stamp > found.stamp) Object.assign(found, { nick, stamp });
    if (shown > found.shown) Object.assign(found, { show, status, shown });
  }

  /** A stamp of another node: later than all, or of some time ago. */
  #remoteStamp(): number {
    if (this.#roll(3) === 0) return Math.max(1, this.hearers.stamps - this.#roll(40));
    return this.hearers.stamp();
  }

  #profile(): StampedProfile {
    const nick = `Nick ${this.#roll(5)}`;
    const status = this.#roll(2) === 0 ? '' : 'busy';
    return { nick, show: this.#pick(shows), status, stamp: this.#remoteStamp(), shown: this.#remoteStamp() };
  }

  #moments(list: readonly Address[]): Moment[] {
    return list.map((room) => [room, this.#remoteStamp()] as const);
  }

  #actor(name: Address): EndpointRecord {
    const record = this.tracker.record(name);
    record.actor ??= { tell: () => undefined } as unknown as Ref<EndpointMessage>;
    this.#endpoint(name).hasActor = true;
    return record;
  }

  #update(name: Address): string {
    const record = this.#actor(name);
    const found = this.#endpoint(name);
    const { nick, show, status } = this.#profile();
    const enter = this.#some(rooms);
    const leave = this.#some(rooms.filter((room) => !enter.includes(room)));
    const isShown = this.#roll(2) === 0;
    const own = found.parts.get(null);
    const isChanged = isShown || !own || found.show !== show || found.status !== status;
    if (!own) {
      // A room that another part is in already keeps the moment at which that part entered.
      const stampsOf = (room: Address) =>
        [...found.parts.values()].map((p) => (p.hidden ? 0 : (p.rooms.get(room) ?? 0)));
      const earlier = new Map(enter.map((room) => [room, Math.max(0, ...stampsOf(room))]));
      this.tracker.update(record, { nick, show, status }, enter, leave, { ...join, isShown });
      const { birth } = record;
      const entered = new Map(enter.map((room) => [room, earlier.get(room) || birth]));
      found.parts.set(null, { birth, hidden: false, away: false, stale: false, rooms: entered });
      this.#adopt(found, { nick, show, status, stamp: birth, shown: isShown ? birth : found.shown });
      return `update ${name}`;
    }
    const isRenamed = found.nick !== nick;
    const isSame = !isRenamed && !isChanged;
    const isBack = own.away && this.#roll(2) === 0;
    if (isBack) own.away = false;
    this.tracker.update(record, { nick, show, status }, enter, leave, { ...join, isShown, isBack });
    if (!isSame)
      Object.assign(found, { nick, show: isChanged ? show : found.show, status: isChanged ? status : found.status });
    if (isRenamed) found.stamp = record.stamp;
    if (isChanged) found.shown = record.shown;
    for (const room of leave) if (own.rooms.delete(room)) this.#leaveAll(found, [[room, this.hearers.stamps]]);
    for (const room of enter) if (!own.rooms.has(room)) own.rooms.set(room, this.hearers.stamps);
    return `update ${name}`;
  }

  #offline(name: Address): string {
    const record = this.tracker.records.get(name);
    if (!record) return 'nobody goes';
    const found = this.#endpoint(name);
    found.parts.delete(null);
    found.watching.clear();
    this.tracker.goOffline(record);
    found.hasActor = false;
    this.tracker.detachActor(record);
    this.#forgetEmpty(name);
    return `offline ${name}`;
  }

  /** This node's own part goes away, or is back. */
  #away(name: Address): string {
    const record = this.tracker.records.get(name);
    const own = this.model.get(name)?.parts.get(null);
    if (!record) return 'nobody is away';
    const isAway = this.#roll(2) === 0;
    if (own) own.away = isAway;
    this.tracker.setAway(record, isAway);
    return `${isAway ? 'away' : 'back'} ${name}`;
  }

  #partAway(name: Address, node: RemoteNode): string {
    const isAway = this.#roll(2) === 0;
    const part = this.model.get(name)?.parts.get(node);
    if (part) part.away = isAway;
    this.tracker.partAway(name, node, isAway);
    return `${isAway ? 'away' : 'back'} ${name} on ${node.name}`;
  }

  #up(name: Address, node: RemoteNode): string {
    const found = this.#endpoint(name);
    const known = found.parts.get(node);
    const birth = known && this.#roll(2) === 0 ? known.birth : this.#remoteStamp();
    const profile = this.#profile();
    const entered = this.#moments(this.#some(rooms));
    this.#adopt(found, profile);
    const away = this.#roll(4) === 0;
    found.parts.set(node, { birth, hidden: false, away, stale: false, rooms: new Map(entered) });
    this.tracker.up(name, node, birth, profile, entered, away);
    return `up ${name} on ${node.name}`;
  }

  #set(name: Address): string {
    const profile = this.#profile();
    const found = this.model.get(name);
    if (found) this.#adopt(found, profile);
    this.tracker.set(name, profile);
    return `set ${name}`;
  }

  #enter(name: Address, node: RemoteNode): string {
    const entered = this.#moments(this.#some(rooms));
    const left = this.#moments(this.#some(rooms.filter((room) => !entered.some(([other]) => other === room))));
    const part = this.model.get(name)?.parts.get(node);
    for (const [room] of left) part?.rooms.delete(room);
    for (const [room, stamp] of entered) part?.rooms.set(room, Math.max(stamp, part.rooms.get(room) ?? 0));
    if (part) this.#leaveAll(this.#endpoint(name), left);
    this.tracker.enter(name, node, entered, left, join);
    return `enter ${name} on ${node.name}`;
  }

  /** Whoever leaves a room by one part leaves it by those of other nodes that have not entered it later. */
  #leaveAll({ parts }: ModelEndpoint, left: readonly Moment[]): void {
    for (const [node, { rooms }] of parts) {
      for (const [room, stamp] of left) if (node && (rooms.get(room) ?? stamp) < stamp) rooms.delete(room);
    }
  }

  #down(name: Address, node: RemoteNode): string {
    this.model.get(name)?.parts.delete(node);
    this.tracker.down(name, node);
    this.#forgetEmpty(name);
    return `down ${name} on ${node.name}`;
  }

  #hide(node: RemoteNode): string {
    for (const { parts } of this.model.values()) Object.assign(parts.get(node) ?? {}, { hidden: true });
    atOnce(this.tracker.hide(node));
    return `hide ${node.name}`;
  }

  #watch(name: Address): string {
    const found = this.model.get(name);
    if (!found?.parts.has(null)) return 'nobody watches';
    const buddies = this.#some(names);
    for (const buddy of buddies) if (buddy !== name) found.watching.add(buddy);
    this.tracker.watch(this.tracker.record(name), buddies);
    return `watch ${name}`;
  }

  /** A snapshot that names half of the node's endpoints, or the node's end. */
  #snapshotOrEnd(node: RemoteNode): string {
    const isEnd = this.#roll(3) === 0;
    if (isEnd) atOnce(this.tracker.drop(node));
    else this.tracker.expect(node);
    for (const [name, { parts }] of [...this.model]) {
      if (!isEnd && this.#roll(2) === 0) this.#up(name, node);
      else {
        parts.delete(node);
        if (isEnd) this.#forgetEmpty(name);
      }
    }
    if (isEnd) return `end of ${node.name}`;
    this.tracker.settle(node);
    for (const name of [...this.model.keys()]) this.#forgetEmpty(name);
    return `snapshot of ${node.name}`;
  }

  /** Ends all endpoints, on every node. */
  end(): void {
    for (const name of names) this.#offline(name);
    for (const node of nodes) atOnce(this.tracker.drop(node));
    this.model.clear();
  }

  /** What the model says of all that `found` reads from the tracker. */
  expected() {
    const online: Record<string, number> = {};
    /** Members that are online. */
    const members: Record<string, string[]> = {};
    const sizes: Record<string, number> = {};
    /** Members that have what is said in a room. */
    const hearers: Record<string, string[]> = {};
    const told: string[] = [];
    /** Rooms of all parts, also of those that are hidden. */
    const entered = new Set<Address>();
    const profiles: Record<string, unknown> = {};
    const believed: Record<string, Appearance> = {};
    let [shared, buddies, ownParts, onlineCount] = [0, 0, 0, 0];
    for (const [name, found] of this.model) {
      const visible = [...found.parts].filter(([, { hidden }]) => !hidden);
      const counted = visible.filter(([, { away }]) => !away);
      for (const [node] of counted) online[node?.name ?? 'own'] = (online[node?.name ?? 'own'] ?? 0) + 1;
      if (counted.length > 0) onlineCount += 1;
      const own = found.parts.get(null);
      if (own) ownParts += 1;
      if (own && !own.away && counted.some(([node, { birth }]) => node?.isWorker && birth < own.birth)) shared += 1;
      buddies += found.watching.size;
      const seen = counted.length > 0 ? appearance(found.show, found.status) : null;
      if (seen) believed[name] = seen;
      for (const part of found.parts.values()) for (const room of part.rooms.keys()) entered.add(room);
      profiles[name] = [found.nick, found.show, found.status, seen, [...found.watching].sort()];
      for (const room of new Set(visible.flatMap(([, part]) => [...part.rooms.keys()]))) {
        hearers[room] = [...(hearers[room] ?? []), name].sort();
        if (counted.length === 0) continue;
        members[room] = [...(members[room] ?? []), name].sort();
        sizes[room] = (sizes[room] ?? 0) + 1;
        if (seen) told.push(`${room} ${name}`);
      }
    }
    const roomBytes = entered.size * FOOTPRINT.room;
    const numbers = { shared, buddies, ownParts, onlineCount, roomBytes, records: this.model.size };
    return { online, members, sizes, hearers, told: told.sort(), profiles, believed, problems: [], ...numbers };
  }

  #reached(room: Address): Address[] {
    const { here = [], elsewhere = [] } = this.tracker.rooms.get(room) ?? {};
    return [...here, ...elsewhere].map(({ address }) => address).sort();
  }

  /** What the tracker answers, and what its clients have been told. */
  found() {
    const { tracker, hearers, memory } = this;
    const online = Object.fromEntries([...tracker.online].map(([node, count]) => [node?.name ?? 'own', count]));
    const listed = rooms.map((room) => [
      room,
      Array.from(tracker.rooms.members(room), ({ address }) => address).sort(),
    ]);
    const profiles = Array.from(tracker.records.values(), (record) => {
      const { address, nick, show, status, watching } = record;
      return [address, [nick, show, status, tracker.appearance(address), [...watching].sort()]] as const;
    });
    const records = [...tracker.records.values()];
    const buddies = records.reduce((sum, { watching }) => sum + watching.length, 0);
    const ownParts = records.filter(({ birth }) => birth > 0).length;
    const roomBytes = memory.bytes - ownParts * FOOTPRINT.endpoint - buddies * FOOTPRINT.buddy;
    return {
      online,
      members: Object.fromEntries(listed.filter(([, list]) => (list?.length ?? 0) > 0)),
      sizes: Object.fromEntries(rooms.map((room) => [room, tracker.rooms.size(room)]).filter(([, size]) => size)),
      hearers: Object.fromEntries(
        rooms.map((room) => [room, this.#reached(room)] as const).filter(([, list]) => list.length > 0),
      ),
      told: [...hearers.members].sort(),
      profiles: Object.fromEntries(profiles),
      believed: Object.fromEntries(hearers.believed),
      problems: hearers.problems,
      records: hearers.remembers,
      shared: hearers.sharedEndpoints,
      buddies,
      ownParts,
      onlineCount: tracker.onlineCount,
      roomBytes,
    };
  }
}

t.test('after any changes the tracker answers what a naive model does, and its clients believe it', async (t) => {
  for (let seed = 1; seed <= RUNS; seed += 1) {
    const both = new Comparison(seed);
    const steps: string[] = [];
    for (let step = 0; step < STEPS; step += 1) {
      steps.push(both.step());
      const [found, expected] = [both.found(), both.expected()];
      if (isDeepStrictEqual(found, expected)) continue;
      t.strictSame(found, expected, `seed ${seed}, step ${step}, after ${steps.slice(-8).join(', ')}`);
      return;
    }
    both.end();
    t.equal(both.tracker.records.size, 0, 'nobody is left');
    t.equal(both.tracker.rooms.total, 0, 'no room is left');
    t.equal(both.memory.bytes, 0, 'nothing is held in memory');
  }
});
