import { setFlagsFromString } from 'node:v8';

/** The V8 of Node 20. Later ones count calls instead, have a compiler between, and say on stderr that they do not know this flag. */
const KNOWS_BUDGET = process.versions.v8.startsWith('11.');
/** How much of a function's code, in bytes, V8 runs before it thinks of optimizing it, a few times over; V8's own default is 67,584. */
const BUDGET = 20_000;

/**
 * Has V8 optimize nothing while a process loads its modules, whose code runs once then: the optimizing compiler would take an eighth
 * of the start's processor time, and 5 MiB which the C library keeps for good. Call it first of all.
 */
export function pauseOptimizer(): void {
  setFlagsFromString('--no-opt');
}

/** Has V8 optimize what runs often from now on. Call it when the modules are loaded, before what grows with what is kept. */
export function resumeOptimizer(): void {
  setFlagsFromString('--opt');
}

/**
 * Sets V8 up for a server. Call it when the server has started: Node's own modules, loaded later, would not fit the compiled code that
 * Node brings for them.
 *
 * V8 optimizes the server's functions sooner: in the first seconds after a start a message costs more by what is not compiled yet.
 *
 * V8 allocates all that is new in the young generation. By itself it watches where objects are made that outlive a collection, and makes
 * them in the old generation from then on, for good: a burst of messages of which one collection finds nearly all alive would have each
 * later message leave an object there, which keeps all that it refers to until the next full collection.
 */
export function tuneEngine(): void {
  if (KNOWS_BUDGET) setFlagsFromString(`--interrupt-budget=${BUDGET}`);
  setFlagsFromString('--no-allocation-site-pretenuring');
}
