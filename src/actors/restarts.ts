/**
 * A server goes on where the one before it was, PROTOCOL.md section 20: brings back what the store has when it starts, and
 * writes the rest when it ends in order.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Config } from '../config.js';
import { log } from '../log.js';
import type { Store } from '../store/store.js';
import type { Domain } from './domain.js';
import { beginEra, type Era, endEra, noteDomains } from './era.js';

function names({ domains }: Config): string[] {
  return domains.map(({ domain }) => domain);
}

/** Ends a node of a cluster in order: messages that were not sent and that no other node has become offline messages. */
export async function endDomains(domains: ReadonlyMap<string, Domain>, store: Store | null): Promise<void> {
  if (!store) return;
  for (const domain of [...domains.values()]) domain.end();
  await undelivered();
  await store.close();
}

export class Restarts {
  readonly #era: Era;
  #isRestored = false;
  #hasEnded = false;

  constructor(
    private readonly store: Store,
    private readonly domains: ReadonlyMap<string, Domain>,
    config: Config,
    /** Domains that are served beside those of the configuration. */
    kept: readonly string[],
  ) {
    this.#era = beginEra(store, names(config), kept);
  }

  /** The era of positions. */
  get era(): string {
    return this.#era.name;
  }

  /** Brings back what was there when the server ended. Nobody is connected yet. */
  async restore(): Promise<void> {
    const startedAt = performance.now();
    const { goesOn } = this.#era;
    const counts = await Promise.all(Array.from(this.domains.values(), ({ journal }) => journal?.restore(goesOn) ?? 0));
    const endpoints = counts.reduce((sum, count) => sum + count, 0);
    // The era is on disk now, so that no later server counts in it.
    await this.store.flush();
    this.#isRestored = true;
    const ms = Math.round(performance.now() - startedAt);
    if (endpoints > 0)
      log.info({ event: 'restored', endpoints, goesOn, ms }, `${endpoints} endpoints are online again`);
  }

  /** Other domains are served from now on. */
  reload(config: Config): void {
    noteDomains(this.store, names(config));
  }

  /** The server ends in order: nobody is connected any more. Writes what the next start goes on from. */
  async end(): Promise<void> {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    const domains = [...this.domains.values()];
    if (!this.#isRestored) return this.#leave(domains);
    await Promise.all(domains.map(({ journal }) => journal?.save()));
    // Where a domain keeps no queues, unsent messages of its clients become offline messages, if the domain has those.
    for (const domain of domains) {
      domain.endsWithServer = true;
      if (!domain.journal?.saved) domain.end();
    }
    await undelivered();
    await this.store.flush();
    if (!this.#isCommitted) {
      log.error({ event: 'state not kept' }, 'the disk is full: what waited for clients is not kept');
      return;
    }
    endEra(this.store);
    await this.store.flush();
    this.store.markWhole();
  }

  /** The server has served nobody: all stays as it was found. */
  async #leave(domains: readonly Domain[]): Promise<void> {
    for (const { journal } of domains) journal?.close();
    if (this.#era.goesOn) endEra(this.store);
    await this.store.flush();
    this.store.markWhole();
  }

  /** Whether all that was written is on disk. */
  get #isCommitted(): boolean {
    let isDone = false;
    this.store.committed(() => {
      isDone = true;
    });
    return isDone;
  }
}

/** Waits two turns: messages to actors that have ended come back in the first and are handled in the second. */
export async function undelivered(): Promise<void> {
  await nextTurn();
  await nextTurn();
}
