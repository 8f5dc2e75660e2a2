/**
 * Cuts what a connection brings into packets. Bytes of an unfinished packet are kept until it is whole; how long it
 * will be is checked as soon as its header is there, so nothing is kept for a packet that is too large.
 */
import { checkFirst } from './decode.js';
import type { Version } from './packets.js';
import { REASON } from './reason.js';

/** A fixed header has at most five bytes. */
const HEADER_BYTES = 5;
const MAX_LENGTH_BYTES = 4;
/** Pieces of a packet that are kept apart before they are joined: a piece of one byte takes hundreds of bytes. */
const MAX_PIECES = 64;

/** Why splitting ended. A client whose lengths make no sense is told nothing. */
export interface SplitFault {
  readonly reason: number;
  readonly silent: boolean;
}

const MALFORMED_LENGTH: SplitFault = { reason: REASON.malformed, silent: true };
const TOO_LARGE: SplitFault = { reason: REASON.packetTooLarge, silent: false };

/** What the packets are cut for: an object, since functions for each connection are memory that is in no cache when they are called. */
export interface PacketTaker {
  /** Null: CONNECT is due. */
  readonly version: Version | null;
  /** Gets a packet: where it starts, where its body starts, and where it ends. Answers false to get no more. */
  takePacket(bytes: Buffer, start: number, body: number, end: number): boolean;
}

export class Splitter {
  #kept: Buffer[] = [];
  #keptBytes = 0;
  /** Length of the packet that `#kept` begins; 0: not known yet. */
  #wanted = 0;

  /** `maxBytes` is what a whole packet may have; 0: what the protocol allows. */
  constructor(
    private readonly maxBytes: number,
    private readonly taker: PacketTaker,
  ) {}

  get keptBytes(): number {
    return this.#keptBytes;
  }

  /** Forgets what is kept. */
  clear(): void {
    this.#kept = [];
    this.#keptBytes = 0;
  }

  /** Takes the first `end` bytes; they may change once this has returned. */
  feed(chunk: Buffer, end: number): SplitFault | null {
    if (this.#keptBytes === 0) return this.#split(chunk, end);
    this.#kept.push(Buffer.from(chunk.subarray(0, end)));
    this.#keptBytes += end;
    if (this.#keptBytes < this.#wanted) {
      if (this.#kept.length > MAX_PIECES) this.#kept = [Buffer.concat(this.#kept, this.#keptBytes)];
      return null;
    }
    const bytes = Buffer.concat(this.#kept, this.#keptBytes);
    this.#kept = [];
    this.#keptBytes = 0;
    return this.#split(bytes, bytes.length);
  }

  #split(bytes: Buffer, upTo: number): SplitFault | null {
    const { taker } = this;
    let at = 0;
    while (at < upTo) {
      const reason = checkFirst(bytes[at] as number, taker.version);
      if (reason !== 0) return { reason, silent: false };
      const body = this.#bodyStart(bytes, at, upTo);
      if (body === null) return MALFORMED_LENGTH;
      if (body === 0) return this.#keep(bytes.subarray(at, upTo), 0);
      const end = body + this.#length(bytes, at, body);
      if (this.maxBytes > 0 && end - at > this.maxBytes) return TOO_LARGE;
      if (end > upTo) return this.#keep(bytes.subarray(at, upTo), end - at);
      if (!taker.takePacket(bytes, at, body, end)) return null;
      at = end;
    }
    return null;
  }

  #keep(rest: Buffer, wanted: number): null {
    this.#kept = [Buffer.from(rest)];
    this.#keptBytes = rest.length;
    this.#wanted = wanted;
    return null;
  }

  /** Where the packet's body starts; 0: its header is not whole; null: its length has more than four bytes. */
  #bodyStart(bytes: Buffer, at: number, upTo: number): number | null {
    for (let i = at + 1; i < at + HEADER_BYTES; i++) {
      if (i >= upTo) return 0;
      if (((bytes[i] as number) & 0x80) === 0) return i + 1;
    }
    return at + 1 + MAX_LENGTH_BYTES > upTo ? 0 : null;
  }

  #length(bytes: Buffer, at: number, body: number): number {
    let length = 0;
    for (let i = body - 1; i > at; i--) length = length * 128 + ((bytes[i] as number) & 0x7f);
    return length;
  }
}
