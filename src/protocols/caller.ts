/**
 * Whose call it is: a client's, by its ticket, or an endpoint's, by its name, whoever holds its tickets. It is done by
 * the endpoint's actor, on whichever node that is. PROTOCOL.md sections 3 and 16.
 */
import { type Address, parseTarget, type Target } from '../actors/address.js';
import type { Client } from '../actors/client.js';
import type { Domain } from '../actors/domain.js';
import type { EndpointMessage } from '../actors/endpoint.js';
import { whenHandled } from '../actors/router.js';
import type { Ref } from '../actors/system.js';
import { parseTicket } from '../actors/ticket.js';
import { badRequest, isReplyError, type ReplyError, TICKET_NOT_FOUND, UNAVAILABLE } from '../errors.js';
import { findTicket, ownerOf } from './credentials.js';
import type { Parameters } from './parameters.js';
import { type CallName, type Checked, check, isByName, text } from './schemas.js';

/** A call that a name may make in place of a ticket. */
export interface NamedCall {
  readonly call: CallName;
  readonly roomId?: string;
  readonly parameters: Parameters;
  /** Another node has sent it on: it is not sent on again. */
  readonly isSentOn: boolean;
}

/** A receiver of a message as the call names it, and its target; null: everybody. */
export type Receiver = readonly [to: string, target: Target | null];

/** What a sender says is handled by the sender's actor, then by the receiver's, which passes it on to other nodes. */
const HOPS = 2;

export const BAD_NAME = badRequest('name is not the id of a user, visitor or service');

/** A user, visitor or service, as `name` and `from` have it. */
export function endpointTarget(domain: Domain, name: string): Target | null {
  const target = parseTarget(domain.name, name);
  return target && target.node !== 'gid' ? target : null;
}

/** In a cluster, what a call has changed is known everywhere when it is answered. */
export function settled<T>({ cluster }: Domain, reply: (result: T | ReplyError) => void) {
  return (result: T | ReplyError): void => cluster.settled(() => reply(result));
}

/** Whether what a sender says next may go out from another node, since the sender is offline or on several. */
function goesOutElsewhere(domain: Domain, sender: Address): boolean {
  const record = domain.tracker.records.get(sender);
  const isHereOnly = record !== undefined && record.birth > 0 && record.parts.length === 0;
  return !isHereOnly;
}

/**
 * Calls `reply` when what a sender has said goes on to the nodes of its receivers (null: of everybody) though this one may be killed; or when
 * it has come there, where what the sender says next goes out from another node, and is not to overtake it.
 */
export function whenArrived<T>(
  domain: Domain,
  sender: Address,
  receivers: readonly Receiver[] | null,
  reply: (sent: T) => void,
): (sent: T) => void {
  const { cluster } = domain;
  if (!cluster.hasOthers) return reply;
  const until = goesOutElsewhere(domain, sender) ? 'acknowledged' : 'written';
  const addresses = addressesOf(receivers);
  const arrival = addresses ? cluster.arrival(addresses, until) : (done: () => void) => cluster.settled(done);
  return (sent) => {
    // Whoever knows what has become of it has heard from those nodes, or has waited for them long enough.
    if (sent !== null) reply(sent);
    else whenHandled(domain, () => arrival(() => reply(sent)), HOPS);
  };
}

/** undefined: everybody is among them. */
function addressesOf(receivers: readonly Receiver[] | null): readonly Address[] | undefined {
  const addresses = receivers?.flatMap(([, target]) => target?.address ?? []);
  return addresses?.length === receivers?.length ? addresses : undefined;
}

/** The parameters that are sent to another node: all except the API key. */
export function withoutKey(parameters: Parameters): (readonly [string, unknown])[] {
  return [...parameters].filter(([name]) => name !== 'apikey');
}

/** Checks a ticket's call, then finds its client: fields come before the ticket in the order of errors. */
export function withTicket(
  domain: Domain,
  call: CallName,
  parameters: Parameters,
  reply: (result: never) => void,
  run: (client: Client, checked: Checked) => void,
  roomId = '',
): void {
  const checked = check(call, parameters);
  if (isReplyError(checked)) return reply(checked as never);
  const client = findTicket(domain, text(checked.ticket) ?? '');
  if (client) run(client, checked);
  else sendOn(domain, call, roomId, parameters, reply);
}

/** The call of a ticket that is none of this node's: it may be another's, which answers in its place. */
export function sendOn(
  domain: Domain,
  call: CallName,
  roomId: string,
  parameters: Parameters,
  reply: (result: never) => void,
): void {
  const ticket = parseTicket(String(parameters.get('ticket')));
  if (!ticket) return reply(TICKET_NOT_FOUND as never);
  const { token } = ticket;
  const owner = ownerOf(domain, ticket);
  const isSent = domain.cluster.forward(owner, token, [call, roomId, withoutKey(parameters)], (answer) => {
    if (Array.isArray(answer)) reply(answer[0] as never);
    else reply((domain.cluster.isKnown(owner, token) ? UNAVAILABLE : TICKET_NOT_FOUND) as never);
  });
  if (!isSent) reply(TICKET_NOT_FOUND as never);
}

/** Has a call done by the endpoint of its ticket, or of its name. `ifOffline` answers for a name that is not online. */
export function withCaller(
  domain: Domain,
  asked: NamedCall,
  reply: (result: ReplyError | null) => void,
  ifOffline: ReplyError | null,
  run: (endpoint: Ref<EndpointMessage>, checked: Checked) => void,
): void {
  const { call, roomId = '', parameters, isSentOn } = asked;
  if (!isByName(parameters)) {
    return withTicket(domain, call, parameters, reply, (client, checked) => run(client.endpoint, checked), roomId);
  }
  const checked = check(call, parameters);
  if (isReplyError(checked)) return reply(checked);
  const target = endpointTarget(domain, text(checked.name) ?? '');
  if (!target) return reply(BAD_NAME);
  const record = domain.tracker.records.get(target.address);
  // Also where all its clients are away.
  if (!record || (record.birth === 0 && record.parts.every(({ hidden }) => hidden))) return reply(ifOffline);
  if (record.actor && record.birth > 0) return run(record.actor, checked);
  const isSent =
    !isSentOn &&
    domain.cluster.forwardTo(target.address, [call, roomId, withoutKey(parameters)], (answer) => {
      reply(Array.isArray(answer) ? (answer[0] as ReplyError | null) : UNAVAILABLE);
    });
  if (!isSent) reply(isSentOn ? ifOffline : UNAVAILABLE);
}
