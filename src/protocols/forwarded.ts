/** Calls that another node has sent on to this one, where their ticket or their sender lives. */
import type { Domain } from '../actors/domain.js';
import { join, leave, members, offline, show, status } from './commands.js';
import { message, push } from './messages.js';
import type { Parameters } from './parameters.js';

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
