/** The answer of MESSAGES and PUSH: PROTOCOL.md sections 3 and 11. */
import { isReplyError } from '../errors.js';
import { message, sentBody } from '../protocols/messages.js';
import type { Call } from './call.js';
import { OK_BODY } from './reply.js';

export function messagesCall(call: Call): void {
  message(call.domain, call.parameters, (result) => {
    if (result === null) call.reply(OK_BODY);
    else if (isReplyError(result)) call.fail(result);
    else call.reply(sentBody(result));
  });
}
