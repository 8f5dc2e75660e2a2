/**
 * What `/metrics` and `/api/stats` show: every number with its name, meaning and labels, read when somebody asks. Names
 * and units follow the conventions of Prometheus. docs/metrics.md is made from this list.
 */
import { CONDITION_NAMES } from '../conditions.js';
import { damagedRecords } from '../damaged.js';
import { lostLines } from '../log.js';
import { AWAY_ENDS, DROP_REASONS, PACKET_KINDS, REFUSAL_REASONS, TRANSPORT_KINDS } from '../metrics.js';
import { packageVersion } from '../version.js';
import { CLUSTER_FAMILIES } from './cluster-families.js';
import { DOMAIN_FAMILIES } from './domain-families.js';
import { type Family, keyed, type Labels, largest, ofDomain, single, smallest } from './family.js';
import { HISTORY_FAMILIES } from './history-families.js';
import { MESSAGE_ID_FAMILIES } from './message-id-families.js';
import { SITE_FAMILIES } from './site-families.js';

const MS_PER_S = 1000;
const US_PER_S = 1_000_000;
const NONE: Labels = {};

const connections: readonly Family[] = [
  keyed(
    'gauge',
    'nextalk_connections',
    'Open connections; a long poll is one while it waits, a webhook for each service that has one.',
    'transport',
    TRANSPORT_KINDS,
    (metrics, kind) =>
      kind === 'webhook' ? metrics.total((domain) => domain.connections.webhook) : metrics.connections[kind],
  ),
  keyed(
    'counter',
    'nextalk_connections_opened_total',
    'Connections opened, and long polls begun, since the start.',
    'transport',
    TRANSPORT_KINDS.filter((kind) => kind !== 'webhook'),
    (metrics, kind) => metrics.opened[kind],
  ),
  {
    ...single('gauge', 'nextalk_endpoints_online', 'Endpoints online, grace included.', ({ metrics }) =>
      metrics.total((domain) => domain.endpointsOnline),
    ),
    duplicates: 'nextalk_endpoints_shared',
  },
  single(
    'gauge',
    'nextalk_endpoints_shared',
    'Of these, those that another worker of this server had before: workers are added up without them.',
    ({ metrics }) => metrics.total((domain) => domain.endpointsShared),
  ),
  single('gauge', 'nextalk_clients', 'Clients with a valid ticket, connected or not.', ({ metrics }) =>
    metrics.total((domain) => domain.clients),
  ),
  single('gauge', 'nextalk_clients_away', 'Of these, clients that are away: see `resume.keepMs`.', ({ metrics }) =>
    metrics.total((domain) => domain.clientsAway),
  ),
  keyed(
    'counter',
    'nextalk_clients_away_ended_total',
    'Clients that are away no more, by how: they came back (`returned`), or their ticket ended; see docs/metrics.md.',
    'how',
    AWAY_ENDS,
    (metrics, how) => metrics.total((domain) => domain.awayEnded[how]),
  ),
  largest(
    single('gauge', 'nextalk_rooms', 'Rooms with members; in a cluster, those of all nodes.', ({ metrics }) =>
      metrics.total((domain) => domain.rooms),
    ),
  ),
];

const packets: readonly Family[] = [
  keyed(
    'counter',
    'nextalk_packets_accepted_total',
    'Packets in: messages and statuses from sites and clients, presences that changes cause, one for each buddy or room.',
    'kind',
    PACKET_KINDS,
    (metrics, kind) => metrics.total((domain) => domain.accepted[kind]),
  ),
  keyed(
    'counter',
    'nextalk_packets_delivered_total',
    'Deliveries: packets pushed to the queue of a client, one for each client.',
    'kind',
    PACKET_KINDS,
    (metrics, kind) => metrics.total((domain) => domain.delivered[kind]),
  ),
  keyed(
    'counter',
    'nextalk_packets_sent_total',
    'Packets out: handed to the transport of a client, one for each client; again where a transport gave one back.',
    'kind',
    PACKET_KINDS,
    (metrics, kind) => metrics.total((domain) => domain.sent[kind]),
  ),
  keyed(
    'counter',
    'nextalk_packets_confirmed_total',
    'Packets that their client has: by its position, over MQTT by its acknowledgement, of others by being written to them.',
    'kind',
    PACKET_KINDS,
    (metrics, kind) => metrics.total((domain) => domain.confirmed[kind]),
  ),
  keyed(
    'counter',
    'nextalk_packets_dropped_total',
    'Packets and publications that went no further, by reason; see docs/metrics.md.',
    'reason',
    DROP_REASONS,
    (metrics, reason) => metrics.total((domain) => domain.dropped[reason]),
  ),
  single('gauge', 'nextalk_queue_packets', 'Packets and publications waiting in the queues of clients.', (source) =>
    source.metrics.total((domain) => domain.queuedPackets),
  ),
  single(
    'gauge',
    'nextalk_unconfirmed_packets',
    'Of these, packets that have been sent and not confirmed.',
    ({ metrics }) => metrics.total((domain) => domain.unconfirmedPackets),
  ),
  single('gauge', 'nextalk_queue_bytes', 'About how many bytes these take.', ({ metrics }) =>
    metrics.total((domain) => domain.queuedBytes),
  ),
  single(
    'gauge',
    'nextalk_memory_bytes',
    'About how many bytes queues, sessions, retained publications and rooms take, of all domains.',
    ({ metrics }) => metrics.total((domain) => domain.memoryBytes),
  ),
  largest(
    single('gauge', 'nextalk_offline_messages', 'Messages kept for endpoints that are offline.', ({ metrics }) =>
      metrics.total((domain) => domain.offlineMessages),
    ),
  ),
  {
    name: 'nextalk_delivery_duration_seconds',
    type: 'histogram',
    help: 'Time from accepting a packet to handing it to a transport, once for each client.',
    labels: [],
    read: ({ metrics }) => [{ labels: NONE, histogram: metrics.delivery, unit: MS_PER_S }],
  },
];

const requests: readonly Family[] = [
  {
    name: 'nextalk_http_requests_total',
    type: 'counter',
    help: 'REST calls answered, by call (none: no call of the API) and HTTP status.',
    labels: ['route', 'status'],
    read: ({ metrics }) =>
      [...metrics.routes].flatMap(([route, { answers }]) =>
        [...answers].map(([status, value]) => ({ labels: { route, status: String(status) }, value })),
      ),
  },
  {
    name: 'nextalk_http_request_duration_seconds',
    type: 'histogram',
    help: 'Time from the head of a REST call to its answer.',
    labels: ['route'],
    read: ({ metrics }) =>
      [...metrics.routes].map(([route, { duration }]) => ({
        labels: { route },
        histogram: duration,
        unit: MS_PER_S,
      })),
  },
  keyed(
    'counter',
    'nextalk_refusals_total',
    'Requests and connections refused, by reason; see docs/metrics.md.',
    'reason',
    REFUSAL_REASONS,
    (metrics, reason) => metrics.refused[reason],
  ),
];

const actors: readonly Family[] = [
  single('gauge', 'nextalk_actors', 'Live actors: endpoints, rooms, routers, sessions.', (s) => s.metrics.actors),
  single(
    'counter',
    'nextalk_actor_crashes_total',
    'Messages on which an actor failed; each is a bug, and logged.',
    ({ metrics }) => metrics.crashes,
  ),
  single(
    'counter',
    'nextalk_dead_letters_total',
    'Messages told to an actor that had ended.',
    ({ metrics }) => metrics.deadLetters,
  ),
  {
    name: 'nextalk_mailbox_messages',
    type: 'histogram',
    help: 'Messages waiting in the mailboxes of actors when a turn of the event loop begins to handle them.',
    labels: [],
    read: ({ metrics }) => [{ labels: NONE, histogram: metrics.mailbox, unit: 1 }],
  },
];

const mqtt: readonly Family[] = [
  ofDomain('gauge', 'nextalk_mqtt_sessions', 'MQTT sessions of backends, connected or not.', (d) => d.mqtt.sessions),
  ofDomain('gauge', 'nextalk_mqtt_backends_connected', 'MQTT backends connected.', (d) => d.mqtt.connected),
  largest(ofDomain('gauge', 'nextalk_mqtt_retained', 'Retained publications.', (d) => d.mqtt.retained)),
  ofDomain(
    'counter',
    'nextalk_mqtt_publications_received_total',
    'Publications from MQTT backends.',
    (d) => d.mqtt.received,
  ),
  ofDomain('counter', 'nextalk_mqtt_publications_sent_total', 'Publications to MQTT backends.', (d) => d.mqtt.sent),
];

const node: readonly Family[] = [
  largest({
    name: 'nextalk_build_info',
    type: 'gauge',
    help: 'Always 1; the versions of NexTalk and Node are its labels.',
    labels: ['version', 'node'],
    read: () => [{ labels: { version: packageVersion(), node: process.versions.node }, value: 1 }],
  }),
  smallest(
    single('gauge', 'nextalk_ready', 'Whether new clients are accepted, as `/readyz` says: 1, or 0.', ({ metrics }) =>
      metrics.conditions.ready ? 1 : 0,
    ),
  ),
  largest(
    keyed(
      'gauge',
      'nextalk_condition',
      'Whether something is the matter: 1, or 0; see docs/metrics.md.',
      'name',
      CONDITION_NAMES,
      ({ conditions }, name) => (conditions.has(name) ? 1 : 0),
    ),
  ),
  smallest(
    single(
      'gauge',
      'nextalk_config_last_reload_successful',
      'Whether the last reload took the configuration and its certificate over: 1, or 0 where all stays as it was.',
      ({ metrics }) => (metrics.reload.successful ? 1 : 0),
    ),
  ),
  smallest(
    single(
      'gauge',
      'nextalk_config_last_reload_success_timestamp_seconds',
      'When the configuration in use was taken over, in seconds since the epoch.',
      ({ metrics }) => metrics.reload.succeededAt / MS_PER_S,
    ),
  ),
  largest(
    single(
      'gauge',
      'nextalk_event_loop_lag_seconds',
      'Lag of the event loop: mean of the last minute.',
      ({ history }) => history.lag().meanMs / MS_PER_S,
    ),
  ),
  largest(
    single(
      'gauge',
      'nextalk_event_loop_lag_p99_seconds',
      'Lag of the event loop: 99th percentile of the worst second of the last minute.',
      ({ history }) => history.lag().p99Ms / MS_PER_S,
    ),
  ),
  largest(
    single(
      'gauge',
      'nextalk_event_loop_lag_max_seconds',
      'Lag of the event loop: longest of the last minute.',
      ({ history }) => history.lag().maxMs / MS_PER_S,
    ),
  ),
  single(
    'counter',
    'nextalk_event_loop_busy_seconds_total',
    'Time the event loop was not waiting for anything; its rate is how much of a core it takes.',
    () => performance.eventLoopUtilization().active / MS_PER_S,
  ),
  single(
    'gauge',
    'nextalk_admin_connections',
    'Open connections to the admin port.',
    (s) => s.metrics.admin.connections,
  ),
  single(
    'counter',
    'nextalk_admin_connections_dropped_total',
    'Connections to the admin port closed because there were more than 256.',
    ({ metrics }) => metrics.admin.dropped,
  ),
  single(
    'counter',
    'nextalk_records_damaged_total',
    'Records of `data` or of JetStream that could not be read; each was left out.',
    damagedRecords,
  ),
  single('counter', 'nextalk_log_lines_lost_total', 'Log lines lost because nobody read them.', lostLines),
  single(
    'counter',
    'process_cpu_seconds_total',
    'User and system CPU time.',
    () => (process.cpuUsage().user + process.cpuUsage().system) / US_PER_S,
  ),
  single('gauge', 'process_resident_memory_bytes', 'Resident memory.', () => process.memoryUsage.rss()),
  single('gauge', 'nodejs_heap_size_used_bytes', 'JavaScript heap in use.', () => process.memoryUsage().heapUsed),
  single('gauge', 'nodejs_external_memory_bytes', 'Memory of buffers and native objects.', () => {
    const { external } = process.memoryUsage();
    return external;
  }),
  smallest(
    single(
      'gauge',
      'process_start_time_seconds',
      'When the process started, in seconds since the epoch.',
      () => performance.timeOrigin / MS_PER_S,
    ),
  ),
];

export const FAMILIES: readonly Family[] = [
  ...connections,
  ...packets,
  ...requests,
  ...actors,
  ...DOMAIN_FAMILIES,
  ...HISTORY_FAMILIES,
  ...MESSAGE_ID_FAMILIES,
  ...mqtt,
  ...SITE_FAMILIES,
  ...CLUSTER_FAMILIES,
  ...node,
];
