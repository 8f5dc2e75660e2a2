/** Time and ids, as the model has them; tests have their own. */
export interface Timer {
  /** Milliseconds since the epoch. */
  now(): number;
  /** Calls `task` once after `delayMs`; the answer cancels it. */
  after(delayMs: number, task: () => void): () => void;
  uuid(): string;
}
