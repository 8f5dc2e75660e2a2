import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';

// Below the range that systems take ports from by themselves (32,768 on Linux, 49,152 elsewhere): a port of that range may
// be some connection's own by the time it is wanted.
const [lowest, highest] = [10_000, 32_000];

/** A port of loopback that nobody listened on a moment ago, and that no connection will be given. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(lowest, highest);
    if (await isFree(port)) return port;
  }
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE' || error.code === 'EACCES') resolve(false);
      else reject(error);
    });
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}
