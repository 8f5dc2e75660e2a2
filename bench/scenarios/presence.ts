/** Everybody comes online at once, hears of 50 buddies, and after a restart does it again. */
import { setTimeout as sleep } from 'node:timers/promises';
import { HttpPool } from '../clients/http.js';
import { goOnline, openSocket, ringBuddies, userId } from '../clients/nextalk.js';
import type { WebSocketClient } from '../clients/websocket.js';
import { each } from '../clients/wire.js';
import { Meter } from '../meter.js';
import type { Context, Figure, Scenario } from '../scenario.js';
import { Histogram } from '../statistics.js';

const buddies = 50;
const onlineMark = Buffer.from('"type":"online"');

interface Storm {
  readonly figures: Figure[];
  readonly sockets: readonly WebSocketClient[];
}

/** `rate` users a second come online and connect; 0 is as fast as they get answers. */
async function storm(context: Context, mode: string, users: number, rate: number): Promise<Storm> {
  const pool = await HttpPool.open(context.port, 64);
  const answers = new Histogram();
  const sockets: WebSocketClient[] = [];
  let presences = 0;
  const onText = (bytes: Buffer, start: number, end: number): void => {
    const text = bytes.subarray(start, end);
    for (let at = text.indexOf(onlineMark); at >= 0; at = text.indexOf(onlineMark, at + 1)) presences += 1;
  };
  const meter = new Meter(context.pids);
  const startedMs = performance.now();
  await each(users, 64, async (index) => {
    const dueMs = rate === 0 ? performance.now() : startedMs + (index * 1000) / rate;
    if (dueMs > performance.now()) await sleep(dueMs - performance.now());
    const name = userId(index);
    const ticket = await goOnline(pool.next(), { name, nick: name, buddies: ringBuddies(index, users, buddies) });
    answers.record(performance.now() - dueMs);
    sockets.push(await openSocket(context.port, ticket, onText));
  });
  // Each pair of buddies: who was there first hears of the other.
  const expected = (users * buddies) / 2;
  while (presences < expected && performance.now() < startedMs + 60_000) await sleep(5);
  if (presences !== expected) throw new Error(`${presences} presences arrived, ${expected} were due`);
  const seconds = (performance.now() - startedMs) / 1000;
  const figures: Figure[] = [
    ...meter.stop(mode, users),
    { mode, metric: 'seconds', value: seconds },
    { mode, metric: 'p50', value: answers.quantile(0.5) },
    { mode, metric: 'p99', value: answers.quantile(0.99) },
  ];
  pool.close();
  return { figures, sockets };
}

export const presenceStorm: Scenario = {
  id: 'presence-storm',
  title: 'users with 50 buddies come online and connect',
  targets: ['nextalk', 'before'],
  run: async (context) => {
    const users = context.quick ? 2000 : 10_000;
    const first = await storm(context, '1,000 a second', users, 1000);
    for (const socket of first.sockets) socket.close();
    const again = await storm(await context.restart(), 'all at once, after a restart', users, 0);
    return [...first.figures, ...again.figures];
  },
};
