import t from 'tap';
import { dice } from './support/dice.js';
import { basic, type Exchange } from './support/http.js';
import { type Packet, packetsOf } from './support/packets.js';
import { openPoll, poll } from './support/polling.js';
import { RawSocket, requestText } from './support/raw.js';
import { siteA, type TestServer, testServer } from './support/server.js';
import { WebSocketClient } from './support/websocket.js';

const senders = 8;
const each = 400;

/** Every sender writes its numbers one after the other; the senders write at the same time. */
async function flood(server: TestServer): Promise<void> {
  const site = server.site();
  const write = async (name: string) => {
    const { ticket } = await site.online(name);
    for (let n = 0; n < each; n++) await site.message(ticket, 'reader', `${n}`);
  };
  await Promise.all(Array.from({ length: senders }, (_, n) => write(`sender-${n}`)));
}

/** What one client has seen, however it came. */
class Reader {
  readonly seen = new Map<string, number[]>();
  count = 0;

  take(packets: readonly Packet[]): void {
    for (const { from = '', body } of packets) {
      const numbers = this.seen.get(from) ?? [];
      numbers.push(Number(body));
      this.seen.set(from, numbers);
      this.count++;
    }
  }

  get isComplete(): boolean {
    const all = [...this.seen.values()];
    return all.length === senders && all.every((numbers) => numbers.includes(each - 1));
  }
}

async function readSocket(reader: Reader, client: WebSocketClient, packets: number): Promise<void> {
  for (let n = 0; n < packets && !reader.isComplete; n++) reader.take([await client.next()]);
}

/** Reads what a socket still brings until the server closes it. */
async function readToEnd(reader: Reader, client: WebSocketClient): Promise<void> {
  await client.closed;
  for (;;) {
    try {
      reader.take([await client.next()]);
    } catch {
      return;
    }
  }
}

async function readPoll(reader: Reader, one: Exchange): Promise<void> {
  const answer = await one.answer;
  if (answer.status !== 200) throw new Error(`a poll was answered ${answer.status} ${answer.text}`);
  reader.take(packetsOf(answer.body));
}

type Move = (server: TestServer, ticket: string, reader: Reader, roll: (sides: number) => number) => Promise<void>;

const polls: Move = async (server, ticket, reader, roll) => {
  for (let n = roll(5) + 1; n > 0 && !reader.isComplete; n--) await readPoll(reader, poll(server, ticket));
};

const socketThenClose: Move = async (server, ticket, reader, roll) => {
  const client = await WebSocketClient.connect(server, ticket);
  await readSocket(reader, client, roll(60));
  client.socket.close();
  await readToEnd(reader, client);
};

const socketReplacedByPoll: Move = async (server, ticket, reader, roll) => {
  const client = await WebSocketClient.connect(server, ticket);
  await readSocket(reader, client, roll(60));
  const next = poll(server, ticket);
  await readToEnd(reader, client);
  if (!reader.isComplete) await readPoll(reader, next);
  else next.abort();
};

const pollReplacedBySocket: Move = async (server, ticket, reader, roll) => {
  const open = poll(server, ticket);
  await open.sent;
  const client = await WebSocketClient.connect(server, ticket);
  await readPoll(reader, open);
  await readSocket(reader, client, roll(60));
  client.socket.close();
  await readToEnd(reader, client);
};

const socketReplacedBySocket: Move = async (server, ticket, reader, roll) => {
  const old = await WebSocketClient.connect(server, ticket);
  await readSocket(reader, old, roll(30));
  const fresh = await WebSocketClient.connect(server, ticket);
  await readToEnd(reader, old);
  await readSocket(reader, fresh, roll(30));
  fresh.socket.close();
  await readToEnd(reader, fresh);
};

async function play(server: TestServer, moves: readonly Move[], seed: number): Promise<Reader> {
  const { ticket } = await server.site().online('reader');
  const reader = new Reader();
  const roll = dice(seed);
  const flooding = flood(server);
  while (!reader.isComplete) await (moves[roll(moves.length)] as Move)(server, ticket, reader, roll);
  await flooding;
  return reader;
}

const wide = { limits: { queuePackets: 0, queueBytes: 0 } };

t.test(
  'a client that switches between socket and polls loses nothing, doubles nothing and keeps the order',
  async (t) => {
    const server = await testServer(t, wide);
    const moves = [polls, socketThenClose, socketReplacedByPoll, pollReplacedBySocket, socketReplacedBySocket];
    const reader = await play(server, moves, 1);
    t.equal(reader.count, senders * each);
    for (const [from, numbers] of reader.seen) {
      t.strictSame(
        numbers,
        Array.from({ length: each }, (_, n) => n),
        from,
      );
    }
  },
);

t.test('polls that the browser aborts before they are answered lose nothing and keep the order', async (t) => {
  const server = await testServer(t, wide);
  const site = server.site();
  const { ticket } = await site.online('reader');
  const sender = await site.online('sender');
  const seen: string[] = [];
  const roll = dice(2);
  for (let n = 0; n < each; n++) {
    for (let polls = roll(3); polls > 0; polls--) {
      const waiting = roll(2) ? poll(server, ticket) : await openPoll(server, ticket);
      waiting.abort();
    }
    await site.message(sender.ticket, 'reader', `${n}`);
    seen.push(...packetsOf((await poll(server, ticket).answer).body).map(({ body = '' }) => body));
  }
  await site.message(sender.ticket, 'reader', `${each}`);
  seen.push(...packetsOf((await poll(server, ticket).answer).body).map(({ body = '' }) => body));
  t.strictSame(
    seen.filter((body, at) => seen.indexOf(body) === at),
    Array.from({ length: each + 1 }, (_, n) => `${n}`),
  );
});

t.test('what one sender says in a room and directly, in one write, arrives in that order', async (t) => {
  const server = await testServer(t, wide);
  const site = server.site();
  const reader = await site.arrive('reader', { rooms: 'r' });
  const { ticket } = await site.online('sender', { rooms: 'r' });
  const raw = await RawSocket.open(server);
  const headers = [
    `Authorization: ${basic(siteA.domain, siteA.apikey)}`,
    'Content-Type: application/x-www-form-urlencoded',
  ];
  const requests = Array.from({ length: 40 }, (_, n) => {
    const where = n % 2 === 0 ? 'to=r&type=grpchat' : 'to=reader';
    const form = `ticket=${encodeURIComponent(ticket)}&${where}&body=${n}`;
    return requestText('POST /v5/messages', headers, form);
  });
  raw.write(requests.join(''));
  const bodies: string[] = [];
  while (bodies.length < requests.length) {
    const { kind, body = '' } = await reader.next();
    if (kind === 'message') bodies.push(body);
  }
  t.strictSame(
    bodies,
    requests.map((_, n) => `${n}`),
  );
});
