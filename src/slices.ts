/** Work of many steps, which would keep everybody waiting if it was done at once. */

/** For how long a turn of the event loop does further steps. */
const SLICE_MS = 2;

/** Does the steps: some now, the rest in the turns that follow. `done` is called when there is no further one. */
export function inSlices(steps: Iterator<unknown>, done: () => void = () => undefined): void {
  const until = performance.now() + SLICE_MS;
  while (performance.now() < until) if (steps.next().done) return done();
  setImmediate(inSlices, steps, done);
}

/** Does all steps now. */
export function atOnce(steps: Iterator<unknown>): void {
  while (!steps.next().done);
}
