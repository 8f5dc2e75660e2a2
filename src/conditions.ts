/**
 * What is the matter with this process now: why it is not ready, or serves and is not healthy. One list for `/readyz`, the
 * metric `nextalk_condition` and the dashboard's verdict; whoever finds a condition raises it here, and writes the log line.
 */

/**
 * `starting`: the server reads the state from which it goes on; `draining`: the server ends; `cluster`: no connection to the other nodes;
 * `store`: no connection to JetStream, which holds the cluster's store; `disk`: data that must survive a restart cannot be stored;
 * `heap`: memory is nearly used up; `reload`: the configuration or certificate that was to be taken over is wrong.
 */
export const CONDITION_NAMES = ['starting', 'draining', 'cluster', 'store', 'disk', 'heap', 'reload'] as const;
export type ConditionName = (typeof CONDITION_NAMES)[number];

export interface Condition {
  readonly name: ConditionName;
  /** Milliseconds since the epoch. */
  readonly since: number;
  /** One sentence for the operator: what it means for clients, never what belongs to one of them. */
  readonly detail: string;
  /** Whether new clients are taken all the same; false: `/readyz` is 503. */
  readonly ready: boolean;
}

/** At most one condition of each name. */
export class Conditions {
  readonly #raised = new Map<ConditionName, Condition>();

  /** A condition that is raised already keeps its time. Answers whether it is new. */
  raise(name: ConditionName, detail: string, { ready }: { readonly ready: boolean }): boolean {
    const known = this.#raised.get(name);
    this.#raised.set(name, { name, since: known?.since ?? Date.now(), detail, ready });
    return known === undefined;
  }

  /** Answers whether the condition was raised. */
  clear(name: ConditionName): boolean {
    return this.#raised.delete(name);
  }

  has(name: ConditionName): boolean {
    return this.#raised.has(name);
  }

  /** Whether new clients are taken. */
  get ready(): boolean {
    for (const { ready } of this.#raised.values()) if (!ready) return false;
    return true;
  }

  /** The raised conditions: first those that keep new clients out, then by age, the oldest first. */
  list(): readonly Condition[] {
    return [...this.#raised.values()].sort((a, b) => Number(a.ready) - Number(b.ready) || a.since - b.since);
  }
}
