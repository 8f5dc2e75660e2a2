/**
 * MESSAGES and PUSH: from a call's fields to a message for each receiver, and from what becomes of these to the call's
 * answer. PROTOCOL.md sections 3 and 11.
 */
import { performance } from 'node:perf_hooks';
import type { Address, Target } from '../actors/address.js';
import type { Domain } from '../actors/domain.js';
import { newMessageId } from '../actors/message-id.js';
import type { Claim } from '../actors/message-ids.js';
import { type Outcome, Receipt } from '../actors/outcome.js';
import type { Outgoing, UnsignedMessage } from '../actors/packet.js';
import { whenHandled } from '../actors/router.js';
import { badRequest, isReplyError, TOO_MANY_REQUESTS, UNAVAILABLE } from '../errors.js';
import { endpointTarget, sendOn, whenArrived } from './caller.js';
import { type Reply, sendFrom, sendFromHome } from './commands.js';
import { findTicket } from './credentials.js';
import { withinBound } from './kept-answers.js';
import { type Letter, letterOf } from './letter.js';
import type { Parameters } from './parameters.js';
import { membersOf } from './presences.js';
import { check, text } from './schemas.js';

/** What the answer of a call says of its message: PROTOCOL.md section 11. Plain data, since another node may answer. */
export interface Sent {
  readonly id: string;
  /** Short id of each receiver, in the order of the call, and what became of the message for it. */
  readonly outcomes: readonly (readonly [to: string, outcome: Outcome])[];
  /** Of the room that is the only receiver: its members who are online and visible. Null: the receiver is no room. */
  readonly members: number | null;
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
  const client = findTicket(domain, text(checked.ticket) ?? '');
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
  const from = endpointTarget(domain, text(checked.from) ?? '');
  if (!from) return reply(badRequest('from is not the id of a user, visitor or service'));
  const letter = letterOf(domain, checked, expiresAt);
  if (isReplyError(letter)) return reply(letter);
  if (!isSentOn && !domain.quotas.takeMessage(letter.receivers.length)) return reply(TOO_MANY_REQUESTS);
  const isElsewhere = !isSentOn && domain.cluster.hasOthers && domain.tracker.actor(from.address) === null;
  if (!isElsewhere || !sendOnPush(domain, from, letter, parameters, reply)) {
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
  const expiresInMs = expiresAt === null ? null : expiresAt - domain.runtime.clock.now();
  const again = () => push(domain, parameters, reply, expiresAt, true);
  const call = ['push', '', parameters, expiresInMs] as const;
  return sendFromHome(domain, from, call, reply, again);
}

/** Whether messages may have to wait for their receivers on disk: a call is answered when they are there. */
function mayBeStored({ runtime, settings, answersFromDisk }: Domain): boolean {
  return (runtime.store !== null && settings.offline) || answersFromDisk;
}

/** Of a domain that answers from disk: calls `reply` when all who were told of the message have written it. */
function whenOnDisk(domain: Domain, reply: Reply<Sent | null>): Reply<Sent | null> {
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
  const stored = domain.answersFromDisk ? whenOnDisk(domain, bounded) : bounded;
  const { receivers } = letter;
  const reply = whenArrived(domain, sender, receivers, stored);
  if (id !== null) return postNamed(domain, { sender, letter, id }, tell, isWaiting ? reply : null, reply);
  if (domain.sendOrder.isFree) return postUnnamed(letter, isWaiting, domain, tell, reply);
  postInOrder(sender, letter, isWaiting, domain, tell, reply);
}

/** Sends a message after those of its sender that wait. By itself, so that V8 makes nothing ready for that where none waits. */
function postInOrder(
  sender: Address,
  letter: Letter,
  isWaiting: boolean,
  domain: Domain,
  tell: (outgoing: Outgoing) => void,
  reply: Reply<Sent | null>,
): void {
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
  if (isWaiting) return postWatched(letter, domain, tell, reply);
  for (const [to, target] of letter.receivers) tell(outgoingTo(letter, to, target, null, null));
  reply(null);
}

/** A message that is answered when it is known what became of it. */
function postWatched(
  letter: Letter,
  domain: Domain,
  tell: (outgoing: Outgoing) => void,
  reply: Reply<Sent | null>,
): void {
  const { receivers, isAsked } = letter;
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
      // The node of a call that is under way may die with the message: who repeats the call is answered when that is known.
      const isUnderWay = claims.some(({ sent, isNew }) => !isNew && sent.outcome === null);
      const asking = whenKnown ?? (isUnderWay ? reply : null);
      const gathering = asking && new Gathering(letter, id, isUnderWay || domain.answersFromDisk, asking);
      sendClaimed(domain, letter, id, claims, tell, gathering);
      if (!gathering) reply(null);
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
  gathering: Gathering | null,
): void {
  const { messageIds, metrics } = domain;
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
