/**
 * The port to the other nodes: what the actors of one domain tell them and ask of them. A single node is a cluster of
 * one: alone.ts fills the port where there are no others, src/cluster over NATS where there are.
 */
import type { Address, Node } from './address.js';
import type { NamedClient } from './client.js';
import type { Deletion } from './deletions.js';
import type { EndpointMessage } from './endpoint.js';
import type { Change, EndpointRecord } from './endpoint-record.js';
import type { KeptEndpoint } from './kept.js';
import type { Addressee, Claim } from './message-ids.js';
import type { Moment } from './moments.js';
import type { Packet } from './packet.js';
import type { Publication } from './publication.js';
import type { Deliver } from './router.js';
import type { EndedTicket, SignedOut } from './sign-outs.js';
import type { Ref } from './system.js';

/** Another node, as far as actors know one. */
export interface RemoteNode {
  readonly name: string;
  /** Whether the node is within its lease. */
  readonly up: boolean;
  /** Whether the node is another worker of this server. */
  readonly isWorker: boolean;
  /** Since when packets for the node may not have been sent, in milliseconds of `performance.now()`; 0: all have been sent. */
  readonly lostAt: number;
}

/** How many members a shared subscription has on one node. */
export interface ShareCount {
  readonly connected: number;
  readonly total: number;
}

/** What the domain's MQTT broker does with publications of other nodes. */
export interface TopicsBroker {
  /** Tells a publication to this node's own subscribers. */
  deliver(publication: Publication): void;
  /** Keeps a publication as the retained one of its topic; an empty payload removes that one. Answers whether it is kept. */
  keep(publication: Publication, isOwn: boolean): boolean;
  /** Gives a publication to one of this node's members of a shared subscription. */
  assign(name: string, publication: Publication): void;
}

/** MQTT's free topics across nodes. */
export interface ClusterTopics {
  attach(broker: TopicsBroker): void;
  /** Says that this node has one more subscription to each filter; `done` is called when all nodes know. */
  subscribe(filters: readonly string[], done: () => void): void;
  unsubscribe(filters: readonly string[]): void;
  /** Sends a publication to other nodes, and has it retained if it asks for that. Answers how many nodes have subscribers. */
  publish(publication: Publication): number;
  /** Says how many members of a shared subscription this node has; null: none any more. */
  shareChanged(name: string, filter: string, count: ShareCount | null): void;
  /** Passes a publication on where it is another node's turn in a shared subscription; answers whether it was. */
  pass(name: string, publication: Publication): boolean;
}

/** Moves MQTT sessions between nodes; implemented by the domain's MQTT broker, which alone knows what the JSON of a session means. */
export interface SessionMover {
  clientIds(): readonly string[];
  /**
   * Freezes a session; `forward` gets what is published to it from now on, and how many bytes that is. `done` gets the session's JSON;
   * null: it ends with its connection.
   */
  handOver(clientId: string, forward: (item: unknown, bytes: number) => void, done: (moved: unknown) => void): void;
  /** Another node has taken the session (`missed` null); or it has refused it, and these were forwarded meanwhile. */
  handedOver(clientId: string, missed: readonly unknown[] | null, done: () => void): void;
  /** Takes over a session from another node; `done` gets its client id when every node knows, or null where it is not taken. */
  adopt(moved: unknown, done: (clientId: string | null) => void): void;
  /** A publication for the session that came to the node where it was before. */
  forwarded(clientId: string, item: unknown): void;
  /** All publications that came to the node where the session was before have been forwarded. */
  passed(clientId: string): void;
  /** Has a session give its state to `SessionRecords.put`. */
  keep(clientId: string): void;
  /** Brings back a session of a node that is gone; `done` gets whether it is here, as every node then knows, or null where it is damaged. */
  restore(clientId: string, kept: KeptSessionState, done: (isTaken: boolean | null) => void): void;
  /** The numbers of publications that wait in a session of a node that is gone, and that are deleted messages or carry one. */
  deletedIn(kept: Pick<KeptSessionState, 'state' | 'fresh'>, deletion: Deletion): readonly number[];
}

/** The state of an MQTT session, kept for other nodes. All its texts are JSON, whose shape only the domain's MQTT broker knows. */
export interface KeptSessionState {
  readonly state: string;
  /** The session's subscriptions; null: they are as they were when they were given last, or, from a node that is gone, there are none. */
  readonly subscriptions: string | null;
  /** Publications for the client by numbers that count up: those that were not given before; from a node that is gone: all, in order. */
  readonly fresh: readonly (readonly [number: number, text: string])[];
}

/** Keeps the domain's MQTT sessions outside of this process, so that other nodes can take them over when this one is gone. */
export interface SessionRecords {
  /** Notes that a session has changed: a moment later it is asked for its state (`SessionMover.keep`). */
  changed(clientId: string): void;
  /** Calls `done` when a session's state of now is kept, or cannot be kept at the moment. */
  committed(clientId: string, done: () => void): void;
  put(clientId: string, kept: KeptSessionState): void;
  /** Removes a publication that the session's client has now, or that was dropped. */
  remove(clientId: string, number: number): void;
  /** Removes the record of a session that has ended. */
  end(clientId: string): void;
  /** Leaves all records as they are from now on, since the server ends. */
  freeze(): void;
}

/** Which node each MQTT session of the domain lives on. */
export interface ClusterSessions {
  /** The node where a session lives; null: this one, or nowhere. */
  home(clientId: string): RemoteNode | null;
  /** Says that a session begins here; `done` is called when every node knows. */
  claim(clientId: string, done: () => void): void;
  release(clientId: string): void;
  /**
   * Takes over a session whose node is gone. `done` gets `here` where that has succeeded, the node that has the session, `later` where it
   * cannot be said yet, or null where there is no such session.
   */
  find(clientId: string, done: FoundHome): void;
  /** Whether there may be sessions of nodes that are gone which no node has taken over yet, as far as this node knows. */
  readonly mayBeLeft: boolean;
  /**
   * Takes deleted messages out of what is kept of sessions that no living node has. `done` gets false where that cannot be said at the
   * moment. A session that is being taken over may have them all the same (`whenTaken`).
   */
  deleteLeft(deletion: Deletion, done: (isDone: boolean) => void): void;
  /** Calls `done` when none of the sessions is being taken over by this node that are now; with false, at once, where too many wait for that. */
  whenTaken(done: (isTaken: boolean) => void): void;
  /** null: sessions are lost with their node. */
  readonly records: SessionRecords | null;
  /** Hands sessions over to other nodes and takes them; null: the domain's sessions do not move. */
  mover: SessionMover | null;
  /** Called for a session of this node that another node has claimed earlier, and that lives there. */
  onLost: ((clientId: string) => void) | null;
}

/** What a node tells the others of its own part of an endpoint. */
export interface PresenceAnnouncer {
  cameUp(record: EndpointRecord): void;
  /** Nick, show or status have been set. */
  changed(record: EndpointRecord): void;
  roomsChanged(record: EndpointRecord, entered: readonly Moment[], left: readonly Moment[], change: Change): void;
  /** Says that this node's part of an endpoint has ended; answers the stamp of its end. */
  wentDown(record: EndpointRecord): number;
  /** Only clients that are away are left of this node's part, or one of them is back: its record says which. */
  wentAway(record: EndpointRecord): void;
  /** Says how many clients of the domain are away on this node. */
  awayCount(count: number): void;
  /** The endpoint lists further buddies; those on other nodes are to hear of it. */
  watch(record: EndpointRecord, buddies: readonly Address[]): void;
  /**
   * An endpoint enters rooms that it is in, or leaves rooms that it is not in: nothing changes here, but something may on
   * nodes that are not heard of at the moment.
   */
  confirm(record: EndpointRecord, rooms: readonly Address[], isIn: boolean): void;
  /** An endpoint has left rooms on another node that its part here is not in. */
  leftElsewhere(record: EndpointRecord, left: readonly Moment[]): void;
  /** Whether an endpoint has entered or left a room later than all that this node knows of. */
  isLatest(record: EndpointRecord, moment: Moment): boolean;
}

/** What the tracker finds when other nodes tell of their endpoints. */
export interface TrackerEvents {
  /**
   * A node has a part of an endpoint: the `first` that any node has of an endpoint that was not known, a `new` one beside others or in
   * place of its own, or one that is `back`, as the node had not been heard of for a while.
   */
  appeared(record: EndpointRecord, node: RemoteNode, as: 'first' | 'new' | 'back'): void;
  /** Packets for an endpoint may have gone through its part on `from` (null: this node), and do so no more: it has ended, or another is the oldest. */
  primaryMoved(address: Address, from: RemoteNode | null): void;
  /** An endpoint that was not known has a record. */
  remembered(): void;
  /** No node has a part of the endpoint any more, and this node no actor for it. */
  forgotten(address: Address): void;
  /** This node's part of an endpoint is a later one than another worker's of this server, or is no more. */
  shared(by: 1 | -1): void;
}

/** Packets on their way to other nodes. Each answers whether anybody there is to have them. */
export interface Relays {
  /** Relays a packet to the nodes that have members of its room, or that watch the room by MQTT. */
  toRoom(packet: Packet): boolean;
  /** Relays a packet to the nodes that watch its endpoint's address by MQTT. */
  toWatchers(packet: Packet): boolean;
  /** Relays a packet to the oldest part of its endpoint, here or elsewhere, in the order of the calls. */
  toEndpoint(packet: Packet, only: string | null): boolean;
  broadcast(packet: Packet): void;
  /** Relays a packet that came through this node's part of an endpoint to the endpoint's other parts, or to those that `isFor` names. */
  relay(record: EndpointRecord, deliver: Deliver, isFor?: (node: RemoteNode) => boolean): void;
  /** Relays a message that an endpoint itself has sent to its clients on other nodes. */
  carbon(record: EndpointRecord, packet: Packet): void;
  /** Sends messages that a client here has not confirmed, and that nobody else has, to a part of the endpoint that came later than they. */
  giveLate(record: EndpointRecord, node: RemoteNode, packets: readonly Packet[]): void;
  /**
   * Passes a message to a service in turns on where it is another node's turn; answers whether it was. `own` clients are
   * connected here.
   */
  takeTurn(record: EndpointRecord, deliver: Deliver, own: number): boolean;
}

/** Called with the client of a ticket, or a stand-in; null: there is none, or who asks is to come again in `laterS` seconds. */
export type FoundClient = (client: NamedClient | null, laterS?: number) => void;

/** Called with the place where a client or session lives. `later`: who asks is to come again, in `laterS` seconds; null: no node knows it. */
export type FoundHome = (found: RemoteNode | 'here' | 'later' | null, laterS?: number) => void;

/** Writes endpoints as they change, so that another node can take them over when this one is gone. */
export interface EndpointJournal {
  /** Notes that an endpoint has changed: its actor writes the endpoint to the journal with the next group of changed endpoints. */
  changed(address: Address, actor: Ref<EndpointMessage>): void;
  keep(node: Node, id: string, kept: KeptEndpoint): void;
  /** Calls `done` when the latest record of an endpoint is written, or cannot be written at the moment. */
  written(address: Address, done: () => void): void;
  /**
   * Calls `done` when each endpoint that is here now has a record, or cannot have one at the moment: a message that is answered for it can
   * be found again. Asked of domains that are durable `always`.
   */
  recorded(done: () => void): void;
  /**
   * The start of another node has been given an endpoint of this one, and may be gone before it has written the endpoint's record: resolves
   * when that is written, or cannot be written at the moment.
   */
  keepFor(taker: readonly [node: string, incarnation: number], address: Address, kept: KeptEndpoint): Promise<void>;
}

/** Keeps messages outside of this process for as long as they stand in queues and a client may still want them. */
export interface MessageKeeper {
  /** A message has come into a queue of an endpoint. `before`: the message that it stands before there, where it is not the last one. */
  hold(owner: Address, queue: string, packet: Packet, before?: Packet): void;
  release(owner: Address, queue: string, packet: Packet): void;
  /** The least place of these messages among the endpoint's, which count up as they come; of none: that of the next message. */
  firstOf(owner: Address, packets: readonly Packet[]): number;
  /**
   * Forgets messages that nodes which are gone have kept for endpoints (null: for all of the domain), and that no node has taken over.
   * `done` gets false where that cannot be said at the moment.
   */
  forget(
    owners: readonly Address[] | null,
    isForgotten: (packet: Packet) => boolean,
    done: (isDone: boolean) => void,
  ): void;
  /** Calls `done` when all messages that were given to `hold` before are kept. */
  committed(done: () => void): void;
}

export interface DomainCluster extends PresenceAnnouncer, TrackerEvents, Relays {
  /** Whether `node` is gone and this node is the one that goes on with what it has left behind. */
  succeeds(node: string): boolean;
  /**
   * Has every other node forget messages of its part of the history (forgetting.ts); `done` gets the answers of all of them. What this
   * node hands over meanwhile, since it ends, is forgotten by those that have taken it.
   */
  forget(what: readonly unknown[], done: (answers: readonly unknown[]) => void): void;
  /** Whether this node is taking an endpoint over from one that is gone. */
  isTaking(address: Address): boolean;
  /**
   * Calls `done` with true when none of these endpoints (null: none of the domain) is being taken over by this node from one that is gone;
   * with false where too many wait for that.
   */
  whenTaken(addresses: readonly Address[] | null, done: (isTaken: boolean) => void): void;
  readonly sessions: ClusterSessions;
  readonly topics: ClusterTopics;
  /** Keeps endpoints for other nodes; null: the endpoints of a node are lost with it. */
  readonly journal: EndpointJournal | null;
  /** Keeps queued messages for other nodes; null: the queued messages of a node are lost with it. */
  readonly held: MessageKeeper | null;
  /** About how many clients of the domain are away on other nodes. */
  readonly awayElsewhere: number;
  /** Whether there are other nodes. */
  readonly hasOthers: boolean;
  /** The text with which the tokens of this node's tickets begin. */
  readonly tokenPrefix: string;
  /** The next stamp: later than all that this node has given or heard of, and different from those of other nodes. */
  stamp(): number;
  /** The endpoints of other nodes that list an endpoint of this one. */
  watchedBy(address: Address): Iterable<Address>;
  /** Names of the nodes that an endpoint is on, this one too; none where there are no other nodes. */
  nodesOf(address: Address): readonly string[];
  /**
   * Sends a call on to the node where the client of a ticket lives. `done` gets that node's answer, or null where it has not
   * answered. False where no other node may know the ticket.
   */
  forward(address: Address, token: string, call: readonly unknown[], done: (answer: unknown) => void): boolean;
  /** Whether another node within its lease may know a ticket, since it has issued the ticket or has a part of its endpoint. */
  isKnown(address: Address, token: string): boolean;
  /** Finds the node where the client of a ticket lives. */
  locate(address: Address, token: string, done: FoundHome): void;
  /** Sends a call on to the node where an endpoint lives; otherwise as `forward`. */
  forwardTo(address: Address, call: readonly unknown[], done: (answer: unknown) => void): boolean;
  /**
   * Asks the one node that remembers the ids of a sender's messages what it knows of one for each receiver; `done` gets
   * null where that node has not answered. False where that node is this one.
   */
  claimIds(
    sender: Address,
    id: string,
    addressees: readonly Addressee[],
    done: (claims: readonly Claim[] | null) => void,
  ): boolean;
  /**
   * A stand-in for a client that lives on another node, to be told what its own endpoint would be; null: unknown.
   * `counting`: it keeps a position, and is told where its ticket has ended by a sign-out.
   */
  remoteClient(address: Address, token: string, counting: boolean, done: FoundClient): void;
  /** Calls `done` when every node knows what this one has told so far. */
  settled(done: () => void): void;
  /**
   * To be called before something is said to these receivers. What it answers is called when this node has handled that, and calls `done`
   * when the nodes that packets for them go to, or went to when it was said, have acknowledged it; or (`written`) when it is with the
   * operating system, which sends it though this process is killed.
   */
  arrival(receivers: readonly Address[], until: 'acknowledged' | 'written'): (done: () => void) => void;
  /** Says that a client of this name has come here: an older one of the endpoint on another node ends. */
  claimName(record: EndpointRecord, name: string): void;
  /** Says that a client has had its name since a stamp: one on another node that took the name before ends. */
  holdName(record: EndpointRecord, name: string, stamp: number): void;
  /** Says that a client has signed out for all clients of its endpoint: those on other nodes end. */
  signOut(record: EndpointRecord): void;
  /** Says that the site has signed names out: all nodes refuse their tokens and end their clients. */
  signedOutByName(names: readonly SignedOut[]): void;
  /** Says which tickets a sign-out by name has ended, so that their clients are told so whichever node they come to. */
  ticketsSignedOut(tickets: readonly EndedTicket[]): void;
  /** Whether this node tells what no node tells of itself: of the nodes that are heard of, the first by name. */
  isFirst(): boolean;
  /** Whether another node has a part of which the endpoint's actor here does not know yet; nothing is relayed to such a part. */
  isMeeting(record: EndpointRecord): boolean;
  /** Says which messages clients of an endpoint here have confirmed, or (`isConfirmed` false) have given back after that. */
  confirmed(record: EndpointRecord, names: readonly string[], isConfirmed: boolean): void;
  /** Says that a client of an endpoint has connected to this node or left it. */
  connected(record: EndpointRecord): void;
}
