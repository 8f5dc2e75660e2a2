/** What nodes write on NATS: signs of life, frames of their streams, who is there. What is none of it is an Error. */
import type { Item } from './peer.js';
import { count, flag, listOf, text, type Validator } from './validators.js';

const STATES = ['up', 'leaving', 'gone'] as const;
export type State = (typeof STATES)[number];
export type Beat = readonly ['b', node: string, incarnation: number, protocol: number, State, wantsAnswer: 0 | 1];

/** Data, acknowledgement, "send again after", "tell me everything". */
const KINDS = ['d', 'a', 'n', 's'] as const;
export type Frame = readonly [
  kind: (typeof KINDS)[number],
  node: string,
  incarnation: number,
  to: number,
  epoch: number,
  seq: number,
  urgent?: 0 | 1,
  items?: readonly Item[],
];

const name: Validator = (value) => typeof value === 'string' && value !== '';
const state: Validator = (value) => (STATES as readonly unknown[]).includes(value);
const kind: Validator = (value) => (KINDS as readonly unknown[]).includes(value);
const list: Validator = (value) => Array.isArray(value);

/** The first three of a beat hold for every protocol; one of another may look different behind them. */
const BEAT: readonly Validator[] = [(value) => value === 'b', name, count, count];
const FRAME: readonly Validator[] = [kind, name, count, count, count, count];

function read(json: string, ...validators: readonly Validator[]): readonly unknown[] {
  const value: unknown = JSON.parse(json);
  if (!Array.isArray(value) || !validators.every((validator, at) => validator(value[at], '')))
    throw new Error('of no known shape');
  return value;
}

export function beatOf(json: string, protocol: number): Beat {
  const beat = read(json, ...BEAT);
  if (beat[3] === protocol && !(state(beat[4], '') && flag(beat[5], ''))) throw new Error('of no known state');
  return beat as unknown as Beat;
}

export function frameOf(json: string): Frame {
  const frame = read(json, ...FRAME);
  if (frame[0] === 'd' && !list(frame[7], '')) throw new Error('without items');
  return frame as unknown as Frame;
}

/** Nodes that are there, as one of them says; none where that is nonsense. */
export function namesOf(json: string): readonly string[] {
  try {
    const names: unknown = JSON.parse(json);
    return listOf(text)(names, '') ? (names as readonly string[]) : [];
  } catch {
    return [];
  }
}
