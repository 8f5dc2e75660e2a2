/** The answer of GET /v5/history. */
import { history } from '../protocols/history.js';
import type { Call } from './call.js';

export function historyCall(call: Call): void {
  history(call.domain, call.parameters, (result) => {
    if (typeof result === 'string') call.reply(`{"status":"ok",${result}}`);
    else call.fail(result);
  });
}
