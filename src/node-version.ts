/**
 * Whether this Node can run the server. Imports nothing and is written so that an old Node can still read it: it has to
 * answer before the rest of the program is loaded.
 */

/** The oldest Node that works; the same as `engines` in package.json. */
export const oldestNode = '20.11';

/** What is wrong with a version of Node (`process.versions.node`), in words for the operator; undefined if nothing. */
export function nodeProblem(version: string): string | undefined {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const [oldestMajor = 0, oldestMinor = 0] = oldestNode.split('.').map(Number);
  if (major > oldestMajor || (major === oldestMajor && minor >= oldestMinor)) return undefined;
  return `nextalk: needs Node ${oldestNode} or later, this is ${version}; see https://nodejs.org/en/download`;
}
