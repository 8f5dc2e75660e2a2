/** The answers of MESSAGES and PUSH, one by one and in batches: PROTOCOL.md sections 3 and 11. */
import { badRequest, isReplyError, type ReplyError, UNAVAILABLE, UNSUPPORTED_MEDIA_TYPE } from '../errors.js';
import { errorBody } from '../protocols/error-body.js';
import { MOST_RECEIVERS } from '../protocols/letter.js';
import { message, type Sent, sentBody } from '../protocols/messages.js';
import { Items, type Parameters, readBatch } from '../protocols/parameters.js';
import type { Call } from './call.js';
import { countRefusal, OK_BODY } from './reply.js';
import { type MediaType, readParameters } from './request.js';

/** Bytes of a batch, whatever the limit of other calls. */
export const BATCH_BYTES = 1024 * 1024;
/** In one turn of the event loop messages of a batch are sent until they have so many receivers; fewer while several domains are busy. */
const RECEIVERS_AT_ONCE = 1000;
const CROWDED_RECEIVERS = 50;
/** How many times as many parameters a batch may have as another call. */
const BATCH_PARAMETERS = 10;

export function messagesCall(call: Call): void {
  const { parameters, head } = call;
  const { idempotencyKey } = head.headers;
  if (idempotencyKey !== '' && !parameters.get('id')) parameters.set('id', unquoted(idempotencyKey));
  message(call.domain, parameters, (result) => {
    if (result === null) call.reply(OK_BODY);
    else if (isReplyError(result)) call.fail(result);
    else call.reply(sentBody(result));
  });
}

/** The key as it is, or as a text of structured fields (RFC 9651, section 3.3.3). */
function unquoted(key: string): string {
  return key.length > 1 && key.startsWith('"') && key.endsWith('"') ? key.slice(1, -1) : key;
}

/** The parameters of a batch: its messages are parameters of their own. */
export function readBatchParameters(
  query: string,
  type: MediaType,
  body: Buffer,
  most: number,
): Parameters | ReplyError {
  if (type === 'form') return UNSUPPORTED_MEDIA_TYPE;
  return readParameters(query, type, body, most * BATCH_PARAMETERS, readBatch);
}

/** Answers a batch when the results of all its messages are known, in the order of the messages. */
export function batchCall(call: Call): void {
  const { context, domain, parameters } = call;
  const messages = parameters.get('messages');
  const { batchMessages } = domain.limits;
  if (!(messages instanceof Items)) return call.fail(badRequest('messages must be a list'));
  if (batchMessages > 0 && messages.length > batchMessages) {
    domain.metrics.exceed('batchMessages');
    return call.fail(badRequest(`messages must be at most ${batchMessages}`));
  }
  const results: string[] = Array(messages.length).fill('');
  let missing = messages.length;
  const answer = () => call.reply(`{"status":"ok","results":[${results.join(',')}]}`);
  if (missing === 0) return answer();
  const told: Told = (at, result) => {
    results[at] = resultBody(call, result);
    missing -= 1;
    if (missing === 0) answer();
  };
  // Reading the batch has taken some time: while other domains are busy, its messages are sent when it is the domain's turn again.
  if (context.fair.isCrowded) context.fair.goOn(domain, () => sendSome(call, messages, 0, told));
  else sendSome(call, messages, 0, told);
}

type Told = (at: number, result: Sent | null | ReplyError) => void;

/** Sends the messages of a batch from `start` on, some in each turn of the event loop, so that a large batch does not block others. */
function sendSome(call: Call, messages: Items, start: number, told: Told): void {
  const { domain, context } = call;
  const isGone = context.domains.get(domain.name) !== domain;
  const most = context.fair.isCrowded ? CROWDED_RECEIVERS : RECEIVERS_AT_ONCE;
  let receivers = 0;
  let at = start;
  for (; at < messages.length && receivers < most; at++) {
    const place = at;
    const item = messages.at(at);
    receivers += receiversOf(item.get('to'));
    if (isGone) told(place, UNAVAILABLE);
    else message(domain, item, (result) => told(place, result));
  }
  if (at < messages.length) context.fair.goOn(domain, () => sendSome(call, messages, at, told));
}

function receiversOf(to: unknown): number {
  if (Array.isArray(to)) return to.length;
  return typeof to === 'string' && to.includes(',') ? to.split(',', MOST_RECEIVERS).length : 1;
}

function resultBody({ domain, context }: Call, result: Sent | null | ReplyError): string {
  if (result === null) return OK_BODY;
  if (!isReplyError(result)) return sentBody(result);
  countRefusal(context.runtime.metrics, result, { domain: domain.name });
  return errorBody(result);
}
