/**
 * Services that deliver in turns and have clients on several nodes: the oldest part chooses the node, in proportion to the
 * nodes' connected clients; the part on that node chooses the client. A sender stays with the node that it was given first.
 */
import type { Address } from '../actors/address.js';
import type { EndpointRecord } from '../actors/endpoint-record.js';
import { BoundedMap } from '../bounded-map.js';
import { type Peer, peerOf } from './peer.js';

/** Senders remembered by one service; the one that has been silent longest is forgotten first. */
const REMEMBERED_SENDERS = 10_000;

interface Turn {
  count: number;
  /** The node of each sender; null: this node. */
  readonly nodes: BoundedMap<string, Peer | null>;
}

export class RoundRobin {
  readonly #turns = new Map<Address, Turn>();

  /** The node that gets a message of `sender`; null: this one, which has `own` connected clients. */
  choose({ address, parts }: EndpointRecord, sender: string, own: number): Peer | null {
    const counts = new Map<Peer | null, number>([[null, own]]);
    for (const { node, hidden, connected } of parts) if (!hidden) counts.set(peerOf(node), connected);
    if (counts.size === 1) return null;
    const turn = this.#turn(address);
    const known = turn.nodes.get(sender);
    const stays = known !== undefined && (counts.get(known) ?? 0) > 0;
    const chosen = stays ? known : next(turn, counts);
    turn.nodes.set(sender, chosen);
    return chosen;
  }

  forget(address: Address): void {
    this.#turns.delete(address);
  }

  #turn(address: Address): Turn {
    let turn = this.#turns.get(address);
    if (!turn) {
      turn = { count: 0, nodes: new BoundedMap(() => REMEMBERED_SENDERS) };
      this.#turns.set(address, turn);
    }
    return turn;
  }
}

function next(turn: Turn, counts: ReadonlyMap<Peer | null, number>): Peer | null {
  const sum = [...counts.values()].reduce((all, count) => all + count, 0);
  if (sum === 0) return null;
  let rest = turn.count % sum;
  turn.count += 1;
  for (const [peer, count] of counts) {
    if (rest < count) return peer;
    rest -= count;
  }
  return null;
}
