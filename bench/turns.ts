/**
 * Servers that are all up at the same time and take turns in short windows: what else the machine does meets all of them, so
 * that the quotients of neighbouring windows tell servers apart on a busy machine, too.
 */
import { positions } from './clients/nextalk.js';
import { PairLoop } from './loops.js';
import { exactMicros, Meter } from './meter.js';
import type { Pairs } from './rigs/pairs.js';
import type { Context, Figure, Paired, PairedLoad, Turns } from './scenario.js';
import { latencies } from './scenarios/pairs.js';
import { median } from './statistics.js';

/** For how long each server gets messages before the first window, as many as it takes: V8 has then compiled what they run through. */
const warmUpMs = 6000;
/** Windows under a load that do not count, since the load before was another one. */
const settling = 4;

interface Side {
  readonly context: Context;
  readonly loop: PairLoop;
  readonly rig: Pairs;
  readonly figures: Figure[];
}

/** Answers the figures of each server, in the order of the contexts; those of the same window stand at the same place. */
export async function takeTurns(paired: Paired, contexts: readonly Context[], turns: Turns): Promise<Figure[][]> {
  const sides: Side[] = [];
  for (const context of contexts) {
    const loop = new PairLoop(paired.pairs);
    positions.kept = context.positions;
    const rig = await paired.open(context, paired.pairs, loop.onDelivered);
    await loop.run(rig, 1, 0);
    sides.push({ context, loop, rig, figures: [] });
  }
  const slowest = await warmUp(sides, turns.windowMs);
  for (const load of paired.loads) {
    const rate = load.rate ?? (load.share === undefined ? undefined : Math.floor(load.share * slowest));
    await underLoad(sides, load.mode, rate, turns);
  }
  return sides.map(({ figures }) => figures);
}

/** Answers the rate of the slowest server, in messages a second. */
async function warmUp(sides: readonly Side[], windowMs: number): Promise<number> {
  const rates = sides.map((): number[] => []);
  for (let spent = 0; spent < warmUpMs; spent += windowMs) {
    for (const [at, side] of sides.entries()) {
      const figures = await oneWindow(side, 'warm up', undefined, windowMs);
      rates[at]?.push(figures.find(({ metric }) => metric === 'rate')?.value ?? 0);
    }
  }
  return Math.min(...rates.map(median));
}

async function underLoad(
  sides: readonly Side[],
  mode: string,
  rate: PairedLoad['rate'],
  { windows, windowMs }: Turns,
): Promise<void> {
  const idle = sides.map(({ context }) => new Idle(context.pids));
  for (let window = -settling; window < windows; window += 1) {
    for (const at of order(sides.length, window + settling)) {
      const side = sides[at];
      if (side === undefined) continue;
      idle[at]?.stop();
      const figures = await oneWindow(side, mode, rate, windowMs);
      idle[at]?.start();
      if (window >= 0) side.figures.push(...figures);
    }
  }
  for (const [at, side] of sides.entries()) side.figures.push({ mode, metric: 'idle', value: idle[at]?.share ?? 0 });
}

/** Whose turn it is in a window: the order is turned round each time, and each second time another server begins it. */
export function order(sides: number, window: number): number[] {
  const turn = Array.from({ length: sides }, (_, at) => (at + (window >> 1)) % sides);
  return window % 2 === 0 ? turn : turn.reverse();
}

async function oneWindow(side: Side, mode: string, rate: PairedLoad['rate'], ms: number): Promise<readonly Figure[]> {
  const { context, loop, rig } = side;
  loop.latency.clear();
  const meter = new Meter(context.pids);
  if (rate === undefined) return meter.stop(mode, await loop.run(rig, 1, ms));
  const lateMs = await loop.offer(rig, rate, ms);
  const measured = meter.stop(mode, Math.round((rate * ms) / 1000));
  return [
    // The rate is given, and the generator paces itself by spinning.
    ...measured.filter(({ metric }) => metric !== 'rate' && metric !== 'generator'),
    ...latencies(mode, loop.latency),
    { mode, metric: 'late', value: lateMs },
  ];
}

/** What a server does while others have their turn: timers, and what it had put off. */
class Idle {
  readonly #pids: readonly number[];
  #micros = 0;
  #ms = 0;
  #sinceMicros = 0;
  #sinceMs: number | undefined;

  constructor(pids: readonly number[]) {
    this.#pids = pids;
  }

  get share(): number {
    return this.#micros / 1000 / this.#ms;
  }

  start(): void {
    this.#sinceMicros = this.#now();
    this.#sinceMs = performance.now();
  }

  stop(): void {
    if (this.#sinceMs === undefined) return;
    this.#micros += this.#now() - this.#sinceMicros;
    this.#ms += performance.now() - this.#sinceMs;
  }

  #now(): number {
    return this.#pids.reduce((total, pid) => total + exactMicros(pid), 0);
  }
}
