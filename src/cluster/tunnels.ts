/**
 * Streams of bytes between two nodes, as items of the stream between them: a connection that comes to one node is carried to
 * the node where its session lives. The receiving side says how much it has taken, so that the sending one knows when to
 * wait.
 */
import type { Mesh } from './mesh.js';
import type { Item, Peer, Taken } from './peer.js';
import { count, flag, text, type Validator } from './validators.js';

/** What a side hears of the other. */
export interface TunnelEvents {
  data(bytes: Buffer): void;
  /** The other side has taken everything. */
  drained(): void;
  /** The other side asks for no more for now, or to go on. */
  paused(isPaused: boolean): void;
  /** The other side has ended the tunnel, or its node has gone (code 0). */
  ended(code: number): void;
}

/** How many bytes go in one item. */
const PIECE_BYTES = 96 * 1024;

type Operation = 'd' | 'k' | 'p' | 'z';

/** What the argument of each operation is: open, data, taken bytes, pause and end. */
const ARGUMENTS = new Map<unknown, Validator>([
  ['o', (about) => typeof about === 'object' && about !== null],
  ['d', text],
  ['k', count],
  ['p', flag],
  ['z', count],
]);

export class Tunnel {
  events: TunnelEvents | null = null;
  /** Bytes sent that the other side has not taken. */
  buffered = 0;
  isOpen = true;

  constructor(
    private readonly tunnels: Tunnels,
    readonly peer: Peer,
    readonly id: number,
    /** Whether this node has opened the tunnel. */
    readonly isOpener: boolean,
  ) {}

  send(bytes: Buffer): void {
    if (!this.isOpen) return;
    this.buffered += bytes.length;
    for (let at = 0; at < bytes.length; at += PIECE_BYTES) {
      this.tunnels.tell(this, 'd', bytes.subarray(at, at + PIECE_BYTES).toString('base64'));
    }
  }

  /** Tells the other side that this side has taken `count` more bytes. */
  took(count: number): void {
    if (this.isOpen) this.tunnels.tell(this, 'k', count);
  }

  pause(isPaused: boolean): void {
    if (this.isOpen) this.tunnels.tell(this, 'p', isPaused ? 1 : 0);
  }

  end(code: number): void {
    if (!this.isOpen) return;
    this.tunnels.tell(this, 'z', code);
    this.tunnels.forget(this);
  }

  received(operation: Operation, argument: unknown): void {
    switch (operation) {
      case 'd':
        return this.events?.data(Buffer.from(argument as string, 'base64'));
      case 'k':
        this.buffered -= argument as number;
        if (this.buffered === 0) this.events?.drained();
        return;
      case 'p':
        return this.events?.paused(argument === 1);
      case 'z':
        this.tunnels.forget(this);
        return this.events?.ended(argument as number);
    }
  }
}

/** Takes a tunnel that another node opens: sets its events. `about` is what it was opened with. */
export type Accept = (tunnel: Tunnel, about: unknown) => void;

export class Tunnels {
  accept: Accept | null = null;
  readonly #tunnels = new Map<Peer, Map<string, Tunnel>>();
  #lastId = 0;

  constructor(private readonly mesh: Pick<Mesh, 'send'>) {}

  open(peer: Peer, about: unknown, events: (tunnel: Tunnel) => TunnelEvents): Tunnel {
    this.#lastId += 1;
    const tunnel = this.#remember(new Tunnel(this, peer, this.#lastId, true));
    tunnel.events = events(tunnel);
    this.mesh.send(peer, JSON.stringify(['=', 1, tunnel.id, 'o', about]));
    return tunnel;
  }

  received(peer: Peer, [, fromOpener, id, operation, argument]: Item): Taken {
    const isOpener = fromOpener === 0;
    if (!count(id, '') || !ARGUMENTS.get(operation)?.(argument, '')) return 'malformed';
    if (operation === 'o') {
      const tunnel = this.#remember(new Tunnel(this, peer, id as number, false));
      if (this.accept) this.accept(tunnel, argument);
      else tunnel.end(0);
      return 'taken';
    }
    this.#tunnels
      .get(peer)
      ?.get(keyOf(id as number, isOpener))
      ?.received(operation as Operation, argument);
    return 'taken';
  }

  tell({ peer, id, isOpener }: Tunnel, operation: Operation, argument: string | number): void {
    this.mesh.send(peer, JSON.stringify(['=', isOpener ? 1 : 0, id, operation, argument]));
  }

  forget(tunnel: Tunnel): void {
    tunnel.isOpen = false;
    const known = this.#tunnels.get(tunnel.peer);
    known?.delete(keyOf(tunnel.id, tunnel.isOpener));
    if (known?.size === 0) this.#tunnels.delete(tunnel.peer);
  }

  /** A node is not there any more, or does not get all it was sent: all tunnels with it end. */
  lost(peer: Peer): void {
    for (const tunnel of [...(this.#tunnels.get(peer)?.values() ?? [])]) tunnel.received('z', 0);
  }

  /**
   * Some of what a peer has sent is lost: all tunnels with it end. The peer knows that, but not of tunnels that this node
   * has opened since: it is told.
   */
  broken(peer: Peer): void {
    for (const tunnel of this.#tunnels.get(peer)?.values() ?? []) this.tell(tunnel, 'z', 0);
    this.lost(peer);
  }

  #remember(tunnel: Tunnel): Tunnel {
    const known = this.#tunnels.get(tunnel.peer) ?? new Map<string, Tunnel>();
    this.#tunnels.set(tunnel.peer, known.set(keyOf(tunnel.id, tunnel.isOpener), tunnel));
    return tunnel;
  }
}

function keyOf(id: number, isOpener: boolean): string {
  return `${isOpener ? 'o' : 'a'}${id}`;
}
