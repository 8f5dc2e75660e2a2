/**
 * The calls of NexTalk 5.0 to 5.3, whose rooms are groups: PROTOCOL.md section 19. They are the calls of section 3 under
 * other names, with answers of another form.
 */
import { type Address, parseTarget, shortIdOf, type Target } from '../actors/address.js';
import type { Domain } from '../actors/domain.js';
import { parseTicket } from '../actors/ticket.js';
import { badRequest, isReplyError, type ReplyError, TICKET_NOT_FOUND } from '../errors.js';
import { join, leave, type Reply, roomTarget, targets } from './commands.js';
import { findTicket, mayBeElsewhere, ownerOf } from './credentials.js';
import type { Parameters } from './parameters.js';
import { membersOf, presencesOf, type Shows } from './presences.js';
import { type Checked, check, text } from './schemas.js';

/** Short id of a room → members online, the one who asks included. */
export type GroupSizes = readonly (readonly [string, number])[];

export interface GroupMember {
  readonly id: string;
  readonly nick: string;
  readonly show: string;
}

/** The room that a call names. */
function groupOf(domain: Domain, checked: Checked): Target | ReplyError {
  const id = text(checked.group) || text(checked.room) || '';
  if (id === '') return badRequest('group is required');
  return roomTarget(domain, id) ?? badRequest('group is not the id of a room');
}

/** The endpoint that a ticket names, whether or not the ticket is valid; null where it is not a well-formed ticket. */
function endpointOf(domain: Domain, ticket: unknown): Address | null {
  const parsed = typeof ticket === 'string' ? parseTicket(ticket) : null;
  return parsed && ownerOf(domain, parsed);
}

/** Whether a ticket that may be left out is one of the domain's. */
function isAcceptable(domain: Domain, ticket: string | null): boolean {
  if (!ticket || findTicket(domain, ticket)) return true;
  return mayBeElsewhere(domain, ticket);
}

/** How many members each of these rooms has online, `self` among them although others may not see it. */
function groupSizes(domain: Domain, groups: readonly Target[], self: Address | null): GroupSizes {
  const own = self && domain.shortId(self);
  return groups.map(({ address, node, id }) => [shortIdOf(node, id), sizeOf(membersOf(domain, address), own)]);
}

function sizeOf(members: Shows, own: string | null): number {
  return members.length + (own === null || members.some(([id]) => id === own) ? 0 : 1);
}

/** What ONLINE answers of the groups that it named; they have been read before. */
export function onlineGroups(domain: Domain, parameters: Parameters, ticket: string): GroupSizes {
  const groups = targets(domain, parameters.get('groups') as Checked[string], 'gid') ?? [];
  return groupSizes(domain, groups, endpointOf(domain, ticket));
}

export function groupJoin(domain: Domain, parameters: Parameters, reply: Reply<GroupSizes>): void {
  const checked = check('groupJoin', parameters);
  if (isReplyError(checked)) return reply(checked);
  const group = groupOf(domain, checked);
  if (isReplyError(group)) return reply(group);
  join(domain, group.address, parameters, (result) => {
    reply(result ?? groupSizes(domain, [group], endpointOf(domain, checked.ticket)));
  });
}

export function groupLeave(domain: Domain, parameters: Parameters, reply: Reply<null>): void {
  const checked = check('groupLeave', parameters);
  if (isReplyError(checked)) return reply(checked);
  const group = groupOf(domain, checked);
  if (isReplyError(group)) return reply(group);
  leave(domain, group.address, parameters, reply);
}

export function groupMembers(domain: Domain, parameters: Parameters, reply: Reply<readonly GroupMember[]>): void {
  const checked = check('groupMembers', parameters);
  if (isReplyError(checked)) return reply(checked);
  const group = groupOf(domain, checked);
  if (isReplyError(group)) return reply(group);
  if (!isAcceptable(domain, text(checked.ticket))) return reply(TICKET_NOT_FOUND);
  reply(membersOf(domain, group.address).map(([id, show]) => ({ id, nick: nickOf(domain, id), show })));
}

function nickOf(domain: Domain, id: string): string {
  const address = parseTarget(domain.name, id)?.address;
  return (address && domain.nick(address)) || id;
}

/** CHATS: a chat window is opened or closed. The answer says which of its buddies are online. */
export function chats(
  call: 'chatsOpen' | 'chatsClose',
  domain: Domain,
  parameters: Parameters,
  reply: Reply<Shows>,
): void {
  const checked = check(call, parameters);
  if (isReplyError(checked)) return reply(checked);
  const found = targets(domain, checked.buddies, 'uid');
  if (!found) return reply(badRequest('buddies must be ids of users, visitors or services'));
  if (!isAcceptable(domain, text(checked.ticket))) return reply(TICKET_NOT_FOUND);
  const named = found.map(({ address, node, id }) => [address, shortIdOf(node, id)] as const);
  reply(presencesOf(domain, named));
}
