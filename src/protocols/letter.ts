/** The letter of MESSAGES and PUSH: a message's fields beyond their schema, and its receivers. PROTOCOL.md sections 3, 10 and 11. */
import { parseTarget, shortIdOf, type Target } from '../actors/address.js';
import { isTooLong } from '../actors/capacity.js';
import type { Domain } from '../actors/domain.js';
import type { MessageType, UnsignedMessage } from '../actors/packet.js';
import { badRequest, type ReplyError } from '../errors.js';
import type { Receiver } from './caller.js';
import { readData } from './parameters.js';
import { type Checked, text } from './schemas.js';

/** Receivers of one message. */
export const MOST_RECEIVERS = 1000;

/** Fields that are passed on as sent: section 10's closed list. */
const PASSED_ON = ['avatar', 'to_name', 'to_avatar', 'to_other'] as const;

/** The ids that a sender may give its message. */
const MESSAGE_ID = /^[\w.~-]{1,64}$/;
const ILL_NAMED = badRequest('id must be 1 to 64 characters of A-Z, a-z, 0-9 and . _ ~ -');

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

/** A message's fields, checked beyond their schema. */
export function letterOf(domain: Domain, checked: Checked, expiresAt: number | null = null): Letter | ReplyError {
  const type = text(checked.type) || 'chat';
  const { to } = checked;
  const fault = bodyTooLong(domain, checked);
  if (fault) return fault;
  if (type === 'broadcast') return letterTo(domain, [[text(checked.to) || '*', null]], type, checked, expiresAt);
  const targets = receiversOf(domain, to, type === 'grpchat' ? 'gid' : 'uid');
  return !Array.isArray(targets) ? targets : letterToAll(domain, targets, checked, type, expiresAt);
}

function bodyTooLong(domain: Domain, checked: Checked): ReplyError | null {
  if (!isTooLong(domain, text(checked.body) ?? '')) return null;
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
  type = text(checked.type) || (targets[0]?.node === 'gid' ? 'grpchat' : 'chat'),
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
  const id = text(checked.id) || null;
  if (id !== null && !MESSAGE_ID.test(id)) return ILL_NAMED;
  const data = dataOf(domain, checked);
  if (data !== null && typeof data !== 'string') return data;
  const receipt = text(checked.receipt);
  return {
    fields: {
      nick: text(checked.nick) ?? '',
      timestamp: text(checked.timestamp) || String(domain.runtime.clock.now()),
      type: type as MessageType,
      body: text(checked.body) ?? '',
      style: text(checked.style) ?? '',
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
  const { avatar, to_name, to_avatar, to_other } = checked;
  // Nearly all have none of them: asked one by one, since V8 looks a field up whose name is in a variable.
  const isBare = avatar === undefined && to_name === undefined && to_avatar === undefined && to_other === undefined;
  if (isBare && data === null) return null;
  let more: Record<string, string> | null = data === null ? null : { data };
  for (const name of PASSED_ON) {
    const value = text(checked[name]);
    if (value !== null) more = { ...more, [name]: value };
  }
  return more;
}
