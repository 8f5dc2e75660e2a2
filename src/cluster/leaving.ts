/**
 * Hands this node's endpoints over to other nodes when this node shuts down in order (PROTOCOL.md section 20): each endpoint to a
 * node chosen by its address, in bounded batches, spread over the time in which connections end. The receiving side is adoption.ts;
 * actors/moving.ts has what an endpoint does during its move.
 *
 * An endpoint stops on this node and is sent to the other node with all packets that wait for its clients. When every node knows
 * that the endpoint is there, this node waits for packets that are still on their way here, forwards them, and only then forgets
 * the endpoint: so the endpoint is online, and in its rooms, all the time.
 */
import type { Address } from '../actors/address.js';
import type { Moved, Passed } from '../actors/moving.js';
import type { Clock } from '../clock.js';
import { CLOSE } from '../errors.js';
import { log } from '../log.js';
import type { ClusterMetrics } from '../metrics.js';
import { byNeed, type EndpointHere, type Need } from './by-need.js';
import type { ClusteredDomain } from './domain.js';
import type { Mesh } from './mesh.js';
import { NumberedPackets } from './numbered-packets.js';
import { oneByOne } from './one-by-one.js';
import { ADOPT_MS, OtherNodes } from './other-nodes.js';
import { Passing, passed } from './passing.js';
import type { Peer } from './peer.js';
import type { Rpc } from './rpc.js';
import { Waiters } from './waiters.js';

const SLICE_MS = 25;
/** The least number of endpoints in one slice: any node can take this many at once, so a few endpoints need less than the whole time. */
const LEAST_PER_SLICE = 25;
/** About how many characters one batch has. */
const BATCH_CHARACTERS = 256 * 1024;
/** About how many characters of endpoints may be on their way unanswered. */
const MOST_OPEN_CHARACTERS = 4 * 1024 * 1024;
const LOOK_MS = 10;
/** How long a batch waits at most for JetStream to have the records of its endpoints. */
const WRITTEN_MS = 500;
/** For how long, counted from the beginning, endpoints are waited for that still come from another node which ends. */
const ARRIVING_MS = 4000;

interface Bounds {
  /** The most endpoints in one slice, since what they have queued is not known before. */
  readonly perSlice: number;
  /** How many endpoints may be on their way unanswered: it would not be known at the end whether these have come. */
  readonly moving: number;
  /** By how much the handover may exceed its time; endpoints that are left after that stay with this node. */
  readonly overtimeMs: number;
  /** For how long, counted from the beginning, answers for endpoints are waited for that are on their way. */
  readonly answeredMs: number;
}

/** On a busy machine an answer takes seconds: with fewer endpoints on their way fewer would go over in time. */
const ALL: Bounds = { perSlice: 500, moving: 1000, overtimeMs: 2500, answeredMs: 6000 };
/** Where JetStream has all endpoints, leaving them there costs less than handing them over, and there has to be time for it. */
const SOME: Bounds = { perSlice: 100, moving: 250, overtimeMs: 500, answeredMs: 4500 };
/** By when, counted from the beginning, all other connections are told to end: what is left in JetStream is written after that. */
const ALL_TOLD_MS = 6500;

/** One endpoint on its way to another node. */
interface Transfer {
  readonly cluster: ClusteredDomain;
  readonly address: Address;
  readonly peer: Peer;
  /** Nodes that have refused the endpoint, or have not answered. */
  readonly refused: ReadonlySet<Peer>;
  /** What has come for the endpoint on this node since it stopped here. */
  readonly passing: Passing<Passed>;
  readonly kept: Moved['kept'];
}

/** Endpoints of one domain that go to one node together. A packet that several endpoints have queued is in the batch once. */
class Batch {
  readonly transfers: Transfer[] = [];
  readonly #endpoints: string[] = [];
  readonly packets: NumberedPackets;
  #characters = 0;

  constructor(
    readonly cluster: ClusteredDomain,
    readonly peer: Peer,
  ) {
    this.packets = new NumberedPackets((packet) => cluster.items.wire(packet));
  }

  get characters(): number {
    return this.#characters + this.packets.characters;
  }

  /** `met`: the names of nodes whose parts of the endpoint have what comes to the node that ends from that node itself, which is one of them. */
  add(transfer: Transfer, { kept, queues }: Moved, met: readonly string[]): void {
    const text = JSON.stringify([transfer.address, kept, queues, met]);
    this.#endpoints.push(text);
    this.#characters += text.length;
    this.transfers.push(transfer);
  }

  toString(): string {
    return `{"packets":${this.packets},"endpoints":[${this.#endpoints}]}`;
  }
}

export interface LeavingNode {
  readonly name: string;
  readonly mesh: Pick<Mesh, 'peers' | 'send' | 'barrier'>;
  readonly rpc: Pick<Rpc, 'call'>;
  readonly domains: ReadonlyMap<string, ClusteredDomain>;
  /** Whether JetStream has a domain's endpoints: what is not handed over in time is left there (parting.ts). */
  isKept(cluster: ClusteredDomain): boolean;
}

/** The handover of MQTT sessions, which are no endpoints (moving-sessions.ts). Resolves with how many were handed over. */
interface Others {
  handOver(isInTime: () => boolean): Promise<number>;
  /** Calls `done` when all sessions that are on their way now have come to other nodes, or stay here. */
  whenMoved(done: () => void): void;
}

export class Leaving {
  isActive = false;
  /** Whether nothing is handed over any more: what is still here stays until this node is gone. */
  isOver = false;
  /** What the endpoints needed when this node began to end. */
  readonly needs = new Map<Address, Need>();
  /** Endpoints on their way to another node. A callback that is called too early finds that the endpoint, which moves, refuses it. */
  readonly #moving = new Waiters();
  /** Those of which no node has said yet whether it has them. */
  readonly #unanswered = new Waiters();
  /** The nodes to which endpoints go, or have gone. */
  readonly #adopters = new Map<Address, Peer>();
  readonly #batches = new Map<string, Batch>();
  readonly #others: OtherNodes;
  /** Characters of batches that are not answered. */
  #openCharacters = 0;
  #startedAt = 0;
  #deadline = 0;
  #bounds = ALL;
  /** How many MQTT sessions other nodes have taken; null: some are on their way. */
  #movedSessions: number | null = null;
  #count = 0;

  constructor(
    private readonly node: LeavingNode,
    private readonly clock: Clock,
    private readonly metrics: ClusterMetrics,
    private readonly sessions: Others,
  ) {
    this.#others = new OtherNodes(node, clock);
  }

  /** How long the other connections of this node may take to end, of so many milliseconds; 0: their clients have nowhere to go. */
  restOf(ms: number): number {
    return this.#others.able.length > 0 ? Math.max(0, Math.min(ms, ALL_TOLD_MS - this.spentMs)) : 0;
  }

  /** Calls `done` when an endpoint's move to another node is over; at once where the endpoint is not moving. */
  whenMoved(address: Address, done: () => void): void {
    this.#moving.wait(address, done);
  }

  /** Calls `done` when all that has come here for an endpoint on its way to another node has been sent there, or stays here. */
  whenPassedOn(address: Address, done: () => void): void {
    this.#unanswered.wait(address, done);
  }

  movesTo(address: Address): Peer | null {
    return this.#adopters.get(address) ?? null;
  }

  /** Calls `done` when all endpoints and sessions that are on their way to other nodes now have come there, or stay here. */
  whenAllMoved(done: () => void): void {
    oneByOne(
      this.#moving.addresses,
      (address, next) => this.whenMoved(address, next),
      () => this.sessions.whenMoved(done),
    );
  }

  /** Hands over all endpoints and sessions, spread over `overMs` milliseconds. Resolves with how many endpoints other nodes have taken. */
  async handOver(overMs: number): Promise<number> {
    this.isActive = true;
    this.#startedAt = this.clock.now();
    this.#deadline = this.#startedAt + overMs;
    if (this.#others.able.length === 0) {
      this.isOver = true;
      return 0;
    }
    const endpoints = await byNeed(this.node.domains.values(), this.needs);
    const areKept = endpoints.length > 0 && endpoints.every(({ cluster }) => this.node.isKept(cluster));
    if (areKept && overMs > 0) this.#bounds = SOME;
    void this.sessions
      .handOver(() => this.#isInTime(ALL))
      .then((count) => {
        this.#movedSessions = count;
      });
    for (let at = 0; at < endpoints.length && this.#isInTime(); ) {
      if (at > 0) await this.#pause(SLICE_MS);
      const slice = overMs === 0 ? endpoints : endpoints.slice(at, this.#endOfSlice(at, endpoints.length, overMs));
      for (const { cluster, address } of slice) this.#stop(cluster, address, new Set());
      at += slice.length;
      while (this.#isFull && this.#isInTime()) await this.#pause(LOOK_MS);
    }
    while (this.#isMoving && this.spentMs < ARRIVING_MS) await this.#pause(LOOK_MS);
    this.#settle(endpoints);
    while (this.#isMoving && (this.#isInTime() || this.spentMs < this.#bounds.answeredMs)) await this.#pause(LOOK_MS);
    // Packets that other nodes sent here before they knew of the moves are still forwarded.
    await new Promise<void>((resolve) => this.node.mesh.barrier(resolve));
    await this.#others.allArrived();
    this.isOver = true;
    const inDoubt = this.#unanswered.size;
    const counts = { endpoints: this.#count, of: endpoints.length, inDoubt, sessions: this.#movedSessions ?? 0 };
    const what = { event: 'handed over', ...counts };
    log.info(what, `${this.#count} endpoints go on at other nodes`);
    return this.#count;
  }

  /** Endpoints that still come from other nodes which end go on from here now, whatever those still forward. */
  #settle(endpoints: readonly EndpointHere[]): void {
    for (const { cluster, address } of endpoints) {
      if (this.#moving.has(address)) cluster.tracker.actor(address)?.tell({ kind: 'adopted' });
    }
  }

  /** Up to which of `count` endpoints a slice goes that begins with one. By the clock: a slice that comes late catches up. */
  #endOfSlice(at: number, count: number, overMs: number): number {
    const due = Math.ceil((count * (this.spentMs + SLICE_MS)) / overMs);
    return Math.min(Math.max(due, at + LEAST_PER_SLICE), at + this.#bounds.perSlice);
  }

  /** For how long this node has been ending, in milliseconds; 0: it is not. */
  get spentMs(): number {
    return this.isActive ? this.clock.now() - this.#startedAt : 0;
  }

  get #isMoving(): boolean {
    return this.#moving.size > 0 || this.#movedSessions === null;
  }

  #isInTime({ overtimeMs } = this.#bounds): boolean {
    return this.clock.now() < this.#deadline + overtimeMs;
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => void this.clock.after(ms, resolve));
  }

  get #isFull(): boolean {
    return this.#unanswered.size >= this.#bounds.moving || this.#openCharacters >= MOST_OPEN_CHARACTERS;
  }

  /** Chooses the node that gets an endpoint, by its address, and if possible among nodes that have a part of it; null: there is none. */
  #adopterOf(cluster: ClusteredDomain, address: Address, refused: ReadonlySet<Peer>): Peer | null {
    const able = this.#others.able.filter((peer) => !refused.has(peer));
    const having = new Set(cluster.nodesOf(address));
    const some = able.filter(({ name }) => having.has(name));
    return this.#others.chosenBy(address, some.length > 0 ? some : able);
  }

  /** Stops an endpoint on this node and adds it to the batch for the node that gets it. */
  #stop(cluster: ClusteredDomain, address: Address, refused: ReadonlySet<Peer>): void {
    const peer = this.#adopterOf(cluster, address, refused);
    const actor = cluster.tracker.actor(address);
    if (!peer || !actor || !this.#isInTime()) return this.#moved(address);
    const passing = new Passing<Passed>((one) => cluster.relays.forward(peer, address, one));
    this.#moving.begin(address);
    this.#unanswered.begin(address);
    actor.tell({
      kind: 'handOver',
      reason: CLOSE.shutdown,
      numberOf: (packet) => this.#batchOf(cluster, peer).packets.numberOf(packet),
      forward: passed(passing, cluster.domain, address),
      done: (moved) => {
        if (!moved) return this.#moved(address);
        this.#adopters.set(address, peer);
        const batch = this.#batchOf(cluster, peer);
        const transfer: Transfer = { cluster, address, peer, refused, passing, kept: moved.kept };
        batch.add(transfer, moved, this.#met(cluster, address));
        if (batch.characters >= BATCH_CHARACTERS) this.#close(batch);
      },
    });
  }

  #met({ tracker, relays }: ClusteredDomain, address: Address): readonly string[] {
    const record = tracker.records.get(address);
    return [this.node.name, ...(record ? relays.met(record).map(({ name }) => name) : [])];
  }

  /** The batch that is being filled for a domain and a node; it is sent at the end of the turn, or earlier when it is full. */
  #batchOf(cluster: ClusteredDomain, peer: Peer): Batch {
    const key = `${peer.name}\n${cluster.domain.name}`;
    let batch = this.#batches.get(key);
    if (!batch) {
      const begun = new Batch(cluster, peer);
      batch = begun;
      this.#batches.set(key, begun);
      setImmediate(() => this.#close(begun));
    }
    return batch;
  }

  #close(batch: Batch): void {
    const key = `${batch.peer.name}\n${batch.cluster.domain.name}`;
    if (this.#batches.get(key) !== batch) return;
    this.#batches.delete(key);
    const { characters } = batch;
    this.#openCharacters += characters;
    void this.#send(batch).finally(() => {
      this.#openCharacters -= characters;
    });
  }

  async #send(batch: Batch): Promise<void> {
    const { peer, cluster, transfers } = batch;
    await this.#written(batch);
    const taken = await this.#others.offer(peer, 'adopt', cluster.domain.name, batch.toString());
    const answers = Array.isArray(taken) ? taken : [];
    const gone = transfers.filter((_, at) => answers[at] === 1);
    for (const transfer of transfers.filter((_, at) => answers[at] !== 1)) this.#takeBack(transfer);
    if (gone.length === 0) return;
    this.#count += gone.length;
    this.metrics.handedOver += gone.length;
    for (const { address, passing } of gone) {
      passing.taken();
      this.#unanswered.end(address);
    }
    const fields = [cluster.domain.name, gone.map(({ address }) => address)];
    const isKnown = await this.#others.known(peer, fields, this.#bounds.answeredMs - this.spentMs);
    await this.#others.allArrived();
    const taker = [peer.name, peer.incarnation] as const;
    const keepFor = ({ address, kept }: Transfer) => cluster.journal?.keepFor(taker, address, kept);
    if (!isKnown) await Promise.all(gone.map(keepFor));
    await Promise.all(gone.map((transfer) => this.#leave(transfer)));
    this.node.rpc.call(peer, 'adopted', fields, ADOPT_MS, () => undefined);
    for (const { address } of gone) this.#moved(address);
  }

  /**
   * Resolves when JetStream has what this node has written of a batch's endpoints, or when that takes too long: of several records of an
   * endpoint the latest counts (found-parts.ts), which is to be that of the node that takes it.
   */
  #written({ cluster: { journal }, transfers }: Batch): Promise<void> {
    if (!journal) return Promise.resolve();
    return new Promise((resolve) => {
      const cancel = this.clock.after(WRITTEN_MS, resolve);
      const wait = ({ address }: Transfer, next: () => void): void => journal.written(address, next);
      const done = (): void => {
        cancel();
        resolve();
      };
      oneByOne(transfers, wait, done);
    });
  }

  #leave({ cluster, address }: Transfer): Promise<void> {
    const actor = cluster.tracker.actor(address);
    return new Promise((done) => {
      if (actor) actor.tell({ kind: 'handedOver', missed: null, done });
      else done();
    });
  }

  /** After a node has not taken an endpoint, offers it to another node; where there is none, the endpoint ends with this node. */
  #takeBack(transfer: Transfer): void {
    const { cluster, address, peer, refused, passing } = transfer;
    this.metrics.handoversRefused += 1;
    this.#adopters.delete(address);
    const again = (): void => this.#stop(cluster, address, new Set([...refused, peer]));
    const actor = cluster.tracker.actor(address);
    if (actor) actor.tell({ kind: 'handedOver', missed: passing.items, done: again });
    else this.#moved(address);
  }

  #moved(address: Address): void {
    this.#unanswered.end(address);
    this.#moving.end(address);
  }
}
