/**
 * MESSAGES and PUSH: from a call's fields to a message for each receiver, and from what becomes of these to the call's
 * answer. PROTOCOL.md sections 3 and 11.
 */
import { performance } from 'node:perf_hooks';
import { type Address, parseTarget, shortIdOf, type Target } from '../actors/address.js';
import { isTooLong } from '../actors/capacity.js';
import type { Domain } from '../actors/domain.js';
import { newMessageId } from '../actors/message-id.js';
import type { Claim } from '../actors/message-ids.js';
import { type Outcome, Receipt } from '../actors/outcome.js';
import type { MessageType, Outgoing, UnsignedMessage } from '../actors/packet.js';
import { whenHandled } from '../actors/router.js';
import { badRequest, isReplyError, type ReplyError, TOO_MANY_REQUESTS, UNAVAILABLE } from '../errors.js';
import { endpointTarget, type Receiver, sendOn, whenArrived } from './caller.js';
import { type Reply, sendFrom, sendFromHome } from './commands.js';
import { findTicket } from './credentials.js';
import { withinBound } from './kept-answers.js';
import { type Parameters, readData } from './parameters.js';
import { membersOf } from './presences.js';
import { type Checked, check, text } from './schemas.js';

/** Receivers of one message. */
export const MOST_RECEIVERS = 1000;

/** Fields that are passed on as sent: section 10's closed list. */
const PASSED_ON = ['avatar', 'to_name', 'to_avatar', 'to_other'] as const;

/** The ids that a sender may give its message. */
const MESSAGE_ID = /^[\w.~-]{1,64}$/;
const ILL_NAMED = badRequest('id must be 1 to 64 characters of A-Z, a-z, 0-9 and . _ ~ -');

/** What the answer of a call says of its message: PROTOCOL.md section 11. Plain data, since another node may answer. */
export interface Sent {
  readonly id: string;
  /** Short id of each receiver, in the order of the call, and what became of the message for it. */
  readonly outcomes: readonly (readonly [to: string, outcome: Outcome])[];
  /** Of the room that is the only receiver: its members who are online and visible. Null: the receiver is no room. */
  readonly members: number | null;
}

/** A message that is not sent yet. */
export interface Letter {
  /** The fields that the message has for every receiver. */
  readonly fields: Pick<UnsignedMessage, 'nick' | 'timestamp' | 'type' | 'body' | 'style'>;
  /** Further fields, which few messages have; null: none. */
  readonly more: Partial<Pick<UnsignedMessage, (typeof PASSED_ON)[number] | 'data'>> | null;
  /** null: everybody (a broadcast), whose `to` is passed on as sent. */
  readonly receivers: readonly Receiver[];
  /** The id that the sender gave the message; null: the server makes one. */
  readonly id: string | null;
  /** Whether the answer says what became of the message. */
  readonly isAsked: boolean;
  /** A client sends it itself, without its site. */
  readonly fromClient: boolean;
  /** Milliseconds since the epoch after which nobody receives it; null: never. */
  readonly expiresAt: number | null;
}

/** MESSAGES; with `from` it is PUSH, whatever else is there. Answers null where nobody asks what becomes of the message. */
export function message(domain: Domain, parameters: Parameters, reply: Reply<Sent | null>): void {
  if (parameters.get('from')) return push(domain, parameters, reply);
  const shortage = domain.shortage ?? domain.diskShortage;
  if (shortage) return reply(shortage);
  const checked = check('message', parameters);
  if (isReplyError(checked)) return reply(checked);
  const letter = letterOf(domain, checked);
  if (isReplyError(letter)) return reply(letter);
  if (letter.receivers[0]?.[1] === null) return reply(badRequest('type must be one of chat, grpchat'));
  const client = findTicket(domain, text(checked, 'ticket') ?? '');
  if (!client) return sendOn(domain, 'message', '', parameters, reply);
  if (!domain.quotas.takeMessage(letter.receivers.length)) return reply(TOO_MANY_REQUESTS);
  post(domain, client.address, letter, (outgoing) => sendFrom(client, outgoing), reply);
}

/**
 * PUSH: the site speaks for `from`, who need not be online. `expiresAt`: milliseconds since the epoch after which nobody
 * receives the message; null: never.
 */
export function push(
  domain: Domain,
  parameters: Parameters,
  reply: Reply<Sent | null>,
  expiresAt: number | null = null,
  isSentOn = false,
): void {
  const shortage = domain.shortage ?? domain.diskShortage;
  if (shortage) return reply(shortage);
  const checked = check('push', parameters);
  if (isReplyError(checked)) return reply(checked);
  const from = endpointTarget(domain, text(checked, 'from') ?? '');
  if (!from) return reply(badRequest('from is not the id of a user, visitor or service'));
  const letter = letterOf(domain, checked, expiresAt);
  if (isReplyError(letter)) return reply(letter);
  if (!isSentOn && !domain.quotas.takeMessage(letter.receivers.length)) return reply(TOO_MANY_REQUESTS);
  if (isSentOn || !sendOnPush(domain, from, letter, parameters, reply)) {
    post(domain, from.address, letter, (outgoing) => domain.push(from, outgoing), reply);
  }
}

/** Sends a push on to the node from which it has to go out: where its sender lives. */
function sendOnPush(
  domain: Domain,
  from: Target,
  { expiresAt }: Letter,
  parameters: Parameters,
  reply: Reply<Sent | null>,
): boolean {
  if (!domain.cluster.hasOthers || domain.tracker.actor(from.address) !== null) return false;
  const expiresInMs = expiresAt === null ? null : expiresAt - domain.runtime.clock.now();
  const again = () => push(domain, parameters, reply, expiresAt, true);
  const call = ['push', '', parameters, expiresInMs] as const;
  return sendFromHome(domain, from, call, reply, again);
}

/** Whether messages may have to wait for their receivers on disk: a call is answered when they are there. */
function mayBeStored({ runtime, settings, answersFromDisk }: Domain): boolean {
  return (runtime.store !== null && settings.offline) || answersFromDisk;
}

/** Where a domain answers from disk: calls `reply` when all who were told of the message have written it. */
function whenOnDisk(domain: Domain, reply: Reply<Sent | null>): Reply<Sent | null> {
  if (!domain.answersFromDisk) return reply;
  return (sent) => whenHandled(domain, () => domain.committed(() => reply(sent)));
}

/** Whether a message may be lost that has to be on disk before it is answered: its receiver's node has not said what became of it. */
function isUnsure(domain: Domain, outcome: Outcome): boolean {
  return outcome === 'unknown' && domain.answersFromDisk;
}

/**
 * Sends a message of `sender` to each of its receivers, one after another, by `tell`; to nobody who has had it under the same id. `reply`
 * is called once: where the sender asks, with what has become of it, else with null, when it is on disk wherever the offline
 * store takes it.
 */
export function post(
  domain: Domain,
  sender: Address,
  letter: Letter,
  tell: (outgoing: Outgoing) => void,
  answer: Reply<Sent | null>,
): void {
  const { isAsked, id } = letter;
  const isStored = mayBeStored(domain);
  const isWaiting = isAsked || isStored;
  const bounded = isStored ? withinBound(domain, answer) : answer;
  const stored = whenOnDisk(domain, bounded);
  const reply = whenArrived<Sent | null | ReplyError>(domain, sender, letter.receivers, stored);
  if (id !== null) return postNamed(domain, { sender, letter, id }, tell, isWaiting ? reply : null, reply);
  domain.sendOrder.send(sender, () => postUnnamed(letter, isWaiting, domain, tell, reply));
}

/** A message whose id the server makes. */
function postUnnamed(
  letter: Letter,
  isWaiting: boolean,
  domain: Domain,
  tell: (outgoing: Outgoing) => void,
  reply: Reply<Sent | null>,
): void {
  const { receivers, isAsked } = letter;
  if (!isWaiting) {
    for (const [to, target] of receivers) tell(outgoingTo(letter, to, target, null, null));
    return reply(null);
  }
  const [first] = receivers;
  if (!isAsked && receivers.length === 1 && first) {
    const asks = domain.answersFromDisk;
    const receipt = new Receipt(asks, (outcome) => reply(isUnsure(domain, outcome) ? UNAVAILABLE : null));
    return tell(outgoingTo(letter, first[0], first[1], null, receipt));
  }
  const ownId = newMessageId();
  const gathering = new Gathering(letter, ownId, domain.answersFromDisk, reply);
  for (const [at, [to, target]] of receivers.entries()) {
    const members = isAsked ? membersIn(domain, target) : null;
    const receipt = new Receipt(isAsked || domain.answersFromDisk, (outcome) => gathering.known(at, outcome, members));
    tell(outgoingTo(letter, to, target, ownId, receipt));
  }
}

/** A message whose sender has given it an id. What became of it is remembered, whether or not the sender asks. */
function postNamed(
  domain: Domain,
  { sender, letter, id }: { readonly sender: Address; readonly letter: Letter; readonly id: string },
  tell: (outgoing: Outgoing) => void,
  whenKnown: Reply<Sent | null> | null,
  reply: Reply<Sent | null>,
): void {
  const { fromClient } = letter;
  const addressees = letter.receivers.map(([, target]) => {
    return { target, members: membersIn(domain, target), fromClient };
  });
  const release = domain.sendOrder.hold(sender);
  const send = (claims: readonly Claim[]) =>
    release(() => {
      sendClaimed(domain, letter, id, claims, tell, whenKnown);
      if (!whenKnown) reply(null);
    });
  const here = () => send(domain.messageIds.claim(sender, id, addressees));
  const isAsked = domain.cluster.claimIds(sender, id, addressees, (claims) => {
    if (claims) return send(claims);
    domain.metrics.messageIdsUnanswered += 1;
    here();
  });
  if (!isAsked) here();
}

function sendClaimed(
  domain: Domain,
  letter: Letter,
  id: string,
  claims: readonly Claim[],
  tell: (outgoing: Outgoing) => void,
  whenKnown: Reply<Sent | null> | null,
): void {
  const { messageIds, metrics } = domain;
  const gathering = whenKnown && new Gathering(letter, id, domain.answersFromDisk, whenKnown);
  for (const [at, [to, target]] of letter.receivers.entries()) {
    const { sent, isNew } = claims[at] as Claim;
    if (gathering) sent.whenKnown((outcome) => gathering.known(at, outcome, sent.members));
    if (!isNew) {
      metrics.messagesRepeated += 1;
      continue;
    }
    const receipt = new Receipt(true, (outcome) => {
      // The id is forgotten, so that the message is accepted when it is sent again.
      if (isUnsure(domain, outcome)) messageIds.drop(sent);
      else messageIds.settle(sent, outcome);
    });
    receipt.onStored = () => messageIds.write(sent, 'stored');
    tell(outgoingTo(letter, to, target, id, receipt));
  }
}

function membersIn(domain: Domain, target: Target | null): number | null {
  return target?.node === 'gid' ? membersOf(domain, target.address).length : null;
}

/** What becomes of one message for all of its receivers. */
class Gathering {
  readonly #outcomes: (readonly [string, Outcome])[];
  #missing: number;
  /** How many members the room has that is the only receiver; null where the only receiver is no room, or there are several. */
  #members: number | null = null;

  constructor(
    private readonly letter: Letter,
    private readonly id: string,
    /** Whether every receiver's node must say what became of the message; where one does not, the call is answered UNAVAILABLE. */
    private readonly mustKnow: boolean,
    private readonly reply: Reply<Sent | null>,
  ) {
    this.#outcomes = letter.receivers.map(([to]) => [to, 'unknown'] as const);
    this.#missing = letter.receivers.length;
  }

  /** `members`: of the receiver that is a room. */
  known(at: number, outcome: Outcome, members: number | null): void {
    const { receivers, isAsked } = this.letter;
    const [to] = receivers[at] as Letter['receivers'][number];
    // Who is in a room and invisible is not to be found out by what becomes of a message.
    this.#outcomes[at] = [to, members === 0 ? 'dropped' : outcome];
    if (receivers.length === 1) this.#members = members;
    this.#missing -= 1;
    if (this.#missing > 0) return;
    const isUnsure = this.mustKnow && this.#outcomes.some(([, known]) => known === 'unknown');
    if (isUnsure && !isAsked) return this.reply(UNAVAILABLE);
    this.reply(isAsked ? { id: this.id, outcomes: this.#outcomes, members: this.#members } : null);
  }
}

function outgoingTo(
  letter: Letter,
  to: string,
  target: Target | null,
  id: string | null,
  receipt: Receipt | null,
): Outgoing {
  const { fromClient, expiresAt } = letter;
  const fields = fieldsTo(letter, to, id ?? newMessageId());
  return { target, acceptedAt: performance.now(), kind: 'message', fields, fromClient, expiresAt, receipt };
}

/** Written out: a copy of the fields by `...` would have a shape of its own in V8, for which nothing that reads it is compiled. */
function fieldsTo({ fields, more }: Letter, to: string, id: string): UnsignedMessage {
  const { nick, timestamp, type, body, style } = fields;
  const own: UnsignedMessage = { from: '', to, nick, timestamp, type, body, style, id };
  return more === null ? own : Object.assign(own, more);
}

/** A message's fields, checked beyond their schema. */
export function letterOf(domain: Domain, checked: Checked, expiresAt: number | null = null): Letter | ReplyError {
  const type = text(checked, 'type') || 'chat';
  const { to } = checked;
  const fault = bodyTooLong(domain, checked);
  if (fault) return fault;
  if (type === 'broadcast') return letterTo(domain, [[text(checked, 'to') || '*', null]], type, checked, expiresAt);
  const targets = receiversOf(domain, to, type === 'grpchat' ? 'gid' : 'uid');
  return isReplyError(targets) ? targets : letterToAll(domain, targets, checked, type, expiresAt);
}

function bodyTooLong(domain: Domain, checked: Checked): ReplyError | null {
  if (!isTooLong(domain, text(checked, 'body') ?? '')) return null;
  return badRequest(`body must be at most ${domain.limits.messageBytes} bytes`);
}

/** Who receives a message, each once: `to` is one id, several with commas between them, or a list. */
export function receiversOf(domain: Domain, to: Checked[string], bareNode: 'uid' | 'gid'): Target[] | ReplyError {
  if (typeof to === 'string' && !to.includes(',')) {
    const target = to === '' ? null : parseTarget(domain.name, to, bareNode);
    return target ? [target] : badRequest(to === '' ? 'to is required' : 'to is not an id');
  }
  const items = typeof to === 'string' ? to.split(',', MOST_RECEIVERS + 1) : (to ?? []);
  if (items.length > MOST_RECEIVERS) return badRequest(`to must be at most ${MOST_RECEIVERS} ids`);
  const found = new Map<string, Target>();
  for (const item of items) {
    const target = parseTarget(domain.name, item.trim(), bareNode);
    if (!target) return badRequest('to is not a list of ids');
    found.set(target.client === null ? target.address : `${target.address}/client/${target.client}`, target);
  }
  return found.size > 0 ? [...found.values()] : badRequest('to is required');
}

/** A message to endpoints or rooms; the type follows them where the fields name none. */
export function letterToAll(
  domain: Domain,
  targets: readonly Target[],
  checked: Checked,
  type = text(checked, 'type') || (targets[0]?.node === 'gid' ? 'grpchat' : 'chat'),
  expiresAt: number | null = null,
): Letter | ReplyError {
  for (const { node } of targets) {
    if ((node === 'gid') === (type === 'grpchat')) continue;
    return badRequest(type === 'chat' ? 'to must not be a room, or type must be grpchat' : 'to must be a room');
  }
  const receivers = targets.map((target) => [shortIdOf(target.node, target.id), target] as const);
  return letterTo(domain, receivers, type, checked, expiresAt);
}

function letterTo(
  domain: Domain,
  receivers: Letter['receivers'],
  type: string,
  checked: Checked,
  expiresAt: number | null,
): Letter | ReplyError {
  const id = text(checked, 'id') || null;
  if (id !== null && !MESSAGE_ID.test(id)) return ILL_NAMED;
  const data = dataOf(domain, checked);
  if (data !== null && typeof data !== 'string') return data;
  const receipt = text(checked, 'receipt');
  return {
    fields: {
      nick: text(checked, 'nick') ?? '',
      timestamp: text(checked, 'timestamp') || String(domain.runtime.clock.now()),
      type: type as MessageType,
      body: text(checked, 'body') ?? '',
      style: text(checked, 'style') ?? '',
    },
    more: moreOf(checked, data),
    receivers,
    id,
    isAsked: receipt === '1' || receipt === 'true',
    fromClient: false,
    expiresAt,
  };
}

/** The data of a message, written anew; null: it has none. */
function dataOf(domain: Domain, { data }: Checked): string | null | ReplyError {
  if (data === undefined || data === '') return null;
  const written = typeof data === 'string' ? readData(data) : null;
  if (written === null) return badRequest('data is not JSON');
  return isTooLong(domain, written) ? badRequest(`data must be at most ${domain.limits.messageBytes} bytes`) : written;
}

function moreOf(checked: Checked, data: string | null): Letter['more'] {
  let more: Record<string, string> | null = data === null ? null : { data };
  for (const name of PASSED_ON) {
    const value = text(checked, name);
    if (value !== null) more = { ...more, [name]: value };
  }
  return more;
}

/** The answer of a call as JSON; `status` stands before it. Ids are the users' own, so the object is written, not built. */
export function sentBody({ id, outcomes, members }: Sent): string {
  const [first] = outcomes;
  if (outcomes.length === 1 && first) {
    const outcome = `{"status":"ok","id":"${id}","outcome":"${first[1]}"`;
    return members === null ? `${outcome}}` : `${outcome},"members":${members}}`;
  }
  const all = outcomes.map(([to, outcome]) => `${JSON.stringify(to)}:"${outcome}"`);
  return `{"status":"ok","id":"${id}","outcomes":{${all.join(',')}}}`;
}
