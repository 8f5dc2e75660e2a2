/**
 * The port to the other nodes: what the actors of one domain tell them and ask of them. A single node is a cluster of
 * one: alone.ts fills the port where there are no others, src/cluster over NATS where there are.
 */
import type { Address } from './address.js';
import type { Client } from './client.js';
import type { Change, EndpointRecord } from './endpoint-record.js';
import type { Moment } from './moments.js';
import type { Packet } from './packet.js';
import type { Publication } from './publication.js';
import type { Deliver } from './router.js';

/** Another node, as far as actors know one. */
export interface RemoteNode {
  readonly name: string;
  /** Within its lease. */
  readonly up: boolean;
  /** It is another worker of this server. */
  readonly isWorker: boolean;
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
  home(clientId: string): RemoteNode | null;
  /** A session begins here; `done` is called when every node knows. */
  claim(clientId: string, done: () => void): void;
  release(clientId: string): void;
  /** Called for a session of this node that lives on another one, which claimed it earlier. */
  onLost: ((clientId: string) => void) | null;
}

/** What a node tells the others of its own part of an endpoint. */
export interface PresenceAnnouncer {
  cameUp(record: EndpointRecord): void;
  /** Nick, show or status. */
  changed(record: EndpointRecord): void;
  roomsChanged(record: EndpointRecord, entered: readonly Moment[], left: readonly Moment[], change: Change): void;
  wentDown(record: EndpointRecord): void;
  /** It lists further buddies; those on other nodes are to hear of it. */
  watch(record: EndpointRecord, buddies: readonly Address[]): void;
  /**
   * An endpoint enters rooms that it is in, or leaves those it is not in: nothing changes here, but it may on nodes that are
   * not heard of.
   */
  confirm(record: EndpointRecord, rooms: readonly Address[], isIn: boolean): void;
  /** It has left rooms elsewhere, which it is not in here. */
  leftElsewhere(record: EndpointRecord, left: readonly Moment[]): void;
  /** Whether an endpoint has entered or left a room later than all that this node knows of. */
  isLatest(record: EndpointRecord, moment: Moment): boolean;
}

/** What the tracker tells of what it has heard. */
export interface TrackerEvents {
  /** A node has a part that was not there, or had not been heard of for a while (`isBack`). */
  appeared(record: EndpointRecord, node: RemoteNode, isBack: boolean): void;
  /** An endpoint that was not known has a record. */
  remembered(): void;
  /** Nobody has a part of it any more, and this node no actor. */
  forgotten(address: Address): void;
  /** This node's part of an endpoint is a later one than another worker's of this server, or is no more. */
  shared(by: 1 | -1): void;
}

/** Packets on their way to other nodes. Each answers whether anybody there is to have them. */
export interface Relays {
  /** To the nodes that have members of the packet's room, and those that watch it by MQTT. */
  toRoom(packet: Packet): boolean;
  /** To the nodes that watch an endpoint's address by MQTT. */
  toWatchers(packet: Packet): boolean;
  /** To the oldest part of an endpoint, here or elsewhere, in the order in which this is called. */
  toEndpoint(packet: Packet, only: string | null): boolean;
  broadcast(packet: Packet): void;
  /** A packet that came through this node's part of an endpoint, for its other parts. */
  relay(record: EndpointRecord, deliver: Deliver): void;
  /** A message that the endpoint itself has sent, for its clients on other nodes. */
  carbon(record: EndpointRecord, packet: Packet): void;
  /** Of a service that delivers in turns: whether it was another node's turn, which has the message now. */
  takeTurn(record: EndpointRecord, deliver: Deliver, clients: readonly Client[]): boolean;
}

export interface DomainCluster extends PresenceAnnouncer, TrackerEvents, Relays {
  readonly sessions: ClusterSessions;
  readonly topics: ClusterTopics;
  /** How the tokens of this node's tickets begin. */
  readonly tokenPrefix: string;
  /** The next moment: later than every one that this node has had or heard of, and no other node's. */
  stamp(): number;
  /** Endpoints of other nodes say that they list these of ours: who lists this one. */
  watchedBy(address: Address): Iterable<Address>;
  /** Names of the nodes that an endpoint is on, this one too; none where there are no other nodes. */
  nodesOf(address: Address): readonly string[];
  /**
   * Sends a call on to the node that a ticket comes from. `done` gets what it answers, null where it did not. False where
   * that node is this one, or gone.
   */
  forward(token: string, call: readonly unknown[], done: (answer: unknown) => void): boolean;
  /** Whether a token comes from another node within its lease. */
  isKnown(token: string): boolean;
  /** Sends a call on to the node where an endpoint lives; otherwise as `forward`. */
  forwardTo(address: Address, call: readonly unknown[], done: (answer: unknown) => void): boolean;
  /** A stand-in for a client that lives on another node, to be told what its own endpoint would be; null: unknown. */
  remoteClient(address: Address, token: string, done: (client: Client | null) => void): void;
  /** Calls `done` when every node knows what this one has told so far. */
  settled(done: () => void): void;
  /** A client of this name comes here: one on another node ends. */
  claimName(record: EndpointRecord, name: string): void;
  /** Whether another part has come, of which the endpoint's actor here does not know yet: it is not relayed to. */
  isMeeting(record: EndpointRecord): boolean;
  /** One of an endpoint's clients here has been connected, or is no more. */
  connected(record: EndpointRecord): void;
}
