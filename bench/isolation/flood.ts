/**
 * The process that floods as domain `a`, by one way, while its parent lets it: FLOODERS tasks side by side, each begun again when
 * the server has answered it. So the flood is as fast as the server admits it, and no faster.
 */
import { once } from 'node:events';
import http from 'node:http';
import mqtt from 'mqtt';
import { call, get, post, socketOf, ticketOf, type Where } from './calls.js';

export const WAYS = [
  'REST',
  'batches of 1,000',
  'client sends',
  'client calls',
  'joins',
  'joins of a huge room',
  'members of a huge room',
  'polls',
  'MQTT',
  'huge rooms',
  'webhooks that hang',
] as const;
export type Way = (typeof WAYS)[number];

const AUTH = 'a:k';
const ROOM_MEMBERS = 1000;
const FLOODERS = 32;

type Task = (n: number) => Promise<unknown>;

interface Flooder {
  readonly agent: http.Agent;
  readonly where: Where;
}

function push({ agent, where }: Flooder, to: string, more = {}): Promise<string> {
  return call(agent, where.http, '/v5/messages', { from: 'x', to, body: 'flood', ...more }, AUTH);
}

function tickets({ agent, where }: Flooder): Promise<string[]> {
  return Promise.all(Array.from({ length: FLOODERS }, (_, n) => ticketOf(agent, where.http, `u${n}`, AUTH)));
}

async function hugeRoom({ agent, where }: Flooder): Promise<void> {
  for (let n = 0; n < ROOM_MEMBERS; n++)
    await socketOf(where.http, 'a', await ticketOf(agent, where.http, `m${n}`, AUTH, { rooms: 'huge' }));
}

/** Client calls over one socket for each flooder. */
async function overSockets(flooder: Flooder, text: (n: number) => string): Promise<Task> {
  const all = await tickets(flooder);
  const sockets = await Promise.all(all.map((ticket) => socketOf(flooder.where.http, 'a', ticket)));
  return async (n) => {
    const socket = sockets[n];
    if (!socket) return;
    const answered = new Promise<void>((resolve) => {
      const hear = (data: Buffer): void => {
        if (!data.toString().includes('"reply":"r"')) return;
        socket.off('message', hear);
        resolve();
      };
      socket.on('message', hear);
    });
    socket.send(text(n));
    await answered;
  };
}

const TASKS: Readonly<Record<Way, (flooder: Flooder) => Task | Promise<Task>>> = {
  REST: (flooder) => (n) => push(flooder, `u${n}`),
  'batches of 1,000': ({ agent, where }) => {
    const messages = Array.from({ length: 1000 }, (_, n) => ({ from: 'x', to: `u${n}`, body: 'flood' }));
    const body = JSON.stringify({ messages });
    return () => post(agent, where.http, '/v5/messages/batch', body, 'application/json', AUTH);
  },
  'client sends': (flooder) =>
    overSockets(flooder, (n) => `{"call":"message","ref":"r","to":"u${(n + 1) % FLOODERS}","body":"flood"}`),
  'client calls': (flooder) => overSockets(flooder, () => '{"call":"presences","ref":"r","ids":"u1,u2"}'),
  joins: async (flooder) => {
    const all = await tickets(flooder);
    let room = 0;
    return (n) =>
      call(flooder.agent, flooder.where.http, `/v5/rooms/r${n}-${room++}/join`, { ticket: all[n] ?? '' }, AUTH);
  },
  'joins of a huge room': async (flooder) => {
    await hugeRoom(flooder);
    const all = await tickets(flooder);
    const move = (n: number, how: string) =>
      call(flooder.agent, flooder.where.http, `/v5/rooms/huge/${how}`, { ticket: all[n] ?? '' }, AUTH);
    return async (n) => {
      await move(n, 'join');
      await move(n, 'leave');
    };
  },
  'members of a huge room': async (flooder) => {
    await hugeRoom(flooder);
    return () => get(flooder.agent, flooder.where.http, '/v5/rooms/huge/members?domain=a&full=1', AUTH);
  },
  polls: async (flooder) => {
    const all = await tickets(flooder);
    return async (n) => {
      await push(flooder, `u${n}`);
      await get(flooder.agent, flooder.where.http, `/v5/packets?domain=a&ticket=${all[n]}`);
    };
  },
  MQTT: async ({ where }) => {
    const client = await mqtt.connectAsync(`mqtt://127.0.0.1:${where.mqtt}`, { username: 'a', password: 'k' });
    return () => client.publishAsync('flood', 'x', { qos: 1 });
  },
  'huge rooms': async (flooder) => {
    await hugeRoom(flooder);
    return () => push(flooder, 'huge', { type: 'grpchat' });
  },
  'webhooks that hang': (flooder) => () => push(flooder, 'sid:hang'),
};

/** Repeats a task without a pause while the parent lets it; says how many were done when the last of them is. */
async function run(task: Task): Promise<void> {
  let isOn = false;
  let done = 0;
  let busy = 0;
  const loop = async (n: number): Promise<void> => {
    busy += 1;
    while (isOn) {
      await task(n).catch(() => undefined);
      done += 1;
    }
    busy -= 1;
    if (busy === 0) process.send?.({ done });
  };
  process.on('message', (what: 'on' | 'off') => {
    isOn = what === 'on';
    if (!isOn) return;
    done = 0;
    for (let n = 0; n < FLOODERS; n++) void loop(n);
  });
  process.send?.('ready');
  await once(process, 'disconnect');
  process.exit();
}

export async function flood(way: Way, where: Where): Promise<void> {
  const agent = new http.Agent({ keepAlive: true, maxSockets: FLOODERS });
  await run(await TASKS[way]({ agent, where }));
}
