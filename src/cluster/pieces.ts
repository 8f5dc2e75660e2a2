/** Splits long texts for other nodes into pieces, since a NATS message has at most 1 MiB, and joins the pieces that other nodes send. */
import type { Peer } from './peer.js';
import { count } from './validators.js';

/** Limits for texts that are not complete yet: how many texts one node may have, and how many characters the texts of all nodes. */
const MOST_OPEN = 16;
const MOST_CHARACTERS = 128 * 1024 * 1024;
/** Characters of one piece. */
const PIECE_CHARACTERS = 96 * 1024;

interface Open {
  readonly pieces: string[];
  characters: number;
}

export function piecesOf(text: string): readonly string[] {
  const pieces: string[] = [];
  for (let at = 0; at < text.length; at += PIECE_CHARACTERS) pieces.push(text.slice(at, at + PIECE_CHARACTERS));
  return pieces;
}

export class Pieces {
  readonly #open = new Map<Peer, Map<number, Open>>();
  #characters = 0;

  /**
   * Takes a piece. Its fields: the number of the text, the piece's index, how many pieces the text has, and the piece itself.
   * Returns the whole text after its last piece, `more` after any other piece, null where the piece is refused.
   */
  take(peer: Peer, [id, at, pieces, piece]: readonly unknown[]): { readonly text: string } | 'more' | null {
    if (!count(id, '') || !count(at, '') || !count(pieces, '') || typeof piece !== 'string') return null;
    const open = this.#add(peer, id as number, at as number, piece);
    if (!open) return null;
    if (open.pieces.length < (pieces as number)) return 'more';
    this.#forget(peer, id as number);
    return { text: open.pieces.join('') };
  }

  /** Forgets the incomplete texts of a node that is not there any more. */
  lost(peer: Peer): void {
    for (const id of [...(this.#open.get(peer)?.keys() ?? [])]) this.#forget(peer, id);
  }

  /** Adds a piece to its text. Where there is no room, or a piece before it is missing, it forgets the text and returns null. */
  #add(peer: Peer, id: number, at: number, piece: string): Open | null {
    const known = this.#open.get(peer) ?? new Map<number, Open>();
    this.#open.set(peer, known);
    const open = known.get(id) ?? { pieces: [], characters: 0 };
    const isFull = !known.has(id) && known.size >= MOST_OPEN;
    if (isFull || at !== open.pieces.length || this.#characters + piece.length > MOST_CHARACTERS) {
      this.#forget(peer, id);
      return null;
    }
    known.set(id, open);
    open.pieces.push(piece);
    open.characters += piece.length;
    this.#characters += piece.length;
    return open;
  }

  #forget(peer: Peer, id: number): void {
    const known = this.#open.get(peer);
    this.#characters -= known?.get(id)?.characters ?? 0;
    known?.delete(id);
    if (known?.size === 0) this.#open.delete(peer);
  }
}

/** A list in slices of a length. */
export function* slices<T>(all: readonly T[], length: number): Iterable<readonly T[]> {
  for (let at = 0; at < all.length; at += length) yield all.slice(at, at + length);
}
