/**
 * A TCP relay in front of a server, as a network that fails: links through it go silent, and what is written to them is
 * swallowed, before they break.
 */
import { connect, createServer, type Server, type Socket } from 'node:net';
import type { TestServer } from './server.js';

interface Link {
  readonly client: Socket;
  readonly server: Socket;
}

export class LossyRelay {
  readonly #links = new Set<Link>();
  /** Links that are open have gone silent: what comes is swallowed. */
  readonly #silent = new Set<Link>();
  /** Bytes of the server's that have reached nobody. */
  swallowed = 0;

  private constructor(
    private readonly listener: Server,
    private readonly target: number,
  ) {
    listener.on('connection', (client) => this.#link(client));
  }

  static async start(server: TestServer): Promise<LossyRelay> {
    const relay = new LossyRelay(createServer(), server.port);
    await new Promise<void>((resolve) => relay.listener.listen(0, '127.0.0.1', resolve));
    server.own(relay);
    return relay;
  }

  get port(): number {
    const address = this.listener.address();
    return typeof address === 'object' && address ? address.port : 0;
  }

  /** Makes the open links silent: what is written to them reaches nobody any more, and neither end knows. */
  silence(): void {
    for (const link of this.#links) this.#silent.add(link);
  }

  /** The silent links break. */
  break(): void {
    for (const { client, server } of this.#silent) {
      client.destroy();
      server.destroy();
    }
  }

  /** Breaks the clients' side of the silent links: the server does not know yet. */
  breakClients(): void {
    for (const { client } of this.#silent) client.destroy();
  }

  close(): void {
    for (const { client, server } of this.#links) {
      client.destroy();
      server.destroy();
    }
    this.listener.close();
  }

  #link(client: Socket): void {
    const server = connect(this.target, '127.0.0.1');
    const link = { client, server };
    this.#links.add(link);
    const pipe = (from: Socket, to: Socket): void => {
      from.on('data', (data) => {
        if (!this.#silent.has(link)) to.write(data);
        else if (from === server) this.swallowed += data.length;
      });
      from.on('error', () => undefined);
      from.on('close', () => {
        if (this.#silent.has(link)) return;
        to.destroy();
        this.#links.delete(link);
      });
    };
    pipe(client, server);
    pipe(server, client);
  }
}
