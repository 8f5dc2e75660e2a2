import { randomInt } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { createServer } from 'node:net';

// Below the range that systems take ports from by themselves (32,768 on Linux, 49,152 elsewhere): a port of that range may
// be some connection's own by the time it is wanted. Above 10,080, which browsers and fetch refuse (WHATWG Fetch, "bad port").
const [lowest, highest] = [10_100, 32_000];

/**
 * A port of loopback that nobody listened on a moment ago, and that no connection will be given. No test of this process or of
 * another one is given it again while this process lives: what listens there may take seconds to start.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(lowest, highest);
    if ((await isOurs(port)) && (await isFree(port))) return port;
  }
}

/** Takes the UDP port of the same number, which nothing under test uses, until the process ends. */
function isOurs(port: number): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const socket = createSocket('udp4').unref();
    socket.once('error', (error) => settle(error, resolve, reject));
    socket.bind({ port, address: '127.0.0.1', exclusive: true }, () => resolve(true));
  });
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', (error) => settle(error, resolve, reject));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}

function settle(error: NodeJS.ErrnoException, resolve: (isIt: boolean) => void, reject: (error: Error) => void): void {
  if (error.code === 'EADDRINUSE' || error.code === 'EACCES') resolve(false);
  else reject(error);
}
