/** Ends many connections one after another, at a rate: who is sent elsewhere all at once comes there all at once. */
import type { Clock } from '../clock.js';

const SLICE_MS = 25;
/** What any server takes at once; fewer connections need less than the time there is. */
const LEAST_PER_SECOND = 1000;

/** Runs the tasks in a random order within `overMs`; 0: all at once. */
export async function closeStaggered(clock: Clock, overMs: number, tasks: (() => void)[]): Promise<void> {
  const perSlice = Math.ceil(Math.max((LEAST_PER_SECOND * SLICE_MS) / 1000, (tasks.length * SLICE_MS) / (overMs || 1)));
  for (let i = tasks.length - 1; i > 0; i--) {
    const j = Math.floor(Math.random() * (i + 1));
    [tasks[i], tasks[j]] = [tasks[j] as () => void, tasks[i] as () => void];
  }
  const size = overMs === 0 ? tasks.length : perSlice;
  for (let at = 0; at < tasks.length; at += size) {
    if (at > 0) await new Promise<void>((resolve) => clock.after(SLICE_MS, resolve));
    for (const task of tasks.slice(at, at + size)) task();
  }
}
