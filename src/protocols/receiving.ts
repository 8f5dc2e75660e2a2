/**
 * A request of a page whose query names its ticket: a long poll, a stream of events, or calls of its own. Who asks, from
 * which origin, and, to receive packets, from which position. PROTOCOL.md sections 6, 12, 13 and 14.
 */
import type { NamedClient } from '../actors/client.js';
import type { Domain } from '../actors/domain.js';
import { type Asked, parseAsked } from '../actors/position.js';
import { badRequest, comeLater, type ReplyError, TICKET_NOT_FOUND, UNAVAILABLE } from '../errors.js';
import type { Metrics } from '../metrics.js';
import type { HttpResponse } from '../uws.js';
import type { Admission, ConnectionLimits } from './connection-limits.js';
import type { Context } from './context.js';
import { findHere, isSignedOut, mayBeElsewhere, visitTicket } from './credentials.js';
import type { Headers } from './headers.js';
import { allowedOrigin, isAllowedOrigin } from './origin.js';
import { type PageQuery, readPageQuery } from './page-query.js';
import { type Coming, connectionRefusal } from './unwelcome.js';

const UNREADABLE = {
  malformed: 'the query is not percent-encoded UTF-8',
  tooMany: 'the query has too many parameters',
} as const;

export interface Receiving {
  readonly query: PageQuery;
  /** undefined: none, or an unknown one. */
  readonly domain: Domain | undefined;
  /** Access-Control-Allow-Origin of what is answered; null: none. */
  readonly allow: string | null;
  /** Why the query cannot be read; null: it can. */
  readonly fault: ReplyError | null;
}

export interface Receiver {
  readonly ticket: string;
  /** null: its client keeps no position. */
  readonly asked: Asked | null;
}

export function readReceiving(context: Context, text: string, origin: string): Receiving {
  const query = readPageQuery(text, context.config().limits.parameters);
  const { domain: name, fault } = query;
  const domain = typeof name === 'string' ? context.domains.get(name) : undefined;
  return { query, domain, allow: allowedOrigin(domain, origin), fault: fault && badRequest(UNREADABLE[fault]) };
}

/** The ticket that a request of a page names, or why a page of its origin is not let in. */
export function readTicket({ query, domain, fault }: Receiving, origin: string): string | ReplyError {
  if (fault) return fault;
  if (domain && !isAllowedOrigin(domain, origin)) return badRequest('origin is not allowed');
  if (typeof query.domain !== 'string') return badRequest('domain is required');
  return typeof query.ticket === 'string' ? query.ticket : badRequest('ticket is required');
}

/** Who wants to receive; or why not. `position`: the one that counts, where it is not that of the query. */
export function readReceiver(
  receiving: Receiving,
  origin: string,
  position: unknown = receiving.query.position,
): Receiver | ReplyError {
  const ticket = readTicket(receiving, origin);
  if (typeof ticket !== 'string') return ticket;
  if (position === undefined) return { ticket, asked: null };
  const asked = typeof position === 'string' ? parseAsked(position) : null;
  return asked === null ? badRequest('position must be 0, - or one that the server gave') : { ticket, asked };
}

/** Counts a request that is refused. Who is banned, or comes while the server drains or has too many, has been counted. */
export function countRefused({ refused }: Metrics, error: ReplyError): void {
  const { status } = error;
  if (status === 404) refused.ticketNotFound += 1;
  else if (status < 403) refused.badRequest += 1;
  else if (status === 503 && error !== UNAVAILABLE) refused.unavailable += 1;
}

/** Where a client has been found, wherever in the cluster it lives. */
export interface Found {
  /** The connection is admitted until it is released. */
  wait(client: NamedClient, admission: Admission): void;
  refuse(error: ReplyError): void;
  /** The name of the ticket has been signed out, and its client keeps a position: it is told to stay so. */
  stop(): void;
  readonly coming: Coming;
}

/** Finds the client of a ticket and lets its connection in, or refuses it. */
export function findReceiver(
  limits: ConnectionLimits,
  res: HttpResponse,
  headers: Headers,
  { domain }: Receiving,
  { ticket, asked }: Receiver,
  found: Found,
): void {
  if (domain && asked && isSignedOut(domain, ticket)) return found.stop();
  const client = domain ? findHere(domain, ticket) : null;
  if (!domain || (!client && !mayBeElsewhere(domain, ticket))) return found.refuse(TICKET_NOT_FOUND);
  const admission = limits.admit(res, headers);
  if ('status' in admission) return found.refuse(admission);
  const letIn = (one: NamedClient): void => {
    const refused = connectionRefusal(domain, one, () => limits.addressOf(res, headers), found.coming);
    if (!refused) return found.wait(one, admission);
    limits.release(admission);
    res.cork(() => found.refuse(refused));
  };
  if (client) return letIn(client);
  let isOpen = true;
  res.onAborted(() => {
    isOpen = false;
    limits.release(admission);
  });
  visitTicket(domain, ticket, asked !== null, (visited, laterS) => {
    if (!isOpen) return;
    if (visited) return letIn(visited);
    limits.release(admission);
    res.cork(() => found.refuse(laterS === undefined ? TICKET_NOT_FOUND : comeLater(laterS)));
  });
}
