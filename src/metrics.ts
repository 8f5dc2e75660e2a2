/**
 * Counters and gauges under fixed names, for one server. Plain numbers: the hot paths add to them, the admin port reads
 * them. Every drop has a reason here.
 */
import { Conditions } from './conditions.js';
import type { DomainLimits } from './config-domain.js';
import { OUTBOX_WAYS } from './event-kinds.js';
import { RecentErrors } from './recent-errors.js';
import { seldom } from './seldom.js';

export type PacketKind = 'message' | 'presence' | 'status';
export type TransportKind = 'websocket' | 'jsonp' | 'events' | 'mqtt' | 'mqttws' | 'webhook';

export const PACKET_KINDS = ['message', 'presence', 'status'] as const satisfies readonly PacketKind[];
export const TRANSPORT_KINDS = [
  'websocket',
  'jsonp',
  'events',
  'mqtt',
  'mqttws',
  'webhook',
] as const satisfies readonly TransportKind[];

/** Why a packet or publication was not delivered. */
export const DROP_REASONS = [
  'offline',
  'queueOverflow',
  'clientGone',
  'webhookFailed',
  'noSubscriber',
  'quotaExceeded',
  'rateExceeded',
  'packetTooLarge',
  'expired',
  'deleted',
  'notAuthorized',
  'malformed',
] as const;
export type DropReason = (typeof DROP_REASONS)[number];

/** How a client was away no more: it came back, or its ticket ended. */
export const AWAY_ENDS = ['returned', 'expired', 'limit', 'gaveWay', 'ended', 'handedOver'] as const;
export type AwayEnd = (typeof AWAY_ENDS)[number];

/** Why a request or connection was refused. */
export const REFUSAL_REASONS = [
  'badRequest',
  'authenticationFailed',
  'ticketNotFound',
  'notFound',
  'methodNotAllowed',
  'payloadTooLarge',
  'unsupportedMediaType',
  'tooManyRequests',
  'unavailable',
  'tooManyConnections',
  'malformed',
  'subscribeTimeout',
  'quotaExceeded',
  'connectTimeout',
  'handshakeFailed',
  'lockedOut',
  'outOfMemory',
  'banned',
  'flapping',
] as const;
export type RefusalReason = (typeof REFUSAL_REASONS)[number];

/** Refusals by key, rate or limit, which are logged so that the operator finds who is refused. */
const LOGGED: ReadonlySet<RefusalReason> = new Set<RefusalReason>([
  'authenticationFailed',
  'lockedOut',
  'tooManyRequests',
  'tooManyConnections',
  'quotaExceeded',
  'flapping',
]);

/** Who was refused, as far as that is known. */
export interface Refused {
  /** A configured domain; empty where none is known. */
  readonly domain?: string;
  /** Network address. */
  readonly address?: string;
  /** For the operator; never a body, a key or a whole ticket. */
  readonly detail?: string;
}

/** A limit of a domain, by its name in the configuration. */
export type LimitName = keyof DomainLimits;

function zeros<K extends string>(keys: readonly K[]): Record<K, number> {
  return Object.fromEntries(keys.map((key) => [key, 0])) as Record<K, number>;
}

/** Counts values in buckets that double from `smallest` on: finding one is a count of leading zeros, 5 ns. */
export class Histogram {
  /** How many values fell in each bucket; the last has no bound. */
  readonly counts: Float64Array;
  sum = 0;

  constructor(
    readonly smallest: number,
    buckets: number,
  ) {
    this.counts = new Float64Array(buckets + 1);
  }

  /** The largest value of a bucket. */
  bound(bucket: number): number {
    return bucket === this.counts.length - 1 ? Number.POSITIVE_INFINITY : this.smallest * 2 ** bucket;
  }

  observe(value: number): void {
    const ratio = Math.min(Math.ceil(value / this.smallest), 0x4000_0000);
    const bucket = Math.min(ratio > 1 ? 32 - Math.clz32(ratio - 1) : 0, this.counts.length - 1);
    (this.counts[bucket] as number) += 1;
    this.sum += value;
  }
}

/** Milliseconds, from 64 µs to 8.4 s. */
export function newDurations(): Histogram {
  return new Histogram(0.064, 18);
}

/** Messages waiting in mailboxes. */
export function newMailboxes(): Histogram {
  return new Histogram(1, 20);
}

/** The sum of the numbers of all reasons, kinds or transports. */
export function sum(numbers: Readonly<Record<string, number>>): number {
  let total = 0;
  for (const value of Object.values(numbers)) total += value;
  return total;
}

/** One domain's numbers. A domain that is configured no more keeps its own, so that no counter ever falls. */
export class DomainMetrics {
  /** Clients connected now, by their transport. */
  readonly connections = zeros(TRANSPORT_KINDS);
  /** Packets accepted from sites and clients; presences: those that their changes cause, one for each buddy or room. */
  readonly accepted = zeros(PACKET_KINDS);
  /** Packets pushed to a client's queue, one for each client. */
  readonly delivered = zeros(PACKET_KINDS);
  /** Packets handed to a transport; again where one could not get them out. */
  readonly sent = zeros(PACKET_KINDS);
  /** Packets that a client has: as it has said itself, or, where it keeps no position, by being written to it. */
  readonly confirmed = zeros(PACKET_KINDS);
  readonly dropped = zeros(DROP_REASONS);
  /** Requests and connections that named this domain. */
  readonly refused = zeros(REFUSAL_REASONS);
  /** Events of the domain, by how they have left, and how many there were. */
  readonly events = zeros(['raised', ...OUTBOX_WAYS]);
  eventsWaiting = 0;
  eventsWaitingBytes = 0;
  /** POSTs of webhooks, of events and of services, that were not acknowledged. */
  webhookFailures = 0;
  /** Names that were signed out and are not known any more, because too many were. */
  signOutsForgotten = 0;
  /** By the name of each limit of the domain: how much was refused or dropped because of it. */
  readonly exceeded = new Map<string, number>();
  /** Messages kept for endpoints that are offline. */
  offlineMessages = 0;
  /** What the history has now, and what has become of messages: kept, and taken away again or never kept. */
  readonly history = { messages: 0, bytes: 0, kept: 0, trimmed: 0, deleted: 0, refused: 0 };
  /** Messages that are remembered by their senders' ids, one for each receiver. */
  messageIds = 0;
  /** Message ids that were forgotten before their time because there were too many. */
  messageIdsForgotten = 0;
  /** Named messages whose ids could not be asked for on the node that remembers them; they count as new. */
  messageIdsUnanswered = 0;
  /** Messages that had been sent before under the same id, and were delivered to nobody. */
  messagesRepeated = 0;
  /** Packets and publications waiting in queues now. */
  queuedPackets = 0;
  queuedBytes = 0;
  /** Those of the queued packets that have been sent and that their client has not confirmed. */
  unconfirmedPackets = 0;
  /** Bytes that its queues, sessions, retained publications and rooms take, counted by actors/memory.ts. */
  memoryBytes = 0;
  endpointsOnline = 0;
  /** Calls and publications that were done after those of other domains, because the domain had many. */
  deferred = 0;
  /** Bytes of messages accepted, and of packets handed to transports, about; REST calls. */
  readonly volume = { bytesIn: 0, bytesOut: 0, restCalls: 0 };
  /** Messages accepted in a second, over the last seconds. */
  messagesPerSecond = 0;
  /** How many of the endpoints online another worker of this server had before. */
  endpointsShared = 0;
  clients = 0;
  /** Those of them that are away: not connected for longer than the idle time, their ticket kept. */
  clientsAway = 0;
  readonly awayEnded = zeros(AWAY_ENDS);
  /** Rooms with members; in a cluster, those of all nodes. */
  rooms = 0;
  /** MQTT's backends: sessions, those connected now, publications from and to them, and those retained. */
  readonly mqtt = { sessions: 0, connected: 0, received: 0, sent: 0, retained: 0 };

  constructor(
    readonly name: string,
    /** Times from accepting a packet to handing it to a transport; one histogram for all domains. */
    readonly delivery: Histogram,
    private readonly recent: RecentErrors,
  ) {}

  /** Whether anybody has used the domain since the start, or is kept for it. */
  get isUsed(): boolean {
    const { clients, endpointsOnline, mqtt, offlineMessages } = this;
    const held = clients + endpointsOnline + offlineMessages + mqtt.sessions + mqtt.retained + mqtt.received;
    return held > 0 || sum(this.accepted) > 0 || sum(this.refused) > 0 || sum(this.dropped) > 0;
  }

  /** Counts what is refused, or dropped before its time, because of a limit of the domain. */
  exceed(limit: LimitName, count = 1): void {
    this.exceeded.set(limit, (this.exceeded.get(limit) ?? 0) + count);
  }

  /** A packet for `endpoint`, an address, goes no further. */
  drop(reason: DropReason, endpoint: string): void {
    this.dropped[reason] += 1;
    this.recent.add(this.name, endpoint, reason);
  }
}

/** The REST calls of one route. */
export class RouteMetrics {
  /** From the request's head to its answer. */
  readonly duration = newDurations();
  /** How many answers, by HTTP status. */
  readonly answers = new Map<number, number>();

  answered(status: number, durationMs: number): void {
    this.answers.set(status, (this.answers.get(status) ?? 0) + 1);
    this.duration.observe(durationMs);
  }
}

/** What passes between the nodes of a cluster; all 0 on a single node. */
export class ClusterMetrics {
  /** Nodes within their lease, this one too. */
  nodes = 0;
  /** Nodes not heard of for longer than a lease, and still remembered. */
  nodesLost = 0;
  /** 1 while there is a connection to NATS. */
  connected = 0;
  /** Endpoints of the whole cluster that this node knows of. */
  replicaEndpoints = 0;
  itemsSent = 0;
  itemsReceived = 0;
  /** Items received that were not what their kind says. */
  itemsRefused = 0;
  framesSent = 0;
  framesRepeated = 0;
  /** Frames given up because a node did not take them. */
  framesDropped = 0;
  /** Messages to nodes that were gone: those that went another way; those that may be lost. */
  goneOn = 0;
  inDoubt = 0;
  charactersSent = 0;
  itemsTooLarge = 0;
  /** REST calls sent on to the node of their ticket. */
  callsForwarded = 0;
  /** Questions to a node whose answers were not waited for, because too many answers of that node were due. */
  answersGivenUp = 0;
  /** Connections here of clients that live on other nodes. */
  visitors = 0;
  /** While this node ends: its endpoints that other nodes have taken over; its endpoints and sessions that a node did not take. */
  handedOver = 0;
  handoversRefused = 0;
  /** MQTT sessions of backends: those of this node that another one has taken over as this one ends; those taken over from others. */
  sessionsHandedOver = 0;
  sessionsAdopted = 0;
  /** Endpoints of other nodes that this node has taken over; offers of endpoints or sessions that this node has refused. */
  adopted = 0;
  adoptionsRefused = 0;
  /** Endpoints that this node has left in JetStream with their queues, as it ended in order and no other node took them. */
  left = 0;
  /** Clients of lost nodes who were told to come again later; endpoints of this node that another took over while it was cut off. */
  adoptionsDelayed = 0;
  givenUp = 0;
  /** How often endpoints with clients here were told that they may have missed something, once by each node that has sent something. */
  doubted = 0;
  /** Deletions of single messages that MQTT sessions of lost nodes may not have had: too many waited, or JetStream did not answer. */
  deletionsGivenUp = 0;
}

/** The numbers of JetStream, which holds the store of the cluster; all are 0 where the store is not in JetStream. */
export class JetStreamMetrics {
  /** 1 while JetStream can be used, else 0. */
  available = 0;
  /** Records sent to JetStream; of these, refused since the stream had another revision than expected; failed for another reason. */
  written = 0;
  conflicts = 0;
  failed = 0;
  /** Questions and writes that JetStream did not answer in time. */
  unanswered = 0;
  /** Removals that were not carried out and not tried again, as too many waited. */
  removalsForgotten = 0;
  /** Ids of messages that were not written, as too many waited. */
  idsNotWritten = 0;
  /** Records of this node that JetStream has not acknowledged; bytes of this node's records that have not come back from JetStream. */
  waiting = 0;
  waitingBytes = 0;
  /** Records that came from JetStream's streams, including those that this node wrote. */
  received = 0;
}

/** Taking over a changed configuration while the server runs. */
export class ReloadMetrics {
  /** Whether the last reload was taken over; the start counts as one. */
  successful = true;
  /** Milliseconds since the epoch. */
  succeededAt = Date.now();
}

/** The admin port itself. */
export class AdminMetrics {
  /** Connections to the admin port that are open now. */
  connections = 0;
  /** Connections closed because there were too many. */
  dropped = 0;
}

export class Metrics {
  /** The conditions of the process now. */
  readonly conditions = new Conditions();
  readonly cluster = new ClusterMetrics();
  readonly jetstream = new JetStreamMetrics();
  readonly admin = new AdminMetrics();
  readonly reload = new ReloadMetrics();
  /** Open connections now, by transport; a long poll is one while it waits. */
  readonly connections = zeros(TRANSPORT_KINDS);
  /** Connections since the start. */
  readonly opened = zeros(TRANSPORT_KINDS);
  readonly refused = zeros(REFUSAL_REASONS);
  readonly delivery = newDurations();
  readonly routes = new Map<string, RouteMetrics>();
  readonly domains = new Map<string, DomainMetrics>();
  readonly recent = new RecentErrors();
  actors = 0;
  crashes = 0;
  deadLetters = 0;
  /** Messages waiting in actors' mailboxes at the start of each turn. */
  readonly mailbox = newMailboxes();

  opens(transport: TransportKind): void {
    this.connections[transport] += 1;
    this.opened[transport] += 1;
  }

  /** Notes whether a changed configuration has been taken over. */
  reloaded(successful: boolean): void {
    this.reload.successful = successful;
    if (successful) {
      this.reload.succeededAt = Date.now();
      this.conditions.clear('reload');
    } else {
      this.conditions.raise('reload', 'the last reload was refused: what held before is in use, the log says why', {
        ready: true,
      });
    }
  }

  domain(name: string): DomainMetrics {
    let found = this.domains.get(name);
    if (!found) {
      found = new DomainMetrics(name, this.delivery, this.recent);
      this.domains.set(name, found);
    }
    return found;
  }

  route(name: string): RouteMetrics {
    let found = this.routes.get(name);
    if (!found) {
      found = new RouteMetrics();
      this.routes.set(name, found);
    }
    return found;
  }

  /** Counts a request or connection that is refused. */
  refuse(reason: RefusalReason, { domain = '', address = '', detail = '' }: Refused): void {
    this.refused[reason] += 1;
    if (domain !== '') this.domain(domain).refused[reason] += 1;
    this.recent.add(domain, address, reason, detail);
    if (!LOGGED.has(reason)) return;
    const who = { event: 'refused', reason, domain, address };
    seldom.warn(`refused ${address || domain}`, who, 'a call or connection was refused');
  }

  /** One number of all domains together. */
  total(read: (domain: DomainMetrics) => number): number {
    let sum = 0;
    for (const domain of this.domains.values()) sum += read(domain);
    return sum;
  }
}
