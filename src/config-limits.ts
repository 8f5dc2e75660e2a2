/** The limits of the server and of one domain, as the schema of the configuration has them. */
import { group, most, type Schema, whole } from './config-parts.js';

/** What a domain may set for itself. */
export const domainLimits: Readonly<Record<string, Schema>> = {
  messageBytes: whole(0, most, 8192, 'Longest body of one message, in bytes of UTF-8. 0: no limit.'),
  queuePackets: whole(0, most, 1000, 'Packets kept for one client that is not reading. 0: no limit.'),
  queueBytes: whole(0, most, 1_048_576, 'Bytes of packets kept for one client that is not reading. 0: no limit.'),
  clientsPerEndpoint: whole(0, most, 64, 'Clients (tabs, phones) one endpoint may have. 0: no limit.'),
  roomsPerEndpoint: whole(0, most, 1000, 'Rooms one endpoint may be in; more are answered 400. 0: no limit.'),
  buddiesPerEndpoint: whole(
    0,
    most,
    5000,
    'Buddies one endpoint may have listed since it came online, over all its clients; more are answered 400. 0: no limit.',
  ),
  roomMembers: whole(0, most, 100_000, 'Endpoints in one room. 0: no limit.'),
  bytesPerDomain: whole(
    0,
    most,
    0,
    'Memory that queues, sessions, retained publications and rooms of one domain may take on a node, in bytes. 0: a quarter of the heap.',
  ),
  endpointsPerDomain: whole(0, most, 1_000_000, 'Endpoints of one domain online at the same time. 0: no limit.'),
  awayPerDomain: whole(
    0,
    most,
    100_000,
    'Clients of one domain that are away, see `resume.keepMs`; beyond it the one that has been away longest ends. 0: no limit.',
  ),
  connectionsPerDomain: whole(
    0,
    most,
    0,
    'Connections of clients and backends of one domain, polls too, on all nodes together; more are refused with 429. 0: no limit.',
  ),
  comingsPerMinute: whole(
    0,
    most,
    30,
    'How often a client may come and go in a minute: ONLINE for one endpoint, connections but polls for one ticket; then it waits (429). 0: no limit.',
  ),
  roomsPerDomain: whole(0, most, 1_000_000, 'Rooms of one domain with members. 0: no limit.'),
  sessionsPerDomain: whole(0, most, 100_000, 'MQTT sessions of backends, connected or kept. 0: no limit.'),
  subscriptionsPerSession: whole(0, most, 10_000, 'Subscriptions of one MQTT session. 0: no limit.'),
  subscriptionsPerDomain: whole(0, most, 1_000_000, 'Subscriptions of all MQTT sessions. 0: no limit.'),
  retainedPerDomain: whole(0, most, 100_000, 'Retained MQTT publications. 0: no limit.'),
  retainedBytes: whole(0, most, 134_217_728, 'Bytes of retained MQTT publications of one domain. 0: no limit.'),
  offlineBytes: whole(
    0,
    most,
    1_073_741_824,
    'Bytes of messages kept for endpoints that are offline, of which what clients send takes at most half and one of them a hundredth; each endpoint is bounded by queuePackets and queueBytes. 0: no limit.',
  ),
  offlineAgeS: whole(0, most, 604_800, 'A message to an offline endpoint is kept this long, in seconds. 0: for ever.'),
  historyBytes: whole(
    0,
    most,
    1_073_741_824,
    'Bytes of messages kept in the `history` of a domain; beyond, the oldest go. 0: no limit.',
  ),
  eventsBytes: whole(
    0,
    most,
    67_108_864,
    'Bytes of events that wait for the site of one domain; beyond it the oldest go. 0: no limit.',
  ),
  idsPerDomain: whole(
    0,
    most,
    1_000_000,
    'Messages remembered for ten minutes by the ids that their senders gave them, one for each receiver; beyond it the oldest go. 0: no limit.',
  ),
  batchMessages: whole(0, 10_000, 1000, 'Messages of one call of POST /v5/messages/batch; more are answered 400.'),
  requestsPerSecond: whole(
    0,
    most,
    0,
    'REST calls of one domain in a second, and as many at once after a quiet one; more are answered 429. 0: no limit.',
  ),
  domainMessagesPerSecond: whole(
    0,
    most,
    0,
    'Messages in a second that sites, backends and clients of one domain send, on all nodes together; more are refused with 429. 0: no limit.',
  ),
  messagesPerSecond: whole(
    0,
    most,
    20,
    'Messages in a second that one client may send itself, and twice as many at once after a quiet time. 0: no limit.',
  ),
};

export const limits = group(
  'Bounds of what clients and sites may cause. 0 in a limit is no limit, but in bytesPerDomain.',
  {
    bodyBytes: whole(0, most, 65_536, 'Longest request body, in bytes; longer is 413. 0: no limit.'),
    parameters: whole(
      0,
      most,
      10_000,
      'Parameters of a query or body, values inside of JSON lists and objects counted; more are answered 400. 0: no limit.',
    ),
    ...domainLimits,
    connectionsPerAddress: whole(
      0,
      most,
      0,
      'Long connections and polls of one network address, or /64 of IPv6, over all protocols together. 0: no limit.',
    ),
  },
);

/** The same keys without defaults: what a domain does not name is taken from the limits of the server. */
export const ownLimits = group(
  'Limits of this domain, over those of the server: the same keys but bodyBytes, parameters and connectionsPerAddress.',
  Object.fromEntries(Object.entries(domainLimits).map(([key, { default: _, ...schema }]) => [key, schema] as const)),
);
