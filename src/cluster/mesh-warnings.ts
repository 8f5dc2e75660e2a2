/** What a node warns of that hears nodes which cannot be of its cluster. */
import { seldom } from '../seldom.js';

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
