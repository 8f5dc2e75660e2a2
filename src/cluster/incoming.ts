/** What other nodes tell, item by item: `[kind, domain, …]`. The other side of each is where its kind is sent. */
import type { Address } from '../actors/address.js';
import { broadcastHere, relayedHere, toRoomHere } from '../actors/dispatch.js';
import { partOf } from '../actors/endpoint-record.js';
import type { Moment } from '../actors/moments.js';
import type { Packet } from '../actors/packet.js';
import type { Show } from '../actors/presence.js';
import { tellWatchers } from '../actors/router.js';
import type { TransportKind } from '../metrics.js';
import type { ClusteredDomain } from './domain.js';
import type { Peer } from './peer.js';
import type { WirePublication } from './topics.js';
import {
  address,
  addresses,
  count,
  fits,
  flag,
  moments,
  nothing,
  orNull,
  packet,
  packets,
  publication,
  show,
  stamp,
  text,
  transport,
  type Validator,
} from './validators.js';
import { packetOf, type WirePacket } from './wire.js';

type Addresses = readonly Address[];
type Take = (cluster: ClusteredDomain, peer: Peer, fields: readonly never[]) => void;

type Moments = readonly Moment[];
type Changed = readonly [Address, stamp: number, nick: string, shown: number, Show, status: string];
type Up = readonly [...Changed, birth: number, rooms: Moments];
type RoomsChanged = readonly [Address, add: Moments, remove: Moments, type: 'join' | 'grponline', nick: string | null];
type Mirrored = readonly [Address, join: Moments, leave: Moments, nick: string | null, watch: Addresses];

function up(cluster: ClusteredDomain, peer: Peer, fields: Up): void {
  const [address, stamp, nick, shown, show, status, birth, rooms] = fields;
  heard(cluster, [birth, stamp, shown, ...stampsOf(rooms)]);
  cluster.tracker.up(address, peer, birth, { stamp, nick, shown, show, status }, rooms);
  mirrored(cluster, peer, [address, rooms, [], null, []]);
}

/** What is done here from now on is later. */
function heard({ node }: ClusteredDomain, stamps: readonly number[]): void {
  for (const stamp of stamps) node.heardStamp(stamp);
}

function stampsOf(moments: Moments): number[] {
  return moments.map(([, stamp]) => stamp);
}

function changed(cluster: ClusteredDomain, _peer: Peer, fields: Changed): void {
  const [address, stamp, nick, shown, show, status] = fields;
  heard(cluster, [stamp, shown]);
  cluster.tracker.set(address, { stamp, nick, shown, show, status });
}

function roomsChanged(cluster: ClusteredDomain, peer: Peer, fields: RoomsChanged): void {
  const [address, add, remove, type, nick] = fields;
  cluster.tracker.enter(address, peer, add, remove, { type, nick });
  mirrored(cluster, peer, [address, add, remove, nick, []]);
}

/** What another part of an endpoint has come to, this node's part of it comes to as well. */
function mirrored(cluster: ClusteredDomain, _peer: Peer, [address, join, leave, nick, watch]: Mirrored): void {
  heard(cluster, [...stampsOf(join), ...stampsOf(leave)]);
  const record = cluster.tracker.records.get(address);
  if (!record?.actor || record.birth === 0) return;
  const { rooms, watching, actor } = record;
  const isNew = leave.length > 0 || join.some(([room]) => !rooms.includes(room));
  if (!isNew && watch.every((buddy) => watching.includes(buddy))) return;
  actor.tell({ kind: 'mirror', join, leave, nick, watch });
}

function connected({ tracker }: ClusteredDomain, peer: Peer, [address, count]: readonly [Address, number]): void {
  const record = tracker.records.get(address);
  const part = record && partOf(record, peer);
  if (part) part.connected = count;
  // One that is hidden has not been sent what nobody has seen.
  if (count > 0 && record?.actor && !part?.hidden) record.actor.tell({ kind: 'seen' });
}

function down({ tracker }: ClusteredDomain, peer: Peer, [address]: readonly [Address]): void {
  tracker.down(address, peer);
}

function watched(cluster: ClusteredDomain, _peer: Peer, [address, list]: readonly [Address, Addresses]): void {
  cluster.remoteWatchers.told(address, list);
}

function interested({ interest }: ClusteredDomain, peer: Peer, [filter, is]: readonly [string, boolean]): void {
  interest.told(peer, filter, is);
}

function nameClaimed({ domain }: ClusteredDomain, _peer: Peer, [address, client]: readonly [Address, string]): void {
  const actor = domain.tracker.actor(address);
  if (actor) actor.tell({ kind: 'nameClaimed', client });
}

type Packeted<T extends readonly unknown[]> = readonly [Address, ...T, WirePacket];

/** A packet that another node has sent; followed here too, where somebody follows it. */
function received({ domain }: ClusteredDomain, peer: Peer, wire: WirePacket): Packet {
  const packet = packetOf(wire);
  if (domain.trace !== null) domain.trace.received(packet, peer.name, wire[4] ?? null);
  return packet;
}

function broadcast(cluster: ClusteredDomain, peer: Peer, [, packet]: Packeted<[]>): void {
  broadcastHere(cluster.domain, received(cluster, peer, packet), false);
}

function toRoom(cluster: ClusteredDomain, peer: Peer, [, packet]: Packeted<[]>): void {
  toRoomHere(cluster.domain, received(cluster, peer, packet), true);
}

function toWatchers({ domain }: ClusteredDomain, _peer: Peer, [, packet]: Packeted<[]>): void {
  tellWatchers(domain.table, packetOf(packet), true);
}

function toEndpoint(cluster: ClusteredDomain, peer: Peer, fields: Packeted<[string | null, number]>): void {
  const [, only, hops, wire] = fields;
  const packet = received(cluster, peer, wire);
  const found = cluster.relays.toPrimary(packet, only, hops);
  if (!found) cluster.domain.drop(packet, 'offline', packet.topic);
}

function relayed(cluster: ClusteredDomain, peer: Peer, fields: Packeted<[string | null]>): void {
  const [address, only, packet] = fields;
  relayedHere(cluster.domain, address, received(cluster, peer, packet), only);
}

/** A packet for the clients of this node's part: one that nobody has seen elsewhere, or a carbon. */
function forPart(cluster: ClusteredDomain, peer: Peer, [address, packet]: Packeted<[]>): void {
  relayedHere(cluster.domain, address, received(cluster, peer, packet), null);
}

type Attached = readonly [id: number, token: string, kind: TransportKind, isRenewed: 0 | 1];
type Detached = readonly [id: number, token: string, taken: number, unsent: readonly WirePacket[]];

function attached({ remoteTransports }: ClusteredDomain, peer: Peer, [id, token, kind, isRenewed]: Attached): void {
  remoteTransports.attach(peer, id, token, kind, isRenewed === 1);
}

function acknowledged({ remoteTransports }: ClusteredDomain, peer: Peer, [id, count]: readonly [number, number]): void {
  remoteTransports.acknowledged(peer, id, count);
}

function detached({ remoteTransports }: ClusteredDomain, peer: Peer, [id, token, taken, unsent]: Detached): void {
  remoteTransports.detached(peer, id, token, taken, unsent);
}

function pushed(
  { remoteClients }: ClusteredDomain,
  _peer: Peer,
  [id, list]: readonly [number, readonly WirePacket[]],
): void {
  remoteClients.push(id, list);
}

function closed({ remoteClients }: ClusteredDomain, peer: Peer, [id, reason]: readonly [number, string]): void {
  remoteClients.close(peer, id, reason);
}

type Published = readonly [stamp: number, isWanted: 0 | 1, WirePublication];
type Share = readonly [name: string, filter: string, connected: number, total: number];

function published({ topics }: ClusteredDomain, _peer: Peer, [stamp, isWanted, publication]: Published): void {
  topics.received(stamp, isWanted === 1, publication);
}

function shared({ topics }: ClusteredDomain, peer: Peer, [name, filter, connected, total]: Share): void {
  topics.shareTold(peer, name, filter, connected, total);
}

function passed(
  { topics }: ClusteredDomain,
  _peer: Peer,
  [name, publication]: readonly [string, WirePublication],
): void {
  topics.passed(name, publication);
}

function claimed({ sessions }: ClusteredDomain, peer: Peer, [clientId, stamp]: readonly [string, number]): void {
  sessions.told(peer, clientId, stamp);
}

interface Taker {
  readonly take: Take;
  readonly validators: readonly Validator[];
}

function taker<F extends readonly unknown[]>(
  take: (cluster: ClusteredDomain, peer: Peer, fields: F) => void,
  ...validators: { [I in keyof F]: Validator }
): Taker {
  return { take: take as unknown as Take, validators };
}

const TAKERS = new Map<string, Taker>([
  ['u', taker(up, address, stamp, text, stamp, show, text, stamp, moments)],
  ['s', taker(changed, address, stamp, text, stamp, show, text)],
  ['r', taker(roomsChanged, address, moments, moments, text, orNull(text))],
  ['x', taker(down, address)],
  ['m', taker(mirrored, address, moments, moments, orNull(text), addresses)],
  ['k', taker(connected, address, count)],
  ['n', taker(nameClaimed, address, text)],
  ['w', taker(watched, address, addresses)],
  ['i', taker(interested, text, flag)],
  ['b', taker(broadcast, nothing, packet)],
  ['g', taker(toRoom, nothing, packet)],
  ['v', taker(toWatchers, nothing, packet)],
  ['e', taker(toEndpoint, nothing, orNull(text), count, packet)],
  ['y', taker(relayed, address, orNull(text), packet)],
  ['c', taker(forPart, address, packet)],
  ['U', taker(forPart, address, packet)],
  ['t', taker(published, stamp, flag, publication)],
  ['h', taker(shared, text, text, count, count)],
  ['H', taker(passed, text, publication)],
  ['S', taker(claimed, text, stamp)],
  ['va', taker(attached, count, text, transport, flag)],
  ['vk', taker(acknowledged, count, count)],
  ['vd', taker(detached, count, text, count, packets)],
  ['vp', taker(pushed, count, packets)],
  ['vc', taker(closed, count, text)],
]);

/** What became of an item: of no kind that is known here, or not of its kind's shape. */
export type Taken = 'taken' | 'unknown' | 'malformed';

export function take(cluster: ClusteredDomain, peer: Peer, kind: string, fields: readonly unknown[]): Taken {
  const known = TAKERS.get(kind);
  if (!known) return 'unknown';
  if (!fits(known.validators, fields, cluster.domain.name)) return 'malformed';
  known.take(cluster, peer, fields as readonly never[]);
  return 'taken';
}
