/** Whether a message, a presence change, a join or coming online costs more when more users are there. */
import { setTimeout as sleep } from 'node:timers/promises';
import { HttpPool } from '../clients/http.js';
import { bringOnline, messageRequest, openSocket, restRequest, ringBuddies, userId } from '../clients/nextalk.js';
import { each } from '../clients/wire.js';
import { Meter } from '../meter.js';
import { checkOk } from '../rigs/common.js';
import type { Context, Figure, Scenario } from '../scenario.js';

const buddies = 20;
const roomSize = 50;
const graceMs = 500;

/** How many are connected, and how many more are online without a connection. */
interface Level {
  readonly name: string;
  readonly connected: number;
  readonly known: number;
}

const levels: readonly Level[] = [
  { name: '1k', connected: 1000, known: 1000 },
  { name: '5k', connected: 5000, known: 5000 },
  { name: '15k', connected: 15_000, known: 15_000 },
  { name: '15k of 100k', connected: 15_000, known: 100_000 },
];

/** A step's name, its requests by number, and what to do with the bodies of their answers. */
type Step = readonly [name: string, requestOf: (index: number) => Buffer, onBody?: (body: string) => void];

/** Does a step's requests, a third of them to warm up, and answers what one costs. */
async function measure(context: Context, pool: HttpPool, mode: string, step: Step): Promise<Figure[]> {
  const [, requestOf, onBody] = step;
  const range = async (from: number, to: number): Promise<void> => {
    await each(to - from, inFlight, (index) => {
      return new Promise((resolve) => {
        pool.next().request(requestOf(from + index), (status, bytes, start, end) => {
          checkOk(status, bytes, start, end);
          onBody?.(bytes.toString('utf8', start, end));
          resolve();
        });
      });
    });
  };
  const count = context.quick ? 2 * sample : 6 * sample;
  await range(0, 2 * sample);
  const meter = new Meter(context.pids);
  await range(2 * sample, 2 * sample + count);
  return meter.stop(mode, count);
}

/** Users in blocks of `size` around a ring of their own, so that each level adds whole blocks. */
const blockOf = (index: number, size: number): number => Math.floor(index / size);

function blockBuddies(index: number): string {
  const size = 50;
  const first = blockOf(index, size) * size;
  return ringBuddies(index - first, size, buddies)
    .split(',')
    .map((id) => userId(Number(id.slice(1)) + first))
    .join(',');
}

const ignore = (): void => {};

/** How many users a step asks for at every level. */
const sample = 1000;

/**
 * Whose turn it is next: one of another block, and no block comes again within so many requests as are in flight. Else
 * changes of one turn would meet at the same buddies at the small levels alone, where one write then carries several.
 */
const stride = 53;
const inFlight = 16;

async function atLevel(context: Context, pool: HttpPool, tickets: readonly string[], level: Level): Promise<Figure[]> {
  const user = (index: number): number => ((index % sample) * stride) % level.connected;
  const round = (index: number): number => Math.floor(index / sample);
  const ticket = (index: number): string => tickets[user(index)] ?? '';
  // A room for each round and each 50 users of the sample, so that every join is one, and finds as many members.
  const room = (index: number): string =>
    `${level.name.replaceAll(' ', '')}-${round(index)}-${blockOf(index % sample, roomSize)}`;
  const newcomers: string[] = [];
  const steps: readonly Step[] = [
    ['message', (index) => messageRequest(ticket(index), userId((user(index) + 1) % level.connected), 'chat')],
    [
      'presence',
      (index) => {
        const show = round(index) % 2 === 0 ? 'away' : 'available';
        return restRequest('presences/show', { ticket: ticket(index), show });
      },
    ],
    ['join', (index) => restRequest(`rooms/${room(index)}/join`, { ticket: ticket(index), nick: 'n' })],
    ['leave', (index) => restRequest(`rooms/${room(index)}/leave`, { ticket: ticket(index), nick: 'n' })],
    [
      'online',
      (index) => {
        const name = `n${level.name.replaceAll(' ', '')}-${index}`;
        return restRequest('presences/online', { name, nick: name, buddies: blockBuddies(user(index)) });
      },
      (answer) => newcomers.push(/"ticket":"([^"]+)"/.exec(answer)?.[1] ?? ''),
    ],
    ['offline', () => restRequest('presences/offline', { ticket: newcomers.pop() ?? '' })],
  ];
  const figures: Figure[] = [];
  for (const step of steps) figures.push(...(await measure(context, pool, `${step[0]} at ${level.name}`, step)));
  return figures;
}

export const growth: Scenario = {
  id: 'growth',
  title: 'cost of one request as users grow',
  targets: ['nextalk', 'before'],
  // What went offline is out of the way before the next level is measured.
  flags: ['--set', `presence.graceMs=${graceMs}`],
  run: async (context) => {
    const pool = await HttpPool.open(context.port, 32);
    const tickets: string[] = [];
    const figures: Figure[] = [];
    for (const level of context.quick ? levels.slice(0, 2) : levels) {
      const first = tickets.length;
      await bringOnline(
        pool,
        level.known - first,
        (index) => {
          const name = userId(first + index);
          return { name, nick: name, show: 'available', buddies: blockBuddies(first + index) };
        },
        async (ticket, index) => {
          tickets[first + index] = ticket;
          if (first + index < level.connected) await openSocket(context.port, ticket, ignore);
        },
      );
      figures.push(...(await atLevel(context, pool, tickets, level)));
      await sleep(3 * graceMs);
    }
    return figures;
  },
};
