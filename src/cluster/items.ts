/**
 * What one domain tells other nodes: a function for each kind of item, which answers its JSON, `[kind, domain, …]`. The
 * other side, what a node does with an item that comes, is incoming.ts.
 */
import type { Address } from '../actors/address.js';
import type { ShareCount } from '../actors/cluster.js';
import { type Change, type EndpointRecord, momentsOf } from '../actors/endpoint-record.js';
import type { Moment } from '../actors/moments.js';
import type { Told } from '../actors/moving.js';
import type { Packet } from '../actors/packet.js';
import { type Asked, formatAsked, type Position } from '../actors/position.js';
import type { Deliver } from '../actors/router.js';
import type { EndedTicket, SignedOut } from '../actors/sign-outs.js';
import type { CountedFrame, Transport } from '../actors/transport.js';
import type { CloseReason } from '../errors.js';
import type { LocalNode } from './local-node.js';
import { slices } from './pieces.js';
import { type WirePublication, wireOf } from './wire.js';

/** About how many characters of messages that nobody has seen one item has at most. */
const UNSEEN_CHARACTERS = 96 * 1024;
/** How many confirmed messages one item names at most: even with the longest ids it stays below the longest item. */
const CONFIRMED = 500;

/** Changes of an endpoint that its other parts make too: rooms entered and left, and buddies listed. */
export interface Mirrored {
  readonly entered?: readonly Moment[];
  readonly left?: readonly Moment[];
  readonly watching?: readonly Address[];
}

export class Items {
  /** The domain's name as JSON. */
  readonly #name: string;

  constructor(
    private readonly domain: string,
    private readonly node: Pick<LocalNode, 'name' | 'encode'>,
    /** Answers the time in milliseconds since the epoch. */
    private readonly now: () => number,
  ) {
    this.#name = JSON.stringify(domain);
  }

  /** This node has a part of an endpoint. `isSilent`: nobody is to be told of it. */
  cameUp(record: EndpointRecord, isSilent = false): string {
    const { address, birth, stamp, nick, shown, show, status, away } = record;
    const rest = [birth, momentsOf(record), away ? 1 : 0, ...(isSilent ? [1] : [])];
    return this.#item('u', address, stamp, nick, shown, show, status, ...rest);
  }

  /** Nick, show or status have been set. */
  changed({ address, stamp, nick, shown, show, status }: EndpointRecord): string {
    return this.#item('s', address, stamp, nick, shown, show, status);
  }

  roomsChanged(address: Address, entered: readonly Moment[], left: readonly Moment[], { type, nick }: Change): string {
    return this.#item('r', address, entered, left, type, nick ?? null);
  }

  /** Only clients that are away are left of this node's part; or one of them is back. */
  wentAway({ address, away }: EndpointRecord, isLast: boolean): string {
    return this.#item('a', address, away ? 1 : 0, isLast ? 1 : 0);
  }

  /** How many clients of the domain are away on this node. */
  awayCount(count: number): string {
    return this.#item('A', count);
  }

  /** This node has no part of an endpoint any more. */
  wentDown(address: Address, isLast: boolean, stamp: number): string {
    return this.#item('x', address, isLast ? 1 : 0, stamp);
  }

  /** This node has taken over the part that a node which is gone had of an endpoint. */
  tookOver(address: Address, node: string, incarnation: number): string {
    return this.#item('X', address, node, incarnation);
  }

  /** Packets for an endpoint may be lost: they went through the part of a node which is gone, or were not relayed to a node that was cut off. */
  missed(address: Address): string {
    return this.#item('M', address);
  }

  /** Changes that another part of the same endpoint is to make as well. */
  mirror(address: Address, { entered = [], left = [], watching = [] }: Mirrored): string {
    return this.#item('m', address, entered, left, null, watching);
  }

  /** How many clients of this node's part are connected. */
  connected({ address, connected }: EndpointRecord): string {
    return this.#item('k', address, connected);
  }

  /** A client of this name has come: one of another part ends. */
  nameClaimed(address: Address, client: string): string {
    return this.#item('n', address, client);
  }

  /** A client has this name since a stamp: one of another part that took the name before ends. */
  nameHeld(address: Address, client: string, stamp: number): string {
    return this.#item('N', address, client, stamp);
  }

  /** A client of this node's part has signed out for all: those of another part end. */
  signedOut(address: Address): string {
    return this.#item('O', address);
  }

  /** The site has signed names out; `now`: a moment ago, so that all their clients end. */
  signedOutByName(now: boolean, names: readonly SignedOut[]): string {
    return this.#item('Q', now, names);
  }

  /** Tickets that sign-outs by name have ended. */
  ticketsSignedOut(tickets: readonly EndedTicket[]): string {
    return this.#item('q', tickets);
  }

  /** An endpoint of this node lists buddies of the other one. */
  watches(address: Address, buddies: readonly Address[]): string {
    return this.#item('w', address, buddies);
  }

  /** Whether this node has subscriptions to a filter. */
  interest(filter: string, isWanted: boolean): string {
    return this.#item('i', filter, isWanted);
  }

  broadcast(packet: Packet): string {
    return this.#packet('b', packet, null);
  }

  toRoom(packet: Packet): string {
    return this.#packet('g', packet, null);
  }

  toWatchers(packet: Packet): string {
    return this.#packet('v', packet, null);
  }

  /** A packet for the oldest part of its endpoint. `only`: the name of the one client that gets it. */
  toEndpoint(packet: Packet, only: string | null, hops: number): string {
    return this.#packet('e', packet, null, only, hops);
  }

  /** A packet that the oldest part of an endpoint relays to another part. */
  relayed(address: Address, packet: Packet, only: string | null): string {
    return this.#packet('y', packet, address, only);
  }

  /** A message that the endpoint itself has sent, for its clients there. */
  carbon(address: Address, packet: Packet): string {
    return this.#packet('c', packet, address);
  }

  /** Messages that clients of this node have confirmed, or (`isConfirmed` false) have given back after that. */
  *confirmedHere(address: Address, isConfirmed: boolean, names: readonly string[]): Iterable<string> {
    for (const some of slices(names, CONFIRMED)) yield this.#item('K', address, isConfirmed, some);
  }

  /** What a part of an endpoint that moves was told, for the node that it goes to. */
  told(address: Address, told: Told): Iterable<string> {
    if (told.kind === 'confirmedElsewhere') return this.confirmedHere(address, told.isConfirmed, told.names);
    return [told.kind === 'missed' ? this.missed(address) : this.signedOut(address)];
  }

  /** Messages that nobody has confirmed, in order, for a part that has come since they did; of others between them only the names. */
  *unseen(address: Address, messages: readonly (Packet | string)[]): Iterable<string> {
    const item = (list: readonly string[]): string => `${this.#item('U', address).slice(0, -1)},[${list}]]`;
    let list: string[] = [];
    let characters = 0;
    for (const message of messages) {
      const wire = typeof message === 'string' ? JSON.stringify(message) : this.wire(message);
      characters += wire.length;
      if (list.length > 0 && characters > UNSEEN_CHARACTERS) {
        yield item(list);
        list = [];
        characters = wire.length;
      }
      list.push(wire);
    }
    if (list.length > 0) yield item(list);
  }

  /** An MQTT publication; `stamp` 0: it is not to be retained. */
  published(stamp: number, isWanted: boolean, publication: WirePublication): string {
    return `["t",${this.#name},${stamp},${isWanted ? 1 : 0},${JSON.stringify(publication)}]`;
  }

  /** How many members of a shared subscription this node has. */
  share(name: string, filter: string, { connected, total }: ShareCount): string {
    return this.#item('h', name, filter, connected, total);
  }

  /** A publication that is for one of the other node's members of a shared subscription. */
  assigned(name: string, publication: WirePublication): string {
    return this.#item('H', name, publication);
  }

  /** An MQTT session lives here; `stamp` 0: no more. */
  session(clientId: string, stamp: number): string {
    return this.#item('S', clientId, stamp);
  }

  /** A connection of this node, to a client that lives on the other one. */
  attached(
    id: number,
    token: string,
    { kind, address }: Pick<Transport, 'kind' | 'address'>,
    isRenewed: 0 | 1,
    asked: Asked | null,
  ): string {
    return this.#item('va', id, token, kind, isRenewed, asked && formatAsked(asked), address ?? null);
  }

  /** The position from which a client that counts goes on. */
  resumed(id: number, at: Position | 'first'): string {
    return this.#item('vr', id, formatAsked(at));
  }

  /** A frame for a client that counts. */
  framed(id: number, { position, missed, lost, packets }: CountedFrame, after: Position): string {
    const head = this.#item('vf', id, position, missed, lost, formatAsked(after)).slice(0, -1);
    return `${head},[${this.#list(packets)}]]`;
  }

  /** A client that counts says how far it has come. */
  confirmed(id: number, position: Position): string {
    return this.#item('vq', id, formatAsked(position));
  }

  /** How many packets the connection has taken. */
  acknowledged(id: number, taken: number): string {
    return this.#item('vk', id, taken);
  }

  detached(id: number, token: string, taken: number, unsent: readonly Packet[]): string {
    return `["vd",${this.#name},${id},${JSON.stringify(token)},${taken},[${this.#list(unsent)}]]`;
  }

  /** Packets of a client of this node, for its connection to the other one. */
  pushed(id: number, packets: readonly Packet[]): string {
    return `["vp",${this.#name},${id},[${this.#list(packets)}]]`;
  }

  closed(id: number, reason: CloseReason): string {
    return this.#item('vc', id, reason.name);
  }

  #item(kind: string, ...fields: unknown[]): string {
    return JSON.stringify([kind, this.domain, ...fields]);
  }

  /** An item with a packet, which is the last of its fields. */
  #packet(kind: string, packet: Packet, ...fields: unknown[]): string {
    return `${this.#item(kind, ...fields).slice(0, -1)},${this.wire(packet)}]`;
  }

  #list(packets: readonly Packet[]): string {
    return packets.map((packet) => this.wire(packet)).join();
  }

  /**
   * A packet that has come here for an endpoint which this node has handed over to the other node, and whether another part of the endpoint
   * has relayed it.
   */
  forwarded(address: Address, { packet, only, relayed }: Deliver): string {
    return this.#packet('f', packet, address, only, relayed ? 1 : 0);
  }

  wire(packet: Packet): string {
    return wireOf(packet, this.node.encode, this.node.name, this.now());
  }
}
