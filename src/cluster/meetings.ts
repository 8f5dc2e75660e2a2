/**
 * Parts of one endpoint that come to know of each other. From when another node has told of its part until the
 * endpoint's actor here knows, packets that this actor handles are not relayed there: the other part gets those that
 * nobody has seen as they are when the actor knows.
 */
import type { Address } from '../actors/address.js';
import { type EndpointRecord, primaryOf } from '../actors/endpoint-record.js';
import type { Packet } from '../actors/packet.js';
import type { Items } from './items.js';
import type { Mesh } from './mesh.js';
import type { Peer } from './peer.js';

export class Meetings {
  readonly #unmet = new Map<Address, readonly Peer[]>();

  constructor(
    private readonly items: Items,
    private readonly mesh: Pick<Mesh, 'send'>,
  ) {}

  /** Nodes with a part of an endpoint that the endpoint's actor on this node does not know of yet. */
  unmet(address: Address): readonly Peer[] {
    return this.#unmet.get(address) ?? [];
  }

  has(address: Address): boolean {
    return this.#unmet.has(address);
  }

  /** A node has a part of an endpoint of this one. `isBack`: that part was there before the node was not heard of. */
  begin(record: EndpointRecord, peer: Peer, isBack: boolean): void {
    const { address, actor } = record;
    this.#unmet.set(address, [...this.unmet(address), peer]);
    // What came here meanwhile was not relayed to it; only what nobody here has seen follows.
    if (isBack) this.mesh.send(peer, this.items.missed(address));
    const since = isBack ? peer.lostAt : 0;
    const met = (unseen: readonly (Packet | string)[], isOwed: boolean) =>
      this.#met(record, peer, since, unseen, isOwed);
    actor?.tell({ kind: 'partCame', node: peer, met });
  }

  /**
   * The part here knows of the other one: what comes next is relayed. What nobody has seen since `since`
   * (`performance.now()`) goes there, from the part that messages have gone through, or (`isOwed`) from this one.
   */
  #met(record: EndpointRecord, peer: Peer, since: number, unseen: readonly (Packet | string)[], isOwed: boolean): void {
    const { address } = record;
    const before = this.unmet(address);
    if (!before.includes(peer)) return;
    const rest = before.toSpliced(before.indexOf(peer), 1);
    if (rest.length > 0) this.#unmet.set(address, rest);
    else this.#unmet.delete(address);
    if (rest.includes(peer) || !(isOwed || primaryOf(record, peer) === null)) return;
    const late = unseen.filter((one) => typeof one === 'string' || one.acceptedAt >= since);
    for (const item of this.items.unseen(address, late)) this.mesh.send(peer, item);
  }

  /** An endpoint has no part here any more. */
  forget(address: Address): void {
    this.#unmet.delete(address);
  }
}
