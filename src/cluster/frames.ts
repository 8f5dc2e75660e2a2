/** What nodes write on NATS: signs of life, frames of their streams, who is there. Any other text throws an Error. */
import type { Item } from './peer.js';
import { count, flag, listOf, text, type Validator } from './validators.js';

const STATES = ['up', 'leaving', 'gone'] as const;
export type State = (typeof STATES)[number];
export type Beat = readonly ['b', node: string, incarnation: number, protocol: number, State, wantsAnswer: 0 | 1];

/** `d`: data; `a`: everything up to `seq` has come; `n`: what follows `seq` is missing; `s`: send a snapshot. */
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
  /** Of data: what of the other node's stream has come, as an `a` says it; absent: nothing is to be acknowledged. */
  acknowledgedEpoch?: number,
  acknowledgedSeq?: number,
];

const name: Validator = (value) => typeof value === 'string' && value !== '';
const state: Validator = (value) => (STATES as readonly unknown[]).includes(value);
const kind: Validator = (value) => (KINDS as readonly unknown[]).includes(value);
const list: Validator = (value) => Array.isArray(value);

/** The fields of a beat that every protocol has; what stands behind them differs from one protocol to another. */
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
  if (frame[8] !== undefined && !(count(frame[8], '') && count(frame[9], ''))) throw new Error('of no known position');
  return frame as unknown as Frame;
}

/** A sign of life. `head`: the node's name and incarnation as JSON, without brackets. */
export function beatText(head: string, protocol: number, state: State, wantsAnswer: 0 | 1): string {
  return `["b",${head},${protocol},"${state}",${wantsAnswer}]`;
}

/** A frame of data for a node. `acknowledged`: epoch and number of what has come from there; null: there is nothing to acknowledge. */
export function dataText(
  head: string,
  [epoch, seq, urgent, items]: readonly [epoch: number, seq: number, urgent: boolean, items: string],
  acknowledged: readonly [epoch: number, seq: number] | null,
): string {
  const more = acknowledged === null ? '' : `,${acknowledged.join()}`;
  return `["d",${head},${epoch},${seq},${urgent ? 1 : 0},[${items}]${more}]`;
}

/** The names of the nodes that are there, as one node answers a greeting; none where the answer is nonsense. */
export function namesOf(json: string): readonly string[] {
  try {
    const names: unknown = JSON.parse(json);
    return listOf(text)(names, '') ? (names as readonly string[]) : [];
  } catch {
    return [];
  }
}
