/**
 * What was on its way to a living node in frames that are dropped, as that node does not take what it is sent: calls are answered, and the
 * receivers of messages are told that they may have missed something.
 */
import type { Address } from '../actors/address.js';
import type { Domain } from '../actors/domain.js';
import { type EndpointRecord, nodesOf } from '../actors/endpoint-record.js';
import type { Items } from './items.js';
import type { LocalNode } from './local-node.js';
import { type Item, type Peer, peerOf } from './peer.js';
import type { Rpc } from './rpc.js';
import type { WirePacket } from './wire.js';

interface Node {
  readonly mesh: Pick<LocalNode['mesh'], 'send'>;
  readonly rpc: Pick<Rpc, 'withdraw'>;
  readonly domains: ReadonlyMap<
    string,
    { readonly domain: Pick<Domain, 'tracker' | 'answersFromDisk'>; readonly items: Pick<Items, 'missed'> }
  >;
}

/** Where an item of a kind has its packet, among the fields behind its domain. The number under which an answer is awaited follows. */
const PACKETS: ReadonlyMap<string, number> = new Map([
  ['b', 1],
  ['g', 1],
  ['c', 1],
  ['y', 2],
  ['e', 3],
  ['f', 3],
]);
/** The kinds whose packets the other node would have passed on to an endpoint's further parts. */
const PASSED_ON: ReadonlySet<string> = new Set(['e', 'f']);
/** The kinds by which a part of an endpoint has what it lacks, or hears that it may lack something. */
const LACKING: ReadonlySet<string> = new Set(['U', 'M']);

/** Does so for the items of these frames, one frame a step. */
export function* tellDropped(node: Node, peer: Peer, frames: readonly string[]): Generator<void> {
  const told = new Set<string>();
  for (const frame of frames) {
    yield;
    for (const item of JSON.parse(`[${frame}]`) as readonly Item[]) tell(node, peer, item, told);
  }
}

function tell(node: Node, peer: Peer, [kind, domain, ...fields]: Item, told: Set<string>): void {
  if (kind === '?') node.rpc.withdraw(domain as number)?.(null);
  const place = PACKETS.get(kind);
  const cluster = node.domains.get(domain as string);
  if (cluster && LACKING.has(kind) && !told.has(`M${fields[0]}`)) {
    told.add(`M${fields[0]}`);
    node.mesh.send(peer, cluster.items.missed(fields[0] as Address));
  }
  if (place === undefined || !cluster) return;
  const [[what, topic], asked] = fields.slice(place) as [WirePacket, unknown];
  if (typeof asked === 'number') node.rpc.withdraw(asked)?.(null);
  const to = (fields[0] as Address | null) ?? topic;
  const { tracker, answersFromDisk } = cluster.domain;
  if (what !== 'message' || answersFromDisk || told.has(kind + to)) return;
  told.add(kind + to);
  for (const record of receivers(tracker, kind, to)) {
    const nodes = nodesOf(record);
    if (!nodes.includes(peer)) continue;
    if (PASSED_ON.has(kind)) record.actor?.tell({ kind: 'missed' });
    const missing = PASSED_ON.has(kind) ? nodes.map(peerOf) : [peer];
    for (const one of missing) node.mesh.send(one, cluster.items.missed(record.address));
  }
}

function* receivers({ records, rooms }: Domain['tracker'], kind: string, to: Address): Iterable<EndpointRecord> {
  const room = kind === 'g' ? rooms.get(to) : undefined;
  const record = records.get(to);
  if (kind === 'b') yield* records.values();
  else if (room) yield* [...room.here, ...room.elsewhere];
  else if (record) yield record;
}
