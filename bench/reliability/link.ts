/** The network between one client and the server: a relay of TCP that can go silent, break, and be away. */
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

export class Link {
  readonly #sockets = new Set<Socket>();
  /** Connections that carry nothing any more, and neither end knows. */
  #isSilent = false;
  /** True: the link is down, and a client's new connection through it is cut off at once. */
  isAway = false;

  private constructor(
    private readonly listener: Server,
    /** Answers the server's port for a new connection. */
    private readonly target: () => number,
  ) {
    listener.on('connection', (client) => this.#carry(client));
  }

  static async open(target: () => number): Promise<Link> {
    const link = new Link(createServer(), target);
    await new Promise<void>((resolve) => link.listener.listen(0, '127.0.0.1', resolve));
    return link;
  }

  get port(): number {
    return (this.listener.address() as AddressInfo).port;
  }

  silence(): void {
    this.#isSilent = true;
  }

  /** Breaks what is connected; the next connection works. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
    this.#isSilent = false;
  }

  close(): void {
    this.cut();
    this.listener.close();
  }

  #carry(client: Socket): void {
    client.on('error', () => undefined);
    if (this.isAway) {
      client.destroy();
      return;
    }
    const server = connect(this.target(), '127.0.0.1');
    client.setNoDelay(true);
    server.setNoDelay(true);
    for (const [from, to] of [
      [client, server],
      [server, client],
    ] as const) {
      this.#sockets.add(from);
      from.on('data', (data) => {
        if (!this.#isSilent) to.write(data);
      });
      from.on('error', () => undefined);
      from.on('close', () => {
        this.#sockets.delete(from);
        if (!this.#isSilent) to.destroy();
      });
    }
  }
}
