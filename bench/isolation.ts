/**
 * `npm run bench:isolation`: domain A floods a server by every way in turn, and domain B's time from REST to WebSocket is
 * taken beside it, in turns with runs without A. One process of the server, another one that floods, this one measures.
 */
import { type ChildProcess, fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import http from 'node:http';
import { setPriority } from 'node:os';
import { createInterface } from 'node:readline';
import mqtt from 'mqtt';
import { WebSocket } from 'ws';

const RUN_MS = Number(process.env.ISOLATION_MS ?? 3000);
const EVERY_MS = 10;
const WAYS = ['REST', 'client calls', 'joins', 'polls', 'MQTT', 'huge rooms', 'webhooks that hang'] as const;
type Way = (typeof WAYS)[number];
const ROOM_MEMBERS = 1000;
const FLOODERS = 32;

interface Where {
  readonly http: number;
  readonly mqtt: number;
  readonly hang: number;
}

function call(
  agent: http.Agent,
  port: number,
  path: string,
  form: Record<string, string>,
  auth = 'a:k',
): Promise<string> {
  const body = new URLSearchParams(form).toString();
  const headers = {
    authorization: `Basic ${Buffer.from(auth).toString('base64')}`,
    'content-type': 'application/x-www-form-urlencoded',
    'content-length': body.length,
  };
  return new Promise((resolve, reject) => {
    const asked = http.request({ port, path, method: 'POST', headers, agent }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (part) => (text += part));
      response.on('end', () => resolve(text));
    });
    asked.on('error', reject);
    asked.end(body);
  });
}

async function ticketOf(agent: http.Agent, port: number, name: string, auth = 'a:k', more = {}): Promise<string> {
  const answer = await call(agent, port, '/v5/presences/online', { name, nick: name, ...more }, auth);
  return (JSON.parse(answer) as { ticket: string }).ticket;
}

async function socketOf(port: number, domain: string, ticket: string): Promise<WebSocket> {
  const socket = new WebSocket(`ws://127.0.0.1:${port}/v5/wsocket`);
  await once(socket, 'open');
  socket.send(`subscribe ${domain} ${ticket}`);
  await once(socket, 'message');
  return socket;
}

/** Repeats a task without a pause, FLOODERS of them side by side, until the function that it answers is called. */
function loops(task: (n: number) => Promise<unknown>): () => void {
  let isOn = true;
  for (let n = 0; n < FLOODERS; n++) {
    void (async () => {
      while (isOn) await task(n).catch(() => undefined);
    })();
  }
  return () => {
    isOn = false;
  };
}

async function flood(way: Way, { http: port, mqtt: mqttPort }: Where): Promise<() => void> {
  const agent = new http.Agent({ keepAlive: true, maxSockets: FLOODERS });
  const push = (to: string, more = {}) => call(agent, port, '/v5/messages', { from: 'x', to, body: 'flood', ...more });
  if (way === 'REST') return loops((n) => push(`u${n}`));
  if (way === 'webhooks that hang') return loops(() => push('sid:hang'));
  if (way === 'MQTT') {
    const client = await mqtt.connectAsync(`mqtt://127.0.0.1:${mqttPort}`, { username: 'a', password: 'k' });
    return loops(() => client.publishAsync('flood', 'x', { qos: 1 }));
  }
  const tickets = await Promise.all(Array.from({ length: FLOODERS }, (_, n) => ticketOf(agent, port, `u${n}`)));
  if (way === 'joins')
    return loops((n) => call(agent, port, `/v5/rooms/r${n}${Math.random()}/join`, { ticket: tickets[n] ?? '' }));
  if (way === 'polls') {
    return loops(async (n) => {
      await push(`u${n}`);
      await new Promise((resolve, reject) => {
        http
          .get({ port, path: `/v5/packets?domain=a&ticket=${tickets[n]}`, agent }, (r) => r.resume().on('end', resolve))
          .on('error', reject);
      });
    });
  }
  if (way === 'client calls') {
    const sockets = await Promise.all(tickets.map((ticket) => socketOf(port, 'a', ticket)));
    return loops(async (n) => {
      sockets[n]?.send('{"call":"presences","ref":"1","ids":"u1,u2"}');
      if (sockets[n]) await once(sockets[n], 'message');
    });
  }
  for (let n = 0; n < ROOM_MEMBERS; n++)
    await socketOf(port, 'a', await ticketOf(agent, port, `m${n}`, 'a:k', { rooms: 'huge' }));
  return loops(() => push('huge', { type: 'grpchat' }));
}

/** The 50% and 99% of B's times from REST to WebSocket, in ms, at a steady rate. */
async function measure(port: number, ms: number): Promise<{ p50: number; p99: number }> {
  const agent = new http.Agent({ keepAlive: true });
  const socket = await socketOf(port, 'b', await ticketOf(agent, port, 'b1', 'b:k'));
  const sentAt = new Map<string, number>();
  const times: number[] = [];
  socket.on('message', (data) => {
    const now = performance.now();
    for (const [, body = ''] of data.toString().matchAll(/"body":"(\d+)"/g))
      times.push(now - (sentAt.get(body) ?? now));
  });
  const end = performance.now() + ms;
  for (let n = 0; performance.now() < end; n++) {
    sentAt.set(String(n), performance.now());
    void call(agent, port, '/v5/messages', { from: 'x', to: 'b1', body: String(n) }, 'b:k');
    await new Promise((resolve) => setTimeout(resolve, EVERY_MS));
  }
  await new Promise((resolve) => setTimeout(resolve, 500));
  socket.close();
  agent.destroy();
  times.sort((a, b) => a - b);
  const at = (share: number): number =>
    times[Math.min(times.length - 1, Math.floor(times.length * share))] ?? Number.NaN;
  return { p50: at(0.5), p99: at(0.99) };
}

async function startFlood(way: Way, where: Where): Promise<ChildProcess> {
  const child = fork(import.meta.filename, [way, JSON.stringify(where)], { execArgv: ['--import', 'tsx'] });
  await once(child, 'message');
  return child;
}

async function main(): Promise<void> {
  const hang = http.createServer(() => undefined).listen(0);
  await once(hang, 'listening');
  const hangPort = (hang.address() as { port: number }).port;
  const services = { hang: { webhook: `http://127.0.0.1:${hangPort}/` } };
  const settings = { clientCalls: true, webhookPrivate: true, services };
  const domains = [
    { domain: 'a', apikey: 'k', ...settings },
    { domain: 'b', apikey: 'k' },
  ];
  const sets = ['--set', `domains=${JSON.stringify(domains)}`, '--set', 'limits.comingsPerMinute=0'];
  const args = [
    '--import',
    'tsx',
    'src/main.ts',
    '--port',
    '0',
    '--mqtt-port',
    '-1',
    '--admin-port',
    '0',
    '--data',
    'none',
  ];
  const server = spawn(process.execPath, [...args, ...sets], { stdio: ['ignore', 'pipe', 'inherit'] });
  const where = await new Promise<Where>((resolve) => {
    createInterface({ input: server.stdout }).on('line', (line) => {
      const { event, url, mqtt: at } = JSON.parse(line) as { event: string; url: string; mqtt: string };
      if (event === 'started')
        resolve({ http: Number(new URL(url).port), mqtt: Number(at.split(':').at(-1)), hang: hangPort });
    });
  });
  await measure(where.http, RUN_MS);
  process.stdout.write('| A floods by | B alone, 99% | beside A, 99% | times |\n| --- | --- | --- | --- |\n');
  for (const way of WAYS) {
    const before = await measure(where.http, RUN_MS);
    const child = await startFlood(way, where);
    const beside = await measure(where.http, RUN_MS);
    child.kill();
    await once(child, 'exit');
    const after = await measure(where.http, RUN_MS);
    const alone = (before.p99 + after.p99) / 2;
    const cells = [way, `${alone.toFixed(1)} ms`, `${beside.p99.toFixed(1)} ms`, (beside.p99 / alone).toFixed(1)];
    process.stdout.write(`| ${cells.join(' | ')} |\n`);
  }
  server.kill();
  hang.close();
  hang.closeAllConnections();
}

/**
 * Sets this process's priority: a process that floods goes behind the server and the process that measures, since a real flood comes
 * from other machines and takes no processor from either.
 */
function prioritize(priority: number): void {
  try {
    setPriority(priority);
  } catch {
    // Only root may go before others: then the figures are those of a machine that does much else.
  }
}

const [, , way, where] = process.argv;
prioritize(way ? 10 : -15);
if (way && where) {
  await flood(way as Way, JSON.parse(where) as Where);
  process.send?.('flooding');
} else await main();
