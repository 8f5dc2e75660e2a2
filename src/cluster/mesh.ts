/**
 * Which nodes there are, and ordered streams of items to and from each of them. All nodes say on one subject of
 * NATS that they live, and each node has a subject of its own for what it is sent: a cluster has a few subscriptions
 * for each node, however many endpoints there are. Which nodes have an endpoint is known from the tracker, not from NATS.
 *
 * Owns peers, leases and streams; knows nothing of what the items mean.
 */
import type { Clock } from '../clock.js';
import type { Conditions } from '../conditions.js';
import type { ClusterMetrics } from '../metrics.js';
import { seldom } from '../seldom.js';
import { Bus } from './bus.js';
import { type Beat, beatOf, beatText, dataText, type Frame, frameOf, namesOf, type State } from './frames.js';
import type { MeshEvents } from './mesh-events.js';
import { countNodes, sayBack, sayJoined, sayLeft, warnOfLoss, warnOfNamesake, warnOfStranger } from './mesh-log.js';
import { type Item, Peer } from './peer.js';
import { SnapshotSender } from './snapshot-sender.js';
import { StreamReceiver } from './stream-receiver.js';
import { StreamSender } from './stream-sender.js';

/** Nodes whose numbers differ do not understand each other. Grows only with what older nodes would misread. */
export const PROTOCOL = 3;

/** A lease ends when this many signs of life are missing. */
const BEATS_IN_A_LEASE = 5;
const LONGEST_BEAT_MS = 1000;
/** How long a node that is not heard of is remembered, so that it can come back with the state it had. */
const REMEMBER_MS = 10 * 60_000;

export interface MeshOptions {
  readonly urls: readonly string[];
  /** Nodes of one name belong together. */
  readonly cluster: string;
  readonly node: string;
  readonly leaseMs: number;
  /** Names of the other workers of this server. */
  readonly workers: ReadonlySet<string>;
  readonly clock: Clock;
  readonly metrics: ClusterMetrics;
  readonly conditions: Conditions;
  /** Asks for a call of `flush` at the end of this turn. */
  readonly wake: () => void;
}

export class Mesh {
  /** Other nodes by name: those within their lease, and those that may come back. */
  readonly peers = new Map<string, Peer>();
  readonly incarnation = Date.now() * 1000 + Math.floor(Math.random() * 1000);
  readonly #bus: Bus;
  readonly #receiver: StreamReceiver;
  readonly #snapshots: SnapshotSender;
  /** This node's name and incarnation as JSON, which every text from it has. */
  readonly #head: string;
  /** How the subjects begin on which NATS says of a frame that nobody was there: the frame's epoch and number follow. */
  readonly #nobody: string;
  readonly #dirty = new Set<StreamSender>();
  #state: State = 'up';
  /** NATS could not be reached yet. */
  #isLate = false;
  #cancelTick: (() => void) | null = null;
  #tickedAt = 0;
  #lastEpoch = 0;
  #onProgress: (() => void) | null = null;

  constructor(
    private readonly options: MeshOptions,
    private readonly events: MeshEvents,
  ) {
    const { node, cluster, urls } = options;
    this.#head = `${JSON.stringify(node)},${this.incarnation}`;
    this.#nobody = `${this.#subjectOf(node)}.nobody`;
    this.#snapshots = new SnapshotSender(
      (peer, afterGap) => events.snapshot(peer, afterGap),
      (peer, item) => this.send(peer, item),
    );
    this.#receiver = new StreamReceiver(
      options.clock,
      (peer, item) => this.#take(peer, item),
      (kind, peer) => this.#control(kind, peer),
      options.wake,
    );
    this.#bus = new Bus({
      urls,
      name: `nextalk ${node}`,
      conditions: options.conditions,
      subjects: new Map([
        [`${cluster}.beat`, (text: string) => this.#onBeat(beatOf(text, PROTOCOL))],
        [this.#subjectOf(node), (text: string) => this.#onFrame(frameOf(text))],
        [`${this.#nobody}.*.*`, (_text: string, subject: string) => this.#onNobody(subject)],
      ]),
      onConnected: () => {
        if (this.#isLate) void this.#join();
        this.#beat(1);
        for (const peer of this.peers.values()) if (peer.up) peer.stream.repeat();
      },
      onRefused: () => {
        this.options.metrics.itemsRefused += 1;
      },
      onLost: () => {
        for (const { stream } of this.peers.values()) stream.release();
      },
    });
  }

  get connected(): boolean {
    return this.#bus.connected;
  }

  get beatMs(): number {
    return Math.min(LONGEST_BEAT_MS, this.options.leaseMs / BEATS_IN_A_LEASE);
  }

  /**
   * Resolves when this node knows what the others know, when that takes longer than a lease, or when NATS cannot be
   * reached: the node joins when it can.
   */
  async start(): Promise<void> {
    await this.#bus.start();
    this.#tick();
    this.#isLate = !this.connected;
    if (!this.#isLate) await this.#join();
  }

  async #join(): Promise<void> {
    this.#isLate = false;
    const { leaseMs, cluster, node } = this.options;
    const answer = await this.#bus.ask(`${cluster}.hello`, leaseMs);
    this.#bus.answer(`${cluster}.hello`, () => {
      const others = [...this.peers.values()].filter(({ up }) => up).map(({ name }) => name);
      return JSON.stringify([node, ...others]);
    });
    if (answer !== null) await this.#untilSynced(namesOf(answer).filter((name) => name !== node));
    if (this.#state === 'gone') return;
    // The connection to NATS may have gone in the meantime: then this node joins when NATS is back.
    this.#isLate = !this.connected;
    if (!this.#isLate) this.events.joined();
  }

  #untilSynced(names: readonly string[]): Promise<void> {
    const { clock, leaseMs } = this.options;
    return new Promise((resolve) => {
      const finish = () => {
        this.#onProgress = null;
        cancel();
        resolve();
      };
      const cancel = clock.after(leaseMs, finish);
      this.#onProgress = () => {
        if (names.every((name) => this.peers.get(name)?.synced)) finish();
      };
      this.#onProgress();
    });
  }

  /** Adds an item for one peer. A peer outside its lease gets none: it is told everything when it is back. */
  send(peer: Peer, item: string): void {
    if (!peer.up) return;
    this.options.metrics.itemsSent += 1;
    peer.stream.send(item);
    this.#touch(peer.stream);
  }

  broadcast(item: string): void {
    for (const peer of this.peers.values()) this.send(peer, item);
  }

  #touch(stream: StreamSender): void {
    if (this.#dirty.size === 0) this.options.wake();
    this.#dirty.add(stream);
  }

  /** Whether something that was to be sent in this turn has not been given to NATS yet. */
  get hasUnsent(): boolean {
    return this.#dirty.size > 0;
  }

  /** Sends what this turn of the event loop has gathered, in one write to NATS. */
  flush(): void {
    const streams = [...this.#dirty];
    this.#dirty.clear();
    for (const stream of streams) stream.flush();
    // Last, since what a frame of data has acknowledged needs no frame of its own.
    this.#receiver.flush();
  }

  /** Calls `done` when each node within its lease (of `nodes`) has acknowledged all it was sent so far, or has not within a beat, or its lease. */
  barrier(done: () => void, nodes: Iterable<Peer> = this.peers.values(), patience: 'beat' | 'lease' = 'beat'): void {
    let waiting = 1;
    const finish = () => {
      waiting -= 1;
      if (waiting === 0) done();
    };
    const now = this.options.clock.now();
    for (const { up, suspect, stream } of this.connected ? nodes : []) {
      if (!up || (suspect && patience === 'beat')) continue;
      waiting += 1;
      stream.whenAcknowledged(now, finish, patience === 'lease');
    }
    finish();
  }

  /** Asks every other node for a snapshot. */
  askForEverything(): void {
    for (const peer of this.peers.values()) if (peer.up) this.#control('s', peer);
  }

  /** Tells the others that this node's clients will come to them. */
  leave(): void {
    this.#state = 'leaving';
    this.#beat(0);
  }

  async close(): Promise<void> {
    if (this.#state === 'gone') return;
    this.flush();
    this.#cancelTick?.();
    this.#state = 'gone';
    this.#beat(0);
    for (const { stream } of this.peers.values()) stream.release();
    this.peers.clear();
    await this.#bus.close();
  }

  #subjectOf(node: string): string {
    return `${this.options.cluster}.node.${Buffer.from(node).toString('hex')}`;
  }

  #beat(wantsAnswer: 0 | 1): void {
    this.#bus.publish(`${this.options.cluster}.beat`, beatText(this.#head, PROTOCOL, this.#state, wantsAnswer));
  }

  readonly #tick = (): void => {
    const { clock, leaseMs } = this.options;
    const now = clock.now();
    // This process has been stopped or starved: the silence was this node's own.
    const wasAway = this.#tickedAt > 0 && now - this.#tickedAt > leaseMs / 2;
    this.#tickedAt = now;
    this.#cancelTick = clock.after(this.beatMs, this.#tick);
    this.#beat(0);
    // What has come while this process was busy is read first: a sign of life, or NATS's word that nobody has had a frame.
    setImmediate(() => {
      for (const peer of [...this.peers.values()]) {
        if (wasAway && peer.up) peer.heardAt = now;
        if (peer.up && now - peer.heardAt > leaseMs) this.#hide(peer, now);
        if (peer.hiddenAt > 0 && now - peer.hiddenAt > REMEMBER_MS) this.#forget(peer, false);
        if (!peer.up) continue;
        if (peer.stream.look(now, this.beatMs)) peer.suspect = true;
        peer.asked = false;
        this.#snapshots.pump(peer);
      }
      countNodes(this.options.metrics, this.peers, this.connected);
    });
  };

  #hide(peer: Peer, now: number): void {
    warnOfLoss(peer.name);
    peer.up = false;
    peer.synced = false;
    peer.hiddenAt = now;
    peer.snapshot = null;
    peer.stream.release();
    this.broadcast(JSON.stringify(['~', peer.name, peer.incarnation]));
    this.events.hidden(peer);
    this.#onProgress?.();
  }

  /** Another node has lost a peer. All lose it together, so that what they have for its endpoints goes on in the order in which they accepted it. */
  #lostThere([, name, incarnation]: Item): void {
    const peer = this.peers.get(name as string);
    const now = this.options.clock.now();
    const isSilent = peer?.up && now - peer.heardAt > this.options.leaseMs - 2 * this.beatMs;
    if (isSilent && peer.incarnation === incarnation) this.#hide(peer, now);
  }

  #forget(peer: Peer, inOrder: boolean): void {
    this.peers.delete(peer.name);
    peer.up = false;
    peer.snapshot = null;
    peer.stream.release();
    this.events.gone(peer, inOrder);
    this.#onProgress?.();
  }

  #onBeat([, name, incarnation, protocol, state, wantsAnswer]: Beat): void {
    if (name === this.options.node) return warnOfNamesake(name, incarnation);
    if (protocol !== PROTOCOL) return warnOfStranger(name, protocol, PROTOCOL);
    let peer = this.peers.get(name);
    if (peer && peer.incarnation > incarnation) return;
    if (peer && (peer.incarnation < incarnation || state === 'gone')) {
      sayLeft(peer, state === 'gone');
      this.#forget(peer, state === 'gone');
      peer = undefined;
    }
    if (state === 'gone') return;
    if (!peer) return this.#meet(name, incarnation);
    peer.leaving = state === 'leaving';
    this.#heard(peer);
    if (wantsAnswer) this.#beat(0);
  }

  #meet(name: string, incarnation: number): void {
    sayJoined(name);
    const peer = new Peer(name, incarnation, this.options.clock.now(), this.options.workers.has(name));
    const head = `${this.#head},${incarnation}`;
    const subject = this.#subjectOf(name);
    peer.stream = new StreamSender(
      () => ++this.#lastEpoch,
      (...frame) => {
        const text = dataText(head, frame, this.#acknowledged(peer));
        return this.#bus.publish(subject, text, `${this.#nobody}.${frame[0]}.${frame[1]}`);
      },
      (dropped) => {
        this.events.reset(peer, dropped);
        this.#snapshots.begin(peer, true);
      },
      this.options.metrics,
    );
    this.peers.set(name, peer);
    this.#beat(0);
    peer.stream.reset();
  }

  /** What a frame for a peer is to acknowledge. */
  #acknowledged(peer: Peer): readonly [epoch: number, seq: number] | null {
    return this.#receiver.takeDue(peer) ? [peer.epoch, peer.seq] : null;
  }

  #heard(peer: Peer): void {
    peer.heardAt = this.options.clock.now();
    if (peer.up) return;
    sayBack(peer);
    peer.up = true;
    peer.hiddenAt = 0;
    peer.stream.repeat();
    // Each of the two may have missed the other's changes.
    this.#snapshots.begin(peer, true);
    this.#control('s', peer);
  }

  #control(kind: 'a' | 'n' | 's', peer: Peer): void {
    const text = `["${kind}",${this.#head},${peer.incarnation},${peer.epoch},${peer.seq}]`;
    this.#bus.publish(this.#subjectOf(peer.name), text);
  }

  #onNobody(subject: string): void {
    const [epoch, seq] = subject.split('.').slice(-2).map(Number) as [number, number];
    for (const { stream } of this.peers.values()) stream.unheard(epoch, seq);
  }

  #onFrame(frame: Frame): void {
    const [kind, name, incarnation, to, epoch, seq, urgent, items, acknowledgedEpoch, acknowledgedSeq] = frame;
    const peer = this.peers.get(name);
    // From a node not met yet, or for an earlier process of this name: it sends the frame again once both know each other.
    if (peer?.incarnation !== incarnation || to !== this.incarnation) return;
    this.#heard(peer);
    if (kind === 'd') {
      this.#receiver.receive(peer, epoch, seq, urgent === 1, items ?? []);
      if (acknowledgedEpoch === undefined || acknowledgedSeq === undefined) return;
      return this.#onAcknowledged(peer, acknowledgedEpoch, acknowledgedSeq);
    }
    if (kind === 'a') return this.#onAcknowledged(peer, epoch, seq);
    peer.suspect = false;
    if (kind === 's') return this.#snapshots.begin(peer, false);
    peer.stream.missing(epoch, seq);
    this.#snapshots.pump(peer);
  }

  #onAcknowledged(peer: Peer, epoch: number, seq: number): void {
    peer.suspect = false;
    peer.stream.acknowledged(epoch, seq);
    this.#snapshots.pump(peer);
  }

  #take(peer: Peer, item: Item): void {
    this.options.metrics.itemsReceived += 1;
    if (!Array.isArray(item) || typeof item[0] !== 'string') return this.refuse(peer, '');
    try {
      if (item[0] === '~') this.#lostThere(item);
      else if (item[0] === '<') this.events.snapshotBegins(peer, item[1] === 1);
      else if (item[0] !== '>') this.events.received(peer, item);
      else {
        this.events.snapshotEnded(peer);
        peer.synced = true;
        this.#onProgress?.();
      }
    } catch (error) {
      this.options.metrics.itemsRefused += 1;
      const what = { event: 'crash', item: item[0], node: peer.name, err: error };
      seldom.warn(`crash of ${peer.name}`, what, 'what a node sent could not be taken');
    }
  }

  /** An item is malformed: it is counted, and logged from time to time. */
  refuse(peer: Peer, kind: string): void {
    this.options.metrics.itemsRefused += 1;
    const what = { event: 'item refused', kind, node: peer.name };
    seldom.warn(`item refused ${peer.name}`, what, 'what a node sent is not what this version understands');
  }
}
