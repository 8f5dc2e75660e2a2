/**
 * What the actors of one domain ask of the cluster. A single node has none: `domain.cluster` is null, and that is all it
 * costs.
 */
import type { Address, Target } from '../actors/address.js';
import type { Client } from '../actors/client.js';
import type { Packet } from '../actors/packet.js';
import type { Appearance, Show } from '../actors/presence.js';
import type { Publication } from '../actors/publication.js';
import type { EndpointEntry } from '../actors/registry.js';
import type { Deliver } from '../actors/router.js';
import type { Moment } from './moments.js';
import type { Peer } from './peer.js';

/** How a change of an endpoint came about. */
export interface Change {
  /** How new rooms are told. */
  readonly type: 'join' | 'grponline';
  /** In place of the endpoint's own, where a room is told. */
  readonly nick?: string | null;
  /** Show or status have been set, and be it to what they were. */
  readonly isShown?: boolean;
  /** What has been done elsewhere: when it was done there. */
  readonly moments?: readonly Moment[];
}

/** What an endpoint is on other nodes, for a part of it that comes now. */
export interface Elsewhere {
  readonly show: Show;
  readonly status: string;
  readonly rooms: readonly Address[];
}

/** Members of a shared subscription on one node. */
export interface ShareCount {
  readonly connected: number;
  readonly total: number;
}

/** What the domain's MQTT broker does with what comes from other nodes. */
export interface TopicsBroker {
  /** Tells this node's own subscribers. */
  deliver(publication: Publication): void;
  /** Keeps it as the retained one of its topic; an empty one removes that. Answers whether it is kept. */
  keep(publication: Publication): boolean;
  /** Gives it to one of this node's members of a shared subscription. */
  assign(name: string, publication: Publication): void;
}

/** MQTT's free topics across nodes. */
export interface ClusterTopics {
  attach(broker: TopicsBroker): void;
  /** This node has one subscription more to each filter; `done` is called when all nodes know. */
  subscribe(filters: readonly string[], done: () => void): void;
  unsubscribe(filters: readonly string[]): void;
  /** Sends it to other nodes, and has it retained if it is to be. Answers how many have somebody for it. */
  publish(publication: Publication): number;
  /** This node's members of a shared subscription; null: none any more. */
  shareChanged(name: string, filter: string, count: ShareCount | null): void;
  /** Whether it was another node's turn, which has it now. */
  pass(name: string, publication: Publication): boolean;
}

/** On which node each MQTT session lives. */
export interface ClusterSessions {
  /** null: this one, or nowhere. */
  home(clientId: string): Peer | null;
  /** A session begins here; `done` is called when every node knows. */
  claim(clientId: string, done: () => void): void;
  release(clientId: string): void;
  /** Called for a session of this node that lives on another one, which claimed it earlier. */
  onLost: ((clientId: string) => void) | null;
}

export interface DomainCluster {
  readonly sessions: ClusterSessions;
  readonly topics: ClusterTopics;
  /** How the tokens of this node's tickets begin. */
  readonly tokenPrefix: string;
  /** Endpoints of the domain online, on all nodes. */
  readonly online: number;
  appearance(address: Address): Appearance | null;
  nick(address: Address): string | null;
  members(room: Address): readonly Address[];
  memberCount(room: Address): number;
  /** Tells everybody who is to know what this node's part of an endpoint is now. */
  update(address: Address, entry: EndpointEntry, online: boolean, change: Change): void;
  /**
   * An endpoint enters rooms that it is in, or leaves those it is not in: nothing changes here, but it may on nodes that are
   * not heard of.
   */
  confirm(address: Address, rooms: readonly Address[], isIn: boolean): void;
  /** Whether an endpoint has entered or left a room later than all that this node knows of. */
  isLatest(address: Address, moment: Moment): boolean;
  /** It has left rooms elsewhere, which it is not in here. */
  leftElsewhere(address: Address, moments: readonly Moment[]): void;
  /** The endpoint watches further buddies; those on other nodes are to hear of it. */
  watch(address: Address, buddies: readonly Address[]): void;
  /**
   * Sends a call on to the node that a ticket comes from. `done` gets what it answers, null where it did not. False where
   * that node is this one, or gone.
   */
  forward(token: string, call: readonly unknown[], done: (answer: unknown) => void): boolean;
  /** Whether a token comes from another node within its lease. */
  isKnown(token: string): boolean;
  /** The same as `forward`, to the node where an endpoint lives. */
  forwardTo(address: Address, call: readonly unknown[], done: (answer: unknown) => void): boolean;
  /** A stand-in for a client that lives on another node, to be told what its own endpoint would be; null: unknown. */
  visit(address: Address, token: string, done: (client: Client | null) => void): void;
  /** Calls `done` when every node knows what this one has told so far. */
  settled(done: () => void): void;
  /** Routes a packet to its target wherever that is, or to everybody. */
  dispatch(packet: Packet, target: Target | null): void;
  /** A packet that came through this node's part of an endpoint, for its other parts. */
  relay(address: Address, deliver: Deliver): void;
  /** A message that the endpoint itself has sent, for its clients on other nodes. */
  carbon(address: Address, packet: Packet): void;
  /** The rooms that an endpoint is in, on whichever node. */
  roomsOf(address: Address): readonly Address[];
  /** Names of the nodes that an endpoint is on, this one too. */
  nodesOf(address: Address): readonly string[];
  /** A client of this name comes here: one on another node ends. */
  claimName(address: Address, name: string): void;
  /** What an endpoint is that comes to this node; null where no other one is known to have it. */
  elsewhere(address: Address): Elsewhere | null;
  /** Whether it has a connected client on another node. */
  isConnectedElsewhere(address: Address): boolean;
  /** One of its clients here has been connected, or is no more. */
  connected(address: Address, clients: readonly Client[]): void;
  /** Of a service that delivers in turns: whether it was another node's turn, which has the message now. */
  takeTurn(address: Address, deliver: Deliver, clients: readonly Client[]): boolean;
}
