/**
 * This node ends in order and hands its endpoints over to the others, PROTOCOL.md section 20: each to a node that its address
 * chooses, in bounded batches, spread over the time in which connections end. The other side is adoption.ts, and what an
 * endpoint does meanwhile actors/moving.ts.
 *
 * An endpoint stops here, goes to the other node with all that waits for its clients, and is there when every node has heard
 * so. Then what the others had on their way to this node is waited for and passed on, and only then does this node forget it:
 * it is online, and in its rooms, all the time.
 */
import type { Address } from '../actors/address.js';
import type { Moved } from '../actors/moving.js';
import type { Packet } from '../actors/packet.js';
import type { Deliver } from '../actors/router.js';
import type { Clock } from '../clock.js';
import { CLOSE } from '../errors.js';
import { log } from '../log.js';
import type { ClusterMetrics } from '../metrics.js';
import type { ClusteredDomain } from './domain.js';
import type { Mesh } from './mesh.js';
import type { Peer } from './peer.js';
import { piecesOf } from './pieces.js';
import { weightOf } from './rendezvous.js';
import type { Rpc } from './rpc.js';

const SLICE_MS = 25;
/** What any node takes at once; fewer endpoints need less than the time there is. */
const LEAST_PER_SLICE = 25;
/** Characters of one batch, about. */
const BATCH_CHARACTERS = 256 * 1024;
/** Batches that no node has answered yet; and what may be on its way to one node, of the 32 MiB that a stream takes. */
const MOST_OPEN = 8;
const MOST_BACKLOG = 4 * 1024 * 1024;
const LOOK_MS = 10;
/** How long a node may take to take a batch, and to say that all it had sent has come. */
const ADOPT_MS = 5000;
const ARRIVED_MS = 1000;
/** How much longer than its time the handing over may take, before the rest ends as a single server does. */
const GRACE_MS = 2500;
/** Packets for one endpoint that wait for its batch, or that would have to come back; beyond it they are dropped, counted. */
const MOST_FORWARDED = 10_000;

/** One endpoint on its way. */
interface Transfer {
  readonly cluster: ClusteredDomain;
  readonly address: Address;
  readonly peer: Peer;
  /** Nodes that have not taken it. */
  readonly refused: ReadonlySet<Peer>;
  /** What was delivered here since. */
  readonly forwarded: Deliver[];
  /** Its batch is on its way: what is delivered follows at once. */
  isSent: boolean;
}

/** Endpoints of one domain for one node. A packet that several of them have queued is in it once. */
class Batch {
  readonly transfers: Transfer[] = [];
  readonly #endpoints: string[] = [];
  readonly #numbers = new Map<Packet, number>();
  readonly #packets: string[] = [];
  characters = 0;

  constructor(
    readonly cluster: ClusteredDomain,
    readonly peer: Peer,
  ) {}

  readonly numberOf = (packet: Packet): number => {
    const known = this.#numbers.get(packet);
    if (known !== undefined) return known;
    const number = this.#packets.length;
    this.#numbers.set(packet, number);
    const wire = `[${this.cluster.items.wire(packet)},${packet.fromClient ? 1 : 0}]`;
    this.#packets.push(wire);
    this.characters += wire.length;
    return number;
  };

  add(transfer: Transfer, { kept, queues }: Moved): void {
    const text = JSON.stringify([transfer.address, kept, queues]);
    this.#endpoints.push(text);
    this.characters += text.length;
    this.transfers.push(transfer);
  }

  toString(): string {
    return `{"packets":[${this.#packets}],"endpoints":[${this.#endpoints}]}`;
  }
}

export interface LeavingNode {
  readonly name: string;
  readonly mesh: Pick<Mesh, 'peers' | 'send' | 'barrier'>;
  readonly rpc: Pick<Rpc, 'call'>;
  readonly domains: ReadonlyMap<string, ClusteredDomain>;
}

/** Hands over what is no endpoint. */
interface Others {
  handOver(isInTime: () => boolean): Promise<number>;
}

export class Leaving {
  isActive = false;
  /** Endpoints on their way, and who waits until they are where they go. */
  readonly #moving = new Map<Address, (() => void)[]>();
  readonly #batches = new Map<string, Batch>();
  #open = 0;
  #lastId = 0;
  #deadline = 0;
  #waiting: (() => void)[] = [];
  #count = 0;

  constructor(
    private readonly node: LeavingNode,
    private readonly clock: Clock,
    private readonly metrics: ClusterMetrics,
    private readonly sessions: Others,
  ) {}

  /** Calls `done` when an endpoint is not on its way to another node; at once where it is not. */
  whenMoved(address: Address, done: () => void): void {
    const waiting = this.#moving.get(address);
    if (waiting) waiting.push(done);
    else done();
  }

  /** Hands over what there is within `overMs`. Resolves with how many endpoints other nodes have taken; 0 where there is no other node. */
  async handOver(overMs: number): Promise<number> {
    this.isActive = true;
    this.#deadline = this.clock.now() + overMs + GRACE_MS;
    const endpoints = [...this.node.domains.values()].flatMap((cluster) =>
      [...cluster.tracker.here()].filter(({ birth }) => birth > 0).map(({ address }) => ({ cluster, address })),
    );
    if (!this.#others().some(canTake)) return 0;
    const sessions = this.sessions.handOver(() => this.#isInTime);
    const perSlice = Math.max(LEAST_PER_SLICE, Math.ceil((endpoints.length * SLICE_MS) / (overMs || 1)));
    for (let at = 0; at < endpoints.length && this.#isInTime; at += overMs === 0 ? endpoints.length : perSlice) {
      if (at > 0) await this.#pause(SLICE_MS);
      const slice = overMs === 0 ? endpoints : endpoints.slice(at, at + perSlice);
      for (const { cluster, address } of slice) this.#stop(cluster, address, new Set());
      await this.#hasRoom();
    }
    while (this.#moving.size > 0 && this.#isInTime) await this.#pause(LOOK_MS);
    await sessions;
    // What the others have sent before they knew is still passed on.
    await new Promise<void>((resolve) => this.node.mesh.barrier(resolve));
    await this.#allArrived();
    const what = { event: 'handed over', endpoints: this.#count, of: endpoints.length, sessions: await sessions };
    log.info(what, `${this.#count} endpoints go on at other nodes`);
    return this.#count;
  }

  get #isInTime(): boolean {
    return this.clock.now() < this.#deadline;
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => void this.clock.after(ms, resolve));
  }

  async #hasRoom(): Promise<void> {
    while (this.#open >= MOST_OPEN && this.#isInTime) {
      await Promise.race([new Promise<void>((resolve) => this.#waiting.push(resolve)), this.#pause(ADOPT_MS)]);
    }
  }

  #others(): Peer[] {
    return [...this.node.mesh.peers.values()];
  }

  /** The node that takes an endpoint: one that has a part of it, else the one that its address chooses. */
  #adopterOf(cluster: ClusteredDomain, address: Address, refused: ReadonlySet<Peer>): Peer | null {
    const able = this.#others().filter((peer) => canTake(peer) && !refused.has(peer));
    const having = new Set(cluster.nodesOf(address));
    const some = able.filter(({ name }) => having.has(name));
    const heaviest = (some.length > 0 ? some : able).sort((a, b) =>
      weightOf(a.name, address) < weightOf(b.name, address) ? 1 : -1,
    );
    return heaviest[0] ?? null;
  }

  /** An endpoint changes no more here; its batch has it. */
  #stop(cluster: ClusteredDomain, address: Address, refused: ReadonlySet<Peer>): void {
    const peer = this.#adopterOf(cluster, address, refused);
    const actor = cluster.tracker.actor(address);
    if (!peer || !actor || !this.#isInTime) return this.#moved(address);
    const transfer: Transfer = { cluster, address, peer, refused, forwarded: [], isSent: false };
    if (!this.#moving.has(address)) this.#moving.set(address, []);
    actor.tell({
      kind: 'handOver',
      reason: CLOSE.shutdown,
      numberOf: (packet) => this.#batchOf(cluster, peer).numberOf(packet),
      forward: (deliver) => this.#forward(transfer, deliver),
      done: (moved) => {
        if (!moved) return this.#moved(address);
        const batch = this.#batchOf(cluster, peer);
        batch.add(transfer, moved);
        if (batch.characters >= BATCH_CHARACTERS) this.#close(batch);
      },
    });
  }

  /** The batch that is being filled; it goes at the end of the turn, or when it is full. */
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
    this.#open += 1;
    void this.#send(batch).finally(() => {
      this.#open -= 1;
      for (const go of this.#waiting.splice(0)) go();
    });
  }

  #forward(transfer: Transfer, deliver: Deliver): void {
    if (transfer.forwarded.length >= MOST_FORWARDED && !transfer.isSent) {
      transfer.cluster.domain.drop(deliver.packet, 'queueOverflow', transfer.address);
      return;
    }
    if (transfer.forwarded.length < MOST_FORWARDED) transfer.forwarded.push(deliver);
    if (transfer.isSent) this.#pass(transfer, deliver);
  }

  #pass({ cluster, address, peer }: Transfer, { packet, only }: Deliver): void {
    this.node.mesh.send(peer, cluster.items.forwarded(address, packet, only));
  }

  async #send(batch: Batch): Promise<void> {
    const { peer, cluster, transfers } = batch;
    const taken = await this.#offer(batch);
    const answers = Array.isArray(taken) ? taken : [];
    const gone = transfers.filter((_, at) => answers[at] === 1);
    for (const transfer of transfers.filter((_, at) => answers[at] !== 1)) this.#takeBack(transfer);
    if (gone.length === 0) return;
    await this.#allArrived();
    await Promise.all(gone.map((transfer) => this.#leave(transfer)));
    const addresses = gone.map(({ address }) => address);
    this.node.rpc.call(peer, 'adopted', [cluster.domain.name, addresses], ADOPT_MS, () => undefined);
    this.#count += gone.length;
    this.metrics.handedOver += gone.length;
    for (const address of addresses) this.#moved(address);
  }

  /** Sends a batch, piece by piece; answers for each of its endpoints 1 where the node has it, null where it does not answer. */
  async #offer(batch: Batch): Promise<unknown> {
    const { peer, cluster, transfers } = batch;
    const text = batch.toString();
    this.#lastId += 1;
    const id = this.#lastId;
    const pieces = piecesOf(text);
    let answer: Promise<unknown> = Promise.resolve(null);
    for (const [at, piece] of pieces.entries()) {
      while (peer.up && peer.stream.backlog > MOST_BACKLOG) await this.#pause(LOOK_MS);
      answer = this.#ask(peer, 'adopt', [cluster.domain.name, id, at, pieces.length, piece], ADOPT_MS);
    }
    for (const transfer of transfers) {
      transfer.isSent = true;
      for (const deliver of transfer.forwarded) this.#pass(transfer, deliver);
    }
    return answer;
  }

  /** All that any other node has sent to this one has come. */
  async #allArrived(): Promise<void> {
    const nodes = this.#others().filter(({ up, suspect }) => up && !suspect);
    await Promise.all(nodes.map((peer) => this.#ask(peer, 'arrived', [], ARRIVED_MS)));
  }

  #ask(peer: Peer, kind: string, fields: readonly unknown[], ms: number): Promise<unknown> {
    return new Promise((resolve) => this.node.rpc.call(peer, kind, fields, ms, resolve));
  }

  #leave({ cluster, address }: Transfer): Promise<void> {
    const actor = cluster.tracker.actor(address);
    return new Promise((done) => {
      if (actor) actor.tell({ kind: 'handedOver', missed: null, done });
      else done();
    });
  }

  /** A node has not taken an endpoint: another one may, or it ends with this one. */
  #takeBack(transfer: Transfer): void {
    const { cluster, address, peer, refused, forwarded } = transfer;
    this.metrics.handoversRefused += 1;
    const again = (): void => this.#stop(cluster, address, new Set([...refused, peer]));
    const actor = cluster.tracker.actor(address);
    if (actor) actor.tell({ kind: 'handedOver', missed: forwarded, done: again });
    else this.#moved(address);
  }

  #moved(address: Address): void {
    const waiting = this.#moving.get(address) ?? [];
    this.#moving.delete(address);
    for (const done of waiting) done();
  }
}

function canTake({ up, leaving, suspect }: Peer): boolean {
  return up && !leaving && !suspect;
}
