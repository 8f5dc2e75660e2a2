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
