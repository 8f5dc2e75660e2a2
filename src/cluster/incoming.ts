/** What this node does with the items of other nodes, `[kind, domain, …]`. Their other side is items.ts. */
import type { Address } from '../actors/address.js';
import { broadcastHere, relayedHere, toRoomHere } from '../actors/dispatch.js';
import type { Domain } from '../actors/domain.js';
import { partOf } from '../actors/endpoint-record.js';
import type { Moment } from '../actors/moments.js';
import type { Receipt } from '../actors/outcome.js';
import type { Packet } from '../actors/packet.js';
import { type Position, parseAsked, parsePosition } from '../actors/position.js';
import type { Show } from '../actors/presence.js';
import { type Deliver, tellWatchers } from '../actors/router.js';
import type { EndedTicket, SignedOut } from '../actors/sign-outs.js';
import type { TransportKind } from '../metrics.js';
import type { AwayCounts } from './away-counts.js';
import type { EndpointPackets } from './endpoint-packets.js';
import type { HybridClock } from './hybrid-clock.js';
import type { Interest } from './interest.js';
import type { Peer, Taken } from './peer.js';
import type { RemoteClients } from './remote-client.js';
import type { RemoteTransports } from './remote-transport.js';
import type { RemoteWatchers } from './remote-watchers.js';
import type { Sessions } from './sessions.js';
import { forgetPart } from './taken-parts.js';
import type { Topics } from './topics.js';
import {
  address,
  addresses,
  count,
  countOrTrue,
  endedTickets,
  fits,
  flag,
  moments,
  movedItem,
  nothing,
  orNull,
  packet,
  packets,
  packetsAndNames,
  position,
  publication,
  show,
  signOuts,
  stamp,
  start,
  text,
  texts,
  transport,
  type Validator,
} from './validators.js';
import { packetOf, type WirePacket, type WirePublication } from './wire.js';

/** In characters: a whole IPv6 address with a zone is shorter. */
const LONGEST_ADDRESS = 80;

/** Whom items are for: the parts of one domain on this node. */
export interface Recipients {
  readonly domain: Domain;
  readonly stamps: Pick<HybridClock, 'heard'>;
  readonly packets: Pick<EndpointPackets, 'arrived'>;
  readonly remoteWatchers: Pick<RemoteWatchers, 'told'>;
  readonly interest: Pick<Interest, 'told'>;
  readonly remoteTransports: Pick<RemoteTransports, 'attach' | 'acknowledged' | 'confirmed' | 'detached'>;
  readonly remoteClients: Pick<RemoteClients, 'push' | 'close' | 'resumed' | 'frame'>;
  readonly awayCounts: Pick<AwayCounts, 'told'>;
  readonly topics: Pick<Topics, 'received' | 'shareTold' | 'passed'>;
  readonly sessions: Pick<Sessions, 'told' | 'mover'>;
  /** Tells a peer what becomes of a packet, under the number by which the peer asks. */
  receipt(peer: Peer, id: number): Receipt;
}

type Addresses = readonly Address[];
type Take = (recipients: Recipients, peer: Peer, fields: readonly never[]) => void;

type Moments = readonly Moment[];
type Changed = readonly [Address, stamp: number, nick: string, shown: number, Show, status: string];
type Up = readonly [...Changed, birth: number, rooms: Moments, away?: 0 | 1, isSilent?: 0 | 1];
type RoomsChanged = readonly [Address, add: Moments, remove: Moments, type: 'join' | 'grponline', nick: string | null];
type Mirrored = readonly [Address, join: Moments, leave: Moments, nick: string | null, watch: Addresses];

function up(recipients: Recipients, peer: Peer, fields: Up): void {
  const [address, stamp, nick, shown, show, status, birth, rooms, away, isSilent] = fields;
  heard(recipients, [birth, stamp, shown, ...stampsOf(rooms)]);
  const profile = { stamp, nick, shown, show, status };
  const { tracker, fanout } = recipients.domain;
  const come = (): void => tracker.up(address, peer, birth, profile, rooms, away === 1);
  if (isSilent === 1) fanout.silently(come);
  else come();
  if (rooms.length > 0) mirrored(recipients, peer, [address, rooms, [], null, []]);
}

/** Makes the stamps of this node's further actions later than these stamps. */
function heard({ stamps: clock }: Recipients, stamps: readonly number[]): void {
  for (const stamp of stamps) clock.heard(stamp);
}

function stampsOf(moments: Moments): number[] {
  return moments.map(([, stamp]) => stamp);
}

function changed(recipients: Recipients, _peer: Peer, fields: Changed): void {
  const [address, stamp, nick, shown, show, status] = fields;
  heard(recipients, [stamp, shown]);
  recipients.domain.tracker.set(address, { stamp, nick, shown, show, status });
}

function roomsChanged(recipients: Recipients, peer: Peer, fields: RoomsChanged): void {
  const [address, add, remove, type, nick] = fields;
  recipients.domain.tracker.enter(address, peer, add, remove, { type, nick });
  mirrored(recipients, peer, [address, add, remove, nick, []]);
}

/** This node's part of an endpoint enters and leaves the rooms, and lists the buddies, that another part of it did. */
function mirrored(recipients: Recipients, _peer: Peer, [address, join, leave, nick, watch]: Mirrored): void {
  heard(recipients, [...stampsOf(join), ...stampsOf(leave)]);
  const record = recipients.domain.tracker.records.get(address);
  if (!record?.actor || record.birth === 0) return;
  const { rooms, watching, actor } = record;
  const isNew = leave.length > 0 || join.some(([room]) => !rooms.includes(room));
  if (!isNew && watch.every((buddy) => watching.includes(buddy))) return;
  actor.tell({ kind: 'mirror', join, leave, nick, watch });
}

function connected({ domain }: Recipients, peer: Peer, [address, count]: readonly [Address, number]): void {
  const record = domain.tracker.records.get(address);
  const part = record && partOf(record, peer);
  if (part) part.connected = count;
  if (count > 0 && record?.actor && !part?.hidden) record.actor.tell({ kind: 'seen' });
}

function confirmedThere(
  { domain }: Recipients,
  _peer: Peer,
  fields: readonly [Address, 0 | 1 | boolean, string[]],
): void {
  const [address, isConfirmed, names] = fields;
  domain.tracker.actor(address)?.tell({ kind: 'confirmedElsewhere', names, isConfirmed: Boolean(isConfirmed) });
}

function wentAway({ domain }: Recipients, peer: Peer, [address, away, isLast]: readonly [Address, 0 | 1, 0 | 1]): void {
  domain.tracker.partAway(address, peer, away === 1, isLast === 1);
}

function awayCount({ awayCounts }: Recipients, peer: Peer, [count]: readonly [number]): void {
  awayCounts.told(peer, count);
}

function down(recipients: Recipients, peer: Peer, fields: readonly [Address, isLast: 0 | 1, at: number]): void {
  const { domain } = recipients;
  const [address, isLast, at] = fields;
  heard(recipients, [at]);
  domain.tracker.down(address, peer, isLast === 1);
  domain.events?.undelivered.endedElsewhere(address, peer.name, at);
}

function tookOver({ domain }: Recipients, _peer: Peer, [address, ...start]: readonly [Address, string, number]): void {
  forgetPart(domain.tracker, address, start);
}

function missed({ domain }: Recipients, _peer: Peer, [address]: readonly [Address]): void {
  domain.tracker.actor(address)?.tell({ kind: 'missed' });
}

function watched(recipients: Recipients, _peer: Peer, [address, list]: readonly [Address, Addresses]): void {
  recipients.remoteWatchers.told(address, list);
}

function interested({ interest }: Recipients, peer: Peer, [filter, is]: readonly [string, boolean]): void {
  interest.told(peer, filter, is);
}

function nameClaimed({ domain }: Recipients, _peer: Peer, [address, client]: readonly [Address, string]): void {
  domain.tracker.actor(address)?.tell({ kind: 'nameClaimed', client, stamp: Number.POSITIVE_INFINITY });
}

function nameHeld(recipients: Recipients, _peer: Peer, fields: readonly [Address, string, stamp: number]): void {
  const [address, client, stamp] = fields;
  heard(recipients, [stamp]);
  recipients.domain.tracker.actor(address)?.tell({ kind: 'nameClaimed', client, stamp });
}

function signedOut({ domain }: Recipients, _peer: Peer, [address]: readonly [Address]): void {
  domain.tracker.actor(address)?.tell({ kind: 'signedOut' });
}

function signedOutByName({ domain }: Recipients, _peer: Peer, [now, names]: readonly [boolean, readonly SignedOut[]]) {
  for (const [address, at] of names) {
    const isNew = domain.signOuts.add(address, at, false);
    const actor = isNew ? domain.tracker.actor(address) : null;
    if (actor) actor.tell({ kind: 'signedOutByName', upTo: now ? Number.POSITIVE_INFINITY : at });
  }
}

function ticketsSignedOut({ domain }: Recipients, _peer: Peer, [tickets]: readonly [readonly EndedTicket[]]): void {
  domain.signOuts.heard(tickets);
}

/** `receipt`: where the sender asks what becomes of the packet, the number under which it waits for an answer. */
type Packeted<T extends readonly unknown[]> = readonly [Address, ...T, WirePacket, receipt?: unknown, at?: unknown];

/** A packet that another node has sent. A trace of its endpoint goes on here. */
function received(recipients: Recipients, peer: Peer, wire: WirePacket, receipt?: unknown): Packet {
  const { domain } = recipients;
  const packet = packetOf(wire, domain.runtime.clock.now());
  if (count(receipt, '')) packet.receipt = recipients.receipt(peer, receipt as number);
  if (domain.trace !== null) domain.trace.received(packet, peer.name, wire[4] ?? null);
  return packet;
}

function packetsOf({ domain }: Recipients, list: readonly WirePacket[]): Packet[] {
  const now = domain.runtime.clock.now();
  return list.map((wire) => packetOf(wire, now));
}

function broadcast(recipients: Recipients, peer: Peer, [, wire, receipt]: Packeted<[]>): void {
  const packet = received(recipients, peer, wire, receipt);
  broadcastHere(recipients.domain, packet, false);
  packet.receipt?.report('dropped');
}

function toRoom(recipients: Recipients, peer: Peer, [, wire, receipt]: Packeted<[]>): void {
  const packet = received(recipients, peer, wire, receipt);
  toRoomHere(recipients.domain, packet, true);
  packet.receipt?.report('dropped');
}

function toWatchers({ domain }: Recipients, _peer: Peer, [, packet]: Packeted<[]>): void {
  tellWatchers(domain.table, packetOf(packet, domain.runtime.clock.now()), true);
}

function toEndpoint(recipients: Recipients, peer: Peer, fields: Packeted<[string | null, number]>): void {
  const [, only, hops, wire, receipt, at] = fields;
  recipients.packets.arrived(received(recipients, peer, wire, receipt), only, hops, at);
}

function relayed(recipients: Recipients, peer: Peer, fields: Packeted<[string | null]>): void {
  const [address, only, packet, receipt] = fields;
  relayedHere(recipients.domain, address, received(recipients, peer, packet, receipt), only);
}

/** A packet that has come for an endpoint to the node which has handed that endpoint over to this node. */
function forwarded(recipients: Recipients, peer: Peer, fields: Packeted<[string | null, 0 | 1]>): void {
  const [address, only, isRelayed, wire, receipt] = fields;
  const packet = received(recipients, peer, wire, receipt);
  const actor = recipients.domain.tracker.actor(address);
  const deliver: Deliver = { kind: 'deliver', packet, only, ...(isRelayed === 1 ? { relayed: true } : {}) };
  if (actor) actor.tell({ kind: 'forwarded', deliver });
  // The endpoint has ended here meanwhile, or lives elsewhere; what was relayed its other parts have.
  else if (deliver.relayed) packet.receipt?.report('dropped');
  else recipients.packets.arrived(packet, only, 0, null);
}

type Unseen = readonly [Address, readonly (WirePacket | string)[]];

/** Messages that nobody has confirmed on another node, in order, for the clients of this node's part alone. */
function unseen(recipients: Recipients, peer: Peer, [address, list]: Unseen): void {
  const messages = list.map((one) => (typeof one === 'string' ? one : received(recipients, peer, one)));
  recipients.domain.tracker.actor(address)?.tell({ kind: 'unseen', messages });
}

/** A carbon: a packet for the clients of this node's part alone. */
function forPart(recipients: Recipients, peer: Peer, [address, packet]: Packeted<[]>): void {
  relayedHere(recipients.domain, address, received(recipients, peer, packet), null);
}

type Attached = readonly [number, string, TransportKind, isRenewed: 0 | 1, asked?: string | null, from?: unknown];
type Detached = readonly [id: number, token: string, taken: number, unsent: readonly WirePacket[]];

function attached({ remoteTransports }: Recipients, peer: Peer, fields: Attached): void {
  const [id, token, kind, isRenewed, asked, from] = fields;
  const position = typeof asked === 'string' ? parseAsked(asked) : null;
  const address = typeof from === 'string' && from.length <= LONGEST_ADDRESS ? from : null;
  remoteTransports.attach(peer, id, token, { kind, address }, isRenewed === 1, position);
}

function resumed({ remoteClients }: Recipients, _peer: Peer, [id, position]: readonly [number, string]): void {
  remoteClients.resumed(id, position);
}

type Framed = readonly [number, string | null, missed: number | true, lost: number, after: string, WirePacket[]];

function framed(recipients: Recipients, _peer: Peer, fields: Framed): void {
  const [id, position, missed, lost, text, list] = fields;
  const after = parsePosition(text) as Position;
  const packets = packetsOf(recipients, list);
  recipients.remoteClients.frame(id, { position, missed, lost, packets }, after);
}

function confirmed({ remoteTransports }: Recipients, peer: Peer, [id, text]: readonly [number, string]): void {
  const position = parsePosition(text);
  if (position) remoteTransports.confirmed(peer, id, position);
}

function acknowledged({ remoteTransports }: Recipients, peer: Peer, [id, count]: readonly [number, number]): void {
  remoteTransports.acknowledged(peer, id, count);
}

function detached(recipients: Recipients, peer: Peer, [id, token, taken, unsent]: Detached): void {
  recipients.remoteTransports.detached(peer, id, token, taken, packetsOf(recipients, unsent));
}

function pushed(recipients: Recipients, _peer: Peer, [id, list]: readonly [number, readonly WirePacket[]]): void {
  recipients.remoteClients.push(id, packetsOf(recipients, list));
}

function closed({ remoteClients }: Recipients, peer: Peer, [id, reason]: readonly [number, string]): void {
  remoteClients.close(peer, id, reason);
}

type Published = readonly [stamp: number, isWanted: 0 | 1, WirePublication];
type Share = readonly [name: string, filter: string, connected: number, total: number];

function published({ topics }: Recipients, _peer: Peer, [stamp, isWanted, publication]: Published): void {
  topics.received(stamp, isWanted === 1, publication);
}

function shared({ topics }: Recipients, peer: Peer, [name, filter, connected, total]: Share): void {
  topics.shareTold(peer, name, filter, connected, total);
}

function passed({ topics }: Recipients, _peer: Peer, [name, publication]: readonly [string, WirePublication]): void {
  topics.passed(name, publication);
}

function claimed({ sessions }: Recipients, peer: Peer, [clientId, stamp]: readonly [string, number]): void {
  sessions.told(peer, clientId, stamp);
}

/** A publication that has come for an MQTT session to the node which has handed that session over to this node. */
function sessionForwarded({ sessions }: Recipients, _peer: Peer, [clientId, item]: readonly [string, unknown]): void {
  sessions.mover?.forwarded(clientId, item);
}

interface Taker {
  readonly take: Take;
  readonly validators: readonly Validator[];
}

function taker<F extends readonly unknown[]>(
  take: (recipients: Recipients, peer: Peer, fields: F) => void,
  ...validators: { [I in keyof F]: Validator }
): Taker {
  return { take: take as unknown as Take, validators };
}

const TAKERS = new Map<string, Taker>([
  ['u', taker(up, address, stamp, text, stamp, show, text, stamp, moments)],
  ['s', taker(changed, address, stamp, text, stamp, show, text)],
  ['r', taker(roomsChanged, address, moments, moments, text, orNull(text))],
  ['a', taker(wentAway, address, flag, flag)],
  ['A', taker(awayCount, count)],
  ['x', taker(down, address, flag, stamp)],
  ['X', taker(tookOver, address, text, count)],
  ['M', taker(missed, address)],
  ['m', taker(mirrored, address, moments, moments, orNull(text), addresses)],
  ['k', taker(connected, address, count)],
  ['K', taker(confirmedThere, address, flag, texts)],
  ['n', taker(nameClaimed, address, text)],
  ['N', taker(nameHeld, address, text, stamp)],
  ['O', taker(signedOut, address)],
  ['Q', taker(signedOutByName, flag, signOuts)],
  ['q', taker(ticketsSignedOut, endedTickets)],
  ['w', taker(watched, address, addresses)],
  ['i', taker(interested, text, flag)],
  ['b', taker(broadcast, nothing, packet)],
  ['g', taker(toRoom, nothing, packet)],
  ['v', taker(toWatchers, nothing, packet)],
  ['e', taker(toEndpoint, nothing, orNull(text), count, packet)],
  ['y', taker(relayed, address, orNull(text), packet)],
  ['f', taker(forwarded, address, orNull(text), flag, packet)],
  ['c', taker(forPart, address, packet)],
  ['U', taker(unseen, address, packetsAndNames)],
  ['t', taker(published, stamp, flag, publication)],
  ['h', taker(shared, text, text, count, count)],
  ['H', taker(passed, text, publication)],
  ['S', taker(claimed, text, stamp)],
  ['F', taker(sessionForwarded, text, movedItem)],
  ['va', taker(attached, count, text, transport, flag)],
  ['vk', taker(acknowledged, count, count)],
  ['vr', taker(resumed, count, start)],
  ['vf', taker(framed, count, orNull(position), countOrTrue, count, position, packets)],
  ['vq', taker(confirmed, count, position)],
  ['vd', taker(detached, count, text, count, packets)],
  ['vp', taker(pushed, count, packets)],
  ['vc', taker(closed, count, text)],
]);

export function take(recipients: Recipients, peer: Peer, kind: string, fields: readonly unknown[]): Taken {
  const known = TAKERS.get(kind);
  if (!known) return 'unknown';
  if (!fits(known.validators, fields, recipients.domain.name)) return 'malformed';
  known.take(recipients, peer, fields as readonly never[]);
  return 'taken';
}
