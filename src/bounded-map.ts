/** For how many keys that are set one iterator finds the oldest keys, before another iterator is made. */
const USES = 100;

/**
 * A map that holds as many keys as its limit says, however many it is given: a key that is set becomes the newest, and
 * beyond the limit the oldest is forgotten. To read a key does not make it newer.
 */
export class BoundedMap<K, V> extends Map<K, V> {
  /** The keys from the oldest one on; null: to be sought anew. */
  #oldest: Iterator<K> | null = null;
  /** For how many further keys that are set `#oldest` is used. */
  #uses = 0;

  /** `limit` is asked each time: it may be a setting that a reload changes. */
  constructor(private readonly limit: () => number) {
    super();
  }

  override set(key: K, value: V): this {
    this.delete(key);
    super.set(key, value);
    if (this.#uses > 0) this.#uses -= 1;
    else this.#oldest = null;
    if (this.size > this.limit()) this.delete(this.#nextOldest());
    return this;
  }

  /** The first key of a map that has lost many is far to seek (7 µs of 10,000 keys), so one search serves for several. */
  #nextOldest(): K {
    let next = this.#oldest?.next();
    if (!next || next.done) {
      // Used for a while only, since an iterator holds each table that V8 has replaced since then.
      this.#oldest = this.keys();
      this.#uses = USES;
      next = this.#oldest.next();
    }
    return next.value as K;
  }
}
