/** The metrics of messages that their senders have named. */
import { type Family, single } from './family.js';

export const MESSAGE_ID_FAMILIES: readonly Family[] = [
  single(
    'gauge',
    'nextalk_message_ids',
    "Messages remembered by their senders' ids, one for each receiver.",
    (source) => source.metrics.total((domain) => domain.messageIds),
  ),
  single(
    'counter',
    'nextalk_message_ids_forgotten_total',
    'Those forgotten before their ten minutes because there were more than limits.idsPerDomain.',
    ({ metrics }) => metrics.total((domain) => domain.messageIdsForgotten),
  ),
  single(
    'counter',
    'nextalk_message_ids_unanswered_total',
    'Messages with an id of their own that went out although the node of the cluster that remembers such ids did not answer.',
    ({ metrics }) => metrics.total((domain) => domain.messageIdsUnanswered),
  ),
  single(
    'counter',
    'nextalk_messages_repeated_total',
    'Messages sent again under the same id, one for each receiver: answered as the first time, delivered to nobody.',
    ({ metrics }) => metrics.total((domain) => domain.messagesRepeated),
  ),
];
