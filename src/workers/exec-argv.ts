/** MiB that V8's young objects may take in each of their two halves, instead of Node's 16. */
const SEMI_SPACE_MIB = 8;

/**
 * Flags of Node for a worker: this process's own, and a smaller young generation. Every worker fills its
 * young generation; half the size saves 15 MiB in each and has cost no time that could be measured (docs/scale.md). A
 * size that the operator has given, among the flags or in NODE_OPTIONS, stands.
 */
export function workerExecArgv(own: readonly string[], nodeOptions: string): string[] {
  const isGiven = [...own, nodeOptions].some((flag) => /semi[-_]space[-_]size/.test(flag));
  return isGiven ? [...own] : [...own, `--max-semi-space-size=${SEMI_SPACE_MIB}`];
}

/**
 * What the environment of a worker has besides this process's own. By itself the C library keeps an arena of memory for each thread,
 * and V8 has four: with one for all, a worker takes 3 MiB less. A number that the operator has given stands.
 */
export function workerEnvironment(own: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return own.MALLOC_ARENA_MAX === undefined ? { MALLOC_ARENA_MAX: '1' } : {};
}
