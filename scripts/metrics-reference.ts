/**
 * `npm run docs:metrics`: writes docs/metrics.md from the list that /metrics is read from, so that the two cannot
 * differ. test/metrics-reference.unit.ts holds the committed page to it.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { FAMILIES } from '../src/admin/families.js';
import type { Family } from '../src/admin/family.js';
import type { ConditionName } from '../src/conditions.js';
import type { AwayEnd, DropReason, RefusalReason } from '../src/metrics.js';

export const PAGE = join(import.meta.dirname, '../docs/metrics.md');

const DROPS: Readonly<Record<DropReason, string>> = {
  offline:
    'The receiver is not online; or nobody came back for its messages within the grace, and the domain keeps none; or an MQTT backend is not connected and the publication is QoS 0.',
  queueOverflow:
    'The client does not read, or is offline, and its queue is at `limits.queuePackets` or `limits.queueBytes`.',
  clientGone: 'It waited for a client that ended; messages only where another client of the endpoint has them.',
  webhookFailed: "The site refused a service's message, or ten attempts failed, or the webhook was taken away.",
  noSubscriber: 'Nobody subscribed to the MQTT topic.',
  quotaExceeded:
    'The domain has as many retained publications as it may, and it was delivered, not kept; or as many bytes of offline messages as `limits.offlineBytes` or the share of its sender. Or what the domain keeps takes `limits.bytesPerDomain`. Or the disk of the data folder is full, and what had to be kept is not.',
  rateExceeded: 'A client sent more itself than `limits.messagesPerSecond`.',
  packetTooLarge: 'Larger than the MQTT client accepts; or a body over `limits.messageBytes` by MQTT.',
  expired: 'Its MQTT message expiry was over; or it was kept for somebody offline as long as `limits.offlineAgeS`.',
  deleted: 'Its sender deleted it, or the site did, while it waited.',
  notAuthorized: 'Published by MQTT where the client may not: another domain, a room it is not in, a reserved topic.',
  malformed: 'Published by MQTT to an address, and no message: not UTF-8, no body, not an id.',
};

const REFUSALS: Readonly<Record<RefusalReason, string>> = {
  badRequest: '400: a parameter is missing or wrong, a first WebSocket text or an MQTT CONNECT that is none.',
  authenticationFailed: '401, or an MQTT CONNECT with bad credentials.',
  lockedOut:
    '429, or an MQTT CONNECT refused: the address has offered too many wrong keys of the domain, see `lockout`.',
  ticketNotFound: '404: the ticket is unknown, has expired or is of another domain.',
  notFound: '404: no such path.',
  methodNotAllowed: '405.',
  payloadTooLarge: '413: over `limits.bodyBytes`.',
  unsupportedMediaType: '415.',
  tooManyRequests: '429: over `limits.requestsPerSecond`, or over `limits.domainMessagesPerSecond`.',
  unavailable: '503: draining, or over capacity.',
  outOfMemory: '503, or MQTT 0x97: the heap is nearly full, or the domain is at `limits.bytesPerDomain`.',
  quotaExceeded: 'MQTT sessions or subscriptions beyond the limits of the domain or session.',
  tooManyConnections: 'Over `limits.connectionsPerAddress` or `limits.connectionsPerDomain`.',
  banned: '403, WebSocket 4403, MQTT 0x8A: the address, endpoint or client is banned.',
  flapping: '429, WebSocket 1013, MQTT 0x9F: the client comes more often than `limits.comingsPerMinute`.',
  malformed:
    'HTTP whose end or host is ambiguous or that has too many headers; a WebSocket message that is binary or too long; MQTT that breaks the standard.',
  connectTimeout: 'An MQTT connection without a CONNECT within 10 s.',
  handshakeFailed: 'A TLS handshake that failed.',
  subscribeTimeout: 'A WebSocket that did not subscribe within `socket.subscribeMs`.',
};

const CONDITIONS: Readonly<Record<ConditionName, string>> = {
  starting: 'The server reads what it goes on from: clients that come wait.',
  draining: 'The server is ending: no new clients are taken.',
  cluster: 'There is no connection to the other nodes: only clients of this node are reached.',
  store: 'JetStream, in which the cluster keeps what must survive, cannot be used: that waits in memory.',
  disk: 'The disk is nearly full or cannot be written: what must survive is not stored.',
  heap: 'Memory is nearly used up: what needs more of it is refused.',
  reload: 'The configuration, or a certificate, that was to be taken over is wrong: what held before is in use.',
};

const AWAY: Readonly<Record<AwayEnd, string>> = {
  returned: 'The client connected again.',
  expired: 'Its ticket had been kept for `resume.keepMs`.',
  limit: 'More clients than `limits.awayPerDomain` were away, and it had been for longest.',
  gaveWay: 'A new client of its endpoint took its place: there were as many as `limits.clientsPerEndpoint`.',
  ended: 'OFFLINE, a client of its name or the end of its domain ended it.',
  handedOver: 'Another node has its endpoint, as this one ends.',
};

const HEAD = `# Metrics

<!-- Written by \`npm run docs:metrics\` from src/admin/families.ts. Do not edit. -->

The admin port (8081 on 127.0.0.1 unless configured) serves them as Prometheus text at \`/metrics\`, and as JSON under the same names
at \`/api/stats\`. Reading costs the server nothing until somebody reads.

\`\`\`sh
curl http://127.0.0.1:8081/metrics
\`\`\`

A scrape for Prometheus; with \`admin.token\` set, the token is its credentials:

\`\`\`yaml
scrape_configs:
  - job_name: nextalk
    authorization: { credentials: TOKEN }
    static_configs: [{ targets: ["127.0.0.1:8081"] }]
\`\`\`

Alert rules are in [deploy/alerts.yml](../deploy/alerts.yml), a board for Grafana in [deploy/grafana.json](../deploy/grafana.json) (import it, and
choose the data source). The first ones to have: \`increase(nextalk_actor_crashes_total[10m]) > 0\` (each is a bug), a growing rate of
\`nextalk_packets_dropped_total{reason="queueOverflow"}\`, \`nextalk_event_loop_lag_p99_seconds > 0.1\` (the process has more to do than one core
can), and \`histogram_quantile(0.99, rate(nextalk_delivery_duration_seconds_bucket[5m])) > 0.5\`.
`;

function row({ name, type, labels, help }: Family): string {
  const named = labels.map((label) => `\`${label}\``).join(', ');
  return `| \`${name}\` | ${type} | ${named} | ${help} |`;
}

function reasons(list: Readonly<Record<string, string>>, label = 'reason'): string[] {
  return [
    `| ${label} | when |`,
    '| --- | --- |',
    ...Object.entries(list).map(([name, text]) => `| \`${name}\` | ${text} |`),
  ];
}

export function metricsPage(): string {
  const lines = [
    HEAD,
    '## All metrics',
    '',
    'Histograms have `_bucket`, `_sum` and `_count`. Counters begin at 0 with the process.',
    '',
    'Domains that nobody has used have no series. Of those that are used the 50 busiest of the last hour have their own (`admin.metricsDomains`), and the',
    'others are added up as `domain="other"`, so that the page of a server with thousands of sites stays under 200 KB. Counters of the others never fall when',
    'a domain gets or loses its name: a domain’s own series begins with all that it has counted, and ends. All domains are in `/api/stats`, in the list of the',
    'dashboard and in what [each site uses](hosting.md#what-each-site-uses); an owner sees their own domains whole.',
    '',
    '| name | type | labels | meaning |',
    '| --- | --- | --- | --- |',
    ...FAMILIES.map(row),
    '',
    '## What may be the matter',
    '',
    'The names of `nextalk_condition`. `/readyz` says the same in words.',
    '',
    ...reasons(CONDITIONS, 'name'),
    '',
    '## How clients are away no more',
    '',
    ...reasons(AWAY, 'how'),
    '',
    '## Why packets are dropped',
    '',
    ...reasons(DROPS),
    '',
    '## Why requests and connections are refused',
    '',
    ...reasons(REFUSALS),
    '',
  ];
  return lines.join('\n');
}

if (process.argv[1] === fileURLToPath(import.meta.url)) writeFileSync(PAGE, metricsPage());
