/**
 * Positions, PROTOCOL.md section 12: how far a client has come in the packets that the server accepted for it. A position is
 * `{era}.{n}`: all up to the n-th are confirmed, in an era that goes on through an orderly end of the server and no further (era.ts).
 */
import { randomBytes } from 'node:crypto';

export interface Position {
  readonly era: string;
  /** Packets accepted for the client, from 1. */
  readonly n: number;
}

/** What a connection goes on from: a position, or what is confirmed: `0` the first time, `-` where the client has not counted. */
export type Asked = Position | 'first' | 'confirmed';

export function newEra(): string {
  return randomBytes(5).toString('hex');
}

const POSITION = /^([A-Za-z0-9_~-]{1,32})\.(\d{1,15})$/;

/** null where it is malformed. */
export function parsePosition(text: string): Position | null {
  const match = POSITION.exec(text);
  return match ? { era: match[1] as string, n: Number(match[2]) } : null;
}

/** null where it is malformed. */
export function parseAsked(text: string): Asked | null {
  if (text === '0') return 'first';
  return text === '-' ? 'confirmed' : parsePosition(text);
}

export function formatPosition(n: number, era: string): string {
  return `${era}.${n}`;
}

/** A position in the text form in which a client asks for it. */
export function formatAsked(asked: Asked): string {
  if (typeof asked === 'object') return formatPosition(asked.n, asked.era);
  return asked === 'first' ? '0' : '-';
}
