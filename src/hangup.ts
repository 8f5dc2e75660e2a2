/**
 * SIGHUP from the first moment of the process on: one that comes before anybody can answer it is remembered instead of
 * ending the process. Imports nothing, since it is loaded before all else.
 */

type Answer = (signal: NodeJS.Signals) => void;

let answer: Answer | null = null;
let isRemembered = false;

/** SIGHUP ends this process no more. */
export function rememberHangups(): void {
  process.on('SIGHUP', (signal) => {
    if (answer) answer(signal);
    else isRemembered = true;
  });
}

/** Who answers from now on, at once where there has been one; several that came before are one. */
export function answerHangups(by: Answer): void {
  answer = by;
  if (isRemembered) by('SIGHUP');
  isRemembered = false;
}
