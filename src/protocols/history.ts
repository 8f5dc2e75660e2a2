/** The history as the site and clients read it, and as the site has it forgotten: PROTOCOL.md section 18. */
import { type Address, parseTarget, reference, type Target } from '../actors/address.js';
import type { NamedClient } from '../actors/client.js';
import type { Page } from '../actors/conversation.js';
import type { Domain } from '../actors/domain.js';
import { roomsOf } from '../actors/endpoint-record.js';
import { forget as forgetEverywhere } from '../actors/forgetting.js';
import type { History } from '../actors/history.js';
import type { Asked } from '../actors/history-reading.js';
import { badRequest, forbidden, isReplyError, NOT_FOUND, type ReplyError } from '../errors.js';
import type { Reply } from './commands.js';
import type { Parameters } from './parameters.js';
import { type Checked, check, text } from './schemas.js';
import { isMember } from './sending.js';

const MOST = 200;
const BY_DEFAULT = 50;
/** A position is a sequence in base 36. */
const POSITION = /^[\da-z]{1,11}$/;

const NO_HISTORY = forbidden('the domain keeps no history');

/** Members of a JSON object: `"messages":[…]`. */
export type Members = string;

/** GET /v5/history, for whom the site names. */
export function history(domain: Domain, parameters: Parameters, reply: Reply<Members>): void {
  const asked = checked(domain, 'history', parameters);
  if (isReplyError(asked)) return reply(asked);
  reply(read(domain, asked.history, asked.user.address, asked.fields, () => true));
}

/** The call `history` of a client: of its own conversations, and of the rooms it is in. */
export function clientHistory(domain: Domain, client: NamedClient, parameters: Parameters): Members | ReplyError {
  if (!domain.history) return NO_HISTORY;
  const fields = check('clientHistory', parameters);
  if (isReplyError(fields)) return fields;
  return read(domain, domain.history, client.address, fields, (room) => isMember(domain, client, room));
}

/** DELETE /v5/history: a message, a conversation, or all of somebody's. */
export function forget(domain: Domain, parameters: Parameters, reply: Reply<null>): void {
  const asked = checked(domain, 'forget', parameters);
  if (isReplyError(asked)) return reply(asked);
  const { user, fields } = asked;
  const id = text(fields.id);
  const other = otherOf(domain, fields);
  if (other && isReplyError(other)) return reply(other);
  if (!other && id !== null) return reply(badRequest('id needs with'));
  forgetEverywhere(domain, [user.address, other?.address ?? null, id], (author) => {
    if (author !== null && typeof author !== 'string') return reply(author);
    reply(other && id !== null ? tellDeleted(domain, user.address, other, id, author) : null);
  });
}

interface Whose {
  readonly history: History;
  readonly user: Target;
  readonly fields: Checked;
}

function checked(domain: Domain, call: 'history' | 'forget', parameters: Parameters): Whose | ReplyError {
  if (!domain.history) return NO_HISTORY;
  const fields = check(call, parameters);
  if (isReplyError(fields)) return fields;
  const user = parseTarget(domain.name, text(fields.name) ?? '');
  if (!user || user.node === 'gid') return badRequest('name is not the id of a user, visitor or service');
  return { history: domain.history, user, fields };
}

/** Whom the conversation is with; null: none is named. */
function otherOf(domain: Domain, fields: Checked): Target | ReplyError | null {
  const name = text(fields.with);
  if (name === null) return null;
  return parseTarget(domain.name, name) ?? badRequest('with is not an id');
}

function read(
  domain: Domain,
  kept: History,
  user: Address,
  fields: Checked,
  mayRead: (room: Target) => boolean,
): Members | ReplyError {
  const other = otherOf(domain, fields);
  if (other && isReplyError(other)) return other;
  const asked = rangeOf(fields);
  if (isReplyError(asked)) return asked;
  if (!other) return conversations(domain, kept, user, asked);
  if (other.node === 'gid' && !mayRead(other)) return forbidden('not in the room');
  const page = kept.messages(user, other.address, asked);
  return `"messages":[${page.items}]${nextOf(page)}`;
}

function conversations(domain: Domain, kept: History, user: Address, asked: Asked): Members | ReplyError {
  if (asked.after !== null) return badRequest('after needs with');
  const record = domain.tracker.records.get(user);
  const page = kept.conversations(user, record ? roomsOf(record) : [], asked);
  const items = page.items.map(({ other, last, unread }) => {
    return `{"with":${JSON.stringify(reference(domain.name, other))},"last":${last},"unread":${unread}}`;
  });
  return `"conversations":[${items}]${nextOf(page)}`;
}

function nextOf({ next }: Page<unknown>): Members {
  return next === null ? '' : `,"next":"${next.toString(36)}"`;
}

function rangeOf(fields: Checked): Asked | ReplyError {
  const limit = text(fields.limit) ?? String(BY_DEFAULT);
  if (!/^\d{1,3}$/.test(limit) || Number(limit) < 1 || Number(limit) > MOST) {
    return badRequest(`limit must be a whole number from 1 to ${MOST}`);
  }
  const before = positionOf(fields, 'before');
  const after = positionOf(fields, 'after');
  if (Number.isNaN(before)) return badRequest('before is no next that the server gave');
  if (Number.isNaN(after)) return badRequest('after is no next that the server gave');
  return { before, after, limit: Number(limit) };
}

/** The position that a call names; null: the call names none; NaN: what it names is not a position. */
function positionOf(fields: Checked, name: 'before' | 'after'): number | null {
  const named = text(fields[name]);
  if (named === null) return null;
  const sequence = POSITION.test(named) ? Number.parseInt(named, 36) : Number.NaN;
  return Number.isSafeInteger(sequence) ? sequence : Number.NaN;
}

/** Tells the receivers of a message that it was deleted: its sender does, after all that the sender has sent before. */
function tellDeleted(domain: Domain, user: Address, other: Target, id: string, from: string | null): ReplyError | null {
  const author = from === null ? null : parseTarget(domain.name, from);
  if (!author) return NOT_FOUND;
  const receiver = other.node === 'gid' || other.address !== author.address ? other : targetOf(domain, user);
  const fields = { from: '', to: domain.shortId(receiver.address), nick: '', show: `deleted ${id}` };
  domain.push(author, { kind: 'status', target: receiver, acceptedAt: performance.now(), fields });
  return null;
}

function targetOf(domain: Domain, address: Address): Target {
  return parseTarget(domain.name, address) as Target;
}
