/**
 * The records of a domain by address, and all of them in an order that is the same on every node, so that they can be
 * listed page by page: whoever is there throughout is listed once, whatever comes and goes meanwhile. The order is that
 * of a hash of the address; it is kept from the first listing on, so that a domain that lists nobody pays nothing.
 */
import type { Address } from './address.js';
import type { EndpointRecord } from './endpoint-record.js';

/** A bucket of a million endpoints has 244. */
const BUCKET_BITS = 12;

export interface RecordPage {
  readonly page: readonly EndpointRecord[];
  readonly isLast: boolean;
}

export class Records extends Map<Address, EndpointRecord> {
  #buckets: EndpointRecord[][] | null = null;

  override set(address: Address, record: EndpointRecord): this {
    if (this.#buckets && !this.has(address)) bucketOf(this.#buckets, address).push(record);
    return super.set(address, record);
  }

  override delete(address: Address): boolean {
    const record = this.get(address);
    if (this.#buckets && record) remove(bucketOf(this.#buckets, address), record);
    return super.delete(address);
  }

  /** Up to `limit` records that `isListed`, behind `after`; null: from the beginning. */
  page(after: Address | null, limit: number, isListed: (record: EndpointRecord) => boolean): RecordPage {
    const buckets = this.#ordered();
    const page: EndpointRecord[] = [];
    const start = after === null ? null : { address: after, hash: hashOf(after) };
    for (let at = start ? start.hash >>> (32 - BUCKET_BITS) : 0; at < buckets.length; at++) {
      for (const { record, address, hash } of sorted(buckets[at] ?? [])) {
        if (start && compare({ address, hash }, start) <= 0) continue;
        if (!isListed(record)) continue;
        if (page.length === limit) return { page, isLast: false };
        page.push(record);
      }
    }
    return { page, isLast: true };
  }

  #ordered(): EndpointRecord[][] {
    if (this.#buckets) return this.#buckets;
    const buckets = Array.from({ length: 2 ** BUCKET_BITS }, (): EndpointRecord[] => []);
    for (const record of this.values()) bucketOf(buckets, record.address).push(record);
    this.#buckets = buckets;
    return buckets;
  }
}

interface Placed {
  readonly hash: number;
  readonly address: Address;
}

function compare(a: Placed, b: Placed): number {
  if (a.hash !== b.hash) return a.hash - b.hash;
  if (a.address === b.address) return 0;
  return a.address < b.address ? -1 : 1;
}

function sorted(bucket: readonly EndpointRecord[]) {
  return bucket.map((record) => ({ record, address: record.address, hash: hashOf(record.address) })).sort(compare);
}

function bucketOf(buckets: readonly EndpointRecord[][], address: Address): EndpointRecord[] {
  return buckets[hashOf(address) >>> (32 - BUCKET_BITS)] as EndpointRecord[];
}

function remove(bucket: EndpointRecord[], record: EndpointRecord): void {
  const at = bucket.indexOf(record);
  const last = bucket.pop();
  if (last !== undefined && last !== record) bucket[at] = last;
}

/** FNV-1a over UTF-16, and the end of MurmurHash3, so that its first bits depend on the whole text. */
function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < text.length; at++) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
