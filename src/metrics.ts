/**
 * Counters and gauges under fixed names, for one server. Plain numbers: the hot paths add to them, the admin port reads
 * them. Every drop has a reason here.
 */

export type PacketKind = 'message' | 'presence' | 'status';
export type TransportKind = 'websocket' | 'jsonp' | 'mqtt' | 'mqttws' | 'webhook';

export const PACKET_KINDS = ['message', 'presence', 'status'] as const satisfies readonly PacketKind[];
export const TRANSPORT_KINDS = [
  'websocket',
  'jsonp',
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
  'packetTooLarge',
  'expired',
  'notAuthorized',
] as const;
export type DropReason = (typeof DROP_REASONS)[number];

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
] as const;
export type RefusalReason = (typeof REFUSAL_REASONS)[number];

function zeros<K extends string>(keys: readonly K[]): Record<K, number> {
  return Object.fromEntries(keys.map((key) => [key, 0])) as Record<K, number>;
}

export interface Metrics {
  /** Open connections now, by transport. */
  readonly connections: Record<TransportKind, number>;
  /** Packets accepted from sites and clients. */
  readonly accepted: Record<PacketKind, number>;
  /** Packets pushed to a client's queue, one for each client. */
  readonly delivered: Record<PacketKind, number>;
  /** Packets handed to a transport. */
  readonly sent: Record<PacketKind, number>;
  readonly dropped: Record<DropReason, number>;
  readonly refused: Record<RefusalReason, number>;
  /** Packets waiting in the queues of clients now. */
  queuedPackets: number;
  queuedBytes: number;
  endpointsOnline: number;
  clients: number;
  rooms: number;
  actors: number;
  crashes: number;
  deadLetters: number;
  /** Messages waiting in actors' mailboxes, the most seen at the start of a turn since last read. */
  mailboxDepthPeak: number;
}

export function createMetrics(): Metrics {
  return {
    connections: zeros(TRANSPORT_KINDS),
    accepted: zeros(PACKET_KINDS),
    delivered: zeros(PACKET_KINDS),
    sent: zeros(PACKET_KINDS),
    dropped: zeros(DROP_REASONS),
    refused: zeros(REFUSAL_REASONS),
    queuedPackets: 0,
    queuedBytes: 0,
    endpointsOnline: 0,
    clients: 0,
    rooms: 0,
    actors: 0,
    crashes: 0,
    deadLetters: 0,
    mailboxDepthPeak: 0,
  };
}
