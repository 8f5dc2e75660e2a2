/** A server with workers, as real processes with a real NATS server. */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { natsServer } from '../../support/nats.js';
import { freePort } from '../../support/ports.js';
import { type NexTalkProcess, nextalk } from '../../support/process.js';
import { until } from '../../support/until.js';

export interface Cleaner {
  teardown(fn: () => unknown): void;
}

export async function natsUrl(t: Cleaner): Promise<string> {
  return (await natsServer(t)).url;
}

export interface Workers {
  readonly server: NexTalkProcess;
  readonly url: string;
  readonly admin: string;
}

/** `nats` is a flag and its value; none: the workers get a nats-server of their own. */
export async function started(
  t: Cleaner,
  args: readonly string[],
  count: number | 'auto' = 2,
  nats?: readonly string[],
): Promise<Workers> {
  const joined = nats ?? ['--nats', await natsUrl(t)];
  // Workers listen seconds after their port was chosen. A port that the system chooses may have become a connection's by then.
  const ports = ['--port', String(await freePort()), '--mqtt-port', String(await freePort()), '--admin-port', '-1'];
  const server = nextalk(t, [...ports, ...joined, '--workers', String(count), ...args]);
  const { url, admin } = await server.event('started');
  return { server, url: String(url), admin: String(admin) };
}

export function workersOf({ child }: NexTalkProcess): number[] {
  return childrenOf(child.pid ?? 0);
}

export function childrenOf(pid: number): number[] {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim();
  return children === '' ? [] : children.split(' ').map(Number);
}

/** Resolves when the process is gone, or only its parent has yet to notice. */
export async function gone(pid: number): Promise<void> {
  await until(`the end of process ${pid}`, () => {
    try {
      return /^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
    } catch {
      return true;
    }
  });
}

export async function online(url: string, apikey = 'public', domain = 'localhost'): Promise<number> {
  const answer = await fetch(`${url}/v5/presences/online`, {
    method: 'POST',
    headers: {
      authorization: `Basic ${Buffer.from(`${domain}:${apikey}`).toString('base64')}`,
      // Each call goes on a connection of its own, so that the kernel chooses the worker anew.
      connection: 'close',
    },
    body: new URLSearchParams({ domain, name: 'jack', nick: 'Jack' }),
  });
  await answer.text();
  return answer.status;
}

/** Ports of loopback on which a process listens. */
export function portsOf(pid: number): number[] {
  const own = new Set(
    readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
      try {
        return /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`))?.slice(1) ?? [];
      } catch {
        return [];
      }
    }),
  );
  const lines = readFileSync(`/proc/${pid}/net/tcp`, 'utf8').trim().split('\n').slice(1);
  return lines.flatMap((line) => {
    const [, local = '', , state, , , , , , inode = ''] = line.trim().split(/\s+/);
    return state === '0A' && own.has(inode) ? Number.parseInt(local.split(':')[1] ?? '', 16) : [];
  });
}
