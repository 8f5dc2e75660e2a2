/** MEMBERS, JOIN and LEAVE: PROTOCOL.md section 3. */
import { isReplyError } from '../errors.js';
import { join, leave, members } from '../protocols/commands.js';
import type { Call } from './call.js';
import { presencesBody } from './presences.js';

export function membersCall({ domain, roomId, parameters, reply, fail }: Call): void {
  members(domain, roomId, parameters, (result) => {
    if (isReplyError(result)) fail(result);
    else reply(presencesBody(result));
  });
}

export function joinCall({ domain, roomId, parameters, ok }: Call): void {
  join(domain, roomId, parameters, ok);
}

export function leaveCall({ domain, roomId, parameters, ok }: Call): void {
  leave(domain, roomId, parameters, ok);
}
