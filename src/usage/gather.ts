/** Usage of a domain over all nodes of a cluster: what each has counted, added up; a user of several nodes counts once. */
import type { ClusterNode } from '../cluster/node.js';
import { Distinct } from './distinct.js';
import { addRows, type Step, type Usage, type UsageRow } from './usage.js';

/** How long a node may take to answer. */
const ANSWER_MS = 2000;

/** A row with the registers of its users, Base64. */
export interface CountedRow {
  readonly row: UsageRow;
  readonly users: string;
}

/** Answers other nodes that ask for what this one has counted. */
export function answerUsage(node: ClusterNode, usage: Usage): void {
  node.rpc.handle('usage', (_peer, [domain, from, to, step], reply) => {
    if (typeof domain !== 'string' || typeof from !== 'number' || typeof to !== 'number') return reply(null);
    reply(usage.counted(domain, from, to, step === 'day' ? 'day' : 'hour'));
  });
}

export async function gatherUsage(
  node: ClusterNode | null,
  usage: Usage,
  domain: string,
  from: number,
  to: number,
  step: Step,
): Promise<UsageRow[]> {
  const peers = usage.isOfAll ? [] : [...(node?.mesh.peers.values() ?? [])].filter(({ up }) => up);
  const asked = peers.map(
    (peer) =>
      new Promise<readonly CountedRow[]>((resolve) => {
        const done = (answer: unknown): void => resolve(Array.isArray(answer) ? (answer as CountedRow[]) : []);
        node?.rpc.call(peer, 'usage', [domain, from, to, step], ANSWER_MS, done);
      }),
  );
  const all = [usage.counted(domain, from, to, step), ...(await Promise.all(asked))].flat();
  const rows = new Map<number, { row: UsageRow; users: Distinct }>();
  for (const { row, users: registers } of all) {
    const known = rows.get(row.from);
    const users = known?.users ?? new Distinct();
    users.merge(Buffer.from(registers, 'base64'));
    rows.set(row.from, { users, row: addRows(known?.row, row) });
  }
  const sorted = [...rows.values()].sort((a, b) => a.row.from - b.row.from);
  return sorted.map(({ row, users }) => ({
    ...row,
    connectionHours: Math.round(row.connectionHours * 1000) / 1000,
    users: users.count,
  }));
}
