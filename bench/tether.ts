/** Ends what a benchmark has started together with the benchmark, also where a signal ends that: then no `finally` runs. */
import { spawnSync } from 'node:child_process';

const isThere = spawnSync('which', ['setpriv']).status === 0;

/** A command for `spawn`, which the kernel tells to end (SIGTERM) when this process has ended, for whatever reason. */
export function tethered(program: string, ...args: readonly string[]): [program: string, args: string[]] {
  return isThere ? ['setpriv', ['--pdeathsig', 'TERM', '--', program, ...args]] : [program, [...args]];
}
