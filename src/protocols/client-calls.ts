/**
 * What clients ask and send themselves, as JSON objects with `call`, over WebSocket and HTTP: PROTOCOL.md section 14. The
 * rules of sending are those of sending.ts, for MQTT alike; this is what else a client may do, and how it is answered.
 */
import { type Address, parseTarget, shortIdOf, type Target } from '../actors/address.js';
import type { NamedClient } from '../actors/client.js';
import type { Domain } from '../actors/domain.js';
import { parseAsked } from '../actors/position.js';
import type { Show } from '../actors/presence.js';
import { badRequest, forbidden, isReplyError, type ReplyError, TOO_MANY_REQUESTS, UNAVAILABLE } from '../errors.js';
import { settled } from './caller.js';
import { type Reply, roomTarget, sendFrom, statusTo, targets } from './commands.js';
import { clientHistory } from './history.js';
import { receiversOf } from './letter.js';
import { type Sent, sentBody } from './messages.js';
import { Parameters, readJson } from './parameters.js';
import { isFull, membersOf, type Presences, presencesOf } from './presences.js';
import { presencesBody } from './presences-body.js';
import { check, text } from './schemas.js';
import { isMember, maySend, type SendingWay, sendingRefusal, sendMessage } from './sending.js';

const REF_CHARACTERS = 64;
/** Ids that one `presences` may ask for; each that is no buddy is looked for in the client's rooms. */
const MOST_IDS = 1000;
/** Bytes that wait for a client which does not read, from which on its calls are refused, and then not answered. */
const REFUSED_BACKLOG_BYTES = 64 * 1024;
const SILENT_BACKLOG_BYTES = 256 * 1024;
/** The name under which a node sends a client's call on to the client's own. */
export const CLIENT_CALL = 'client';
/** Fields that only clients of a domain with `clientFields` set. */
const OWN_FIELDS = ['nick', 'timestamp', 'avatar', 'to_name', 'to_avatar', 'to_other'];

/** The fields of a call's answer besides `status`. */
interface Result {
  readonly sent?: Sent;
  readonly presences?: Presences;
  /** Members of the reply, as JSON. */
  readonly history?: string;
}

interface Asked {
  readonly domain: Domain;
  readonly client: NamedClient;
  readonly way: SendingWay;
  readonly parameters: Parameters;
  readonly reply: Reply<Result>;
}

const DONE: Result = Object.freeze({});

/** How an actor's answer becomes a reply. */
function done({ domain, reply }: Asked): Reply<null> {
  return settled(domain, (result) => reply(result ?? DONE));
}

/** Text, or a list of texts. */
function isList(value: unknown): value is string | readonly string[] {
  return typeof value === 'string' || (Array.isArray(value) && value.every((item) => typeof item === 'string'));
}

function message({ domain, client, way, parameters, reply }: Asked): void {
  const to = parameters.get('to');
  const room = parameters.get('type') === 'grpchat';
  const targets = isList(to) ? receiversOf(domain, to, room ? 'gid' : 'uid') : null;
  const known = targets && !isReplyError(targets) ? targets : null;
  const asking = { way, targets: known, fields: () => parameters, isAsked: true };
  const refused = sendMessage(domain, client, asking, (sent) =>
    reply(sent && !isReplyError(sent) ? { sent } : (sent ?? DONE)),
  );
  if (refused) reply(refused.fault === 'target' && targets && isReplyError(targets) ? targets : refused.error);
}

function status({ domain, client, way, parameters, reply }: Asked): void {
  const to = parameters.get('to');
  const target = typeof to === 'string' ? parseTarget(domain.name, to) : null;
  const refused = sendingRefusal(domain, client, { way, targets: target && [target] });
  if (refused || !target) return reply(refused?.error ?? badRequest('to is not an id'));
  const checked = check('clientStatus', parameters);
  if (isReplyError(checked)) return reply(checked);
  const outgoing = { ...statusTo(target, checked), fromClient: true };
  domain.sendOrder.send(client.address, () => sendFrom(client, outgoing));
  reply(DONE);
}

function show(asked: Asked): void {
  const checked = check('clientShow', asked.parameters);
  if (isReplyError(checked)) return asked.reply(checked);
  asked.client.endpoint.tell({
    kind: 'show',
    show: text(checked.show) as Show,
    nick: text(checked.nick),
    status: text(checked.status),
    reply: done(asked),
  });
}

function presences({ domain, client, parameters, reply }: Asked): void {
  const checked = check('presences', parameters);
  if (isReplyError(checked)) return reply(checked);
  const found = targets(domain, checked.ids, 'uid');
  if (!found) return reply(badRequest('ids must be ids of users, visitors or services'));
  if (found.length > MOST_IDS) return reply(badRequest(`ids must be at most ${MOST_IDS}`));
  const known = acquaintance(domain, client);
  const shown = found.filter(({ address }) => known(address));
  reply({
    presences: presencesOf(
      domain,
      shown.map(({ address, node, id }) => [address, shortIdOf(node, id)] as const),
      isFull(checked),
    ),
  });
}

/** Whether an address is the client's own, a buddy's, or that of a member of one of its rooms. */
function acquaintance({ tracker }: Domain, { address: own }: NamedClient): (address: Address) => boolean {
  const record = tracker.records.get(own);
  if (!record) return () => false;
  const buddies = tracker.buddiesOf(record);
  const rooms = new Set(record.rooms);
  return (address) =>
    address === own ||
    buddies.has(address) ||
    (tracker.records.get(address)?.rooms.some((room) => rooms.has(room)) ?? false);
}

/** The room that a call names; or why it names none that the client is in. */
function ownRoom({ domain, client, parameters }: Asked): Target | ReplyError {
  const room = roomOf(domain, parameters);
  if (isReplyError(room)) return room;
  return isMember(domain, client, room) ? room : forbidden('not in the room');
}

function roomOf(domain: Domain, parameters: Parameters): Target | ReplyError {
  const room = parameters.get('room');
  if (room === undefined) return badRequest('room is required');
  const target = typeof room === 'string' ? roomTarget(domain, room) : null;
  return target ?? badRequest('room is not the id of a room');
}

function members(asked: Asked): void {
  const room = ownRoom(asked);
  if (isReplyError(room)) return asked.reply(room);
  const checked = check('members', asked.parameters);
  if (isReplyError(checked)) return asked.reply(checked);
  asked.reply({ presences: membersOf(asked.domain, room.address, isFull(checked)) });
}

function join(asked: Asked): void {
  const { domain, client, parameters, reply } = asked;
  const room = roomOf(domain, parameters);
  if (isReplyError(room)) return reply(room);
  const isNamed = domain.settings.clientJoin.some((pattern) => names(pattern, room.id));
  if (!isNamed && !isMember(domain, client, room)) return reply(forbidden('clients may not join the room'));
  const checked = check('clientJoin', parameters);
  if (isReplyError(checked)) return reply(checked);
  const { shortage } = domain;
  if (shortage) return reply(shortage);
  client.endpoint.tell({ kind: 'join', room: room.address, nick: text(checked.nick) || null, reply: done(asked) });
}

function leave(asked: Asked): void {
  const room = ownRoom(asked);
  if (isReplyError(room)) return asked.reply(room);
  const checked = check('clientLeave', asked.parameters);
  if (isReplyError(checked)) return asked.reply(checked);
  const nick = text(checked.nick) || null;
  asked.client.endpoint.tell({ kind: 'leave', room: room.address, nick, reply: done(asked) });
}

/** A pattern of `clientJoin`: the id of a room, or how ids begin and `*`. */
function names(pattern: string, room: string): boolean {
  return pattern.endsWith('*') ? room.startsWith(pattern.slice(0, -1)) : room === pattern;
}

/** Ends the client, or with `all` every client of its endpoint. Its own socket closes with it: the reply goes first. */
function offline({ client, way, parameters, reply }: Asked): void {
  const isFirst = way === 'websocket';
  if (isFirst) reply(DONE);
  client.endpoint.tell({
    kind: 'offline',
    client,
    all: parameters.get('all') === '1',
    reply: (result) => (isFirst ? undefined : reply(result ?? DONE)),
  });
}

/** `0` confirms nothing. */
function received({ client, parameters, reply }: Asked): void {
  const text = parameters.get('position');
  if (text === undefined) return reply(badRequest('position is required'));
  const position = typeof text === 'string' ? parseAsked(text) : null;
  if (position === null || position === 'confirmed') {
    return reply(badRequest('position must be 0 or one that the server gave'));
  }
  if (position !== 'first') client.endpoint.tell({ kind: 'confirm', client, transport: null, position });
  reply(DONE);
}

function history({ domain, client, parameters, reply }: Asked): void {
  const found = clientHistory(domain, client, parameters);
  reply(typeof found === 'string' ? { history: found } : found);
}

interface Kind {
  readonly run: (asked: Asked) => void;
  /** By whom it is allowed: `clientSend`, with the rate it takes itself; `clientCalls`; or everybody. */
  readonly needs: 'clientSend' | 'clientCalls' | null;
}

const KINDS = new Map<string, Kind>([
  ['message', { run: message, needs: 'clientSend' }],
  ['status', { run: status, needs: 'clientSend' }],
  ['show', { run: show, needs: 'clientCalls' }],
  ['presences', { run: presences, needs: 'clientCalls' }],
  ['members', { run: members, needs: 'clientCalls' }],
  ['join', { run: join, needs: 'clientCalls' }],
  ['leave', { run: leave, needs: 'clientCalls' }],
  ['history', { run: history, needs: 'clientCalls' }],
  ['offline', { run: offline, needs: null }],
  ['received', { run: received, needs: null }],
]);

/** The calls that there are. */
export const CLIENT_CALLS: readonly string[] = [...KINDS.keys()];

const UNKNOWN = badRequest(`call must be one of ${CLIENT_CALLS.join(', ')}`);

/** Does what a client of this node asks, or says why not. */
function perform(asked: Asked): void {
  const { domain, client, parameters, reply } = asked;
  const kind = KINDS.get(parameters.get('call') as string);
  if (kind?.needs !== 'clientSend' && !maySend(domain, client)) return reply(TOO_MANY_REQUESTS);
  if (!kind) return reply(parameters.has('call') ? UNKNOWN : badRequest('call is required'));
  if (kind.needs === 'clientCalls' && !domain.settings.clientCalls) return reply(forbidden('clients may not call'));
  if (!domain.settings.clientFields) for (const name of OWN_FIELDS) parameters.delete(name);
  kind.run(asked);
}

/** Performs a call wherever in the cluster its client lives: for a client of another node, that node performs the call. */
function route(asked: Asked): void {
  const { domain, client, way, parameters, reply } = asked;
  if (domain.tickets.get(client.token) === client) return perform(asked);
  if (!maySend(domain, client)) return reply(TOO_MANY_REQUESTS);
  const isSent = domain.cluster.forward(
    client.address,
    client.token,
    [CLIENT_CALL, way, [...parameters], null, client.token],
    (answer) => reply(Array.isArray(answer) ? answer[0] : UNAVAILABLE),
  );
  if (!isSent) reply(UNAVAILABLE);
}

/** Answers a call that another node has sent on for one of this node's clients. */
export function answerClientCall(
  domain: Domain,
  token: string,
  way: SendingWay,
  parameters: Parameters,
  answer: (answer: unknown) => void,
): void {
  const client = domain.tickets.find(token);
  if (!client) return answer(null);
  perform({ domain, client, way, parameters, reply: (result) => answer([result]) });
}

/** A reply as JSON. */
function replyBody(ref: string, result: Result | ReplyError): string {
  if (isReplyError(result)) {
    const { message: word, detail, retryAfterS: retryAfter } = result;
    return JSON.stringify({ reply: ref, status: 'error', message: word, detail, retryAfter });
  }
  const { sent, presences: list, history: page } = result;
  const opening = `{"reply":${JSON.stringify(ref)},`;
  if (sent) return opening + sentBody(sent).slice(1);
  if (page !== undefined) return `${opening}"status":"ok",${page}}`;
  return list ? `${opening}"status":"ok","presences":${presencesBody(list)}}` : `${opening}"status":"ok"}`;
}

function refOf(parameters: Parameters): string | null {
  const ref = parameters.get('ref') ?? '';
  return typeof ref === 'string' && ref.length <= REF_CHARACTERS ? ref : null;
}

function count({ runtime, name }: Domain, { status: code, refusal }: ReplyError): void {
  const byStatus = code === 429 ? 'tooManyRequests' : code === 503 ? 'unavailable' : 'badRequest';
  runtime.metrics.refuse(refusal ?? byStatus, { domain: name });
}

/** Runs one call of a client; `reply` gets the reply as JSON, once. */
export function clientCall(
  domain: Domain,
  client: NamedClient,
  way: SendingWay,
  parameters: Parameters,
  reply: (json: string) => void,
): void {
  const ref = refOf(parameters);
  const answer = (result: Result | ReplyError): void => {
    if (isReplyError(result)) count(domain, result);
    reply(replyBody(ref ?? '', result));
  };
  if (ref === null) answer(badRequest(`ref must be text of at most ${REF_CHARACTERS} characters`));
  else route({ domain, client, way, parameters, reply: answer });
}

/** The WebSocket that a call comes over. */
export interface CallingSocket {
  /** Bytes that the socket has not written to the client yet. */
  readonly backlogBytes: number;
  readonly reply: (json: string) => void;
  /** Called when the client itself says its position: the socket's pongs confirm nothing from then on. */
  readonly confirms: () => void;
}

/**
 * A text of a client's WebSocket: a call where it is a JSON object with `call`, else ignored. A client that calls and does
 * not read is refused, and from a second bound on is not told so.
 */
export function clientText(
  domain: Domain,
  client: NamedClient,
  words: string,
  { backlogBytes, reply, confirms }: CallingSocket,
): void {
  const parameters = new Parameters();
  if (!words.trimStart().startsWith('{')) return;
  if (readJson(words, parameters, domain.limits.parameters) !== null || !parameters.has('call')) return;
  if (parameters.get('call') === 'received') confirms();
  if (backlogBytes <= REFUSED_BACKLOG_BYTES) return clientCall(domain, client, 'websocket', parameters, reply);
  count(domain, TOO_MANY_REQUESTS);
  if (backlogBytes <= SILENT_BACKLOG_BYTES) reply(replyBody(refOf(parameters) ?? '', TOO_MANY_REQUESTS));
}
