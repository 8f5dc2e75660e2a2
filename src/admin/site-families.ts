/** The families of what sites are told, and of what they have asked for. */
import { OUTBOX_WAYS } from '../event-kinds.js';
import { type Family, keyed, single } from './family.js';

export const SITE_FAMILIES: readonly Family[] = [
  keyed(
    'counter',
    'nextalk_events_total',
    'Events for sites: raised, and how each has left: acknowledged by the site, refused by it, failed ten times alone, tooOld after a day, overflow of `limits.eventsBytes`, noRoom on the disk, discarded with its webhook (also messages to a service whose webhook is gone at a start), deleted with the message that it carries.',
    'way',
    ['raised', ...OUTBOX_WAYS],
    (metrics, way) => metrics.total((domain) => domain.events[way]),
  ),
  single('gauge', 'nextalk_events_waiting', 'Events that wait for their sites.', ({ metrics }) =>
    metrics.total((domain) => domain.eventsWaiting),
  ),
  single('gauge', 'nextalk_events_waiting_bytes', 'How many bytes these take.', ({ metrics }) =>
    metrics.total((domain) => domain.eventsWaitingBytes),
  ),
  single(
    'counter',
    'nextalk_webhook_failures_total',
    'POSTs of webhooks, of events and of services, that were not acknowledged.',
    ({ metrics }) => metrics.total((domain) => domain.webhookFailures),
  ),
  single(
    'counter',
    'nextalk_sign_outs_forgotten_total',
    'Names signed out by OFFLINE that are not known any more because too many were: older tokens of theirs hold again.',
    ({ metrics }) => metrics.total((domain) => domain.signOutsForgotten),
  ),
];
