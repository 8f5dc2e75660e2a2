/** `POST /api/reload`: what SIGHUP does, with its result as the answer. */
import { log } from '../log.js';
import type { ReloadAnswer } from '../protocols/context.js';
import { answerError, answerJson, type Handler } from './answer.js';

export function reloadRoute(reload: () => ReloadAnswer | null): [string, Handler] {
  const run: Handler = ({ response, viewer }) => {
    if (viewer?.domains) return answerError(response, 403, 'owners do not reload the server');
    const result = reload();
    if (result === null) return answerError(response, 409, 'there is no configuration file');
    log.info(
      { event: 'audit', who: viewer?.name, address: viewer?.address, what: 'reload' },
      `${viewer?.name}: reload`,
    );
    if (!('errors' in result)) return answerJson(response, result);
    const [detail = ''] = result.errors;
    answerJson(response, { status: 'error', message: 'bad request', detail, errors: result.errors }, 400);
  };
  return ['POST /api/reload', run];
}
