/**
 * What a node logs and counts of others: that they come and go, and which cannot be of its cluster. That they come and go stands in the log
 * however much else does: only a node that starts, or whose lease ends, causes such a line.
 */

import { log } from '../log.js';
import type { ClusterMetrics } from '../metrics.js';
import { seldom } from '../seldom.js';
import type { Peer } from './peer.js';

export function sayJoined(node: string): void {
  log.info({ event: 'node joined', node }, 'a node has joined');
}

export function sayLeft({ name }: Peer, inOrder: boolean): void {
  log.info({ event: 'node left', node: name, inOrder }, 'a node has ended');
}

export function sayBack({ name }: Peer): void {
  log.info({ event: 'node back', node: name }, 'a node is heard of again');
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

export function warnOfLoss(node: string): void {
  log.warn({ event: 'node lost', node }, 'a node has not been heard of for its lease: it counts as gone');
}

export function countNodes(metrics: ClusterMetrics, peers: ReadonlyMap<string, Peer>, connected: boolean): void {
  const up = [...peers.values()].filter((peer) => peer.up).length;
  metrics.nodes = up + 1;
  metrics.nodesLost = peers.size - up;
  metrics.connected = connected ? 1 : 0;
}
