/** What the server answers, as types. */
import { NexTalkError } from './error.js';
import { type Answer, isObject, textOf } from './request.js';
import type { Conversation, Conversations, History, Online, Outcome, Packet, Presence, Sent } from './types.js';

const STATUS_OF: ReadonlyMap<string, number> = new Map([
  ['bad request', 400],
  ['authentication failed', 401],
  ['forbidden', 403],
  ['ticket not found', 404],
  ['not found', 404],
  ['not online', 404],
  ['payload too large', 413],
  ['too many requests', 429],
  ['unavailable', 503],
]);

export function unexpected(): NexTalkError {
  return new NexTalkError(200, 'unexpected answer');
}

export function shows(value: unknown): Map<string, string> {
  if (!isObject(value)) throw unexpected();
  return new Map(Object.entries(value).map(([id, show]) => [id, String(show)]));
}

export function presencesOf(value: unknown): Map<string, Presence> {
  if (!isObject(value)) throw unexpected();
  return new Map(
    Object.entries(value).map(([id, one]) => {
      if (!isObject(one)) throw unexpected();
      return [id, { show: textOf(one.show) ?? '', nick: textOf(one.nick) ?? '', status: textOf(one.status) ?? '' }];
    }),
  );
}

export function onlineOf(answer: Answer): Online {
  const { ticket, server, jsonp, websocket, mqtt, presences } = answer;
  if (typeof ticket !== 'string') throw unexpected();
  return {
    ticket,
    server: textOf(server) ?? '',
    jsonp: textOf(jsonp) ?? '',
    websocket: textOf(websocket) ?? '',
    mqtt: textOf(mqtt),
    presences: shows(presences ?? {}),
  };
}

function isOutcome(value: unknown): value is Outcome {
  return typeof value === 'string';
}

/** A receipt, or without one `{"status":"ok"}`. */
export function sentOf(answer: Answer, id: string): Sent {
  const { outcome, outcomes, members } = answer;
  return {
    id: textOf(answer.id) ?? id,
    outcome: isOutcome(outcome) ? outcome : undefined,
    outcomes: isObject(outcomes)
      ? new Map(Object.entries(outcomes).flatMap(([to, one]) => (isOutcome(one) ? [[to, one] as const] : [])))
      : undefined,
    members: typeof members === 'number' ? members : undefined,
  };
}

/** One result of a batch for each of these ids. */
export function resultsOf(answer: Answer, ids: readonly string[]): (Sent | NexTalkError)[] {
  const { results } = answer;
  if (!Array.isArray(results) || results.length !== ids.length) throw unexpected();
  return results.map((result: unknown, i) => {
    if (!isObject(result)) throw unexpected();
    if (result.status === 'ok') return sentOf(result, ids[i] ?? '');
    const message = textOf(result.message) ?? 'unexpected answer';
    return new NexTalkError(STATUS_OF.get(message) ?? 0, message, textOf(result.detail));
  });
}

function isPackets(value: unknown): value is Packet[] {
  return Array.isArray(value) && value.every(isObject);
}

export function historyOf({ messages, next }: Answer): History {
  if (!isPackets(messages)) throw unexpected();
  return { messages, next: textOf(next) };
}

function isConversations(value: unknown): value is Conversation[] {
  return Array.isArray(value) && value.every((one) => isObject(one) && typeof one.with === 'string');
}

export function conversationsOf({ conversations, next }: Answer): Conversations {
  if (!isConversations(conversations)) throw unexpected();
  return { conversations, next: textOf(next) };
}
