/** Who is online and visible, as PRESENCES and MEMBERS answer it: PROTOCOL.md sections 3 and 16. */
import { type Address, parseTarget } from '../actors/address.js';
import type { Domain } from '../actors/domain.js';
import type { EndpointRecord } from '../actors/endpoint-record.js';
import { badRequest, isReplyError, type ReplyError } from '../errors.js';
import type { Parameters } from './parameters.js';
import { type Checked, check, text } from './schemas.js';

/** `full=1`. */
export interface FullPresence {
  readonly show: string;
  readonly nick: string;
  readonly status: string;
}

/** Short id → show. */
export type Shows = readonly (readonly [string, string])[];

/** Short id → show, or all that is seen. */
export type Presences = readonly (readonly [string, string | FullPresence])[];

export interface PresencePage {
  readonly presences: Presences;
  /** The short id after which the next page begins; null: there is none. */
  readonly next: string | null;
}

const PAGE = 1000;
const LARGEST_PAGE = 10_000;

export function isFull(checked: Checked): boolean {
  return checked.full === '1' || checked.full === 'true';
}

function seen({ appearance, nick }: EndpointRecord, full: boolean): string | FullPresence | null {
  if (!appearance) return null;
  const { show, status } = appearance;
  return full ? { show, nick, status } : show;
}

type Named = readonly (readonly [Address, string])[];

export function presencesOf(domain: Domain, named: Named): Shows;
export function presencesOf(domain: Domain, named: Named, full: boolean): Presences;
export function presencesOf(domain: Domain, named: Named, full = false): Presences {
  const list: [string, string | FullPresence][] = [];
  for (const [address, id] of named) {
    const record = domain.tracker.records.get(address);
    const shown = record && seen(record, full);
    if (shown) list.push([id, shown]);
  }
  return list;
}

/** Those members of a room who are online and visible. */
export function membersOf(domain: Domain, room: Address): Shows;
export function membersOf(domain: Domain, room: Address, full: boolean): Presences;
export function membersOf(domain: Domain, room: Address, full = false): Presences {
  return listed(domain, domain.tracker.rooms.members(room), full);
}

function listed(domain: Domain, records: Iterable<EndpointRecord>, full: boolean): Presences {
  const list: [string, string | FullPresence][] = [];
  for (const record of records) {
    const shown = seen(record, full);
    if (shown) list.push([domain.shortId(record.address), shown]);
  }
  return list;
}

/** A page of all who are online and visible. */
export function allPresences(
  domain: Domain,
  parameters: Parameters,
  reply: (result: PresencePage | ReplyError) => void,
): void {
  const checked = check('allPresences', parameters);
  if (isReplyError(checked)) return reply(checked);
  const words = text(checked.limit) || String(PAGE);
  const limit = /^\d{1,5}$/.test(words) ? Number(words) : 0;
  if (limit < 1 || limit > LARGEST_PAGE) return reply(badRequest(`limit must be 1 to ${LARGEST_PAGE}`));
  const named = text(checked.after) || null;
  const after = named === null ? null : parseTarget(domain.name, named);
  if (named !== null && !after) return reply(badRequest('after is not an id'));
  const { page, isLast } = domain.tracker.records.page(
    after?.address ?? null,
    limit,
    ({ appearance }) => appearance !== null,
  );
  const last = page.at(-1);
  reply({
    presences: listed(domain, page, isFull(checked)),
    next: isLast || !last ? null : domain.shortId(last.address),
  });
}
