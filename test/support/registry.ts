/**
 * An npm registry on loopback that serves what package-lock.json names for production, from node_modules: npm installs
 * the package as a user would, and neither the network nor npm's cache decides whether that works.
 */
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import type { Cleaner } from './server.js';

/** An entry of the lockfile; what npm asks of a version beyond these stands in it under the same names. */
interface Locked {
  readonly name?: string;
  readonly version: string;
  readonly dev?: boolean;
}

/** Native builds for other systems, which nothing here loads: they are half of all that is installed. */
const OTHER_SYSTEMS = ['win32', 'darwin', 'linux'].filter((system) => system !== process.platform);

function lockedPackages(root: string): Map<string, Map<string, { readonly folder: string; readonly locked: Locked }>> {
  const lock: unknown = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8'));
  const { packages } = lock as { readonly packages: Readonly<Record<string, Locked>> };
  const found: ReturnType<typeof lockedPackages> = new Map();
  for (const [path, locked] of Object.entries(packages)) {
    if (path === '' || locked.dev) continue;
    const name = locked.name ?? path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length);
    const versions = found.get(name) ?? new Map();
    found.set(name, versions.set(locked.version, { folder: join(root, path), locked }));
  }
  return found;
}

function sendTarball(response: ServerResponse, folder: string): void {
  const excluded = ['node_modules', ...OTHER_SYSTEMS.map((system) => `*${system}*.node`)];
  const args = ['-cf', '-', '--transform', 's,^\\.,package,', ...excluded.map((name) => `--exclude=${name}`)];
  const tar = spawn('tar', [...args, '-C', folder, '.'], { stdio: ['ignore', 'pipe', 'inherit'] });
  tar.stdout.pipe(response);
}

/** Starts the registry; answers its URL. */
export async function startRegistry(t: Cleaner, root: string): Promise<string> {
  const packages = lockedPackages(root);
  const server = createServer((request, response) => {
    const [name = '', version] = decodeURIComponent((request.url ?? '').slice(1)).split('/-/');
    const versions = packages.get(name);
    const wanted = versions?.get(version ?? '');
    if (wanted) return sendTarball(response, wanted.folder);
    if (!versions || version !== undefined) return response.writeHead(404).end('{}');
    const described = [...versions].map(([version, { locked }]) => [
      version,
      { ...locked, name, dist: { tarball: `${url}/${name}/-/${version}` } },
    ]);
    const latest = [...versions.keys()].at(-1);
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({ name, 'dist-tags': { latest }, versions: Object.fromEntries(described) }));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => server.close());
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return url;
}
