/** Long connections and polls by network address, over every protocol together; empty while nobody is connected. */
export class ConnectionCounts {
  readonly #counts = new Map<string, number>();

  /** False where the address has as many as it may; 0 is no limit. */
  add(address: string, limit: number): boolean {
    const count = this.#counts.get(address) ?? 0;
    if (limit > 0 && count >= limit) return false;
    this.#counts.set(address, count + 1);
    return true;
  }

  remove(address: string): void {
    const count = this.#counts.get(address) ?? 0;
    if (count > 1) this.#counts.set(address, count - 1);
    else this.#counts.delete(address);
  }
}
