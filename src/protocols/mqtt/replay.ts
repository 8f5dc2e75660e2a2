/**
 * What sessions are still to be sent of retained publications, MQTT 5 section 3.3.1.3: each new subscription goes through
 * them with a cursor, which goes on as its client acknowledges and its network takes more. So a SUBSCRIBE costs the same
 * whatever it matches, and nothing waits in a queue. All cursors of a domain share what may be looked at in one turn.
 */
import type { Publication, Qos } from '../../actors/publication.js';
import type { Ref, System } from '../../actors/system.js';
import type { Budget, Cursor } from './retained.js';
import type { SessionMessage, SessionState, SessionSubscription } from './session.js';

/** Levels of topics that all sessions of a domain may look at in one turn: at most 5 ms, each with a publication sent. */
const LEVELS_PER_TURN = 1000;
/** Levels that one session may look at before other sessions have their turn. */
const LEVELS_AT_ONCE = 250;

const NO_IDENTIFIERS: readonly number[] = [];

interface Begun {
  readonly upTo: number;
  /** Null until the subscription's turn comes. */
  cursor: Cursor | null;
}

/** One session's subscriptions that have not been sent all, by filter. Bounded by the number of its subscriptions. */
export class Replay {
  /** Null: there were none yet, or all have been sent. */
  #begun: Map<string, Begun> | null = null;

  get isDone(): boolean {
    return this.#begun === null;
  }

  has(filter: string): boolean {
    return this.#begun?.has(filter) ?? false;
  }

  /** A subscription begins: it is to be sent what is retained up to this place in the order. */
  begin(filter: string, upTo: number): void {
    this.#begun ??= new Map();
    this.#begun.delete(filter);
    this.#begun.set(filter, { upTo, cursor: null });
  }

  end(filter: string): void {
    this.#begun?.delete(filter);
    if (this.#begun?.size === 0) this.#begun = null;
  }

  clear(): void {
    this.#begun = null;
  }

  /** The filter whose turn it is, and where its cursor stands. */
  first(): readonly [filter: string, begun: Begun] | undefined {
    return this.#begun?.entries().next().value;
  }
}

/** A domain's sessions that wait for a turn. */
export class Replays {
  readonly budget: Budget = { left: LEVELS_PER_TURN };
  readonly #waiting = new Set<Ref<SessionMessage>>();

  constructor(private readonly system: System) {
    system.endOfTurn.add(this.#nextTurn);
  }

  /** The session will be told `replay` in a turn to come. */
  wait(session: Ref<SessionMessage>): void {
    this.#waiting.add(session);
    this.system.wake();
  }

  close(): void {
    this.system.endOfTurn.delete(this.#nextTurn);
    this.#waiting.clear();
  }

  readonly #nextTurn = (): void => {
    this.budget.left = LEVELS_PER_TURN;
    let turns = LEVELS_PER_TURN / LEVELS_AT_ONCE;
    for (const session of this.#waiting) {
      if (turns === 0) return;
      turns -= 1;
      this.#waiting.delete(session);
      if (!session.stopped) session.tell({ kind: 'replay' });
    }
  };
}

/** Sends retained publications as far as the client takes them and the turn allows. */
export function goOn(state: SessionState, self: Ref<SessionMessage>): void {
  const { replay, broker, connection, outbound } = state;
  if (replay.isDone || !connection || connection.ended) return;
  const now = broker.domain.runtime.clock.now();
  const { budget } = broker.replays;
  const until = Math.max(0, budget.left - LEVELS_AT_ONCE);
  const own: Budget = { left: budget.left - until };
  for (let next = replay.first(); next; next = replay.first()) {
    const [filter, begun] = next;
    const subscription = state.subscriptions.get(filter) as SessionSubscription;
    if (!outbound.takes(subscription.qos, connection)) break;
    if (own.left <= 0) {
      broker.replays.wait(self);
      break;
    }
    own.left -= 1;
    begun.cursor ??= broker.retainedFor(filter, begun.upTo);
    const publication = begun.cursor.next(now, own);
    if (publication === null) finish(state, subscription);
    else if (publication !== 'paused') send(state, publication, subscription);
  }
  budget.left = Math.max(0, until + own.left);
}

function finish({ replay, journal }: SessionState, subscription: SessionSubscription): void {
  const { filter, qos, noLocal, retainAsPublished, identifier } = subscription;
  replay.end(filter);
  journal?.subscribe({ filter, qos, noLocal, retainAsPublished, identifier, owed: false });
}

function send(state: SessionState, publication: Publication, { qos: granted, identifier }: SessionSubscription): void {
  const qos = Math.min(publication.qos, granted) as Qos;
  const identifiers = identifier > 0 ? [identifier] : NO_IDENTIFIERS;
  // What is sent because of a new subscription has the retain flag set [MQTT-3.3.1-8].
  const item = { publication, qos, retain: true, identifiers, group: null };
  state.outbound.push(item, state.connection, state.broker.domain.limits);
}
