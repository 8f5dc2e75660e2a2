/**
 * The one way in: parameters of a call → checked command → what the actors are told, for HTTP and every adapter.
 * Each answers through `reply`, once; a refusal is a value of errors.ts. PROTOCOL.md sections 3 and 10.
 */
import { type Address, isClientName, parseTarget, shortIdOf, type Target } from '../actors/address.js';
import type { Client } from '../actors/client.js';
import type { Domain, Handled } from '../actors/domain.js';
import type { EndpointMessage } from '../actors/endpoint.js';
import type { OnlineResult } from '../actors/online.js';
import type { MessageFields, MessageType, Outgoing } from '../actors/packet.js';
import type { Show } from '../actors/presence.js';
import { badRequest, isReplyError, NOT_ONLINE, type ReplyError } from '../errors.js';
import {
  BAD_NAME,
  endpointTarget,
  type NamedCall,
  sendOn,
  settled,
  withCaller,
  withoutKey,
  withTicket,
} from './caller.js';
import { findTicket } from './credentials.js';
import type { Parameters } from './parameters.js';
import { isFull, membersOf, type Presences, presencesOf } from './presences.js';
import { type CallName, type Checked, check, isByName, text } from './schemas.js';

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
  const name = text(checked, 'name') ?? '';
  const target = endpointTarget(domain, name);
  if (!target) return reply(badRequest('name is not the id of a user, visitor or service'));
  const buddies = targets(domain, checked.buddies, 'uid');
  if (!buddies) return reply(badRequest('buddies must be ids of users, visitors or services'));
  const rooms = targets(domain, checked.rooms, 'gid');
  if (!rooms) return reply(badRequest('rooms must be ids of rooms'));
  const groups = targets(domain, checked.groups, 'gid');
  if (!groups) return reply(badRequest('groups must be ids of rooms'));
  const client = text(checked, 'client')?.trim() ?? target.client;
  if (client !== null && (!isClientName(client) || (target.client ?? client) !== client)) {
    return reply(badRequest('client must be 1 to 64 characters without / + # ,'));
  }
  domain.endpoint(target).tell({
    kind: 'online',
    nick: text(checked, 'nick') || shortIdOf(target.node, target.id),
    show: (text(checked, 'show') || null) as Show | null,
    status: text(checked, 'status'),
    buddies: addresses(buddies),
    rooms: addresses([...rooms, ...groups]),
    client,
    reply: settled(domain, reply),
  });
}

/** Runs a call that another node has sent on. `expiresInMs`: of its message; null: never. */
export function answerCall(
  domain: Domain,
  call: string,
  roomId: string,
  parameters: Parameters,
  expiresInMs: number | null,
  answer: (answer: unknown) => void,
): void {
  const expiresAt = expiresInMs === null ? null : domain.runtime.clock.now() + expiresInMs;
  const reply = (result: unknown) => answer([result]);
  const inRoom = ROOM_CALLS.get(call);
  const plain = CALLS.get(call);
  if (inRoom) inRoom(domain, roomId, parameters, reply, true);
  else if (plain) plain(domain, parameters, reply, expiresAt);
  else answer(null);
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
  const target = endpointTarget(domain, text(checked, 'name') ?? '');
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
      show: text(checked, 'show') as Show,
      nick: text(checked, 'nick'),
      status: text(checked, 'status'),
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

/** MESSAGES; with `from` it is PUSH, whatever else is there. */
export function message(domain: Domain, parameters: Parameters, reply: Reply<null>): void {
  if (parameters.get('from')) return push(domain, parameters, reply);
  const { shortage } = domain;
  if (shortage) return reply(shortage);
  const checked = check('message', parameters);
  if (isReplyError(checked)) return reply(checked);
  const outgoing = outgoingMessage(domain, checked);
  if (isReplyError(outgoing)) return reply(outgoing);
  if (outgoing.target === null) return reply(badRequest('type must be one of chat, grpchat'));
  const client = findTicket(domain, text(checked, 'ticket') ?? '');
  if (!client) return sendOn(domain, 'message', '', parameters, reply);
  sendFrom(
    client,
    outgoing,
    whenKept(domain, () => reply(null)),
  );
}

/** Calls `done` when a message has been seen to: one that goes to the offline store, when it is on disk. */
export function whenKept(domain: Domain, done: () => void): Handled | undefined {
  const { store } = domain.runtime;
  if (store && domain.settings.offline) return (kept) => (kept ? store.committed(done) : done());
  done();
  return undefined;
}

/**
 * PUSH: the site speaks for `from`, who need not be online. `expiresAt`: milliseconds since the epoch after which nobody
 * receives the message; null: never.
 */
export function push(
  domain: Domain,
  parameters: Parameters,
  reply: Reply<null>,
  expiresAt: number | null = null,
  isSentOn = false,
): void {
  const { shortage } = domain;
  if (shortage) return reply(shortage);
  const checked = check('push', parameters);
  if (isReplyError(checked)) return reply(checked);
  const from = endpointTarget(domain, text(checked, 'from') ?? '');
  if (!from) return reply(badRequest('from is not the id of a user, visitor or service'));
  const outgoing = outgoingMessage(domain, checked);
  if (isReplyError(outgoing)) return reply(outgoing);
  const isHere = isSentOn || domain.tracker.actor(from.address) !== null;
  const expiresInMs = expiresAt === null ? null : expiresAt - domain.runtime.clock.now();
  const again = () => push(domain, parameters, reply, expiresAt, true);
  if (isHere || !sendFromHome(domain, from, ['push', '', parameters, expiresInMs], reply, again)) {
    domain.push(
      from,
      { ...outgoing, expiresAt },
      whenKept(domain, () => reply(null)),
    );
  }
}

/**
 * Where the sender lives on another node its packets go out from there, so that their order holds. `again`: that node has
 * not answered. False: it lives here or nowhere.
 */
function sendFromHome(
  domain: Domain,
  from: Target,
  [call, roomId, parameters, ...more]: readonly [CallName, string, Parameters, ...unknown[]],
  reply: Reply<null>,
  again: () => void,
): boolean {
  return domain.cluster.forwardTo(from.address, [call, roomId, withoutKey(parameters), ...more], (answer) => {
    if (Array.isArray(answer)) reply(answer[0]);
    else again();
  });
}

/** Tells a client's endpoint to send; the packet is from it, whatever the fields said. */
export function sendFrom(client: Client, outgoing: Outgoing, handled?: Handled): void {
  const message: EndpointMessage = { kind: 'send', client, outgoing, handled };
  client.endpoint.tell(message);
}

const PASSED_ON = ['avatar', 'to_name', 'to_avatar', 'to_other'] as const;

/** A message's fields, checked beyond their schema. Its target is null for a broadcast. */
export function outgoingMessage(domain: Domain, checked: Checked): Outgoing | ReplyError {
  const type = text(checked, 'type') || 'chat';
  const to = text(checked, 'to') || (type === 'broadcast' ? '*' : '');
  const isTooLong = bodyTooLong(domain, checked);
  if (isTooLong) return isTooLong;
  if (to === '') return badRequest('to is required');
  if (type === 'broadcast') return outgoing(domain, null, to, type, checked);
  const target = parseTarget(domain.name, to, type === 'grpchat' ? 'gid' : 'uid');
  return target ? messageTo(domain, target, checked, type) : badRequest('to is not an id');
}

function bodyTooLong(domain: Domain, checked: Checked): ReplyError | null {
  const limit = domain.limits.messageBytes;
  const isTooLong = limit > 0 && Buffer.byteLength(text(checked, 'body') ?? '') > limit;
  return isTooLong ? badRequest(`body must be at most ${limit} bytes`) : null;
}

/** A message to an endpoint or room; the type follows the target where the fields name none. */
export function messageTo(
  domain: Domain,
  target: Target,
  checked: Checked,
  type = text(checked, 'type') || (target.node === 'gid' ? 'grpchat' : 'chat'),
): Outgoing | ReplyError {
  if ((target.node === 'gid') !== (type === 'grpchat')) {
    return badRequest(type === 'chat' ? 'to must not be a room, or type must be grpchat' : 'to must be a room');
  }
  return outgoing(domain, target, shortIdOf(target.node, target.id), type, checked);
}

function outgoing(domain: Domain, target: Target | null, to: string, type: string, checked: Checked): Outgoing {
  const fields: MessageFields = {
    from: '',
    to,
    nick: text(checked, 'nick') ?? '',
    timestamp: text(checked, 'timestamp') || String(domain.runtime.clock.now()),
    type: type as MessageType,
    body: text(checked, 'body') ?? '',
    style: text(checked, 'style') ?? '',
  };
  return { target, acceptedAt: performance.now(), kind: 'message', fields: passOn(checked, fields) };
}

/** Adds the fields of section 10's closed list, where the sender gave some. */
function passOn(checked: Checked, fields: MessageFields): MessageFields {
  const extra = PASSED_ON.filter((name) => checked[name] !== undefined);
  return extra.length === 0 ? fields : { ...fields, ...Object.fromEntries(extra.map((name) => [name, checked[name]])) };
}

export function status(domain: Domain, parameters: Parameters, reply: Reply<null>, isSentOn = false): void {
  const { shortage } = domain;
  if (shortage) return reply(shortage);
  const checked = check('status', parameters);
  if (isReplyError(checked)) return reply(checked);
  const from = isByName(parameters) ? endpointTarget(domain, text(checked, 'name') ?? '') : null;
  if (isByName(parameters) && !from) return reply(BAD_NAME);
  const target = parseTarget(domain.name, text(checked, 'to') ?? '');
  if (!target) return reply(badRequest('to is not an id'));
  if (from) return statusFrom(domain, from, parameters, statusTo(target, checked), reply, isSentOn);
  const client = findTicket(domain, text(checked, 'ticket') ?? '');
  if (!client) return sendOn(domain, 'status', '', parameters, reply);
  sendFrom(client, statusTo(target, checked));
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
    domain.push(from, outgoing);
    reply(null);
  };
  const isHere = isSentOn || domain.tracker.actor(from.address) !== null;
  if (isHere || !sendFromHome(domain, from, ['status', '', parameters], reply, here)) here();
}

export function statusTo(target: Target, checked: Checked): Outgoing {
  const to = shortIdOf(target.node, target.id);
  const fields = { from: '', to, nick: text(checked, 'nick') ?? '', show: text(checked, 'show') ?? '' };
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
    const nick = text(checked, 'nick') || null;
    endpoint.tell({ kind: asked.call, room: target.address, nick, reply: settled(domain, reply) });
  });
}

type Command = (
  domain: Domain,
  parameters: Parameters,
  reply: (result: unknown) => void,
  expiresAt: number | null,
) => void;
type RoomCommand = (
  domain: Domain,
  roomId: string,
  parameters: Parameters,
  reply: (result: unknown) => void,
  isSentOn: true,
) => void;

/** What another node may send on. */
const CALLS = new Map<string, Command>([
  ['offline', offline],
  ['show', (domain, parameters, reply) => show(domain, parameters, reply, true)],
  ['message', message],
  ['status', (domain, parameters, reply) => status(domain, parameters, reply, true)],
  ['push', (domain, parameters, reply, expiresAt) => push(domain, parameters, reply, expiresAt, true)],
]);
const ROOM_CALLS = new Map<string, RoomCommand>([
  ['members', members],
  ['join', join],
  ['leave', leave],
]);
