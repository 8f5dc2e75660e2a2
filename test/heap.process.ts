/** A heap that is nearly full: what needs more memory is refused, and the process lives. */
import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import mqtt, { type MqttClient } from 'mqtt';
import t from 'tap';
import WebSocket from 'ws';
import { Heap } from '../src/heap.js';
import { type Answer, exchange, keepAliveAgent } from './support/http.js';
import { type NexTalkProcess, nextalk } from './support/process.js';
import type { Cleaner } from './support/server.js';
import { until } from './support/until.js';

const MB = 1024 * 1024;

t.test('the heap is high when a collection leaves it so, and low again when one leaves enough', async (t) => {
  let now = 0;
  let garbage = 0;
  let live = 50;
  let collections = 0;
  const heap = new Heap(
    () => ({ used: (live + garbage) * MB, limit: 100 * MB }),
    () => {
      collections += 1;
      garbage = 0;
      now += 100;
    },
    () => now,
  );
  const after = (ms: number): boolean => {
    now += ms;
    return heap.isHigh;
  };
  t.notOk(after(5));
  garbage = 35;
  t.notOk(after(5), 'what is collected does not count');
  t.equal(collections, 1);
  garbage = 26;
  after(1000);
  t.equal(collections, 1, 'twenty times as long as a collection takes pass until the next');
  garbage = 0;
  live = 85;
  t.ok(after(5), 'what is nearly all of it counts before it is collected');
  t.equal(collections, 1);
  live = 77;
  t.ok(after(2000));
  t.equal(collections, 2);
  live = 70;
  t.ok(after(5), 'not taken back before there is some room');
  live = 60;
  t.notOk(after(5));
});

t.test('a heap far from full is looked at seldom, one that fills up often, and before a promise', async (t) => {
  let now = 0;
  let looks = 0;
  let used = 100 * MB;
  const heap = new Heap(
    () => {
      looks += 1;
      return { used, limit: 2000 * MB };
    },
    () => undefined,
    () => now,
  );
  /** How often it looks in 100 ms. */
  const looksFor = (ask: () => boolean): number => {
    looks = 0;
    for (let ms = 0; ms < 100; ms++) {
      now += 1;
      ask();
    }
    return looks;
  };
  t.equal(
    looksFor(() => heap.isHigh),
    2,
  );
  t.equal(
    looksFor(() => heap.hasRoom(MB)),
    20,
  );
  used = 1480 * MB;
  now += 50;
  t.notOk(heap.isHigh);
  t.equal(
    looksFor(() => heap.isHigh),
    20,
  );
});

interface Small {
  readonly server: NexTalkProcess;
  readonly port: number;
  readonly admin: number;
  readonly mqtt: string;
}

const domain = 'a.example';
const apikey = 'key-a';
/** Settings that take away every bound but the heap's. */
const UNBOUND = [
  'limits.roomsPerEndpoint=0',
  'limits.buddiesPerEndpoint=0',
  'limits.queuePackets=0',
  'limits.queueBytes=0',
  'limits.messageBytes=0',
  'limits.retainedBytes=0',
  'limits.offlineBytes=0',
  'limits.eventsBytes=0',
  'limits.bytesPerDomain=1000000000000',
  'presence.clientIdleMs=600000',
  'presence.graceMs=0',
];

async function small(t: Cleaner, data: string, hook: string): Promise<Small> {
  const settings = { domain, apikey, offline: true, webhookPrivate: true, services: { help: { webhook: hook } } };
  const server = nextalk(
    t,
    [
      ...['--port', '0', '--mqtt-port', '-1', '--admin-port', '-1', '--data', data],
      ...UNBOUND.flatMap((set) => ['--set', set]),
      ...['--set', `domains=${JSON.stringify([settings])}`],
    ],
    { node: ['--max-old-space-size=64'] },
  );
  const started = await server.event('started');
  const portOf = (url: unknown): number => Number(new URL(String(url)).port);
  return {
    server,
    port: portOf(started.url),
    admin: portOf(started.admin),
    mqtt: String(started.mqtt).replace('tcp:', 'mqtt:'),
  };
}

const agent = keepAliveAgent();
t.teardown(() => agent.destroy());

function post({ port }: Small, path: string, form: Record<string, string>): Promise<Answer> {
  return exchange(port, { agent, path, method: 'POST', form: { domain, apikey, ...form } }).answer;
}

/** Whether a call was taken; false: refused for want of memory. Anything else is an error. */
type Attempt = (n: number) => Promise<boolean>;

/** Makes attempts, twenty at a time, until one is refused and a hundred more are answered. */
async function fill(attempt: Attempt, most = 60_000): Promise<void> {
  let next = 0;
  let last = most;
  const run = async (): Promise<void> => {
    while (next < last) {
      const taken = await attempt(next++);
      if (!taken) last = Math.min(last, next + 100);
    }
  };
  await Promise.all(Array.from({ length: 20 }, run));
  if (last === most) throw new Error(`${most} attempts filled nothing`);
}

/** Does the task for each of a list, twenty at a time. */
async function forEach<T>(list: readonly T[], task: (one: T) => Promise<unknown>): Promise<void> {
  const rest = [...list];
  const run = async (): Promise<void> => {
    for (let one = rest.pop(); one !== undefined; one = rest.pop()) await task(one);
  };
  await Promise.all(Array.from({ length: 20 }, run));
}

function taken({ status, headers, text }: Answer): boolean {
  if (status === 200) return true;
  if (status === 503 && headers['retry-after'] !== undefined) return false;
  throw new Error(`${status} ${text}`);
}

/** A site whose webhook does not answer until it is told to. */
async function silentHook(t: Cleaner): Promise<{ url: string; answer(): void }> {
  let isSilent = true;
  const waiting = new Set<http.ServerResponse>();
  const server = http.createServer((request, response) => {
    request.resume();
    if (isSilent) waiting.add(response);
    else response.end();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  const answer = (): void => {
    isSilent = false;
    for (const response of waiting) response.end();
  };
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`, answer };
}

async function backend(t: Cleaner, at: Small, clientId: string): Promise<MqttClient> {
  const properties = { sessionExpiryInterval: 3600 };
  const options = {
    protocolVersion: 5,
    clean: false,
    clientId,
    username: domain,
    password: apikey,
    properties,
  } as const;
  const client = await mqtt.connectAsync(at.mqtt, { ...options, reconnectPeriod: 0 });
  t.teardown(() => client.endAsync(true));
  return client;
}

/** Topics are what takes room in the heap. */
const longTopic = (n: number): string => `${n}/${'x'.repeat(30_000)}`;

async function published(client: MqttClient, topic: string, payload: string, retain: boolean): Promise<boolean> {
  try {
    await client.publishAsync(topic, payload, { qos: 1, retain });
    return true;
  } catch (error) {
    if ((error as { code?: unknown }).code === 0x97) return false;
    throw error;
  }
}

/** Fills the heap by one way; answers how to free all of that memory again. */
type Way = (t: Cleaner, at: Small) => Promise<() => unknown>;

async function onlines(at: Small, fields: (n: number) => Record<string, string>): Promise<() => Promise<void>> {
  const tickets: string[] = [];
  await fill(async (n) => {
    const answer = await post(at, '/v5/presences/online', { name: `${n}`, nick: 'N', ...fields(n) });
    if (answer.status === 200) tickets.push((answer.body as { ticket: string }).ticket);
    return taken(answer);
  });
  return () => forEach(tickets, (ticket) => post(at, '/v5/presences/offline', { ticket }));
}

const BODY = 'x'.repeat(48_000);

const WAYS: ReadonlyMap<string, Way> = new Map<string, Way>([
  [
    'ONLINE',
    (_t, at) => onlines(at, (n) => ({ buddies: Array.from({ length: 200 }, (_, i) => `b-${n}-${i}`).join(',') })),
  ],
  [
    'rooms',
    (_t, at) => onlines(at, (n) => ({ rooms: Array.from({ length: 500 }, (_, i) => `r-${n}-${i}`).join(',') })),
  ],
  [
    'retained messages',
    async (t, at) => {
      const client = await backend(t, at, 'retains');
      const topics: string[] = [];
      await fill(async (n) => {
        const isTaken = await published(client, longTopic(n), 'kept', true);
        if (isTaken) topics.push(longTopic(n));
        return isTaken;
      });
      return () => forEach(topics, (topic) => client.publishAsync(topic, '', { qos: 1, retain: true }));
    },
  ],
  [
    'a session whose client is away',
    async (t, at) => {
      const away = await backend(t, at, 'away');
      await away.subscribeAsync('#', { qos: 1 });
      await away.endAsync(true);
      const client = await backend(t, at, 'publishes');
      await fill((n) => published(client, longTopic(n), 'queued', false));
      return () => backend(t, at, 'away');
    },
  ],
  [
    'sockets that are not read',
    async (t, at) => {
      const tickets: string[] = [];
      const sockets: WebSocket[] = [];
      for (let n = 0; n < 3; n++) {
        const { body } = await post(at, '/v5/presences/online', { name: `${n}`, nick: 'N' });
        const { ticket } = body as { ticket: string };
        const socket = new WebSocket(`ws://127.0.0.1:${at.port}/v5/wsocket`);
        await once(socket, 'open');
        socket.send(`subscribe ${domain} ${ticket}`);
        await once(socket, 'message');
        socket.pause();
        t.teardown(() => socket.terminate());
        sockets.push(socket);
        tickets.push(ticket);
      }
      await fill(async (n) => taken(await post(at, '/v5/messages', { from: 'a', to: `${n % 3}`, body: BODY })));
      return async () => {
        for (const socket of sockets) socket.terminate();
        for (const ticket of tickets) await post(at, '/v5/presences/offline', { ticket });
      };
    },
  ],
]);

t.test('a small heap that is filled by every way in turn ends nothing, and is served again', async (t) => {
  const hook = await silentHook(t);
  t.teardown(() => {
    if (!t.passing()) t.comment(at.server.err.slice(-3000));
  });
  const at = await small(t, t.testdir(), hook.url);
  const ready = async (): Promise<Answer> => exchange(at.admin, { path: '/readyz' }).answer;
  const isReady = (): Promise<Answer> =>
    until('a server that is ready', async () => {
      const answer = await ready();
      return answer.status === 200 && answer;
    });
  /** Fills until the server says that it is full: a collection may have made room again since its first refusal. */
  const fillBy = async (way: Way): Promise<{ full: Answer; empty(): Promise<void> }> => {
    const empties: (() => unknown)[] = [];
    const empty = async (): Promise<void> => {
      for (const one of empties) await one();
    };
    for (;;) {
      empties.push(await way(t, at));
      for (let looks = 0; looks < 20; looks++) {
        const full = await ready();
        if (full.status === 503) return { full, empty };
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    }
  };
  const ways: [string, Way][] = [
    ...WAYS,
    [
      'a webhook that does not answer',
      async () => {
        await fill(async () => taken(await post(at, '/v5/messages', { from: 'a', to: 'sid:help', body: BODY })));
        return () => hook.answer();
      },
    ],
  ];
  for (const [name, way] of ways) {
    await t.test(name, async (t) => {
      const { full, empty } = await fillBy(way);
      t.match(full.text, /memory is nearly used up/);
      await empty();
      await isReady();
      t.equal((await post(at, '/v5/presences/online', { name: 'again', nick: 'A' })).status, 200);
    });
  }
  await t.test('messages to those who are offline', async (t) => {
    const numbers = Array.from({ length: 600 }, (_, n) => n);
    await forEach(numbers, async (n) =>
      taken(await post(at, '/v5/messages', { from: 'a', to: `${n % 7}`, body: BODY })),
    );
    t.pass('each is kept, or refused in order');
    await isReady();
  });
  const metrics = await exchange(at.admin, { path: '/metrics' }).answer;
  t.match(metrics.text, /nextalk_refusals_total\{reason="outOfMemory"\} [1-9]\d/);
  t.equal(at.server.child.exitCode, null, 'the process lives');
});
