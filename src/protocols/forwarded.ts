/** Calls that another node has sent on to this one, where their ticket or their sender lives. */
import type { Address } from '../actors/address.js';
import type { Domain } from '../actors/domain.js';
import { parseTicket } from '../actors/ticket.js';
import type { ClusterNode } from '../cluster/node.js';
import { endpointTarget } from './caller.js';
import { answerClientCall, CLIENT_CALL } from './client-calls.js';
import { join, leave, members, offline, show, status } from './commands.js';
import { ownerOf } from './credentials.js';
import { message, push } from './messages.js';
import { Parameters } from './parameters.js';
import type { SendingWay } from './sending.js';

type Command = (
  domain: Domain,
  parameters: Parameters,
  reply: (result: unknown) => void,
  expiresAt: number | null,
  isSentOn: boolean,
) => void;
type RoomCommand = (
  domain: Domain,
  roomId: string,
  parameters: Parameters,
  reply: (result: unknown) => void,
  isSentOn: boolean,
) => void;

/** The calls that another node may send on to this one, by name. */
const CALLS = new Map<string, Command>([
  ['offline', offline],
  ['show', (domain, parameters, reply, _expiresAt, isSentOn) => show(domain, parameters, reply, isSentOn)],
  ['message', message],
  ['status', (domain, parameters, reply, _expiresAt, isSentOn) => status(domain, parameters, reply, isSentOn)],
  ['push', push],
]);
const ROOM_CALLS = new Map<string, RoomCommand>([
  ['members', members],
  ['join', join],
  ['leave', leave],
]);

/** The endpoint that makes a call, by token, ticket or name, not checked for validity; null where the call names none. */
function callerOf(domain: Domain, fields: Parameters, token: unknown): Address | null {
  if (typeof token === 'string') return domain.tickets.find(token)?.address ?? null;
  const ticket = parseTicket(String(fields.get('ticket') ?? ''));
  if (ticket) return ownerOf(domain, ticket);
  const name = fields.get('name') ?? fields.get('from');
  return typeof name === 'string' ? (endpointTarget(domain, name)?.address ?? null) : null;
}

/** Answers calls that other nodes sent on to this one. While the caller's endpoint moves to a third node, its calls wait for that. */
export function answerCalls(node: ClusterNode, domains: ReadonlyMap<string, Domain>): void {
  node.rpc.handle('call', (_peer, [name, call, roomId, parameters, expiresInMs, token], answer) => {
    const domain = domains.get(name as string);
    if (!domain) return answer(null);
    const fields = new Parameters(parameters as [string, unknown][]);
    const expiry = typeof expiresInMs === 'number' ? expiresInMs : null;
    const run = (): void => {
      node.isAnswering = true;
      try {
        if (call === CLIENT_CALL) answerClientCall(domain, String(token), roomId as SendingWay, fields, answer);
        else answerCall(domain, [call as string, roomId as string, fields, expiry], !node.leaving.isActive, answer);
      } finally {
        node.isAnswering = false;
      }
    };
    const caller = callerOf(domain, fields, token);
    if (caller) node.leaving.whenMoved(caller, run);
    else run();
  });
}

/** A call that another node has sent on. `expiresInMs`: after how many ms the call's message expires; null: never. */
type SentOn = readonly [call: string, roomId: string, Parameters, expiresInMs: number | null];

/** Runs the call. `isSentOn`: it must not be sent on again; false while this node ends and may have handed the endpoint to a third. */
function answerCall(
  domain: Domain,
  [call, roomId, parameters, expiresInMs]: SentOn,
  isSentOn: boolean,
  answer: (answer: unknown) => void,
): void {
  const expiresAt = expiresInMs === null ? null : domain.runtime.clock.now() + expiresInMs;
  const reply = (result: unknown) => answer([result]);
  const inRoom = ROOM_CALLS.get(call);
  const plain = CALLS.get(call);
  if (inRoom) inRoom(domain, roomId, parameters, reply, isSentOn);
  else if (plain) plain(domain, parameters, reply, expiresAt, isSentOn);
  else answer(null);
}
