/** What every process that serves does alike: how it drains, and that bugs do not end it. */
import { listenProblem } from './listening.js';
import { flushLog, log } from './log.js';

/** How long draining may take: under the ten seconds that an operator may count on. */
export const drainMs = 9000;

/** Drains what serves and ends the process: with 0 when asked to end, with 1 when draining failed. */
export async function drainAndExit(serving: { drain(): Promise<void>; linger?(): Promise<void> }): Promise<void> {
  const deadline = setTimeout(() => {
    log.warn({ event: 'stopped', complete: false }, `draining was not done after ${drainMs} ms`);
    void flushLog().then(() => process.exit(0));
  }, drainMs);
  try {
    await serving.drain();
    await serving.linger?.();
    log.info({ event: 'stopped', complete: true }, 'stopped');
    process.exitCode = 0;
  } catch (err) {
    log.error({ event: 'stopped', complete: false, err }, 'draining failed');
    process.exitCode = 1;
  }
  clearTimeout(deadline);
  await flushLog();
  process.exit();
}

// "Nothing takes the node down but failing to start": what escapes every actor is a bug, is logged as one, and all other
// clients go on.
export function surviveBugs(): void {
  process.on('uncaughtException', (err) => log.error({ event: 'uncaught', err }, 'an error nobody caught'));
  process.on('unhandledRejection', (err) => log.error({ event: 'uncaught', err }, 'a rejection nobody caught'));
}

/** Why a server did not start, in one line for the operator. */
export function startProblem(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { code, address } = error as Error & { code?: unknown; address?: unknown };
  return typeof code === 'string' && typeof address === 'string' ? listenProblem(address, code) : error.message;
}
