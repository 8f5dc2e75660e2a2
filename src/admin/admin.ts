/** The admin port: health now, statistics and the dashboard with their issue. OPERATING.md, "Admin port". */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Config } from '../config.js';

export interface Admin {
  readonly port: number;
  close(): Promise<void>;
}

/** Answers null while it is off. */
export async function startAdmin(config: Config, isReady: () => boolean): Promise<Admin | null> {
  const { host, port } = config.admin;
  if (port === 0) return null;
  const server = createServer((request, response) => {
    const path = (request.url ?? '').split('?')[0];
    const known = path === '/healthz' || path === '/readyz';
    const status = !known ? 404 : path === '/readyz' && !isReady() ? 503 : 200;
    response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8', 'cache-control': 'no-store' });
    response.end(status === 200 ? 'ok\n' : status === 503 ? 'not ready\n' : 'not found\n');
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: Error & { address?: string }) => {
      reject(Object.assign(error, { address: `${host}:${port}` }));
    });
    server.listen(Math.max(port, 0), host, resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
}
