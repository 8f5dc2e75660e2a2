/**
 * Streams of bytes between two nodes, over what they exchange anyway: a connection that comes to one node is carried to
 * the node where its session lives. The receiving side says how much it has taken, so that the sending one knows when to
 * wait.
 */
import type { Taken } from './incoming.js';
import type { Mesh } from './mesh.js';
import type { Item, Peer } from './peer.js';
import { count, flag, type Shape, text } from './shapes.js';

/** What a side hears of the other. */
export interface ChannelEvents {
  data(bytes: Buffer): void;
  /** The other side has taken everything. */
  drained(): void;
  /** The other side asks for no more for now, or to go on. */
  paused(isPaused: boolean): void;
  /** It has ended, or its node has gone (code 0). */
  ended(code: number): void;
}

/** Bytes that go in one item. */
const PIECE_BYTES = 96 * 1024;

type Operation = 'd' | 'k' | 'p' | 'z';

/** What each operation says, and what a channel is opened with. */
const ARGUMENTS = new Map<unknown, Shape>([
  ['o', (about) => typeof about === 'object' && about !== null],
  ['d', text],
  ['k', count],
  ['p', flag],
  ['z', count],
]);

export class Channel {
  events: ChannelEvents | null = null;
  /** Bytes sent that the other side has not taken. */
  buffered = 0;
  isOpen = true;

  constructor(
    private readonly channels: Channels,
    readonly peer: Peer,
    readonly id: number,
    /** It was opened here. */
    readonly isOpener: boolean,
  ) {}

  send(bytes: Buffer): void {
    if (!this.isOpen) return;
    this.buffered += bytes.length;
    for (let at = 0; at < bytes.length; at += PIECE_BYTES) {
      this.channels.tell(this, 'd', bytes.subarray(at, at + PIECE_BYTES).toString('base64'));
    }
  }

  /** This side has taken so many bytes. */
  took(count: number): void {
    if (this.isOpen) this.channels.tell(this, 'k', count);
  }

  pause(isPaused: boolean): void {
    if (this.isOpen) this.channels.tell(this, 'p', isPaused ? 1 : 0);
  }

  end(code: number): void {
    if (!this.isOpen) return;
    this.channels.tell(this, 'z', code);
    this.channels.forget(this);
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
        this.channels.forget(this);
        return this.events?.ended(argument as number);
    }
  }
}

/** Takes a channel that another node opens: sets its events. `about` is what it was opened with. */
export type Accept = (channel: Channel, about: unknown) => void;

export class Channels {
  accept: Accept | null = null;
  readonly #channels = new Map<Peer, Map<string, Channel>>();
  #lastId = 0;

  constructor(private readonly mesh: Mesh) {}

  open(peer: Peer, about: unknown, events: (channel: Channel) => ChannelEvents): Channel {
    this.#lastId += 1;
    const channel = this.#remember(new Channel(this, peer, this.#lastId, true));
    channel.events = events(channel);
    this.mesh.send(peer, JSON.stringify(['=', 1, channel.id, 'o', about]));
    return channel;
  }

  received(peer: Peer, [, fromOpener, id, operation, argument]: Item): Taken {
    const isOpener = fromOpener === 0;
    if (!count(id, '') || !ARGUMENTS.get(operation)?.(argument, '')) return 'malformed';
    if (operation === 'o') {
      const channel = this.#remember(new Channel(this, peer, id as number, false));
      if (this.accept) this.accept(channel, argument);
      else channel.end(0);
      return 'taken';
    }
    this.#channels
      .get(peer)
      ?.get(keyOf(id as number, isOpener))
      ?.received(operation as Operation, argument);
    return 'taken';
  }

  tell({ peer, id, isOpener }: Channel, operation: Operation, argument: string | number): void {
    this.mesh.send(peer, JSON.stringify(['=', isOpener ? 1 : 0, id, operation, argument]));
  }

  forget(channel: Channel): void {
    channel.isOpen = false;
    const known = this.#channels.get(channel.peer);
    known?.delete(keyOf(channel.id, channel.isOpener));
    if (known?.size === 0) this.#channels.delete(channel.peer);
  }

  /** A node is not there any more, or does not get all it was sent: all channels with it end. */
  lost(peer: Peer): void {
    for (const channel of [...(this.#channels.get(peer)?.values() ?? [])]) channel.received('z', 0);
  }

  /** Some of what a node has sent is lost. It knows, but not of channels opened here since. */
  broken(peer: Peer): void {
    for (const channel of this.#channels.get(peer)?.values() ?? []) this.tell(channel, 'z', 0);
    this.lost(peer);
  }

  #remember(channel: Channel): Channel {
    const known = this.#channels.get(channel.peer) ?? new Map<string, Channel>();
    this.#channels.set(channel.peer, known.set(keyOf(channel.id, channel.isOpener), channel));
    return channel;
  }
}

function keyOf(id: number, isOpener: boolean): string {
  return `${isOpener ? 'o' : 'a'}${id}`;
}
