/** What a site can be told of as it happens: PROTOCOL.md section 17. */
export const EVENT_KINDS = ['online', 'offline', 'join', 'leave', 'roomEmpty', 'message', 'undelivered'] as const;
export type EventKind = (typeof EVENT_KINDS)[number];

/** How what waited for the site has left an outbox: all but `acknowledged` and `deleted` are losses. */
export const OUTBOX_WAYS = [
  'acknowledged',
  'refused',
  'failed',
  'tooOld',
  'expired',
  'overflow',
  'noRoom',
  'discarded',
  'deleted',
] as const;
export type OutboxWay = (typeof OUTBOX_WAYS)[number];
