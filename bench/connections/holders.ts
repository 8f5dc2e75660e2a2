/** The processes of clients together, as the conductor sees them. */
import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Account, Share, Task, Told } from './holder.js';

/** All counts added up. */
export interface Totals extends Account {
  /** Of each process, in their order. */
  readonly each: readonly Account[];
}

export class Holders {
  readonly #children: readonly ChildProcess[];

  constructor(shares: readonly Share[]) {
    const file = fileURLToPath(new URL('./holder.ts', import.meta.url));
    this.#children = shares.map((share) => fork(file, [JSON.stringify(share)], { execArgv: ['--import', 'tsx'] }));
  }

  /** Rejects when a process fails or ends, or after `limitMs`. */
  async all(task: Task, limitMs: number): Promise<Totals> {
    const accounts = await Promise.all(this.#children.map((child) => one(child, task, limitMs)));
    const sum = (key: Exclude<keyof Account, 'latencies' | 'failures'>): number =>
      accounts.reduce((total, account) => total + account[key], 0);
    return {
      held: sum('held'),
      connected: sum('connected'),
      sent: sum('sent'),
      refused: sum('refused'),
      received: sum('received'),
      duplicates: sum('duplicates'),
      presences: sum('presences'),
      failures: addUp(accounts.map(({ failures }) => failures)),
      latencies: accounts.flatMap(({ latencies }) => latencies),
      each: accounts,
    };
  }

  get pids(): readonly number[] {
    return this.#children.map(({ pid }) => pid ?? 0);
  }

  close(): void {
    for (const child of this.#children) child.kill('SIGKILL');
  }
}

function addUp(all: readonly Readonly<Record<string, number>>[]): Record<string, number> {
  const total: Record<string, number> = {};
  for (const [why, count] of all.flatMap(Object.entries<number>)) total[why] = (total[why] ?? 0) + count;
  return total;
}

function one(child: ChildProcess, task: Task, limitMs: number): Promise<Account> {
  return new Promise((resolve, reject) => {
    const failed = (why: string): void => {
      settled();
      reject(new Error(`a process of clients, told to ${task.kind}: ${why}`));
    };
    const onMessage = (told: Told): void => {
      if (told.kind === 'failed') return failed(told.why);
      if (told.kind !== task.kind) return;
      settled();
      resolve(told.account);
    };
    const onExit = (code: number | null): void => failed(`ended with ${code}`);
    const timer = setTimeout(() => failed(`took longer than ${limitMs} ms`), limitMs);
    const settled = (): void => {
      clearTimeout(timer);
      child.off('message', onMessage).off('exit', onExit);
    };
    child.on('message', onMessage).on('exit', onExit);
    child.send(task);
  });
}
