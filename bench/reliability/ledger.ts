/** What was accepted for one client and what has reached it, and what all of that comes to. */
import { Histogram } from '../statistics.js';

/** What became of the messages of one run. */
export interface Outcome {
  readonly accepted: number;
  /** Accepted, and shown once. */
  readonly once: number;
  /** Accepted, and never shown. */
  readonly lost: number;
  /** Messages that frames called missed, and how often a frame said that something may be gone, nobody knows how much. */
  readonly told: number;
  readonly toldUnknown: number;
  /** Clients that lost something and were told nothing. */
  readonly untold: number;
  /** Shown more than once. */
  readonly doubled: number;
  /** Came again with an id that the client knew, and was not shown again. */
  readonly known: number;
  /** Shown after one that was accepted later. */
  readonly disordered: number;
  /** Refused while the server was not there. */
  readonly refused: number;
  /** Whose answer never came: may have been accepted or not. */
  readonly unanswered: number;
  readonly reconnects: number;
  /** Clients that had to come online again, since their ticket was not known any more. */
  readonly onlineAgain: number;
  readonly replayP50: number;
  readonly replayP99: number;
  /** Until 99% of the clients are connected again after they had all lost their connection, or the server was started; null: that did not happen. */
  readonly back99: number | null;
}

/** How long messages took from the call to the client, in ms. */
export interface Delays {
  readonly messages: number;
  readonly p50: number;
  readonly p99: number;
}

/** What the death of one node of several does to users who are connected to others, and whose tickets are from others. */
export interface Apart {
  readonly before: Delays;
  /** In the ten seconds after it. */
  readonly after: Delays;
}

/** Who spent how many seconds of a core while messages were sent: the server (those of its processes that were not started again), and the clients. */
export interface Spent {
  readonly seconds: number;
  readonly server: number;
  /** The nats-server of a cluster. */
  readonly nats: number;
  readonly clients: number;
  /** Users who were not connected when the run's time was over: what is still to come to them counts as lost. */
  readonly absent: number;
}

/** One client's messages: each body is its number, from 1. */
export class Ledger {
  readonly accepted: number[] = [];
  readonly shown = new Map<number, number>();
  /** Accepted, and not shown yet. */
  readonly #open = new Set<number>();
  readonly #ids = new Set<string>();
  #highest = 0;
  known = 0;
  disordered = 0;
  told = 0;
  toldUnknown = 0;
  refused = 0;
  unanswered = 0;
  connects = 0;
  onlineAgain = 0;
  /** When each message's call began, of `performance.now()`, and how long the message took to the client. */
  readonly delays: (readonly [begun: number, ms: number])[] = [];
  readonly #begun = new Map<number, number>();
  /** What had been accepted and not shown when the present connection was begun, and when that was. */
  #missing: { readonly at: number; readonly open: Set<number> } | null = null;

  constructor(private readonly replays: Histogram) {}

  /** The client begins a connection. */
  begins(at: number): void {
    this.connects += 1;
    this.#missing = this.#open.size > 0 && this.connects > 1 ? { at, open: new Set(this.#open) } : null;
  }

  /** A message is sent now. */
  sends(number: number, at: number): void {
    this.#begun.set(number, at);
  }

  /** The server has answered ok. */
  accepts(number: number): void {
    this.accepted.push(number);
    if (!this.shown.has(number)) this.#open.add(number);
  }

  /** A message has come; `id` as its server gave it, where servers do that. */
  came(number: number, id: string | undefined): void {
    if (id !== undefined) {
      if (this.#ids.has(id)) {
        this.known += 1;
        return;
      }
      this.#ids.add(id);
    }
    this.#took(number);
    if (number < this.#highest && !this.shown.has(number)) this.disordered += 1;
    this.#highest = Math.max(this.#highest, number);
    this.shown.set(number, (this.shown.get(number) ?? 0) + 1);
    this.#open.delete(number);
    const missing = this.#missing;
    if (!missing?.open.delete(number) || missing.open.size > 0) return;
    this.replays.record(performance.now() - missing.at);
    this.#missing = null;
  }

  #took(number: number): void {
    const begun = this.#begun.get(number);
    this.#begun.delete(number);
    if (begun !== undefined) this.delays.push([begun, performance.now() - begun]);
  }

  get lost(): number {
    return this.#open.size;
  }

  get isComplete(): boolean {
    return this.lost === 0;
  }
}

const sum = <T>(items: readonly T[], of: (item: T) => number): number =>
  items.reduce((total, item) => total + of(item), 0);

export function outcomeOf(ledgers: readonly Ledger[], replays: Histogram, back99: number | null): Outcome {
  return {
    accepted: sum(ledgers, ({ accepted }) => accepted.length),
    once: sum(ledgers, ({ accepted, shown }) => accepted.filter((number) => shown.get(number) === 1).length),
    lost: sum(ledgers, ({ lost }) => lost),
    told: sum(ledgers, ({ told }) => told),
    toldUnknown: sum(ledgers, ({ toldUnknown }) => toldUnknown),
    untold: ledgers.filter(
      ({ lost, told, toldUnknown, onlineAgain }) => lost > told && toldUnknown === 0 && onlineAgain === 0,
    ).length,
    doubled: sum(ledgers, ({ shown }) => [...shown.values()].filter((count) => count > 1).length),
    known: sum(ledgers, ({ known }) => known),
    disordered: sum(ledgers, ({ disordered }) => disordered),
    refused: sum(ledgers, ({ refused }) => refused),
    unanswered: sum(ledgers, ({ unanswered }) => unanswered),
    reconnects: sum(ledgers, ({ connects }) => Math.max(0, connects - 1)),
    onlineAgain: sum(ledgers, ({ onlineAgain }) => onlineAgain),
    replayP50: replays.quantile(0.5),
    replayP99: replays.quantile(0.99),
    back99,
  };
}

/** What users apart from a node that died at `at` have seen of that within `ms` before and after it. */
export function apartFrom(ledgers: readonly Ledger[], at: number, ms: number): Apart {
  const [before, after] = [new Histogram(), new Histogram()];
  for (const [begun, took] of ledgers.flatMap(({ delays }) => delays)) {
    if (begun < at && begun >= at - ms) before.record(took);
    else if (begun >= at && begun < at + ms) after.record(took);
  }
  return { before: delaysOf(before), after: delaysOf(after) };
}

function delaysOf(histogram: Histogram): Delays {
  return { messages: histogram.count, p50: histogram.quantile(0.5), p99: histogram.quantile(0.99) };
}
