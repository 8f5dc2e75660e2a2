/** Where the nats-server is that workers get where none is configured. */
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

export const NATS_SERVER = 'nats-server';

/** Where packages put it, which the PATH of an ordinary user does not name. */
const MORE_FOLDERS = ['/usr/sbin', '/usr/local/sbin', '/usr/local/bin'];

/** The path of the program: `configured` (a path or a name), else that of PATH or of a package. Throws an Error whose message is one line for the operator. */
export function findNatsServer(
  configured: string | null,
  path = process.env.PATH ?? '',
  more: readonly string[] = MORE_FOLDERS,
): string {
  const name = configured ?? NATS_SERVER;
  const folders = [...path.split(delimiter).filter((folder) => folder !== ''), ...more];
  const candidates = name.includes('/') ? [name] : folders.map((folder) => join(folder, name));
  const found = candidates.find(isExecutable);
  if (found !== undefined) return found;
  if (configured !== null) throw new Error(`cluster.server: ${configured} is no program that can be run`);
  throw new Error(
    `--workers: needs ${NATS_SERVER}, which is not here: apt-get install ${NATS_SERVER}, or its path in cluster.server, or --nats`,
  );
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
