/** Clients that come back whenever their connection is lost: of NexTalk over each of its transports, as its pages do. */
import http from 'node:http';
import { connect as connectMqtt, type MqttClient } from 'mqtt';
import { WebSocket } from 'ws';
import { domain } from '../clients/nextalk.js';
import type { Ledger } from './ledger.js';
import type { Link } from './link.js';

/** Where the server's ports are, for a client that goes through its link. */
export interface Person {
  readonly link: Link;
  readonly ledger: Ledger;
  ticket: string;
  /** Since when it is connected, or when its last poll was answered, of `performance.now()`; null: it is not. */
  upAt: number | null;
}

/** The ticket is not known any more. */
export class TicketGone extends Error {}

const PING_MS = 10_000;
/** A connection that is not there by then is tried again. */
const OPEN_MS = 5000;

export interface Connection {
  /** Resolves when the connection is over, however. */
  readonly ended: Promise<void>;
  close(): void;
}

export abstract class Client {
  constructor(protected readonly person: Person) {}

  /** Resolves when the server has said that the client is connected. */
  abstract open(): Promise<Connection>;
}

interface Frame {
  readonly status?: string;
  readonly message?: string;
  readonly position?: string;
  readonly missed?: number | true;
  readonly lost?: number;
  readonly messages?: readonly { readonly body: string; readonly id: string }[];
  readonly presences?: readonly object[];
  readonly statuses?: readonly object[];
}

/** Counts a position, as PROTOCOL.md section 12 has a client do. */
abstract class CountingClient extends Client {
  protected position = '0';

  protected take(frame: Frame): void {
    const { ledger } = this.person;
    if (frame.position !== undefined) this.position = frame.position;
    const messages = frame.messages ?? [];
    for (const { body, id } of messages) ledger.came(Number(body), id);
    if (frame.missed === true) ledger.toldUnknown += 1;
    ledger.told += frame.lost ?? 0;
    const missed = typeof frame.missed === 'number' ? frame.missed : 0;
    const count = messages.length + (frame.presences?.length ?? 0) + (frame.statuses?.length ?? 0) + missed;
    const dot = this.position.lastIndexOf('.');
    if (dot >= 0) {
      this.position = `${this.position.slice(0, dot)}.${Number(this.position.slice(dot + 1)) + count}`;
    }
  }

  protected get query(): string {
    return `domain=${domain}&ticket=${encodeURIComponent(this.person.ticket)}`;
  }
}

/** What `begin` makes of a connection: told when it is there, and when it is over. */
export function opening(begin: (opened: () => void, over: (error?: Error) => void) => () => void): Promise<Connection> {
  return new Promise((resolve, reject) => {
    let end: () => void = () => undefined;
    const ended = new Promise<void>((done) => {
      end = done;
    });
    let close: () => void = () => undefined;
    const timer = setTimeout(() => {
      close();
      reject(new Error('no connection in time'));
    }, OPEN_MS);
    const opened = (): void => {
      clearTimeout(timer);
      resolve({ ended, close });
    };
    const over = (error = new Error('the connection is lost')): void => {
      clearTimeout(timer);
      reject(error);
      end();
    };
    close = begin(opened, over);
  });
}

export class SocketClient extends CountingClient {
  open(): Promise<Connection> {
    return opening((opened, over) => {
      const { link, ticket } = this.person;
      const socket = new WebSocket(`ws://127.0.0.1:${link.port}/v5/wsocket`, { perMessageDeflate: false });
      const pings = setInterval(() => {
        if (socket.readyState === WebSocket.OPEN) socket.send(`ping ${this.position}`);
      }, PING_MS);
      socket.on('error', () => undefined);
      socket.on('open', () => socket.send(`resume ${domain} ${this.position} ${ticket}`));
      socket.on('message', (data) => {
        const text = data.toString();
        if (!text.startsWith('{')) return;
        const frame = JSON.parse(text) as Frame;
        if (frame.status === 'error') return;
        this.take(frame);
        opened();
      });
      socket.on('close', (code) => {
        clearInterval(pings);
        over(code === 4404 ? new TicketGone() : undefined);
      });
      return () => socket.terminate();
    });
  }
}

/**
 * Sends a GET request, on a connection of its own unless it is given an agent. Calls `answered` with the status of the response, `read`
 * with each part of its body, and `over` when the response has ended or failed.
 */
function get(
  link: Link,
  path: string,
  { agent = false, headers = {} }: Pick<http.RequestOptions, 'agent' | 'headers'>,
  read: (text: string) => void,
  over: (status: number, isComplete: boolean) => void,
  answered: (status: number) => void = () => undefined,
): http.ClientRequest {
  const request = http.get({ port: link.port, host: '127.0.0.1', path, headers, agent }, (response) => {
    const status = response.statusCode ?? 0;
    answered(status);
    response.setEncoding('utf8').on('data', read);
    response.on('error', () => undefined);
    response.on('close', () => over(status, response.complete));
  });
  request.on('error', () => over(0, false));
  return request;
}

/**
 * A client that polls again and again over a connection that it keeps, as browsers do. It counts as connected when its first poll is
 * written, or answered.
 */
export class PollClient extends CountingClient {
  open(): Promise<Connection> {
    return opening((opened, over) => {
      const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
      let isClosed = false;
      const end = (error?: Error): void => {
        isClosed = true;
        agent.destroy();
        over(error);
      };
      const poll = (): void => {
        let text = '';
        const answered = (status: number, isComplete: boolean): void => {
          if (isClosed) return;
          if (status === 404) return end(new TicketGone());
          if (status !== 200 || !isComplete) return end();
          this.take(JSON.parse(text) as Frame);
          opened();
          this.person.upAt = performance.now();
          poll();
        };
        const path = `/v5/packets?${this.query}&position=${this.position}`;
        const request = get(
          this.person.link,
          path,
          { agent },
          (part) => {
            text += part;
          },
          answered,
        );
        request.once('socket', (socket) => {
          if (socket.connecting) socket.once('connect', () => setTimeout(opened, 20).unref());
        });
      };
      poll();
      return () => end();
    });
  }
}

/** Reads server-sent events as a browser's EventSource does. */
export class EventsClient extends CountingClient {
  #id = '';

  open(): Promise<Connection> {
    return opening((opened, over) => {
      let text = '';
      const read = (part: string): void => {
        text += part;
        for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
          this.#event(text.slice(0, end));
          text = text.slice(end + 2);
        }
      };
      const ended = (status: number): void => over(status === 404 ? new TicketGone() : undefined);
      const answered = (status: number): void => {
        if (status === 200) opened();
      };
      const headers = this.#id === '' ? {} : { 'Last-Event-ID': this.#id };
      const request = get(this.person.link, `/v5/events?${this.query}`, { headers }, read, ended, answered);
      return () => request.destroy();
    });
  }

  #event(text: string): void {
    const lines = text.split('\n');
    const field = (name: string): string | undefined =>
      lines.find((line) => line.startsWith(`${name}: `))?.slice(name.length + 2);
    const data = field('data');
    if (data === undefined || field('event') !== undefined) return;
    this.#id = field('id') ?? this.#id;
    this.take(JSON.parse(data) as Frame);
  }
}

/** A phone by MQTT 5 whose session outlives its connection. What comes again it knows by its id. */
export class MqttPhone extends Client {
  open(): Promise<Connection> {
    return opening((opened, over) => {
      const { link, ticket, ledger } = this.person;
      const client: MqttClient = connectMqtt(`mqtt://127.0.0.1:${link.port}`, {
        protocolVersion: 5,
        clientId: 'phone',
        clean: false,
        username: domain,
        password: ticket,
        reconnectPeriod: 0,
        keepalive: 30,
        properties: { sessionExpiryInterval: 120 },
      });
      let error: Error | undefined;
      client.on('connect', opened);
      client.on('error', (fault) => {
        const code = 'code' in fault ? fault.code : undefined;
        if (code === 0x86 || code === 0x87) error = new TicketGone();
      });
      client.on('message', (_topic, payload) => {
        const frame = JSON.parse(payload.toString()) as Frame;
        for (const { body, id } of frame.messages ?? []) ledger.came(Number(body), id);
      });
      client.on('close', () => over(error));
      return () => client.end(true);
    });
  }
}
