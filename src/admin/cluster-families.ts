/** The metrics of a cluster, all 0 on a single node. */
import type { ClusterMetrics, JetStreamMetrics } from '../metrics.js';
import { type Family, largest, single, smallest } from './family.js';

function family(
  type: 'counter' | 'gauge',
  name: string,
  help: string,
  read: (cluster: ClusterMetrics) => number,
): Family {
  return single(type, `nextalk_cluster_${name}`, help, ({ metrics }) => read(metrics.cluster));
}

function storeFamily(
  type: 'counter' | 'gauge',
  name: string,
  help: string,
  read: (jetstream: JetStreamMetrics) => number,
): Family {
  return single(type, `nextalk_cluster_store_${name}`, help, ({ metrics }) => read(metrics.jetstream));
}

export const CLUSTER_FAMILIES: readonly Family[] = [
  largest(family('gauge', 'nodes', 'Nodes of the cluster within their lease, this one too.', (c) => c.nodes)),
  largest(
    family(
      'gauge',
      'nodes_lost',
      'Nodes not heard of for longer than a lease, and still remembered.',
      (c) => c.nodesLost,
    ),
  ),
  smallest(family('gauge', 'connected', 'Whether there is a connection to NATS: 1, or 0.', (c) => c.connected)),
  largest(
    family(
      'gauge',
      'replica_endpoints',
      'Endpoints of the whole cluster that this node knows of.',
      (c) => c.replicaEndpoints,
    ),
  ),
  family('counter', 'items_too_large_total', 'Items not sent, being longer than NATS takes.', (c) => c.itemsTooLarge),
  family('gauge', 'visitors', 'Connections to this node of clients that live on another node.', (c) => c.visitors),
  family('counter', 'items_sent_total', 'Presences, packets and calls to other nodes.', (c) => c.itemsSent),
  family('counter', 'items_received_total', 'Those from other nodes.', (c) => c.itemsReceived),
  family(
    'counter',
    'items_refused_total',
    'Those that were not what this version understands; each is a bug, or of a stranger on NATS.',
    (c) => c.itemsRefused,
  ),
  family('counter', 'frames_sent_total', 'Frames in which items were sent, repeated ones too.', (c) => c.framesSent),
  family('counter', 'frames_repeated_total', 'Frames repeated since they had not come.', (c) => c.framesRepeated),
  family(
    'counter',
    'frames_dropped_total',
    'Frames given up because a node did not take them; it was told everything anew.',
    (c) => c.framesDropped,
  ),
  family(
    'counter',
    'messages_gone_on_total',
    'Messages that a node which is gone had certainly not had: they went to where their receivers go on.',
    (c) => c.goneOn,
  ),
  family(
    'counter',
    'messages_in_doubt_total',
    'Messages to a node that is gone which it may have had, or for which there was no other way: lost, unless it comes back.',
    (c) => c.inDoubt,
  ),
  family('counter', 'characters_sent_total', 'Characters of the frames sent.', (c) => c.charactersSent),
  family(
    'counter',
    'calls_forwarded_total',
    'REST calls sent on to the node of their ticket.',
    (c) => c.callsForwarded,
  ),
  family(
    'counter',
    'answers_given_up_total',
    'Answers of other nodes that were not waited for, since 10,000 of that node were due: what they were about is unknown.',
    (c) => c.answersGivenUp,
  ),
  family(
    'counter',
    'handed_over_total',
    'Endpoints of this node that another one has taken over, as this one ends in order.',
    (c) => c.handedOver,
  ),
  family(
    'counter',
    'handovers_refused_total',
    'Endpoints of this node that another one has not taken: a third one was asked, or they ended with this node.',
    (c) => c.handoversRefused,
  ),
  family(
    'counter',
    'sessions_handed_over_total',
    'MQTT sessions of backends that another node has taken over, as this one ends in order.',
    (c) => c.sessionsHandedOver,
  ),
  family(
    'counter',
    'sessions_adopted_total',
    'MQTT sessions of backends that this node has taken over.',
    (c) => c.sessionsAdopted,
  ),
  family(
    'counter',
    'left_total',
    'Endpoints left in JetStream with their queues, as this node ends in order and no other one takes them.',
    (c) => c.left,
  ),
  family('counter', 'adopted_total', 'Endpoints of other nodes that this one has taken over.', (c) => c.adopted),
  family(
    'counter',
    'adoptions_delayed_total',
    'Clients of nodes that are gone, who were told to come again: too many came at a time, or JetStream did not answer.',
    (c) => c.adoptionsDelayed,
  ),
  family(
    'counter',
    'given_up_total',
    'Endpoints of this node that another one had taken over while this one was cut off.',
    (c) => c.givenUp,
  ),
  family(
    'counter',
    'doubted_total',
    'How often endpoints with clients here were told that they may have missed something, as another node is gone or was cut off; each node that has sent something tells.',
    (c) => c.doubted,
  ),
  family(
    'counter',
    'deletions_given_up_total',
    'Deletions of a message by its sender, which may stay in MQTT sessions of lost nodes: JetStream did not answer, or too many waited.',
    (c) => c.deletionsGivenUp,
  ),
  family(
    'counter',
    'adoptions_refused_total',
    'Batches of endpoints that this node has not taken over: it ends itself, its memory is short, or they were malformed.',
    (c) => c.adoptionsRefused,
  ),
  smallest(storeFamily('gauge', 'available', 'Whether JetStream can be used: 1, or 0.', (s) => s.available)),
  storeFamily('counter', 'writes_total', 'Records sent to JetStream, repeated ones too.', (s) => s.written),
  storeFamily(
    'counter',
    'conflicts_total',
    'Records not written because another node had written them in between.',
    (s) => s.conflicts,
  ),
  storeFamily('counter', 'failures_total', 'Records that JetStream did not take; those are repeated.', (s) => s.failed),
  storeFamily('counter', 'unanswered_total', 'Questions and writes without an answer in 5 s.', (s) => s.unanswered),
  storeFamily(
    'counter',
    'removals_forgotten_total',
    'Removals of records that JetStream has not carried out and that are not tried again, as 100,000 wait.',
    (s) => s.removalsForgotten,
  ),
  storeFamily(
    'counter',
    'ids_not_written_total',
    'Ids of messages that nodes do not find in JetStream when this one is gone, as 100,000 of a domain waited to be written.',
    (s) => s.idsNotWritten,
  ),
  storeFamily('gauge', 'waiting_writes', 'Records written here that JetStream has not acknowledged.', (s) => s.waiting),
  storeFamily(
    'gauge',
    'waiting_bytes',
    'Bytes of records written here that have not come back from JetStream; beyond 32 MiB nothing new is kept.',
    (s) => s.waitingBytes,
  ),
  storeFamily('counter', 'records_received_total', 'Records that came from JetStream.', (s) => s.received),
];
