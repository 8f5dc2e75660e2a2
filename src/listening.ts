/** Whether an address can be listened on, and what an operator is told where it cannot. */
import { createServer } from 'node:net';

/** The code of the error with which listening fails; null: it can be had. */
export function listenError(host: string, port: number): Promise<string | null> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve(null)));
  });
}

/** In words; `address` is `host:port`. */
export function listenProblem(address: string, code: string): string {
  switch (code) {
    case 'EADDRINUSE':
      return `${address} is already in use`;
    case 'EACCES':
      return `${address} needs a permission that this user does not have (${code})`;
    case 'EADDRNOTAVAIL':
      return `${address} is not an address of this machine (${code})`;
    default:
      return `${address} cannot be listened on (${code})`;
  }
}
