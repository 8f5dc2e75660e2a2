/** Clients that come back whenever their connection is lost: of NexTalk over each of its transports, as its pages do. */
import { generate, type IConnectPacket, type Packet, parser } from 'mqtt-packet';
import { httpRequest } from '../clients/http.js';
import { domain } from '../clients/nextalk.js';
import { textFrame, WebSocketClient } from '../clients/websocket.js';
import type { Wire } from '../clients/wire.js';
import { chunkData, chunkEnd, httpAnswerEnd, httpBody, httpStatus, mqttPacketEnd, type OnUnit } from '../scan.js';
import type { Ledger } from './ledger.js';
import type { Link } from './link.js';

/** A user, for the client that connects over the user's link. */
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
/** A poll that nothing has ended for so long after its connection was there has been written. */
const WRITTEN_MS = 20;
/** A connection that is not there by then is tried again. */
const OPEN_MS = 5000;

const MQTT_5 = { protocolVersion: 5 } as const;
/** MQTT's reasons to refuse a CONNECT: bad user name or password, not authorized. */
const NO_TICKET: ReadonlySet<number> = new Set([0x86, 0x87]);
const CONNECT: IConnectPacket = {
  cmd: 'connect',
  protocolId: 'MQTT',
  ...MQTT_5,
  clientId: 'phone',
  clean: false,
  keepalive: 30,
  properties: { sessionExpiryInterval: 120 },
};

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
      resolve({ ended, close: leave });
    };
    const over = (error = new Error('the connection is lost')): void => {
      clearTimeout(timer);
      reject(error);
      end();
    };
    const leave = (): void => {
      close();
      over();
    };
    close = begin(opened, over);
  });
}

/** Opens a connection. Calls `begun` when the connection is open, or `over` where it cannot be opened. Returns a function that closes it. */
function openWire(
  link: Link,
  options: Parameters<Link['open']>[0],
  begun: (wire: Wire) => void,
  over: (error: Error) => void,
): () => void {
  let wire: Wire | null = null;
  let isClosed = false;
  link.open(options).then((opened) => {
    if (isClosed) return opened.close();
    wire = opened;
    begun(opened);
  }, over);
  return (): void => {
    isClosed = true;
    wire?.close();
  };
}

/** Opens a WebSocket. Calls `begun` when the WebSocket is open, and `read` with each text that comes. Returns a function that closes it. */
export function openSocket(
  link: Link,
  path: string,
  read: (text: string, say: (text: string) => void) => void,
  over: (error?: Error) => void,
  begun: (say: (text: string) => void) => void = () => undefined,
): () => void {
  let isClosed = false;
  // The first text may come in one read with the answer to the upgrade, before there is a socket here.
  const say = (text: string): void => void socket.then((opened) => opened.send(textFrame(text)));
  const socket = WebSocketClient.open({
    port: 0,
    path,
    openWire: (options) => link.open(options),
    onText: (bytes, start, end) => {
      if (!isClosed) read(bytes.toString('utf8', start, end), say);
    },
    onClose: () => over(),
  });
  socket.then((opened) => {
    if (isClosed) opened.close();
    else begun(say);
  }, over);
  return () => {
    isClosed = true;
    socket.then(
      (opened) => opened.close(),
      () => undefined,
    );
  };
}

export class SocketClient extends CountingClient {
  open(): Promise<Connection> {
    return opening((opened, over) => {
      const { link, ticket } = this.person;
      let pings: NodeJS.Timeout | undefined;
      let isGone = false;
      const close = openSocket(
        link,
        '/v5/wsocket',
        (text) => {
          if (!text.startsWith('{')) return;
          const frame = JSON.parse(text) as Frame;
          if (frame.status === 'error') {
            isGone = frame.message === 'ticket not found';
            return;
          }
          this.take(frame);
          opened();
        },
        (error) => {
          clearInterval(pings);
          over(isGone ? new TicketGone() : error);
        },
        (say) => {
          say(`resume ${domain} ${this.position} ${ticket}`);
          pings = setInterval(() => say(`ping ${this.position}`), PING_MS);
        },
      );
      return () => {
        clearInterval(pings);
        close();
      };
    });
  }
}

/**
 * A client that polls again and again over a connection that it keeps, as browsers do. It counts as connected when its first poll is
 * written, or answered.
 */
export class PollClient extends CountingClient {
  open(): Promise<Connection> {
    return opening((opened, over) => {
      let isOver = false;
      const end = (error?: Error): void => {
        isOver = true;
        close();
        over(error);
      };
      const poll = (wire: Wire): void => {
        wire.write(httpRequest(`/v5/packets?${this.query}&position=${this.position}`, ''));
      };
      let wire: Wire | undefined;
      const onUnit: OnUnit = (bytes, start, stop) => {
        const status = httpStatus(bytes, start);
        if (isOver || !wire) return;
        if (status !== 200) return end(status === 404 ? new TicketGone() : undefined);
        this.take(JSON.parse(bytes.toString('utf8', httpBody(bytes, start, stop), stop)) as Frame);
        opened();
        this.person.upAt = performance.now();
        poll(wire);
      };
      const begun = (connected: Wire): void => {
        wire = connected;
        wire.onClose = () => end();
        poll(wire);
        setTimeout(() => {
          if (!isOver) opened();
        }, WRITTEN_MS).unref();
      };
      const close = openWire(this.person.link, { unitEnd: httpAnswerEnd, onUnit }, begun, over);
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
      let wire: Wire | undefined;
      const end = (error?: Error): void => {
        close();
        over(error);
      };
      const onChunk: OnUnit = (bytes, start, stop) => {
        const data = chunkData(bytes, start, stop);
        if (data === stop) return end();
        text += bytes.toString('utf8', data, stop);
        for (let at = text.indexOf('\n\n'); at >= 0; at = text.indexOf('\n\n')) {
          this.#event(text.slice(0, at));
          text = text.slice(at + 2);
        }
      };
      const onUnit: OnUnit = (bytes, start) => {
        const status = httpStatus(bytes, start);
        if (status !== 200 || !wire) return end(status === 404 ? new TicketGone() : undefined);
        wire.splitter.unitEnd = chunkEnd;
        wire.splitter.onUnit = onChunk;
        opened();
      };
      const begun = (connected: Wire): void => {
        wire = connected;
        wire.onClose = () => over();
        const last = this.#id === '' ? '' : `Last-Event-ID: ${this.#id}\r\n`;
        wire.write(httpRequest(`/v5/events?${this.query}`, last));
      };
      const close = openWire(this.person.link, { unitEnd: httpBody, onUnit }, begun, over);
      return close;
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
      let pings: NodeJS.Timeout | undefined;
      let wire: Wire | undefined;
      const end = (error?: Error): void => {
        clearInterval(pings);
        close();
        over(error);
      };
      const packets = parser({ protocolVersion: 5 });
      packets.on('packet', (packet: Packet) => {
        if (packet.cmd === 'connack') {
          if (packet.reasonCode === 0) opened();
          else end(NO_TICKET.has(packet.reasonCode ?? 0) ? new TicketGone() : undefined);
        } else if (packet.cmd === 'publish') {
          const frame = JSON.parse(packet.payload.toString()) as Frame;
          for (const { body, id } of frame.messages ?? []) ledger.came(Number(body), id);
          if (packet.qos === 1) wire?.write(generate({ cmd: 'puback', messageId: packet.messageId }, MQTT_5));
        }
      });
      const onUnit: OnUnit = (bytes, start, stop) => void packets.parse(Buffer.from(bytes.subarray(start, stop)));
      const begun = (connected: Wire): void => {
        wire = connected;
        wire.onClose = () => end();
        wire.write(generate({ ...CONNECT, username: domain, password: Buffer.from(ticket) }));
        pings = setInterval(() => connected.write(generate({ cmd: 'pingreq' })), PING_MS);
      };
      const close = openWire(link, { unitEnd: mqttPacketEnd, onUnit }, begun, over);
      return () => end();
    });
  }
}
