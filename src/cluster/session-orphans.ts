/**
 * Takes over MQTT sessions of backends whose node is gone, from JetStream (session-records.ts): when their client comes to this node, or
 * when the node is not heard of for a lease, those that their client ids give to this node, so that what is published meanwhile waits for
 * the client. Of two nodes that try at the same time JetStream lets one succeed. Whoever takes a session over claims its client id a
 * little earlier than the node before: that one gives it up when it is heard of again (sessions.ts).
 */
import type { Domain } from '../actors/domain.js';
import { Fifo } from '../fifo.js';
import { log } from '../log.js';
import type { ClusterMetrics } from '../metrics.js';
import { seldom } from '../seldom.js';
import { Commits } from '../store/commits.js';
import type { Adopted } from './adopted.js';
import type { ClusteredDomain } from './domain.js';
import { JetStreamError } from './jetstream-port.js';
import type { Mesh } from './mesh.js';
import { livingNode, type Peer } from './peer.js';
import { chosenBy } from './rendezvous.js';
import type { FoundSession } from './session-heads.js';
import type { StoredSessions } from './session-records.js';

/**
 * How many sessions are taken over at a time; and how many more may wait for that, how many clients for one, and how many deletions for all
 * of a domain: further clients are told `later`.
 */
const AT_ONCE = 32;
export const MOST_WAITING = 10_000;
const ATTEMPTS = 3;

export interface SessionOrphansOptions {
  readonly name: string;
  readonly mesh: Pick<Mesh, 'peers' | 'incarnation' | 'barrier'>;
  readonly records: StoredSessions;
  readonly metrics: ClusterMetrics;
  readonly isLeaving: () => boolean;
}

type Done = (found: Adopted) => void;

export class SessionOrphans {
  /** Sessions that are being taken over, and who waits for each of them. */
  readonly #open = new Map<string, Done[]>();
  /** The takeovers of each domain. */
  readonly #takeovers = new WeakMap<Domain, Commits>();
  readonly #waiting = new Fifo<() => void>();
  /** Sessions whose takeover by this node has begun and has not ended: their heads may name this node, which does not have them. */
  readonly #begun = new Set<string>();
  #active = 0;

  constructor(private readonly options: SessionOrphansOptions) {}

  /** Looks for a session that no living node has claimed, and takes it over; null: there is none. */
  find(cluster: ClusteredDomain, clientId: string, done: Done): void {
    const { domain } = cluster;
    const key = `${domain.name}\n${clientId}`;
    const open = this.#open.get(key);
    if ((open ?? this.#waiting).length >= MOST_WAITING) {
      this.options.metrics.adoptionsDelayed += 1;
      return done('later');
    }
    if (open) return void open.push(done);
    const waiting = [done];
    this.#open.set(key, waiting);
    const takeovers = this.#takeoversOf(domain);
    const number = takeovers.begin();
    const run = (): void => {
      this.#active += 1;
      const end = (found: Adopted): void => {
        this.#active -= 1;
        this.#open.delete(key);
        if (found === 'later') this.options.metrics.adoptionsDelayed += waiting.length;
        else this.#begun.delete(key);
        for (const one of waiting) one(found);
        takeovers.end(number);
        this.#waiting.shift()?.();
      };
      this.#adopt(cluster, clientId, key).then(end, (error) => {
        log.error({ event: 'session adoption failed', err: error }, 'an MQTT session could not be taken over');
        end('later');
      });
    };
    if (this.#active < AT_ONCE) run();
    else this.#waiting.push(run);
  }

  #takeoversOf(domain: Domain): Commits {
    const takeovers = this.#takeovers.get(domain) ?? new Commits();
    this.#takeovers.set(domain, takeovers);
    return takeovers;
  }

  /** Calls `done` when none of the sessions of a domain is being taken over that are now; with false, at once, where too many wait for that. */
  whenTaken(domain: Domain, done: (isTaken: boolean) => void): void {
    const takeovers = this.#takeoversOf(domain);
    if (takeovers.waiting >= MOST_WAITING) done(false);
    else takeovers.after(() => done(true));
  }

  /** A node is not heard of: takes over those of its sessions that are this node's by their client ids. */
  lost(cluster: ClusteredDomain, peer: Peer): void {
    for (const clientId of cluster.sessions.claimedBy(peer)) this.#findOwn(cluster, clientId);
  }

  /** Takes over what is left of nodes that this one has never heard of, such as all of them before they were started again. */
  async sweep(cluster: ClusteredDomain): Promise<void> {
    try {
      for (const clientId of await this.options.records.clientIds(cluster.domain.name))
        this.#findOwn(cluster, clientId);
      this.#takeoversOf(cluster.domain).after(() => {
        cluster.sessions.isSwept = true;
      });
    } catch (error) {
      if (!(error instanceof JetStreamError)) throw error;
      // Whoever comes for a session finds it all the same.
    }
  }

  #findOwn(cluster: ClusteredDomain, clientId: string): void {
    const isHere = cluster.sessions.stampOf(clientId) > 0;
    if (isHere || cluster.sessions.home(clientId) || this.options.isLeaving()) return;
    if (chosenBy(this.options, clientId) === null) this.find(cluster, clientId, () => undefined);
  }

  async #adopt(cluster: ClusteredDomain, clientId: string, key: string): Promise<Adopted> {
    const { records } = this.options;
    const { name, settings, shortage } = cluster.domain;
    if (settings.durability === 'none') return null;
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      if (records.has(name, clientId)) return 'here';
      try {
        const found = await records.read(name, clientId);
        if (!found) return null;
        const owner = livingNode(this.options, found.node, found.incarnation);
        // Without a takeover that has failed half-way, a head that names this node is that of a session which has ended here.
        if (owner === 'here' && !this.#begun.has(key)) return null;
        if (owner !== null && owner !== 'here') return { peer: owner };
        if (shortage) return 'later';
        this.#begun.add(key);
        return await this.#take(cluster, found);
      } catch (error) {
        if (!(error instanceof JetStreamError)) throw error;
        if (error.reason === 'conflict') continue;
        // Where no node that is gone had the session, it is a new one.
        if (!cluster.sessions.isOrphan(clientId) && !this.#begun.has(key)) return null;
        seldom.warn(
          'no session adoption',
          { event: 'adoption delayed', why: error.message },
          'no session can be taken over',
        );
        return 'later';
      }
    }
    return 'later';
  }

  async #take(cluster: ClusteredDomain, found: FoundSession): Promise<Adopted> {
    const { records, metrics, mesh } = this.options;
    const { sessions, domain } = cluster;
    const { clientId } = found;
    const stamp = found.stamp - 1;
    const claimed = sessions.stampOf(clientId);
    const kept = await records.take(sessions.domain, found, stamp);
    sessions.adopt(clientId, stamp);
    const isTaken = await new Promise<boolean | null>((done) =>
      sessions.mover ? sessions.mover.restore(clientId, kept, done) : done(false),
    );
    if (isTaken === null) {
      // The session is damaged: a client that comes with its id begins a new one.
      records.of(sessions.domain).end(clientId);
      if (claimed > 0) sessions.adopt(clientId, claimed);
      else sessions.release(clientId);
      return null;
    }
    if (!isTaken) {
      records.forget(domain.name, clientId);
      sessions.release(clientId);
      return 'later';
    }
    metrics.sessionsAdopted += 1;
    await new Promise<void>((done) => mesh.barrier(done));
    return 'here';
  }
}
