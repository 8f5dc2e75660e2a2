/**
 * A process of clients: brings its share of the users online, holds their WebSockets, sends messages among all users and
 * counts what arrives. Told what to do by the conductor (main.ts), over its channel.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { HttpPool, httpRequest } from '../clients/http.js';
import { domain, goOnline, restRequest, ringBuddies, userId } from '../clients/nextalk.js';
import { textFrame, WebSocketClient } from '../clients/websocket.js';
import { each } from '../clients/wire.js';

/** What one process holds. */
export interface Share {
  /** Bare uWebSockets.js (bench/peers/uws.ts) knows neither users nor tickets, and no sockets of its other processes. */
  readonly target: 'nextalk' | 'uws';
  /** Its number among the processes. */
  readonly holder: number;
  readonly port: number;
  /** The server's addresses that it connects to in turn. */
  readonly hosts: readonly string[];
  /** Its first user, and how many. */
  readonly first: number;
  readonly count: number;
  /** Users of all processes together. */
  readonly users: number;
  readonly buddies: number;
  /** Users brought online at the same time. */
  readonly width: number;
}

export type Task =
  | { readonly kind: 'connect' }
  | { readonly kind: 'talk'; readonly rate: number; readonly ms: number; readonly warmUpMs: number }
  | { readonly kind: 'count' }
  | { readonly kind: 'report' };

export interface Counts {
  /** Sockets that are subscribed and open now. */
  readonly held: number;
  readonly connected: number;
  readonly sent: number;
  readonly refused: number;
  readonly received: number;
  readonly duplicates: number;
  readonly presences: number;
  /** Users who could not be brought online and connected, or were cut off, by why. */
  readonly failures: Readonly<Record<string, number>>;
}

/** The counts, and the latencies of what was sent after the warm-up, in ms. */
export interface Account extends Counts {
  readonly latencies: readonly number[];
}

/** Connections of the site's backend, of one process: while users come online and while they write. Few are never idle. */
const onlineWidth = 8;
const talkWidth = 32;

/** A process gives up when more of its users have failed. */
const mostFailures = 100;

const emptyMessages = '{"status":"ok","messages":[]';

/** Below this many, an id is one of this process's messages. */
const idsPerHolder = 10_000_000;

/** Milliseconds of a clock that all processes of the machine share. */
const nowMs = (): number => Number(process.hrtime.bigint() / 1000n) / 1000;

/** A ticket unused for 10 s expires: then it is these clients that were too slow. */
function refusal(answer: string, waitedMs: number): Error {
  return new Error(`subscribe ${waitedMs < 9000 ? 'in time' : 'too late'} was answered ${answer}`);
}

class Holder {
  readonly #share: Share;
  readonly #tickets: string[] = [];
  readonly #sockets: WebSocketClient[] = [];
  readonly #seen = new Set<number>();
  readonly #latencies: number[] = [];
  /** Latencies count from here on; every process begins at about the same moment. */
  #warmMs = 0;
  readonly #failures: Record<string, number> = {};
  #failed = 0;
  #counts = { held: 0, connected: 0, sent: 0, refused: 0, received: 0, duplicates: 0, presences: 0 };

  constructor(share: Share) {
    this.#share = share;
  }

  get counts(): Counts {
    return { ...this.#counts, failures: this.#failures };
  }

  account(): Account {
    return { ...this.counts, latencies: this.#latencies };
  }

  async connect(): Promise<void> {
    const { target, port, hosts, first, count, width } = this.#share;
    const pool = target === 'uws' ? null : await HttpPool.open(port, onlineWidth, hosts[0]);
    await each(count, width, async (index) => {
      if (this.#failed > mostFailures) return;
      try {
        if (pool) await this.#bring(pool, index);
        else await this.#hold(`/ws/${userId(first + index)}`, null);
        this.#counts.connected += 1;
      } catch (error) {
        this.#fail(error instanceof Error ? error.message : String(error));
      }
    });
    pool?.close();
  }

  async #bring(pool: HttpPool, index: number): Promise<void> {
    const { first, users, buddies } = this.#share;
    const name = userId(first + index);
    const fields = { name, nick: name, buddies: ringBuddies(first + index, users, buddies) };
    const ticket = await goOnline(pool.next(), fields);
    this.#tickets[index] = ticket;
    await this.#hold('/v5/wsocket', `subscribe ${domain} ${ticket}`);
  }

  #fail(why: string): void {
    this.#failed += 1;
    this.#failures[why] = (this.#failures[why] ?? 0) + 1;
  }

  /** Opens a WebSocket. One that is to subscribe is held when that has been answered. */
  async #hold(path: string, subscribe: string | null): Promise<void> {
    const { port, hosts } = this.#share;
    const askedMs = nowMs();
    let isHeld = subscribe === null;
    let isSubscribed: () => void = () => undefined;
    let isRefused: (error: Error) => void = () => undefined;
    const subscribed = new Promise<void>((resolve, reject) => {
      isSubscribed = resolve;
      isRefused = reject;
    });
    const socket = await WebSocketClient.open({
      port,
      host: hosts[this.#sockets.length % hosts.length],
      path,
      onText: (bytes, start, end) => {
        if (isHeld) return this.#receive(bytes, start, end);
        socket.onText = this.#receive;
        const answer = bytes.toString('latin1', start, end);
        if (answer !== '{"status":"ok"}') return isRefused(refusal(answer, nowMs() - askedMs));
        isHeld = true;
        this.#counts.held += 1;
        isSubscribed();
      },
      onClose: () => {
        if (!isHeld) return isRefused(new Error('the socket was closed before it was subscribed'));
        this.#counts.held -= 1;
        this.#fail('a held socket was closed');
      },
    });
    this.#sockets.push(socket);
    if (subscribe === null) {
      this.#counts.held += 1;
      return;
    }
    socket.send(textFrame(subscribe));
    await subscribed;
  }

  readonly #receive = (bytes: Buffer, start: number, end: number): void => {
    const text = bytes.toString('latin1', start, end);
    if (text.startsWith(emptyMessages)) {
      this.#counts.presences += 1;
      return;
    }
    const arrivedMs = nowMs();
    const { messages }: { messages: readonly { readonly body: string }[] } = JSON.parse(text);
    for (const { body } of messages) {
      const [id = 0, sentMs = 0] = body.split(' ').map(Number);
      if (this.#seen.has(id)) this.#counts.duplicates += 1;
      this.#seen.add(id);
      this.#counts.received += 1;
      if (sentMs >= this.#warmMs) this.#latencies.push(arrivedMs - sentMs);
    }
  };

  /** Offers messages at a rate, from one user to another, whatever the server does. Resolves when all are answered. */
  async talk(rate: number, ms: number, warmUpMs: number): Promise<void> {
    const total = Math.round((rate * ms) / 1000);
    const pool = await HttpPool.open(this.#share.port, talkWidth, this.#share.hosts[0]);
    const startMs = nowMs();
    this.#warmMs = startMs + warmUpMs;
    const answers: Promise<void>[] = [];
    while (answers.length < total) {
      const due = Math.min(total, Math.floor(((nowMs() - startMs) * rate) / 1000) + 1);
      while (answers.length < due)
        answers.push(this.#send(pool, answers.length, startMs + (answers.length * 1000) / rate));
      const nextMs = startMs + (answers.length * 1000) / rate;
      await sleep(Math.max(1, Math.ceil(nextMs - nowMs())));
    }
    await Promise.all(answers);
    pool.close();
  }

  async #send(pool: HttpPool, number: number, dueMs: number): Promise<void> {
    const { holder } = this.#share;
    const body = `${holder * idsPerHolder + this.#counts.sent} ${dueMs.toFixed(3)} quick brown fox`;
    this.#counts.sent += 1;
    const { status } = await pool.next().ask(this.#request(number, body));
    if (status !== 200) this.#counts.refused += 1;
  }

  #request(number: number, body: string): Buffer {
    const { target, holder, first, users, count } = this.#share;
    // Steps without a common factor with the number of users: sender and receiver are all over the machine.
    if (target === 'uws') {
      const to = userId(first + ((number * 104_729) % count));
      return httpRequest(`/send/${to}`, '', JSON.stringify({ status: 'ok', messages: [{ body }] }));
    }
    const ticket = this.#tickets[(number * 7919) % count] ?? '';
    const to = userId((holder * 31 + number * 104_729) % users);
    return restRequest('messages', { ticket, to, body, timestamp: '1' });
  }
}

/** What a message to the parent may be. */
export type Told =
  | { readonly kind: Task['kind']; readonly account: Account }
  | { readonly kind: 'failed'; why: string };

function main(share: Share): void {
  const holder = new Holder(share);
  const tell = (told: Told): void => void process.send?.(told);
  const done = (kind: Task['kind']): void => {
    tell({ kind, account: kind === 'report' ? holder.account() : { ...holder.counts, latencies: [] } });
  };
  const failed = (error: unknown): void => tell({ kind: 'failed', why: String(error) });
  process.on('message', (task: Task) => {
    if (task.kind === 'connect') holder.connect().then(() => done('connect'), failed);
    else if (task.kind === 'talk') holder.talk(task.rate, task.ms, task.warmUpMs).then(() => done('talk'), failed);
    else done(task.kind);
  });
  process.on('uncaughtException', failed);
  process.on('disconnect', () => process.exit());
}

main(JSON.parse(process.argv[2] ?? '{}'));
