/**
 * Pages on a network that cuts connections anywhere, also within a frame: every transport's own adapter, a clock and a network
 * of the test's. A page moves between WebSocket, polls and server-sent events and keeps one position.
 */
import { ConnectionLimits } from '../../src/protocols/connection-limits.js';
import { EventsAdapter } from '../../src/protocols/events.js';
import type { Headers } from '../../src/protocols/headers.js';
import { PollAdapter } from '../../src/protocols/jsonp.js';
import type { MqttHost } from '../../src/protocols/mqtt/host.js';
import { WebSocketAdapter } from '../../src/protocols/websocket.js';
import type { HttpRequest, HttpResponse, WebSocket } from '../../src/uws.js';
import { type Machine, own, TestBroker, testMachine } from '../mqtt/support/broker.js';
import { ManualClock } from '../mqtt/support/clock.js';
import type { Cleaner } from './server.js';

export const HOUR = 3_600_000;

export interface Frame {
  readonly status?: string;
  readonly position?: string;
  readonly missed?: number | true;
  readonly lost?: number;
  readonly messages?: readonly { readonly body: string; readonly id: string }[];
  readonly presences?: readonly unknown[];
  readonly statuses?: readonly unknown[];
}

/** One connection as the page sees it: bytes that are under way, and whatever it has read of them. */
abstract class Link {
  pending: Buffer = Buffer.alloc(0);
  #read: Buffer = Buffer.alloc(0);
  /** The server has ended it, or answered. */
  isEnded = false;
  isFull = false;

  constructor(protected readonly page: Page) {}

  protected carries(bytes: Buffer): void {
    this.pending = Buffer.concat([this.pending, bytes]);
  }

  /** So many more bytes reach the page. */
  read(count: number): void {
    this.#read = Buffer.concat([this.#read, this.pending.subarray(0, count)]);
    this.pending = this.pending.subarray(count);
    this.#read = this.#read.subarray(this.takes(this.#read));
  }

  /** Reads whole frames; answers how many bytes these were. */
  protected abstract takes(bytes: Buffer): number;
  /** The server learns that the connection is gone. */
  abstract lost(): void;
  /** The network takes more again. */
  drains(): void {
    this.isFull = false;
  }
  says(_text: string): void {}
}

const noHeaders = { origin: '', forwardedFor: '', forwardedProto: '', forwardedHost: '' } as unknown as Headers;

class SocketLink extends Link {
  readonly #holder: object;
  readonly #behaviour: WebSocketAdapter['behaviour'];
  readonly #ws: WebSocket<never>;
  #isOpen = true;

  constructor(page: Page) {
    super(page);
    const { behaviour } = page.adapters.sockets;
    this.#behaviour = behaviour;
    let holder: object = {};
    const req = { forEach: () => undefined, getHeader: (name: string) => (name.endsWith('version') ? '13' : '') };
    const res = {
      upgrade: (made: object) => {
        holder = made;
      },
    };
    behaviour.upgrade?.(res as never, req as never, null as never);
    this.#holder = holder;
    const close = () => this.lost();
    this.#ws = {
      getUserData: () => this.#holder,
      getBufferedAmount: () => (this.isFull ? 1 : 0),
      getRemoteAddress: () => new ArrayBuffer(0),
      getRemoteAddressAsText: () => new ArrayBuffer(0),
      send: (text: string) => this.#frame('t', text),
      ping: (text: string) => this.#frame('p', text),
      end: close,
      close,
    } as unknown as WebSocket<never>;
    behaviour.open?.(this.#ws);
    this.says(`resume ${own.domain} ${page.position} ${page.ticket}`);
  }

  override says(text: string): void {
    const bytes = Buffer.from(text);
    const copy = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length) as ArrayBuffer;
    if (this.#isOpen) this.#behaviour.message?.(this.#ws, copy, false);
  }

  lost(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.isEnded = true;
    this.#behaviour.close?.(this.#ws, 1006, new ArrayBuffer(0));
  }

  override drains(): void {
    super.drains();
    if (this.#isOpen) this.#behaviour.drain?.(this.#ws);
  }

  #frame(kind: 't' | 'p', text: string): number {
    const payload = Buffer.from(kind + text);
    const head = Buffer.alloc(4);
    head.writeUInt32BE(payload.length);
    this.carries(Buffer.concat([head, payload]));
    return this.isFull ? 0 : 1;
  }

  protected takes(bytes: Buffer): number {
    let at = 0;
    while (bytes.length - at >= 4 && bytes.length - at - 4 >= bytes.readUInt32BE(at)) {
      const end = at + 4 + bytes.readUInt32BE(at);
      const text = bytes.toString('utf8', at + 5, end);
      if (bytes.toString('utf8', at + 4, at + 5) === 'p') this.#pong(text);
      else if (text.startsWith('{')) this.page.take(JSON.parse(text) as Frame);
      at = end;
    }
    return at;
  }

  #pong(text: string): void {
    const bytes = new TextEncoder().encode(text).buffer as ArrayBuffer;
    if (this.#isOpen) this.#behaviour.pong?.(this.#ws, bytes);
  }
}

/** What uWebSockets.js gives an adapter to answer a request on. */
class RequestLink extends Link {
  #aborted: () => void = () => undefined;
  #writable: (offset: number) => boolean = () => true;
  protected readonly res: HttpResponse;

  constructor(page: Page) {
    super(page);
    const res = {
      onAborted: (handler: () => void) => {
        this.#aborted = handler;
      },
      onWritable: (handler: (offset: number) => boolean) => {
        this.#writable = handler;
      },
      cork: (write: () => void) => write(),
      writeStatus: () => res,
      writeHeader: () => res,
      getRemoteAddress: () => new ArrayBuffer(0),
      getRemoteAddressAsText: () => new ArrayBuffer(0),
      write: (text: string) => {
        this.carries(Buffer.from(text));
        return !this.isFull;
      },
      tryEnd: (body: Buffer) => {
        const head = Buffer.alloc(4);
        head.writeUInt32BE(body.length);
        this.carries(Buffer.concat([head, body]));
        this.isEnded = true;
        return [true, true];
      },
      end: (text: string) => {
        this.carries(Buffer.from(text));
        this.isEnded = true;
      },
    };
    this.res = res as unknown as HttpResponse;
  }

  protected request(lastEventId: string): HttpRequest {
    const query = new URLSearchParams({ domain: own.domain, ticket: this.page.ticket, position: this.page.position });
    const getHeader = (name: string) => (name === 'last-event-id' ? lastEventId : '');
    return { getQuery: () => `${query}`, getHeader } as unknown as HttpRequest;
  }

  lost(): void {
    if (!this.isEnded) this.#aborted();
    this.isEnded = true;
  }

  override drains(): void {
    super.drains();
    if (!this.isEnded) this.#writable(0);
  }

  protected takes(_bytes: Buffer): number {
    return 0;
  }
}

class PollLink extends RequestLink {
  constructor(page: Page) {
    super(page);
    page.adapters.polls.get(this.res, this.request(''), noHeaders);
  }

  protected override takes(bytes: Buffer): number {
    if (bytes.length < 4 || bytes.length < 4 + bytes.readUInt32BE(0)) return 0;
    this.page.take(JSON.parse(bytes.toString('utf8', 4)) as Frame);
    return bytes.length;
  }
}

class EventsLink extends RequestLink {
  constructor(page: Page) {
    super(page);
    page.adapters.events.get(
      this.res,
      this.request(page.roll(2) === 0 || page.position === '0' ? '' : page.position),
      noHeaders,
    );
  }

  protected override takes(bytes: Buffer): number {
    let at = 0;
    for (let end = bytes.indexOf('\n\n'); end >= 0; end = bytes.indexOf('\n\n', at)) {
      const lines = bytes.toString('utf8', at, end).split('\n');
      const field = (name: string) => lines.find((line) => line.startsWith(`${name}: `))?.slice(name.length + 2);
      const [id, data] = [field('id'), field('data')];
      if (id !== undefined && data !== undefined) {
        this.page.take(JSON.parse(data) as Frame);
        if (this.page.position !== id) throw new Error(`it counts ${this.page.position}, and the event says ${id}`);
      }
      at = end + 2;
    }
    return at;
  }
}

const LINKS = [SocketLink, PollLink, EventsLink] as const;

export class Page {
  position = '0';
  readonly bodies: number[] = [];
  readonly ids: string[] = [];
  /** How often it was told that something may be missed, nobody knows what. */
  unknown = 0;
  /** How many packets these frames said nothing else of. */
  covered = 0;
  missed = 0;
  lost = 0;
  /** Packets of all kinds that it has had. */
  packets = 0;
  opened = 0;
  link: Link | null = null;
  /** Connections that the page has left, and of which the server does not know yet. */
  readonly left: Link[] = [];

  constructor(
    readonly ticket: string,
    public adapters: Adapters,
    readonly roll: (sides: number) => number,
  ) {}

  take(frame: Frame): void {
    if (frame.status !== 'ok') throw new Error(`told ${JSON.stringify(frame)}`);
    if (frame.position !== undefined) this.position = frame.position;
    const { messages = [], presences = [], statuses = [], lost = 0 } = frame;
    const missed = frame.missed === true ? 0 : (frame.missed ?? 0);
    if (frame.missed === true) {
      this.unknown += 1;
      this.covered += this.count;
    }
    for (const { body, id } of messages) {
      this.bodies.push(Number(body));
      this.ids.push(id);
    }
    this.missed += missed;
    this.lost += lost;
    const packets = messages.length + presences.length + statuses.length;
    this.packets += packets;
    if (packets + missed === 0) return;
    const dot = this.position.lastIndexOf('.');
    this.position = `${this.position.slice(0, dot)}.${this.count + packets + missed}`;
  }

  get count(): number {
    return Number(this.position.slice(this.position.lastIndexOf('.') + 1));
  }

  connect(): void {
    this.connectsBy(this.roll(LINKS.length));
  }

  /** By WebSocket (0), a poll or a stream of events. */
  connectsBy(way: number): void {
    if (this.link) this.left.push(this.link);
    this.link = null;
    const Kind = LINKS[way] as (typeof LINKS)[number];
    this.link = new Kind(this);
    this.opened += 1;
  }

  /** Its server has gone: some of what was under way reaches it still, and it goes on with the next one. */
  survives(adapters: Adapters): void {
    this.link?.read(this.roll(this.link.pending.length + 1));
    this.link = null;
    this.left.length = 0;
    this.adapters = adapters;
  }

  step(): void {
    const { link, roll, left } = this;
    switch (roll(9)) {
      case 0:
        return this.connect();
      case 1:
        if (link?.isEnded && link.pending.length === 0) this.connect();
        return;
      case 2:
      case 3:
        return link?.read(roll(link.pending.length + 1));
      case 4:
        return link?.read(link.pending.length);
      case 5:
        return link?.says(`${roll(2) === 0 ? 'ping' : 'received'} ${this.position}`);
      case 6:
        if (link?.isFull) link.drains();
        else if (link) link.isFull = true;
        return;
      case 7:
        left.splice(roll(left.length + 1), 1)[0]?.lost();
        return;
      case 8:
        link?.lost();
        this.link = null;
    }
  }
}

export interface Adapters {
  readonly sockets: WebSocketAdapter;
  readonly polls: PollAdapter;
  readonly events: EventsAdapter;
}

export function adaptersOf({ context }: MqttHost): Adapters {
  const limits = new ConnectionLimits(context);
  return {
    sockets: new WebSocketAdapter(context, limits),
    polls: new PollAdapter(context, limits),
    events: new EventsAdapter(context, limits),
  };
}

/** A machine whose adapters the pages of one test share. */
export function fakeNetwork(t: Cleaner, queuePackets: number) {
  const clock = new ManualClock();
  const made: Machine = testMachine(
    t,
    { limits: { queuePackets }, presence: { clientIdleMs: HOUR, graceMs: HOUR } },
    clock,
  );
  const { context } = made.host;
  const adapters = adaptersOf(made.host);
  t.teardown(() => {
    for (const adapter of Object.values(adapters)) adapter.close();
  });
  return { ...made, clock, adapters, broker: new TestBroker({} as never, context, context.domains as never) };
}

export type FakeNetwork = ReturnType<typeof fakeNetwork>;
