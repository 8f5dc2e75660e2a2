/** The answers of ONLINE, PRESENCES and MEMBERS: PROTOCOL.md sections 3 and 16. */
import type { OnlineResult } from '../actors/online.js';
import { isReplyError, type ReplyError } from '../errors.js';
import { members, online, presences } from '../protocols/commands.js';
import { onlineGroups } from '../protocols/dialect.js';
import { allPresences, type PresencePage, type Presences } from '../protocols/presences.js';
import { presencesBody } from '../protocols/presences-body.js';
import type { Call } from './call.js';
import { publicUrls } from './public-url.js';

export function onlineCall(call: Call): void {
  online(call.domain, call.parameters, (result) => {
    if (isReplyError(result)) return call.fail(result);
    const { ticket, presences: list } = result as OnlineResult;
    const { publicUrl, trustProxy, tls } = call.context.config();
    const where = publicUrls(publicUrl, trustProxy, tls !== null, call.head.headers, call.ports);
    const answer = `{"success":true,"ticket":${JSON.stringify(ticket)},${where},"presences":${presencesBody(list)}`;
    if (!call.parameters.has('groups')) return call.reply(`${answer}}`);
    const sizes = onlineGroups(call.domain, call.parameters, ticket);
    call.reply(`${answer},"buddies":${presencesBody(list)},"groups":${presencesBody(sizes)}}`);
  });
}

export function presencesCall(call: Call): void {
  presences(call.domain, call.parameters, (result) => replyPresences(call, result));
}

export function membersCall(call: Call): void {
  members(call.domain, call.roomId, call.parameters, (result) => replyPresences(call, result));
}

export function allPresencesCall(call: Call): void {
  allPresences(call.domain, call.parameters, (result) => {
    if (isReplyError(result)) return call.fail(result);
    const { presences: list, next } = result as PresencePage;
    const more = next === null ? '' : `,"next":${JSON.stringify(next)}`;
    call.reply(`{"status":"ok","presences":${presencesBody(list)}${more}}`);
  });
}

function replyPresences(call: Call, result: Presences | ReplyError): void {
  if (isReplyError(result)) call.fail(result);
  else call.reply(presencesBody(result));
}
