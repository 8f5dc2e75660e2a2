import type http from 'node:http';
import { type Answer, exchange } from './http.js';
import type { TestServer } from './server.js';

/** One request to the admin port. */
export function askAdmin(
  server: TestServer,
  path: string,
  headers: http.OutgoingHttpHeaders = {},
  method = 'GET',
  form?: Record<string, string>,
): Promise<Answer> {
  return exchange(server.adminPort, { path, method, headers, ...(form ? { form } : {}) }).answer;
}

/** What a node's metrics say of the cluster, without the prefix `nextalk_cluster_`. */
export async function clusterMetric(node: TestServer, name: string): Promise<number> {
  const { text } = await askAdmin(node, '/metrics');
  const line = text.split('\n').find((line) => line.startsWith(`nextalk_cluster_${name} `));
  return Number(line?.split(' ')[1]);
}
