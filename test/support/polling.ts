import type http from 'node:http';
import { type Answer, type Exchange, exchange, keepAliveAgent, type Params } from './http.js';
import { Inbox, type Packet, packetsOf } from './packets.js';
import { siteA, type TestServer } from './server.js';
import type { ChatClient } from './transports.js';

export interface PollOptions {
  readonly domain?: string | undefined;
  readonly path?: string;
  readonly callback?: string;
  readonly query?: Params;
  readonly headers?: http.OutgoingHttpHeaders;
  readonly agent?: http.Agent;
}

/** One poll, on a connection of its own unless an agent is given. */
export function poll(server: TestServer, ticket: string, options: PollOptions = {}): Exchange {
  const one = exchange(server.port, {
    path: options.path ?? '/v5/packets',
    query: { domain: options.domain ?? siteA.domain, ticket, callback: options.callback, ...options.query },
    headers: { ...options.headers },
    agent: options.agent ?? false,
  });
  server.own({ close: one.abort });
  return one;
}

/** A poll of which the server knows already when this resolves. */
export async function openPoll(server: TestServer, ticket: string, options: PollOptions = {}): Promise<Exchange> {
  const one = poll(server, ticket, options);
  await one.sent;
  await server.settled();
  return one;
}

/** What stands between the guard, the callback's name and the end, exactly. */
export function unwrap(answer: Answer): { callback: string; value: unknown } {
  const match = /^\/\*\*\/\s*([\w$.]+)\((.*)\);?$/s.exec(answer.text);
  if (!match?.[1] || match[2] === undefined) throw new Error(`no JSONP: ${answer.text}`);
  return { callback: match[1], value: JSON.parse(match[2]) };
}

/** One poll that is answered at once with packets, or hangs until there are some. */
export async function pollPackets(server: TestServer, ticket: string, options: PollOptions = {}): Promise<Packet[]> {
  const answer = await poll(server, ticket, options).answer;
  if (answer.status !== 200) throw new Error(`the poll answered ${answer.status} ${answer.text}`);
  return packetsOf(answer.body);
}

/** Polls again and again like the old browser script, with a JSONP callback of a new name each time. */
export class PollClient implements ChatClient {
  readonly ended: Promise<string>;
  readonly #server: TestServer;
  readonly #ticket: string;
  readonly #domain: string | undefined;
  readonly #agent = keepAliveAgent();
  readonly #inbox = new Inbox();
  #current: Exchange | undefined;
  #closed = false;
  #polls = 0;

  private constructor(server: TestServer, ticket: string, domain: string | undefined) {
    this.#server = server;
    this.#ticket = ticket;
    this.#domain = domain;
    this.ended = this.#run();
    server.own(this);
  }

  static async connect(server: TestServer, ticket: string, domain?: string): Promise<PollClient> {
    const client = new PollClient(server, ticket, domain);
    await client.#current?.sent;
    await server.settled();
    return client;
  }

  next(): Promise<Packet> {
    return this.#inbox.next();
  }

  close(): void {
    this.#closed = true;
    this.#current?.abort();
    this.#agent.destroy();
  }

  async #run(): Promise<string> {
    try {
      while (!this.#closed) {
        const word = await this.#once();
        if (word !== 'ok') return word;
      }
    } catch (error) {
      if (!this.#closed) this.#inbox.end(error as Error);
    }
    return '';
  }

  async #once(): Promise<string> {
    const callback = `parent.jsonp${++this.#polls}`;
    this.#current = poll(this.#server, this.#ticket, { domain: this.#domain, callback, agent: this.#agent });
    const answer = await this.#current.answer;
    const jsonp = unwrap(answer);
    if (jsonp.callback !== callback) throw new Error(`${callback} was called ${jsonp.callback}`);
    const { status } = jsonp.value as { status: string };
    if (status === 'ok') this.#inbox.put(packetsOf(jsonp.value));
    else this.#inbox.end(new Error(`polling ended: ${answer.text}`));
    return status;
  }
}
