/**
 * The public HTTP port: a uWebSockets.js app and its listening socket. The library reads a certificate when an app is
 * made and never again, so a new one is a new app on the same port; whoever is connected to the old one stays there.
 */
import type { TlsConfig } from '../config.js';
import { listenError, listenProblem } from '../listening.js';
import { loadUws, type TemplatedApp, type us_listen_socket } from '../uws.js';

/** The port is this process's alone, so that a second server is refused it. Or it is shared with all who want to. */
const EXCLUSIVE_PORT = 1;
const SHARED_PORT = 0;

type App = TemplatedApp & { close(): void };
type Listen = (host: string, port: number, options: number, done: (socket: us_listen_socket | false) => void) => void;

export class HttpListener {
  /** Apps of uWebSockets.js, the newest last; the earlier ones keep their connections, and have no port any more. */
  readonly #apps: App[] = [];
  #socket: us_listen_socket | null = null;
  /** Kept: the library ends the process that asks a closed socket for its port. */
  #port = 0;

  constructor(
    private readonly tls: TlsConfig | null,
    private readonly host: string,
    private readonly isShared: boolean,
    private readonly addRoutes: (app: TemplatedApp) => void,
  ) {}

  /** The one that it listens on, or has listened on; 0 before. */
  get port(): number {
    return this.#port;
  }

  /** Rejects with the `code` of the error and the `address` where the port cannot be had. */
  async listen(port: number): Promise<void> {
    const app = this.#newApp(this.tls);
    this.#socket = this.#listenOn(app, port);
    // Only a port that was asked for by its number can be listened on again while it has connections.
    if (port === 0 && this.tls && this.#socket) this.#reopen(app, this.port);
    if (this.#socket) return;
    const address = `${this.host}:${port}`;
    // uWebSockets.js does not say why listening failed: a second attempt with node:net hears it from the system.
    const code = (await listenError(this.host, port)) ?? 'unknown error';
    throw Object.assign(new Error(listenProblem(address, code)), { code, address });
  }

  /** Stops taking new connections. */
  stop(): void {
    if (this.#socket) loadUws().us_listen_socket_close(this.#socket);
    this.#socket = null;
  }

  /** Serves new connections with this certificate; throws where it cannot, and goes on as before. */
  replaceCertificate(tls: TlsConfig): void {
    const { port } = this;
    const before = this.#apps.at(-1);
    const app = this.#newApp(tls);
    this.#reopen(app, port);
    if (this.#socket || !before) return;
    this.#apps.pop()?.close();
    this.#socket = this.#listenOn(before, port);
    throw new Error(`${this.host}:${port} cannot be listened on again`);
  }

  /** Ends every connection at once. */
  close(): void {
    for (const app of this.#apps.splice(0)) app.close();
    this.#socket = null;
  }

  #newApp(tls: TlsConfig | null): App {
    const { App, SSLApp } = loadUws();
    const app = (tls ? SSLApp({ cert_file_name: tls.cert, key_file_name: tls.key }) : App()) as App;
    this.addRoutes(app);
    this.#apps.push(app);
    return app;
  }

  #reopen(app: App, port: number): void {
    this.stop();
    this.#socket = this.#listenOn(app, port);
  }

  /** uWebSockets.js calls back before `listen` returns. */
  #listenOn(app: App, port: number): us_listen_socket | null {
    let listening: us_listen_socket | null = null;
    const options = this.isShared ? SHARED_PORT : EXCLUSIVE_PORT;
    (app.listen as unknown as Listen).call(app, this.host, port, options, (socket) => {
      listening = socket === false ? null : socket;
      if (socket !== false) this.#port = loadUws().us_socket_local_port(socket);
    });
    return listening;
  }
}
