/**
 * What a node knows of an endpoint: what belongs to it as a whole, this node's own part of it, and the parts of other
 * nodes. Written by tracker.ts only; read by all. The functions are pure.
 */
import type { Address } from './address.js';
import type { RemoteNode } from './cluster.js';
import type { EndpointMessage } from './endpoint.js';
import type { Moment } from './moments.js';
import type { Appearance, Show } from './presence.js';
import type { SmallSet } from './small-set.js';
import type { Ref } from './system.js';
import { NO_BUDDIES, type Watched } from './watchers.js';

/** The state of an endpoint as a whole: where two nodes set it, the later one counts. */
export interface Profile {
  readonly nick: string;
  readonly show: Show;
  readonly status: string;
}

/** A profile with the stamps that another node gave it. */
export interface StampedProfile extends Profile {
  /** When the nick was set. */
  readonly stamp: number;
  /** When show and status were set; 0: they never were, so that any that another node sets count as later. */
  readonly shown: number;
}

/** How a change of an endpoint came about. */
export interface Change {
  /** The presence that the members of new rooms are told. */
  readonly type: 'join' | 'grponline';
  /** The nick that members of rooms are told, in place of the endpoint's own. */
  readonly nick?: string | null;
  /** Show or status have been set, perhaps to what they were before. */
  readonly isShown?: boolean;
  /** Whether this node's own part, which was away, is back. */
  readonly isBack?: boolean;
  /** Whether this node's own part begins with only clients that are away. */
  readonly isAway?: boolean;
  /**
   * Who tells the site: the node whose own part changes (`here`, unless it says); another one does (`there`); nobody
   * does of itself, since no node knew that its part was the last (`orphan`), or a node is lost or found again (`lost`).
   */
  readonly cause?: 'here' | 'there' | 'orphan' | 'lost';
  /** When an endpoint that goes offline on this node was last seen, in milliseconds since the epoch. */
  readonly since?: number;
  /** The stamps of entering and leaving, for rooms that were entered or left on another node. */
  readonly moments?: readonly Moment[];
}

export const THERE: Change = { type: 'join', cause: 'there' };
export const ORPHAN: Change = { type: 'join', cause: 'orphan' };
export const LOST: Change = { type: 'join', cause: 'lost' };

/** Another node's part of an endpoint. */
export interface Part {
  readonly node: RemoteNode;
  /** The stamp of when the part came; messages go through the oldest part of an endpoint. */
  birth: number;
  rooms: readonly Address[];
  /** When each of the rooms was entered. */
  entered: readonly number[];
  /** The part's node is not heard of, or has not named the part since it was asked for everything. */
  hidden: boolean;
  /** Whether the part has only clients that are away: others do not see such a part. */
  away: boolean;
  /** The part has not been named yet in a snapshot that is coming in. */
  stale: boolean;
  /** How many clients of the part are connected; nodes that have a part themselves are told. */
  connected: number;
}

/** The rooms of a part that is in none. */
export const NOWHERE: Pick<Part, 'rooms' | 'entered'> = { rooms: [], entered: [] };

/** Shared by all that have none. */
const NO_PARTS: readonly Part[] = [];

const isList = (parts: Part | readonly Part[]): parts is readonly Part[] => Array.isArray(parts);

/** This node's own part of an endpoint, and whom the endpoint lists here. */
class OwnPart {
  birth = 0;
  away = false;
  rooms: readonly Address[] = NOWHERE.rooms;
  entered: readonly number[] = NOWHERE.entered;
  connected = 0;
  watching: readonly Address[] = NO_BUDDIES;
}

/** Stands for the own part where there is none; nobody changes it. */
const NO_OWN_PART: Readonly<OwnPart> = Object.freeze(new OwnPart());

/**
 * An endpoint. Most records of a node in a cluster are of endpoints that live on one other node, so these are small: an own part, and a
 * list of several parts, are objects of their own, which are made when they are needed.
 */
export class EndpointRecord {
  readonly address: Address;
  /** The endpoint's actor on this node; null: the endpoint lives on other nodes only. */
  actor: Ref<EndpointMessage> | null = null;
  nick = '';
  /** When the nick was set. */
  stamp = 0;
  show: Show = 'available';
  status = '';
  /** The appearance of the endpoint that this node's clients were told last; null: offline. */
  appearance: Appearance | null = null;
  /** The endpoints of this node that list the endpoint. */
  watchers: SmallSet<EndpointRecord>;
  /** Null, not 0: V8 keeps a number beyond 32 bits apart, and where some records have one, each of them has the memory for it. */
  #shown: number | null = null;
  #own: OwnPart | null = null;
  #parts: Part | readonly Part[] = NO_PARTS;

  /** The record of an endpoint that nobody has told anything of, but that others may list. */
  constructor({ address, watchers }: Watched) {
    this.address = address;
    this.watchers = watchers;
  }

  /** When show and status were set; 0: never. */
  get shown(): number {
    return this.#shown ?? 0;
  }

  set shown(stamp: number) {
    this.#shown = stamp > 0 ? stamp : null;
  }

  /** The parts of other nodes, the oldest first. */
  get parts(): readonly Part[] {
    const parts = this.#parts;
    return isList(parts) ? parts : [parts];
  }

  set parts(parts: readonly Part[]) {
    const [first] = parts;
    this.#parts = first === undefined ? NO_PARTS : parts.length === 1 ? first : parts;
  }

  /** The stamp of when this node's own part came; 0: this node has none. */
  get birth(): number {
    return this.#ownPart.birth;
  }

  set birth(stamp: number) {
    this.#mine().birth = stamp;
  }

  /** Whether this node's own part has only clients that are away: others do not see it, but it stays in its rooms. */
  get away(): boolean {
    return this.#ownPart.away;
  }

  set away(isAway: boolean) {
    this.#mine().away = isAway;
  }

  /** The rooms that this node's own part is in. */
  get rooms(): readonly Address[] {
    return this.#ownPart.rooms;
  }

  set rooms(rooms: readonly Address[]) {
    this.#mine().rooms = rooms;
  }

  /** When each of the rooms was entered. */
  get entered(): readonly number[] {
    return this.#ownPart.entered;
  }

  set entered(entered: readonly number[]) {
    this.#mine().entered = entered;
  }

  /** How many of the endpoint's clients on this node are connected. */
  get connected(): number {
    return this.#ownPart.connected;
  }

  set connected(count: number) {
    this.#mine().connected = count;
  }

  /** The buddies that the endpoint lists on this node. */
  get watching(): readonly Address[] {
    return this.#ownPart.watching;
  }

  set watching(buddies: readonly Address[]) {
    this.#mine().watching = buddies;
  }

  /** This node has no part of the endpoint any more. */
  endOwnPart(): void {
    this.#own = null;
  }

  get #ownPart(): Readonly<OwnPart> {
    return this.#own ?? NO_OWN_PART;
  }

  /** The own part, to be changed. */
  #mine(): OwnPart {
    this.#own ??= new OwnPart();
    return this.#own;
  }
}

/** Another node's part, not counted yet. Each field is named: what is spread into an object takes 40 bytes more. */
export function newPart(node: RemoteNode, birth: number, away: boolean): Part {
  const { rooms, entered } = NOWHERE;
  return { node, birth, rooms, entered, hidden: true, away, stale: false, connected: 0 };
}

export function partOf({ parts }: EndpointRecord, node: RemoteNode): Part | undefined {
  return parts.length === 0 ? undefined : parts.find((part) => part.node === node);
}

/** Whether a part of another node makes its endpoint online. */
export function isCounted({ hidden, away }: Pick<Part, 'hidden' | 'away'>): boolean {
  return !hidden && !away;
}

/** Whether this node's own part makes its endpoint online. */
export function isOnlineHere({ birth, away }: EndpointRecord): boolean {
  return birth > 0 && !away;
}

export function isOnline(record: EndpointRecord): boolean {
  return isOnlineHere(record) || record.parts.some(isCounted);
}

/** Whether an endpoint is online on this node, and was before on another worker of this server. */
export function isShared(record: EndpointRecord): boolean {
  const { birth, parts } = record;
  return isOnlineHere(record) && parts.some((part) => part.birth < birth && isCounted(part) && part.node.isWorker);
}

/** The rooms that an endpoint is in, by those of its parts that count. */
export function roomsOf({ birth, rooms, parts }: EndpointRecord): readonly Address[] {
  if (parts.length === 0) return rooms;
  const visible = parts.filter(({ hidden }) => !hidden);
  if (visible.length === 0) return rooms;
  const [first] = visible;
  if (birth === 0 && visible.length === 1 && first) return first.rooms;
  return [...new Set([...rooms, ...visible.flatMap((part) => part.rooms)])];
}

/** Other nodes that have a part of an endpoint and are heard of, the oldest part first. */
export function nodesOf(record: EndpointRecord | undefined): RemoteNode[] {
  const found: RemoteNode[] = [];
  for (const { node, hidden } of record?.parts ?? []) if (node.up && !hidden) found.push(node);
  return found;
}

/** Names of the nodes that have a part of an endpoint, the oldest part first; `own`: the name of this node. */
export function namesOf(record: EndpointRecord | undefined, own: string): string[] {
  const { parts = [], birth: born = 0 } = record ?? {};
  const others = parts.filter(({ hidden }) => !hidden).map(({ node, birth }) => ({ name: node.name, birth }));
  const all = born > 0 ? [...others, { name: own, birth: born }] : others;
  return all.sort((a, b) => a.birth - b.birth).map(({ name }) => name);
}

/**
 * The node of an endpoint's oldest part, through which its messages go: another node, or null for this one; undefined: no
 * node has a part. `except` does not count. A node that ended in order counts as online for a while, but takes no message.
 */
export function primaryOf({ birth, parts }: EndpointRecord, except?: RemoteNode): RemoteNode | null | undefined {
  for (const part of parts) {
    if (birth > 0 && birth < part.birth) return null;
    if (!part.hidden && part.node.up && part.node !== except) return part.node;
  }
  return birth > 0 ? null : undefined;
}

/** Whether an endpoint has a connected client on another node. */
export function isConnectedElsewhere({ parts }: EndpointRecord): boolean {
  return parts.some(({ node, hidden, connected }) => node.up && !hidden && connected > 0);
}

/** The rooms of a part, with the stamps of when they were entered. */
export function momentsOf({ rooms, entered }: Pick<Part, 'rooms' | 'entered'>): Moment[] {
  return rooms.map((room, at) => [room, entered[at] ?? 0] as const);
}

/** When an endpoint entered a room, by those of its parts that count; 0: the endpoint is not in the room. */
export function enteredAt({ rooms, entered, parts }: EndpointRecord, room: Address): number {
  let latest = entered[rooms.indexOf(room)] ?? 0;
  for (const part of parts) if (!part.hidden) latest = Math.max(latest, part.entered[part.rooms.indexOf(room)] ?? 0);
  return latest;
}
