/**
 * Publishing to addresses, and which topics and filters are whose: PROTOCOL.md section 8. The rules of messages are
 * those of commands.ts, for REST and MQTT alike.
 */
import { isUtf8 } from 'node:buffer';
import { parseTarget, type Target } from '../../actors/address.js';
import type { Client } from '../../actors/client.js';
import type { Domain } from '../../actors/domain.js';
import { isReplyError, type ReplyError } from '../../errors.js';
import type { DropReason } from '../../metrics.js';
import { outgoingMessage, push, sendFrom, whenKept } from '../commands.js';
import { type Parameters, readJson } from '../parameters.js';
import { check } from '../schemas.js';
import { maySend } from '../sending.js';
import { REASON } from './reason.js';

const ADDRESSES = '/domain/';

/** What became of a publication: 0 or a reason code, and for 5.0 why. */
export interface Outcome {
  readonly reason: number;
  readonly text: string;
  /** What it is counted under, where its reason does not say. */
  readonly drop?: DropReason;
}

export const ACCEPTED: Outcome = Object.freeze({ reason: 0, text: '' });

export function refusal(reason: number, text = ''): Outcome {
  return { reason, text };
}

const DROPS: ReadonlyMap<number, DropReason> = new Map([
  [REASON.payloadFormatInvalid, 'malformed'],
  [REASON.topicNameInvalid, 'malformed'],
  [REASON.quotaExceeded, 'packetTooLarge'],
]);
/** Longer than any address: not worth remembering. */
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

/** Whether a filter asks for what is another domain's. */
export function isForeign(domain: Domain, filter: string): boolean {
  if (!isAddress(filter)) return false;
  const [, , name] = filter.split('/');
  return name !== '+' && name !== '#' && name !== domain.name;
}

/** The endpoint or room that a topic names; or why it is none of this domain. */
function targetOf(domain: Domain, topic: string): Target | Outcome {
  const target = parseTarget(domain.name, topic);
  if (target) return target;
  return refusal(isForeign(domain, topic) ? REASON.notAuthorized : REASON.topicNameInvalid);
}

/** A payload's fields: those of a JSON object, else it is the body. Null: it is no message. */
function fieldsOf(domain: Domain, payload: Buffer): Parameters | null {
  if (!isUtf8(payload)) return null;
  const text = payload.toString('utf8');
  const fields: Parameters = new Map();
  if (text.trimStart().startsWith('{')) {
    const fault = readJson(text, fields, domain.limits.parameters);
    if (fault === null) return fields;
    if (fault === 'tooMany' || isJson(text)) return null;
    fields.clear();
  }
  return fields.set('body', text);
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

function bodyFault(domain: Domain, fields: Parameters | null): Outcome | null {
  const body = fields?.get('body');
  if (typeof body !== 'string' || body === '') return refusal(REASON.payloadFormatInvalid, 'body is required');
  const limit = domain.limits.messageBytes;
  return limit > 0 && Buffer.byteLength(body) > limit ? refusal(REASON.quotaExceeded, 'body is too long') : null;
}

/** The type follows the address, unless the fields name one. */
function address(fields: Parameters, target: Target, topic: string): void {
  fields.set('to', topic);
  if (!fields.get('type')) fields.set('type', target.node === 'gid' ? 'grpchat' : 'chat');
}

/** What would have to be kept where nothing more is: PROTOCOL.md section 8 has no better reason. */
export const MEMORY_FULL: Outcome = {
  reason: REASON.quotaExceeded,
  text: 'the memory of the domain is full',
  drop: 'quotaExceeded',
};
export const DISK_FULL: Outcome = { reason: REASON.quotaExceeded, text: 'the disk is full', drop: 'quotaExceeded' };

function invalid({ detail }: ReplyError): Outcome {
  return refusal(REASON.payloadFormatInvalid, detail?.slice(0, 100) ?? '');
}

/** Counts one more that is refused for want of memory. */
export function noMemory(domain: Domain): Outcome {
  domain.runtime.metrics.refuse('outOfMemory', { domain: domain.name });
  return MEMORY_FULL;
}

/** A backend publishes to an address: a push, and `from` is required. */
export function pushTo(domain: Domain, topic: string, payload: Buffer): Outcome {
  const target = targetOf(domain, topic);
  if ('reason' in target) return target;
  const fields = fieldsOf(domain, payload);
  const fault = bodyFault(domain, fields);
  if (fault || !fields) return fault ?? refusal(REASON.payloadFormatInvalid);
  if (domain.isDiskFull(target, payload.length)) return DISK_FULL;
  address(fields, target, topic);
  let outcome = ACCEPTED;
  push(domain, fields, (result) => {
    if (result && isReplyError(result)) outcome = invalid(result);
  });
  return outcome;
}

const TOO_MANY_MESSAGES: Outcome = { reason: REASON.quotaExceeded, text: 'too many messages', drop: 'rateExceeded' };

/** A ticket's client publishes to an address: a message from its endpoint, whatever the payload says. */
export function sendTo(
  domain: Domain,
  client: Client,
  topic: string,
  payload: Buffer,
  stored: () => void = () => undefined,
): Outcome {
  if (!domain.settings.clientSend.includes('mqtt')) return refusal(REASON.notAuthorized, 'clients may not send');
  if (!isAddress(topic)) return refusal(REASON.notAuthorized);
  if (domain.shortage) return noMemory(domain);
  if (!maySend(domain, client)) return TOO_MANY_MESSAGES;
  const target = targetOf(domain, topic);
  if ('reason' in target) return target;
  if (target.node === 'gid' && !isMember(domain, client, target))
    return refusal(REASON.notAuthorized, 'not in the room');
  const fields = fieldsOf(domain, payload);
  const fault = bodyFault(domain, fields);
  if (fault || !fields) return fault ?? refusal(REASON.payloadFormatInvalid);
  if (domain.isDiskFull(target, payload.length)) return DISK_FULL;
  if (fields.get('type') === 'broadcast') return refusal(REASON.notAuthorized, 'broadcast is for the site');
  address(fields, target, topic);
  fields.set('ticket', client.name);
  const checked = check('message', fields);
  if (isReplyError(checked)) return invalid(checked);
  const outgoing = outgoingMessage(domain, checked);
  if (isReplyError(outgoing)) return invalid(outgoing);
  sendFrom(client, { ...outgoing, fromClient: true }, whenKept(domain, stored));
  return ACCEPTED;
}

export function isMember(domain: Domain, client: Client, room: Target): boolean {
  return domain.tracker.records.get(client.address)?.rooms.includes(room.address) ?? false;
}
