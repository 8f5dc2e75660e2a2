/** JOIN, LEAVE and SHOW: an endpoint enters a room and leaves it, and is shown to others. PROTOCOL.md section 4. */
import { NOT_ONLINE, type ReplyError } from '../errors.js';
import type { Address } from './address.js';
import { joinRefusal } from './capacity.js';
import type { EndpointState } from './endpoint.js';
import type { Show } from './presence.js';

type Reply = (result: ReplyError | null) => void;

export interface Showing {
  readonly kind: 'show';
  readonly show: Show;
  readonly nick: string | null;
  readonly status: string | null;
  readonly reply: Reply;
}

/** A second JOIN is answered and tells nobody, as is that of the invisible. */
export function join(state: EndpointState, room: Address, nick: string | null, reply: Reply): EndpointState {
  const { domain, record } = state;
  // Asked by name, it may have gone offline meanwhile.
  if (record.birth === 0) {
    reply(NOT_ONLINE);
    return state;
  }
  if (record.rooms.includes(room)) domain.cluster.confirm(record, [room], true);
  else {
    const refusal = joinRefusal(state, room);
    if (refusal) {
      reply(refusal);
      return state;
    }
    domain.tracker.update(record, record, [room], [], { type: 'join', nick });
  }
  reply(null);
  return state;
}

/** A LEAVE of a room that it is not in is answered and tells nobody. */
export function leave(state: EndpointState, room: Address, nick: string | null, reply: Reply): EndpointState {
  const { domain, record } = state;
  if (record.rooms.includes(room)) domain.tracker.update(record, record, [], [room], { type: 'join', nick });
  else domain.cluster.confirm(record, [room], false);
  reply(null);
  return state;
}

/** Takes a new show; those who hear of the endpoint are told what changed, if they can see a change. */
export function show(state: EndpointState, { show: to, nick, status, reply }: Showing): EndpointState {
  const { record, domain } = state;
  const profile = { nick: nick || record.nick, show: to, status: status ?? record.status };
  if (record.birth > 0) domain.tracker.update(record, profile, [], [], { type: 'grponline', isShown: true });
  reply(null);
  return state;
}
