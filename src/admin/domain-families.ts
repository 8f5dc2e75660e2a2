/** The metrics of each domain, left out while nobody has used it. */
import { DROP_REASONS, PACKET_KINDS, REFUSAL_REASONS, TRANSPORT_KINDS } from '../metrics.js';
import { type Family, largest, OTHER, ofDomain, ofDomainKeyed } from './family.js';

export const DOMAIN_FAMILIES: readonly Family[] = [
  ofDomain(
    'counter',
    'nextalk_domain_deferred_total',
    'Calls and publications of a domain that were done after those of others, because it had many.',
    (d) => d.deferred,
  ),
  {
    name: 'nextalk_domain_limited_total',
    type: 'counter',
    help: 'What was refused or had to go for a limit, by domain and limit of the configuration. Left out while 0.',
    labels: ['domain', 'limit'],
    read: ({ used, others }) => {
      const limits = new Set(others.flatMap(({ exceeded }) => [...exceeded.keys()]));
      const sumOf = (limit: string): number =>
        others.reduce((sum, { exceeded }) => sum + (exceeded.get(limit) ?? 0), 0);
      return [
        ...used.flatMap(({ name, exceeded }) =>
          [...exceeded].map(([limit, value]) => ({ labels: { domain: name, limit }, value })),
        ),
        ...Array.from(limits, (limit) => ({ labels: { domain: OTHER, limit }, value: sumOf(limit) })),
      ];
    },
  },
  ofDomainKeyed(
    'counter',
    'nextalk_domain_refusals_total',
    'Requests and connections that named a domain and were refused, by reason.',
    'reason',
    REFUSAL_REASONS,
    ({ refused }) => refused,
  ),
  ofDomainKeyed(
    'gauge',
    'nextalk_domain_connections',
    'Connected clients of a domain.',
    'transport',
    TRANSPORT_KINDS,
    (domain) => domain.connections,
  ),
  {
    ...ofDomain('gauge', 'nextalk_domain_endpoints_online', 'Endpoints of a domain online.', (d) => d.endpointsOnline),
    duplicates: 'nextalk_domain_endpoints_shared',
  },
  ofDomain(
    'gauge',
    'nextalk_domain_endpoints_shared',
    'Of these, those that another worker of this server had before.',
    (d) => d.endpointsShared,
  ),
  ofDomain('gauge', 'nextalk_domain_clients', 'Clients of a domain with a valid ticket.', (d) => d.clients),
  ofDomain('gauge', 'nextalk_domain_clients_away', 'Of these, those that are away.', (d) => d.clientsAway),
  largest(
    ofDomain(
      'gauge',
      'nextalk_domain_offline_messages',
      'Messages kept for endpoints of a domain that are offline.',
      (d) => d.offlineMessages,
    ),
  ),
  largest(ofDomain('gauge', 'nextalk_domain_rooms', 'Rooms of a domain with members, on all nodes.', (d) => d.rooms)),
  ofDomain(
    'gauge',
    'nextalk_domain_queue_packets',
    'Packets waiting in the queues of a domain.',
    (d) => d.queuedPackets,
  ),
  ofDomainKeyed(
    'counter',
    'nextalk_domain_packets_accepted_total',
    'Packets in, by domain.',
    'kind',
    PACKET_KINDS,
    (domain) => domain.accepted,
  ),
  ofDomainKeyed(
    'counter',
    'nextalk_domain_packets_sent_total',
    'Packets out, by domain.',
    'kind',
    PACKET_KINDS,
    (domain) => domain.sent,
  ),
  ofDomainKeyed(
    'counter',
    'nextalk_domain_packets_dropped_total',
    'Packets dropped, by domain and reason.',
    'reason',
    DROP_REASONS,
    (domain) => domain.dropped,
  ),
];
