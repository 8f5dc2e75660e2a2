/**
 * What becomes of a message: PROTOCOL.md section 11. A packet whose sender asks carries a `Receipt`, and every hop that may
 * be its last one on a way reports there; packets without one, nearly all, cost a comparison with null at each hop.
 */

/** What can become of a message, the best first: of several clients of a receiver the best counts. */
export const OUTCOMES = ['delivered', 'queued', 'stored', 'unknown', 'dropped'] as const;

/**
 * `delivered`: an open connection took it. `queued`: it waits for a client that is about to come back, or for a service's
 * webhook. `stored`: the offline store has it, on disk. `unknown`: a node did not answer. `dropped`: nobody keeps it.
 */
export type Outcome = (typeof OUTCOMES)[number];

export function isOutcome(value: unknown): value is Outcome {
  return (OUTCOMES as readonly unknown[]).includes(value);
}

/**
 * What has become of a message that was pushed to these clients of one endpoint. Other nodes' parts of the endpoint report for
 * themselves.
 */
export function outcomeFor(clients: readonly { readonly takes: boolean }[]): Outcome {
  if (clients.some(({ takes }) => takes)) return 'delivered';
  return clients.length > 0 ? 'queued' : 'dropped';
}

/** Where the offline store says when it has written. */
interface Committing {
  committed(done: () => void): void;
}

export class Receipt {
  #best: Outcome = 'dropped';
  /** Reports that are still to come: of whoever has the packet now, and of all that it was given to besides. */
  #due = 1;
  #isSettled = false;
  /** Called when the offline store takes the packet, before it is on disk; null: nobody writes anything beside it. */
  onStored: (() => void) | null = null;

  constructor(
    /** Whether other nodes are asked; where not, what is on its way to one of them is `unknown` at once. */
    readonly asksNodes: boolean,
    /** Called once, when all reports have come or none can be better. */
    private readonly settled: (outcome: Outcome) => void,
  ) {}

  /** The packet is given to one more, who reports. */
  expect(): void {
    this.#due += 1;
  }

  report(outcome: Outcome): void {
    if (this.#isSettled) return;
    this.#due -= 1;
    if (OUTCOMES.indexOf(outcome) < OUTCOMES.indexOf(this.#best)) this.#best = outcome;
    if (this.#due > 0 && this.#best !== 'delivered') return;
    this.#isSettled = true;
    this.settled(this.#best);
  }

  /** The offline store has the packet, and says when it is on disk. */
  stored(store: Committing): void {
    this.onStored?.();
    store.committed(() => this.report('stored'));
  }
}
