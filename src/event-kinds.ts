/** What a site can be told of as it happens: PROTOCOL.md section 17. */
export const EVENT_KINDS = ['online', 'offline', 'join', 'leave', 'roomEmpty', 'message', 'undelivered'] as const;
export type EventKind = (typeof EVENT_KINDS)[number];
