/** The calls of NexTalk 5.0 to 5.3: PROTOCOL.md section 19. */
import { isReplyError, type ReplyError } from '../errors.js';
import { chats, type GroupSizes, groupJoin, groupMembers } from '../protocols/dialect.js';
import type { Presences } from '../protocols/presences.js';
import { presencesBody } from '../protocols/presences-body.js';
import type { Call } from './call.js';

export function groupJoinCall(call: Call): void {
  groupJoin(call.domain, call.parameters, (result) => {
    if (isReplyError(result)) call.fail(result);
    else call.reply(presencesBody(result as GroupSizes));
  });
}

export function groupMembersCall(call: Call): void {
  groupMembers(call.domain, call.parameters, (result) => {
    if (isReplyError(result)) call.fail(result);
    else call.reply(JSON.stringify(result));
  });
}

function replyChats(call: Call, result: Presences | ReplyError): void {
  if (isReplyError(result)) call.fail(result);
  else call.reply(`{"status":"ok","buddies":${presencesBody(result)}}`);
}

export function chatsOpenCall(call: Call): void {
  chats('chatsOpen', call.domain, call.parameters, (result) => replyChats(call, result));
}

export function chatsCloseCall(call: Call): void {
  chats('chatsClose', call.domain, call.parameters, (result) => replyChats(call, result));
}
