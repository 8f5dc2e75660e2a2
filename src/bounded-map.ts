/**
 * A map that holds as many keys as its limit says, however many it is given: a key that is set becomes the newest, and
 * beyond the limit the oldest is forgotten. To read a key does not make it newer.
 */
export class BoundedMap<K, V> extends Map<K, V> {
  /** `limit` is asked each time: it may be a setting that a reload changes. */
  constructor(private readonly limit: () => number) {
    super();
  }

  override set(key: K, value: V): this {
    this.delete(key);
    super.set(key, value);
    if (this.size > this.limit()) this.delete(this.keys().next().value as K);
    return this;
  }
}
