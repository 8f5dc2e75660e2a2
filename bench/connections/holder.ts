/**
 * A process of clients: brings its share of the users online, holds their WebSockets, sends messages among all users and
 * counts what arrives. Told what to do by the conductor (main.ts), over its channel.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { HttpPool } from '../clients/http.js';
import { domain, userId } from '../clients/nextalk.js';
import { textFrame, WebSocketClient } from '../clients/websocket.js';
import type { OnUnit } from '../scan.js';
import { isEqual, readMessages } from './frames.js';
import { bareMessageRequest, messageRequest, onlineRequests, ticketIn } from './requests.js';

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

/** How the server says that a socket is subscribed. */
const subscribed = Buffer.from('{"status":"ok"}');

/** Below this many, an id is one of this process's messages. */
const idsPerHolder = 10_000_000;

/** Milliseconds of a clock that all processes of the machine share. */
const nowMs = (): number => Number(process.hrtime.bigint() / 1000n) / 1000;

/** Told once of each user: null, or why the user could not be brought online and connected. */
type Settled = (error: Error | null) => void;

/** A ticket unused for 10 s expires: then it is these clients that were too slow. */
function refusal(answer: string, waitedMs: number): Error {
  return new Error(`subscribe ${waitedMs < 9000 ? 'in time' : 'too late'} was answered ${answer}`);
}

class Holder {
  readonly #share: Share;
  /** Made before the users come. */
  readonly #onlines: readonly Buffer[];
  /** As a form has them. */
  readonly #tickets: string[] = [];
  readonly #sockets: WebSocketClient[] = [];
  readonly #seen = new Set<number>();
  readonly #latencies: number[] = [];
  /** Latencies count from here on; every process begins at about the same moment. */
  #warmMs = 0;
  readonly #failures: Record<string, number> = {};
  #failed = 0;
  #counts = { held: 0, connected: 0, sent: 0, refused: 0, received: 0, duplicates: 0, presences: 0 };
  /** How many users have begun to come, and how many have come or failed. */
  #begun = 0;
  #settled = 0;
  #allSettled: () => void = () => undefined;

  constructor(share: Share) {
    this.#share = share;
    this.#onlines = share.target === 'uws' ? [] : onlineRequests(share);
  }

  get counts(): Counts {
    return { ...this.#counts, failures: this.#failures };
  }

  account(): Account {
    return { ...this.counts, latencies: this.#latencies };
  }

  async connect(): Promise<void> {
    const { target, port, hosts, width } = this.#share;
    const pool = target === 'uws' ? null : await HttpPool.open(port, onlineWidth, hosts[0]);
    await new Promise<void>((resolve) => {
      this.#allSettled = resolve;
      for (let i = 0; i < width; i += 1) this.#begin(pool);
    });
    pool?.close();
  }

  /** Has the next user come, and the one after it when that one is there or has failed. */
  #begin(pool: HttpPool | null): void {
    const { count, first } = this.#share;
    const isOver = this.#begun === count || this.#failed > mostFailures;
    if (isOver && this.#settled === this.#begun) this.#allSettled();
    if (isOver) return;
    const index = this.#begun;
    this.#begun += 1;
    const settled = (error: Error | null): void => {
      if (error === null) this.#counts.connected += 1;
      else this.#fail(error.message);
      this.#settled += 1;
      this.#begin(pool);
    };
    if (pool) this.#bring(pool, index, settled);
    else this.#hold(index, `/ws/${userId(first + index)}`, null, settled);
  }

  #bring(pool: HttpPool, index: number, settled: Settled): void {
    pool.next().request(this.#onlines[index]!, (_status, bytes, start, end) => {
      const ticket = ticketIn(bytes, start, end);
      if (ticket === null) return settled(new Error(`ONLINE answered ${bytes.toString('latin1', start, end)}`));
      this.#tickets[index] = encodeURIComponent(ticket);
      this.#hold(index, '/v5/wsocket', `subscribe ${domain} ${ticket}`, settled);
    });
  }

  #fail(why: string): void {
    this.#failed += 1;
    this.#failures[why] = (this.#failures[why] ?? 0) + 1;
  }

  /** Opens a WebSocket. One that is to subscribe is held when that has been answered. */
  #hold(index: number, path: string, subscribe: string | null, settled: Settled): void {
    const { port, hosts } = this.#share;
    const askedMs = nowMs();
    let isHeld = false;
    const held = (): void => {
      isHeld = true;
      this.#counts.held += 1;
      settled(null);
    };
    const onClose = (): void => {
      if (!isHeld) return settled(new Error('the socket was closed before it was subscribed'));
      this.#counts.held -= 1;
      this.#fail('a held socket was closed');
    };
    const opened = (socket: WebSocketClient): void => {
      this.#sockets.push(socket);
      if (subscribe === null) return held();
      socket.onText = (bytes, start, end) => {
        socket.onText = this.#receive;
        if (isEqual(bytes, start, end, subscribed)) return held();
        socket.close();
        settled(refusal(bytes.toString('latin1', start, end), nowMs() - askedMs));
      };
      socket.send(textFrame(subscribe));
    };
    const host = hosts[index % hosts.length];
    WebSocketClient.begin({ port, host, path, onText: this.#receive, onClose }, opened, settled);
  }

  readonly #receive: OnUnit = (bytes, start, end) => {
    if (readMessages(bytes, start, end, this.#received) === 0) this.#counts.presences += 1;
  };

  readonly #received = (id: number, dueMs: number): void => {
    if (this.#seen.has(id)) this.#counts.duplicates += 1;
    this.#seen.add(id);
    this.#counts.received += 1;
    if (dueMs >= this.#warmMs) this.#latencies.push(nowMs() - dueMs);
  };

  /** Offers messages at a rate, from one user to another, whatever the server does. Resolves when all are answered. */
  async talk(rate: number, ms: number, warmUpMs: number): Promise<void> {
    const total = Math.round((rate * ms) / 1000);
    const pool = await HttpPool.open(this.#share.port, talkWidth, this.#share.hosts[0]);
    const startMs = nowMs();
    this.#warmMs = startMs + warmUpMs;
    let answered = 0;
    let allAnswered: () => void = () => undefined;
    const all = new Promise<void>((resolve) => {
      allAnswered = resolve;
    });
    const onAnswer = (status: number): void => {
      if (status !== 200) this.#counts.refused += 1;
      answered += 1;
      if (answered === total) allAnswered();
    };
    for (let number = 0; number < total; ) {
      const due = Math.min(total, Math.floor(((nowMs() - startMs) * rate) / 1000) + 1);
      for (; number < due; number += 1)
        pool.next().request(this.#nextMessage(number, startMs + (number * 1000) / rate), onAnswer);
      await sleep(Math.max(1, Math.ceil(startMs + (number * 1000) / rate - nowMs())));
    }
    await all;
    pool.close();
  }

  #nextMessage(number: number, dueMs: number): Buffer {
    const { target, holder, first, users, count } = this.#share;
    const id = holder * idsPerHolder + this.#counts.sent;
    this.#counts.sent += 1;
    // Steps without a common factor with the number of users: sender and receiver are all over the machine.
    if (target === 'uws') return bareMessageRequest(userId(first + ((number * 104_729) % count)), id, dueMs);
    const ticket = this.#tickets[(number * 7919) % count] ?? '';
    return messageRequest(ticket, userId((holder * 31 + number * 104_729) % users), id, dueMs);
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
