/** What a node logs and counts of others: that they come and go, and which cannot be of its cluster. */
import type { ClusterMetrics } from '../metrics.js';
import { seldom } from '../seldom.js';
import type { Peer } from './peer.js';

export function sayJoined(node: string, incarnation: number): void {
  seldom.info(`joined ${node} ${incarnation}`, { event: 'node joined', node }, 'a node has joined');
}

export function sayLeft({ name, incarnation }: Peer, inOrder: boolean): void {
  seldom.info(`left ${name} ${incarnation}`, { event: 'node left', node: name, inOrder }, 'a node has ended');
}

export function sayBack({ name, heardAt }: Peer): void {
  seldom.info(`back ${name} ${heardAt}`, { event: 'node back', node: name }, 'a node is heard of again');
}

export function warnOfNamesake(node: string, incarnation: number): void {
  const who = { event: 'name taken', node, incarnation };
  seldom.warn('name taken', who, 'another node has the name of this one: give each its own, `cluster.node`');
}

/** `own`: the number of this node's protocol. */
export function warnOfStranger(node: string, protocol: number, own: number): void {
  const who = { event: 'node refused', node, protocol, own };
  seldom.warn(
    `stranger ${node}`,
    who,
    'a node of another version speaks another protocol: these two do not form a cluster',
  );
}

export function warnOfLoss(node: string, now: number): void {
  const what = { event: 'node lost', node };
  seldom.warn(`lost ${node} ${now}`, what, 'a node has not been heard of for its lease: it counts as gone');
}

export function countNodes(metrics: ClusterMetrics, peers: ReadonlyMap<string, Peer>, connected: boolean): void {
  const up = [...peers.values()].filter((peer) => peer.up).length;
  metrics.nodes = up + 1;
  metrics.nodesLost = peers.size - up;
  metrics.connected = connected ? 1 : 0;
}
