/** A real nginx in front of a server. */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { spawnTethered } from './process.js';
import { program, skipWithout } from './programs.js';
import type { Cleaner } from './server.js';

export const skipWithoutNginx = skipWithout('nginx');

const FOLDERS = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];

/** Resolves when nginx has logged that its sockets are open. */
async function listens(child: ChildProcess): Promise<void> {
  let text = '';
  for await (const chunk of child.stderr?.iterator({ destroyOnReturn: false }) ?? []) {
    text += chunk;
    if (text.includes('event method')) break;
  }
  if (!text.includes('event method')) throw new Error(`nginx ended: ${text}`);
  child.stderr?.resume();
}

/** Starts nginx with what `http` says of its servers, until the test's end; answers what it has logged of requests. */
export async function startNginx(t: Cleaner, http: string): Promise<{ log(): string }> {
  const prefix = mkdtempSync(join(tmpdir(), 'nextalk-nginx-'));
  const temporary = FOLDERS.map((name) => `${name}_temp_path ${name};`).join('\n');
  const alone = 'daemon off; master_process off; pid nginx.pid; error_log stderr notice; events {}';
  writeFileSync(join(prefix, 'nginx.conf'), `${alone}\nhttp {\naccess_log access.log;\n${temporary}\n${http}\n}\n`);
  const child = spawnTethered(program('nginx') ?? '', ['-p', `${prefix}/`, '-c', 'nginx.conf', '-e', 'stderr'], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  t.teardown(async () => {
    if (child.exitCode === null) {
      child.kill('SIGTERM');
      await once(child, 'exit');
    }
    rmSync(prefix, { recursive: true });
  });
  await listens(child);
  return { log: () => readFileSync(join(prefix, 'access.log'), 'utf8') };
}
