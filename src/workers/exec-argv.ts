/** MiB that V8's young objects may take in each of their two halves, instead of Node's 16. */
const SEMI_SPACE_MIB = 8;

/**
 * By how many percent V8's old generation may grow before it is collected again. By itself V8 chooses between 30 and 300, by how fast the
 * last collection was: with 300 a worker is three parts garbage of four.
 */
const HEAP_GROWING_PERCENT = 50;

/**
 * Flags of Node for a worker: this process's own, a smaller young generation, and an old one that is collected before it is mostly garbage.
 * Every worker fills its young generation; half the size saves 15 MiB in each and has cost no time that could be measured (docs/scale.md).
 * What the operator has given, among the flags or in NODE_OPTIONS, stands.
 */
export function workerExecArgv(own: readonly string[], nodeOptions: string): string[] {
  const given = [...own, nodeOptions].join(' ');
  const argv = [...own];
  if (!/semi[-_]space[-_]size/.test(given)) argv.push(`--max-semi-space-size=${SEMI_SPACE_MIB}`);
  if (!/heap[-_]growing[-_]percent/.test(given)) argv.push(`--heap-growing-percent=${HEAP_GROWING_PERCENT}`);
  return argv;
}

/**
 * What the environment of a worker has besides this process's own. By itself the C library keeps an arena of memory for each thread,
 * and V8 has four: with one for all, a worker takes 3 MiB less. A number that the operator has given stands.
 */
export function workerEnvironment(own: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return own.MALLOC_ARENA_MAX === undefined ? { MALLOC_ARENA_MAX: '1' } : {};
}
