/**
 * Publishing to addresses, and which topics and filters are whose: PROTOCOL.md section 8. The rules of messages are
 * those of commands.ts and sending.ts, for all transports alike.
 */
import { isUtf8 } from 'node:buffer';
import { parseTarget } from '../../actors/address.js';
import { isTooLong } from '../../actors/capacity.js';
import type { NamedClient } from '../../actors/client.js';
import type { Domain } from '../../actors/domain.js';
import type { Qos } from '../../actors/publication.js';
import { badRequest, isReplyError, type ReplyError, UNAVAILABLE } from '../../errors.js';
import type { DropReason } from '../../metrics.js';
import { push, type Sent } from '../messages.js';
import { Parameters, readJson } from '../parameters.js';
import { type SendingRefusal, sendMessage } from '../sending.js';
import type { Said } from './encode.js';
import { userPropertiesOf } from './properties.js';
import { REASON } from './reason.js';

const ADDRESSES = '/domain/';

/** What became of a publication: 0 or a reason code, and for 5.0 a text that says why. */
export interface Outcome {
  readonly reason: number;
  readonly text: string;
  /** The drop that a refusal is counted under, where the reason code does not say. */
  readonly drop?: DropReason;
  /** User properties of the acknowledgement. */
  readonly said?: Said;
}

export const ACCEPTED: Outcome = Object.freeze({ reason: 0, text: '' });

/** The outcome of a message that is not known yet: its publisher is told later. */
export const PENDING: Outcome = Object.freeze({ reason: 0, text: '' });

/** What a publisher is told of a message that was sent; null: it has not asked. */
function outcomeOf(sent: Sent | null | ReplyError): Outcome {
  if (sent && isReplyError(sent)) return invalid(sent);
  const outcome = sent?.outcomes[0]?.[1];
  if (!sent || !outcome) return ACCEPTED;
  const said = [
    ['id', sent.id],
    ['outcome', outcome],
  ] as const;
  return { ...ACCEPTED, said: sent.members === null ? said : [...said, ['members', String(sent.members)]] };
}

export function refusal(reason: number, text = ''): Outcome {
  return { reason, text };
}

const DROPS: ReadonlyMap<number, DropReason> = new Map([
  [REASON.payloadFormatInvalid, 'malformed'],
  [REASON.topicNameInvalid, 'malformed'],
  [REASON.quotaExceeded, 'packetTooLarge'],
]);
/** Topics longer than this are longer than any address, and not worth remembering among the drops. */
const REMEMBERED_CHARACTERS = 600;

/** Counts a publication that was refused. */
export function dropRefused(domain: Domain, topic: string, { reason, drop }: Outcome): void {
  domain.metrics.drop(
    drop ?? DROPS.get(reason) ?? 'notAuthorized',
    isAddress(topic) && topic.length <= REMEMBERED_CHARACTERS ? topic : '',
  );
}

export function isAddress(topic: string): boolean {
  return topic.startsWith(ADDRESSES);
}

/** Whether a filter asks for addresses of another domain. */
export function isForeign(domain: Domain, filter: string): boolean {
  if (!isAddress(filter)) return false;
  const [, , name] = filter.split('/');
  return name !== '+' && name !== '#' && name !== domain.name;
}

/** Why a topic names no endpoint or room of the domain. */
function noTarget(domain: Domain, topic: string): Outcome {
  return refusal(isForeign(domain, topic) ? REASON.notAuthorized : REASON.topicNameInvalid);
}

/** The fields of a payload that is a JSON object; any other text is the body. Null: the payload is no message. */
function fieldsOf(domain: Domain, payload: Buffer): Parameters | null {
  if (!isUtf8(payload)) return null;
  const text = payload.toString('utf8');
  if (text.trimStart().startsWith('{')) {
    const fields = new Parameters();
    const fault = readJson(text, fields, domain.limits.parameters);
    if (fault === null) return fields;
    if (fault === 'tooMany' || isJson(text)) return null;
  }
  return new Parameters([['body', text]]);
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

const NO_BODY = badRequest('body is required');
const BODY_TOO_LONG = refusal(REASON.quotaExceeded, 'body is too long');

function bodyFault(domain: Domain, body: unknown): Outcome | null {
  if (typeof body !== 'string' || body === '') return invalid(NO_BODY);
  return isTooLong(domain, body) ? BODY_TOO_LONG : null;
}

/** A full memory or disk is told as an exceeded quota: MQTT has no better reason code. */
export const MEMORY_FULL: Outcome = {
  reason: REASON.quotaExceeded,
  text: 'the memory of the domain is full',
  drop: 'quotaExceeded',
};
export const DISK_FULL: Outcome = { reason: REASON.quotaExceeded, text: 'the disk is full', drop: 'quotaExceeded' };

/** It is not known whether a message is where it has to be, and its publisher is to send it again. */
export const UNKNOWN: Outcome = { reason: REASON.implementationSpecific, text: 'send it again', drop: 'quotaExceeded' };

function invalid({ status, detail }: ReplyError): Outcome {
  if (status === 429) return TOO_MANY_MESSAGES;
  if (status === UNAVAILABLE.status) return UNKNOWN;
  return refusal(REASON.payloadFormatInvalid, detail?.slice(0, 100) ?? '');
}

/** Counts one publication more that is refused for want of memory. */
export function noMemory(domain: Domain): Outcome {
  domain.runtime.metrics.refuse('outOfMemory', { domain: domain.name });
  return MEMORY_FULL;
}

/** What a client publishes to an address; `expiryS` is its message expiry, null: none. */
export interface AddressedPublication {
  readonly topic: string;
  readonly payload: Buffer;
  readonly expiryS: number | null;
  /** Encoded. */
  readonly properties: Buffer;
  /** A will has none. */
  readonly qos: Qos;
}

/** The names of user properties that stand for parameters of the same names: PROTOCOL.md section 11. */
const PARAMETERS = ['id', 'receipt'];

/**
 * What a publication says as user properties goes before its payload's. Answers whether the publisher asks what becomes of the
 * message: nobody can be told at QoS 0.
 */
function readSaid({ properties, qos }: AddressedPublication, fields: Parameters): boolean {
  if (properties.length > 0) {
    const said = userPropertiesOf(properties);
    for (const name of PARAMETERS) if (said.has(name)) fields.set(name, said.get(name));
  }
  const receipt = fields.get('receipt');
  return qos > 0 && (receipt === '1' || receipt === 'true');
}

function expiresAtOf(domain: Domain, { expiryS }: AddressedPublication): number | null {
  return expiryS === null ? null : domain.runtime.clock.now() + expiryS * 1000;
}

/**
 * A backend publishes to an address: a push, and `from` is required. `answered` is called once where the publisher asks, or its message has to
 * be on disk before it is acknowledged: later where the outcome is `PENDING`.
 */
export function pushTo(
  domain: Domain,
  publication: AddressedPublication,
  answered: (outcome: Outcome) => void,
): Outcome {
  const { topic, payload } = publication;
  const target = parseTarget(domain.name, topic);
  if (!target) return noTarget(domain, topic);
  const fields = fieldsOf(domain, payload);
  if (!fields) return invalid(NO_BODY);
  const fault = bodyFault(domain, fields.get('body'));
  if (fault) return fault;
  if (domain.isDiskFull(target, payload.length)) return DISK_FULL;
  fields.set('to', topic);
  // The type follows the address, unless the fields name one.
  if (!fields.get('type')) fields.set('type', target.node === 'gid' ? 'grpchat' : 'chat');
  const isAsked = readSaid(publication, fields);
  fields.set('receipt', isAsked ? '1' : '');
  const isAwaited = isAsked || (publication.qos > 0 && domain.answersFromDisk);
  let outcome = isAwaited ? PENDING : ACCEPTED;
  const reply = (result: Sent | null | ReplyError) => {
    if (isAwaited || (result && isReplyError(result))) outcome = outcomeOf(result);
    if (isAwaited) answered(outcome);
  };
  push(domain, fields, reply, expiresAtOf(domain, publication));
  return outcome;
}

export const TOO_MANY_MESSAGES: Outcome = {
  reason: REASON.quotaExceeded,
  text: 'too many messages',
  drop: 'rateExceeded',
};

/** What an MQTT client is told of a message that its domain does not take from it. */
function refusalOf(domain: Domain, topic: string, { fault, error }: SendingRefusal): Outcome {
  switch (fault) {
    case 'notAllowed':
      return refusal(REASON.notAuthorized, error.detail);
    case 'rate':
      return TOO_MANY_MESSAGES;
    case 'memory':
      return noMemory(domain);
    case 'disk':
      return DISK_FULL;
    case 'target':
      return noTarget(domain, topic);
    case 'bodyTooLong':
      return BODY_TOO_LONG;
    case 'fields':
      return invalid(error);
  }
}

/**
 * A ticket's client publishes to an address: a message from its endpoint, whatever the payload says of the sender. `handled` is called
 * once where this answers `ACCEPTED`, perhaps before: with `UNKNOWN` where the client is to send the message again.
 */
export function sendTo(
  domain: Domain,
  client: NamedClient,
  publication: AddressedPublication,
  handled: (outcome: Outcome) => void = () => undefined,
): Outcome {
  const { topic, payload } = publication;
  if (!isAddress(topic)) return refusal(REASON.notAuthorized);
  const target = parseTarget(domain.name, topic);
  const fields = () => {
    const read = fieldsOf(domain, payload);
    if (!read) return NO_BODY;
    read.set('receipt', readSaid(publication, read) ? '1' : '');
    return read;
  };
  const expiresAt = expiresAtOf(domain, publication);
  const message = { way: 'mqtt', targets: target && [target], fields, expiresAt } as const;
  const refused = sendMessage(domain, client, message, (sent) => handled(outcomeOf(sent)));
  return refused ? refusalOf(domain, topic, refused) : ACCEPTED;
}
