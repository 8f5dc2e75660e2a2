/**
 * The one way in: parameters of a call → checked command → what the actors are told, for HTTP and every adapter.
 * Each answers through `reply`, once; a refusal is a value of errors.ts. PROTOCOL.md sections 3 and 10.
 */
import { type Address, isClientName, parseTarget, shortIdOf, type Target } from '../actors/address.js';
import type { NamedClient } from '../actors/client.js';
import type { Domain } from '../actors/domain.js';
import type { EndpointMessage } from '../actors/endpoint.js';
import type { OnlineResult } from '../actors/online.js';
import type { Outgoing } from '../actors/packet.js';
import type { Show } from '../actors/presence.js';
import { BANNED, badRequest, isReplyError, NOT_ONLINE, type ReplyError } from '../errors.js';
import {
  BAD_NAME,
  endpointTarget,
  type NamedCall,
  sendOn,
  settled,
  whenArrived,
  withCaller,
  withoutKey,
  withTicket,
} from './caller.js';
import { findTicket } from './credentials.js';
import type { Parameters } from './parameters.js';
import { isFull, membersOf, type Presences, presencesOf } from './presences.js';
import { type CallName, type Checked, check, isByName, text } from './schemas.js';
import { flappingRefusal } from './unwelcome.js';

export type Reply<T> = (result: T | ReplyError) => void;

/** A comma-separated list, or an array; spaces around items and empty items are dropped. Null: an item is no id. */
export function targets(domain: Domain, value: Checked[string], bareNode: 'uid' | 'gid'): Target[] | null {
  const items = typeof value === 'string' ? value.split(',') : (value ?? []);
  const found: Target[] = [];
  for (const item of items) {
    const trimmed = item.trim();
    if (trimmed === '') continue;
    const target = parseTarget(domain.name, trimmed, bareNode);
    if (!target || (target.node === 'gid') !== (bareNode === 'gid')) return null;
    found.push(target);
  }
  return found;
}

/** The addresses of targets, each once, in the order of the list. */
function addresses(found: readonly Target[]): Address[] {
  return [...new Set(found.map(({ address }) => address))];
}

export function roomTarget(domain: Domain, id: string): Target | null {
  const target = parseTarget(domain.name, id, 'gid');
  return target && target.node === 'gid' ? target : null;
}

export function online(domain: Domain, parameters: Parameters, reply: Reply<OnlineResult>): void {
  const { shortage } = domain;
  if (shortage) return reply(shortage);
  const checked = check('online', parameters);
  if (isReplyError(checked)) return reply(checked);
  const name = text(checked.name) ?? '';
  const target = endpointTarget(domain, name);
  if (!target) return reply(badRequest('name is not the id of a user, visitor or service'));
  const banned = domain.quotas.bans.find({
    id: shortIdOf(target.node, target.id),
    clientId: text(checked.client) ?? '',
  });
  if (banned) return reply(BANNED);
  const flapping = flappingRefusal(domain, target.address);
  if (flapping) return reply(flapping);
  const buddies = targets(domain, checked.buddies, 'uid');
  if (!buddies) return reply(badRequest('buddies must be ids of users, visitors or services'));
  const rooms = targets(domain, checked.rooms, 'gid');
  if (!rooms) return reply(badRequest('rooms must be ids of rooms'));
  const groups = targets(domain, checked.groups, 'gid');
  if (!groups) return reply(badRequest('groups must be ids of rooms'));
  const client = text(checked.client)?.trim() ?? target.client;
  if (client !== null && (!isClientName(client) || (target.client ?? client) !== client)) {
    return reply(badRequest('client must be 1 to 64 characters without / + # ,'));
  }
  domain.endpoint(target).tell({
    kind: 'online',
    nick: text(checked.nick) || shortIdOf(target.node, target.id),
    show: (text(checked.show) || null) as Show | null,
    status: text(checked.status),
    buddies: addresses(buddies),
    rooms: addresses([...rooms, ...groups]),
    client,
    reply: settled(domain, reply),
  });
}

/** By a ticket, its client; by a name, all clients of the endpoint, on all nodes. */
export function offline(domain: Domain, parameters: Parameters, reply: Reply<null>): void {
  if (isByName(parameters)) return signOut(domain, parameters, reply);
  withTicket(domain, 'offline', parameters, reply, (client) => {
    client.endpoint.tell({ kind: 'offline', client, reply });
  });
}

/** Tokens of the name that were issued up to now are refused, whether or not anybody is online. */
function signOut(domain: Domain, parameters: Parameters, reply: Reply<null>): void {
  const checked = check('offline', parameters);
  if (isReplyError(checked)) return reply(checked);
  const target = endpointTarget(domain, text(checked.name) ?? '');
  if (!target || target.client !== null) return reply(BAD_NAME);
  const answer = settled(domain, reply);
  const actor = domain.signOut(target.address);
  if (actor) actor.tell({ kind: 'offline', client: null, reply: answer });
  else answer(null);
}

export function show(domain: Domain, parameters: Parameters, reply: Reply<null>, isSentOn = false): void {
  withCaller(domain, { call: 'show', parameters, isSentOn }, reply, NOT_ONLINE, (endpoint, checked) => {
    endpoint.tell({
      kind: 'show',
      show: text(checked.show) as Show,
      nick: text(checked.nick),
      status: text(checked.status),
      reply: settled(domain, reply),
    });
  });
}

export function presences(domain: Domain, parameters: Parameters, reply: Reply<Presences>): void {
  const checked = check('presences', parameters);
  if (isReplyError(checked)) return reply(checked);
  const found = targets(domain, checked.ids, 'uid');
  if (!found) return reply(badRequest('ids must be ids of users, visitors or services'));
  const named = found.map(({ address, node, id }) => [address, shortIdOf(node, id)] as const);
  reply(presencesOf(domain, named, isFull(checked)));
}

/**
 * Where the sender lives on another node its packets go out from there, so that their order holds. `again`: that node has
 * not answered. False: it goes out from here.
 */
export function sendFromHome(
  domain: Domain,
  from: Target,
  [call, roomId, parameters, ...more]: readonly [CallName, string, Parameters, ...unknown[]],
  reply: Reply<never>,
  again: () => void,
): boolean {
  if (!domain.cluster.hasOthers) return false;
  const sentOn = [call, roomId, withoutKey(parameters), ...more];
  const answered = (answer: unknown) => {
    if (Array.isArray(answer)) reply(answer[0] as never);
    else again();
  };
  return domain.cluster.forwardTo(from.address, sentOn, answered);
}

/** Tells a client's endpoint to send; the packet is from it, whatever the fields said. */
export function sendFrom(client: NamedClient, outgoing: Outgoing): void {
  const message: EndpointMessage = { kind: 'send', client, outgoing };
  client.endpoint.tell(message);
}

export function status(domain: Domain, parameters: Parameters, reply: Reply<null>, isSentOn = false): void {
  const { shortage } = domain;
  if (shortage) return reply(shortage);
  const checked = check('status', parameters);
  if (isReplyError(checked)) return reply(checked);
  const from = isByName(parameters) ? endpointTarget(domain, text(checked.name) ?? '') : null;
  if (isByName(parameters) && !from) return reply(BAD_NAME);
  const target = parseTarget(domain.name, text(checked.to) ?? '');
  if (!target) return reply(badRequest('to is not an id'));
  if (from) return statusFrom(domain, from, parameters, statusTo(target, checked), reply, isSentOn);
  const client = findTicket(domain, text(checked.ticket) ?? '');
  if (!client) return sendOn(domain, 'status', '', parameters, reply);
  domain.sendOrder.send(client.address, () => sendFrom(client, statusTo(target, checked)));
  reply(null);
}

/** The site speaks for somebody, as with PUSH. */
function statusFrom(
  domain: Domain,
  from: Target,
  parameters: Parameters,
  outgoing: Outgoing,
  reply: Reply<null>,
  isSentOn: boolean,
): void {
  const here = () => {
    domain.sendOrder.send(from.address, () => {
      domain.push(from, outgoing);
      whenArrived(domain, from.address, [['', outgoing.target]], reply)(null);
    });
  };
  const isHere = isSentOn || domain.tracker.actor(from.address) !== null;
  if (isHere || !sendFromHome(domain, from, ['status', '', parameters], reply, here)) here();
}

export function statusTo(target: Target, checked: Checked): Outgoing {
  const to = shortIdOf(target.node, target.id);
  const fields = { from: '', to, nick: text(checked.nick) ?? '', show: text(checked.show) ?? '' };
  return { target, acceptedAt: performance.now(), kind: 'status', fields };
}

/** A ticket that is given must be valid. */
export function members(domain: Domain, roomId: string, parameters: Parameters, reply: Reply<Presences>): void {
  const target = roomTarget(domain, roomId);
  if (!target) return reply(badRequest('the room is not an id'));
  const run = (checked: Checked) => reply(membersOf(domain, target.address, isFull(checked)));
  if (parameters.has('ticket')) {
    withTicket(domain, 'members', parameters, reply, (_client, checked) => run(checked), roomId);
    return;
  }
  const checked = check('members', parameters);
  if (isReplyError(checked)) reply(checked);
  else run(checked as Checked);
}

export function join(
  domain: Domain,
  roomId: string,
  parameters: Parameters,
  reply: Reply<null>,
  isSentOn = false,
): void {
  const { shortage } = domain;
  if (shortage) return reply(shortage);
  enterOrExit({ call: 'join', roomId, parameters, isSentOn }, domain, reply, NOT_ONLINE);
}

/** Whoever is in no room may leave one. */
export function leave(
  domain: Domain,
  roomId: string,
  parameters: Parameters,
  reply: Reply<null>,
  isSentOn = false,
): void {
  enterOrExit({ call: 'leave', roomId, parameters, isSentOn }, domain, reply, null);
}

function enterOrExit(
  asked: NamedCall & { readonly call: 'join' | 'leave'; readonly roomId: string },
  domain: Domain,
  reply: Reply<null>,
  ifOffline: ReplyError | null,
): void {
  const target = roomTarget(domain, asked.roomId);
  if (!target) return reply(badRequest('the room is not an id'));
  withCaller(domain, asked, reply, ifOffline, (endpoint, checked) => {
    const nick = text(checked.nick) || null;
    endpoint.tell({ kind: asked.call, room: target.address, nick, reply: settled(domain, reply) });
  });
}
