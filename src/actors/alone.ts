/** The port `DomainCluster` of a server that is a single node: it tells nobody, and every endpoint lives on this node. */
import type { ClusterSessions, ClusterTopics, DomainCluster, TopicsBroker } from './cluster.js';
import type { Packet } from './packet.js';
import type { Publication } from './publication.js';

const NOBODY: readonly never[] = [];
const nothing = (): void => undefined;

const OWN_SESSIONS: ClusterSessions = {
  home: () => null,
  claim: (_clientId, done) => done(),
  release: nothing,
  find: (_clientId, done) => done(null),
  mayBeLeft: false,
  deleteLeft: (_deletion, done) => done(true),
  whenTaken: (done) => done(true),
  records: null,
  mover: null,
  onLost: null,
};

class OwnTopics implements ClusterTopics {
  #broker: TopicsBroker | null = null;
  readonly unsubscribe = nothing;
  readonly shareChanged = nothing;

  attach(broker: TopicsBroker): void {
    this.#broker = broker;
  }

  subscribe(_filters: readonly string[], done: () => void): void {
    done();
  }

  publish(publication: Publication): number {
    if (publication.retain) this.#broker?.keep(publication, true);
    return 0;
  }

  pass(): boolean {
    return false;
  }
}

export class Alone implements DomainCluster {
  readonly sessions: ClusterSessions = { ...OWN_SESSIONS };
  readonly topics: ClusterTopics = new OwnTopics();
  readonly journal = null;
  readonly held = null;
  readonly tokenPrefix = '';
  readonly awayElsewhere = 0;
  readonly hasOthers = false;
  #stamp = 0;

  constructor(
    /** Tells a packet to its endpoint on this node; answers whether there is one. */
    readonly toEndpoint: (packet: Packet, only: string | null) => boolean,
  ) {}

  stamp(): number {
    this.#stamp += 1;
    return this.#stamp;
  }

  cameUp(): void {}
  changed(): void {}
  roomsChanged(): void {}
  wentDown(): number {
    return 0;
  }
  wentAway(): void {}
  awayCount(): void {}
  confirm(): void {}
  leftElsewhere(): void {}
  watch(): void {}
  appeared(): void {}
  primaryMoved(): void {}

  giveLate(): void {}

  remembered(): void {}
  forgotten(): void {}
  shared(): void {}
  broadcast(): void {}
  relay(): void {}
  carbon(): void {}
  claimName(): void {}
  holdName(): void {}
  signOut(): void {}
  signedOutByName(): void {}
  ticketsSignedOut(): void {}
  confirmed(): void {}
  connected(): void {}

  isFirst(): boolean {
    return true;
  }

  isMeeting(): boolean {
    return false;
  }

  isLatest(): boolean {
    return true;
  }

  toRoom(): boolean {
    return false;
  }

  toWatchers(): boolean {
    return false;
  }

  takeTurn(): boolean {
    return false;
  }

  watchedBy(): Iterable<never> {
    return NOBODY;
  }

  nodesOf(): readonly string[] {
    return NOBODY;
  }

  forward(): boolean {
    return false;
  }

  isKnown(): boolean {
    return false;
  }

  locate(_address: unknown, _token: unknown, done: (found: null) => void): void {
    done(null);
  }

  forwardTo(): boolean {
    return false;
  }

  claimIds(): boolean {
    return false;
  }

  succeeds(): boolean {
    return false;
  }

  forget(_what: unknown, done: (answers: readonly unknown[]) => void): void {
    done([]);
  }

  isTaking(): boolean {
    return false;
  }

  whenTaken(_addresses: unknown, done: (isTaken: true) => void): void {
    done(true);
  }

  remoteClient(_address: unknown, _token: unknown, _counting: unknown, done: (client: null) => void): void {
    done(null);
  }

  arrival(): (done: () => void) => void {
    return (done) => done();
  }

  settled(done: () => void): void {
    done();
  }
}
