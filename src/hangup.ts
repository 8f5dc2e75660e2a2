/**
 * SIGHUP from the first moment of the process on: one that comes before anybody can answer it is remembered instead of
 * ending the process. Imports nothing, since it is loaded before all else.
 */

type Answer = (signal: NodeJS.Signals) => void;

let answer: Answer | null = null;
let isRemembered = false;

/** Keeps SIGHUP from ending this process, and remembers it until somebody answers it. */
export function rememberHangups(): void {
  process.on('SIGHUP', (signal) => {
    if (answer) answer(signal);
    else isRemembered = true;
  });
}

/** Has `by` answer each SIGHUP from now on; it is called at once, and once only, where some came before. */
export function answerHangups(by: Answer): void {
  answer = by;
  if (isRemembered) by('SIGHUP');
  isRemembered = false;
}
