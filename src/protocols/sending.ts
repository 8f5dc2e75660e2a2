/**
 * What clients send themselves, by whatever transport: whether they may, how fast, and to whom (PROTOCOL.md section 14).
 * Transports read what came, call this, and tell a refusal in their own words.
 */
import type { Target } from '../actors/address.js';
import { isTooLong } from '../actors/capacity.js';
import type { NamedClient } from '../actors/client.js';
import type { Domain } from '../actors/domain.js';
import type { DomainConfig } from '../config.js';
import {
  badRequest,
  forbidden,
  isReplyError,
  OUT_OF_DISK,
  OUT_OF_MEMORY,
  type ReplyError,
  TOO_MANY_REQUESTS,
} from '../errors.js';
import { sendFrom } from './commands.js';
import { letterToAll } from './letter.js';
import { post, type Sent } from './messages.js';
import type { Parameters } from './parameters.js';
import { Rate } from './rate.js';
import { check } from './schemas.js';

/** A transport over which the domain's clients may send: one of its `clientSend`. */
export type SendingWay = DomainConfig['clientSend'][number];

/** Why a client's message is refused: what is at fault, and the error as REST and WebSocket clients see it. */
export interface SendingRefusal {
  readonly fault: 'notAllowed' | 'rate' | 'memory' | 'disk' | 'target' | 'bodyTooLong' | 'fields';
  readonly error: ReplyError;
}

/** A message as a client sends it. */
export interface ClientMessage {
  readonly way: SendingWay;
  /** Who receives it, each once; null: what the client named are no endpoints or rooms of its domain. */
  readonly targets: readonly Target[] | null;
  /**
   * The message's fields but for `to`, or why they cannot be read. Called once the client may send to the target: what
   * is refused before costs no parsing.
   */
  readonly fields: () => Parameters | ReplyError;
  /** Milliseconds since the epoch after which nobody receives it; null: never. */
  readonly expiresAt?: number | null;
  /** Whether the client is to know what becomes of it, whatever its fields say of that; absent: as they say. */
  readonly isAsked?: boolean;
}

/** Seconds' worth that a client may send at once after a quiet time. */
const BURST_S = 2;

/** By client, not by connection: a client that connects again, or by another transport, may send no more for it. */
const sending = new Rate<NamedClient>();

/**
 * Takes one of the `limits.messagesPerSecond` that the client may send; false where none is left, for the caller to
 * refuse and count. `sendMessage` has taken its own.
 */
export function maySend(domain: Domain, client: NamedClient): boolean {
  const { messagesPerSecond } = domain.limits;
  const isFast = !sending.take(client, messagesPerSecond, domain.runtime.clock.now(), BURST_S * messagesPerSecond);
  if (isFast) domain.metrics.exceed('messagesPerSecond');
  return !isFast;
}

/** Whether the client's endpoint is in the room. */
export function isMember(domain: Domain, client: NamedClient, room: Target): boolean {
  return domain.tracker.records.get(client.address)?.rooms.includes(room.address) ?? false;
}

function refusal(fault: SendingRefusal['fault'], error: ReplyError): SendingRefusal {
  return { fault, error };
}

/** Why the client may not send to the targets now; null: it may. One is taken from its rate, whether it may or not. */
export function sendingRefusal(
  domain: Domain,
  client: NamedClient,
  { way, targets }: Pick<ClientMessage, 'way' | 'targets'>,
): SendingRefusal | null {
  if (!maySend(domain, client) || !domain.quotas.takeMessage(targets?.length)) {
    return refusal('rate', TOO_MANY_REQUESTS);
  }
  if (!domain.settings.clientSend.includes(way)) return refusal('notAllowed', forbidden('clients may not send'));
  if (domain.shortage) return refusal('memory', OUT_OF_MEMORY);
  if (!targets) return refusal('target', badRequest('to is not an id'));
  const isOutside = targets.some((target) => target.node === 'gid' && !isMember(domain, client, target));
  return isOutside ? refusal('notAllowed', forbidden('not in the room')) : null;
}

/** Why a body is no message's, or cannot be kept for its targets. */
function bodyFault(domain: Domain, targets: readonly Target[], body: unknown): SendingRefusal | null {
  if (typeof body !== 'string' || body === '') return refusal('fields', badRequest('body is required'));
  if (isTooLong(domain, body))
    return refusal('bodyTooLong', badRequest(`body must be at most ${domain.limits.messageBytes} bytes`));
  const bytes = Buffer.byteLength(body);
  return targets.some((target) => domain.isDiskFull(target, bytes)) ? refusal('disk', OUT_OF_DISK) : null;
}

/**
 * Sends a message from the client's endpoint, whatever its fields say of the sender; its type follows the targets where
 * they name none. Answers why it is refused, or null: then `handled` is called when the message has been handed on or,
 * where it waits for a receiver on disk, when it has been written. It is told what has become of the message; null: nobody asked; an error
 * where that is not known, since the receiver's node or the store does not answer, and the client is to send it again.
 */
export function sendMessage(
  domain: Domain,
  client: NamedClient,
  message: ClientMessage,
  handled: (sent: Sent | null | ReplyError) => void = () => undefined,
): SendingRefusal | null {
  const { targets, expiresAt = null } = message;
  const refused = sendingRefusal(domain, client, message);
  if (refused || !targets) return refused;
  const fields = message.fields();
  if (isReplyError(fields)) return refusal('fields', fields);
  const fault = bodyFault(domain, targets, fields.get('body'));
  if (fault) return fault;
  if (fields.get('type') === 'broadcast') return refusal('notAllowed', forbidden('broadcast is for the site'));
  const checked = check('clientMessage', fields);
  if (isReplyError(checked)) return refusal('fields', checked);
  const letter = letterToAll(domain, targets, checked);
  if (isReplyError(letter)) return refusal('fields', letter);
  const { isAsked = letter.isAsked } = message;
  const sent = { ...letter, fromClient: true, expiresAt, isAsked };
  post(domain, client.address, sent, (outgoing) => sendFrom(client, outgoing), handled);
  return null;
}
