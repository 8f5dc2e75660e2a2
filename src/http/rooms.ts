/** MEMBERS, JOIN and LEAVE: PROTOCOL.md section 3. */
import { join, leave, members } from '../protocols/commands.js';
import type { Call } from './call.js';
import { replyPresences } from './presences.js';

export function membersCall(call: Call): void {
  members(call.domain, call.roomId, call.parameters, (result) => replyPresences(call, result));
}

export function joinCall({ domain, roomId, parameters, ok }: Call): void {
  join(domain, roomId, parameters, ok);
}

export function leaveCall({ domain, roomId, parameters, ok }: Call): void {
  leave(domain, roomId, parameters, ok);
}
