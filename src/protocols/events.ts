/**
 * Server-sent events, PROTOCOL.md section 13: a GET whose response goes on. Each event is one frame, its id the client's
 * position after it; the browser's EventSource comes back with the last one, which confirms it.
 */
import type { NamedClient } from '../actors/client.js';
import type { Packet } from '../actors/packet.js';
import { type Asked, formatPosition } from '../actors/position.js';
import type { CountedFrame, Counting, Transport } from '../actors/transport.js';
import { Timeouts } from '../clock.js';
import type { Limits } from '../config.js';
import { CLOSE, type CloseReason, type ReplyError, UNAVAILABLE } from '../errors.js';
import type { HttpResponse } from '../uws.js';
import { type Admission, addressOfClient, type ConnectionLimits } from './connection-limits.js';
import type { Context } from './context.js';
import { encodeCounted } from './frame.js';
import type { Headers, RequestHead } from './headers.js';
import { countRefused, findReceiver, readReceiver, readReceiving } from './receiving.js';
import { refuse, statusText, writeOrigin } from './refusal.js';

const PING_MS = 15_000;
/** A stream with something unconfirmed ends after this: the browser comes again, and confirms it. */
const UNCONFIRMED_MS = 5 * 60_000;
/** How long a browser waits before it comes again: after a fault, and where the server has ended the stream for it to come. */
const RETRY_MS = 1000;
const RENEW_MS = 50;
/** Never: the page is to close its EventSource. */
const NEVER_MS = 86_400_000;
/** Browsers whose streams the server ends, many at once where it drains or other nodes are lost, come again spread over so many milliseconds. */
const SPREAD_MS = 5000;

const PING = 'event: ping\ndata: {}\n\n';
const EVENT_STREAM = 'text/event-stream';
const NONE: readonly Packet[] = [];

const retry = (ms: number): string => `retry: ${ms}\n\n`;

const retryAtRandom = (): string => retry(RETRY_MS + Math.floor(Math.random() * SPREAD_MS));

/** The page is to close its EventSource. */
const lastEvent = (name: 'stopped' | 'replaced'): string => `${retry(NEVER_MS)}event: ${name}\ndata: {}\n\n`;

function writeHead(res: HttpResponse, origin: string | null): void {
  res.writeHeader('Content-Type', EVENT_STREAM);
  res.writeHeader('Cache-Control', 'no-store');
  res.writeHeader('X-Content-Type-Options', 'nosniff');
  // nginx gathers an answer otherwise.
  res.writeHeader('X-Accel-Buffering', 'no');
  writeOrigin(res, origin);
}

function isFromEventSource(req: RequestHead): boolean {
  return req.getHeader('accept') === EVENT_STREAM;
}

class EventStream implements Transport, Counting {
  readonly kind = 'events';
  readonly counting = this;
  #done = false;
  #isFull = false;
  /** Sent since the client came. */
  #packets = 0;
  #bytes = 0;

  constructor(
    private readonly adapter: EventsAdapter,
    private readonly res: HttpResponse,
    readonly asked: Asked,
    readonly client: NamedClient,
    private readonly limits: () => Limits,
    readonly admission: Admission,
  ) {
    res.onAborted(() => this.#leave());
    res.onWritable(() => {
      this.#isFull = false;
      if (!this.#done) client.endpoint.tell({ kind: 'drained', client, transport: this });
      return true;
    });
  }

  get address(): string | null {
    return addressOfClient(this.admission, this.#done ? null : this.res);
  }

  open(origin: string | null): void {
    const { res } = this;
    res.cork(() => {
      writeHead(res, origin);
      res.write(retry(RETRY_MS));
    });
  }

  resumed(): void {}

  send(frame: CountedFrame, after: number, era: string): boolean {
    if (this.#done || this.#isFull) return false;
    this.#write(`id: ${formatPosition(after, era)}\ndata: ${encodeCounted(frame, frame.position)}\n\n`);
    const { packets } = frame;
    this.#packets += packets.length;
    for (const { bytes } of packets) this.#bytes += bytes;
    if (packets.length > 0) this.adapter.unconfirmed(this);
    if (this.#isHalfFull()) this.renew();
    return true;
  }

  confirmed(packets: readonly Packet[]): void {
    this.#packets = Math.max(0, this.#packets - packets.length);
    for (const { bytes } of packets) this.#bytes = Math.max(0, this.#bytes - bytes);
    if (this.#packets === 0) this.adapter.confirmed(this);
  }

  #isHalfFull(): boolean {
    const { queuePackets, queueBytes } = this.limits();
    return (queuePackets > 0 && this.#packets * 2 >= queuePackets) || (queueBytes > 0 && this.#bytes * 2 >= queueBytes);
  }

  deliver(): number {
    return 0;
  }

  /** The browser is to come again, and to confirm what it has. */
  renew(): void {
    this.#end(retry(RENEW_MS));
    this.adapter.detach(this);
  }

  /** The server drains. */
  farewell(): void {
    if (this.#done) return;
    this.#end(retryAtRandom());
    this.adapter.detach(this);
  }

  ping(): void {
    if (!this.#isFull) this.#write(PING);
  }

  close(reason: CloseReason): readonly Packet[] {
    if (this.#done) return NONE;
    const name = reason === CLOSE.stopped ? 'stopped' : reason === CLOSE.replaced ? 'replaced' : null;
    this.#end(name === null ? retryAtRandom() : lastEvent(name));
    return NONE;
  }

  #write(text: string): void {
    this.res.cork(() => {
      if (!this.res.write(text)) this.#isFull = true;
    });
  }

  #end(last: string): void {
    this.#done = true;
    this.adapter.ended(this);
    this.res.cork(() => this.res.end(last));
  }

  #leave(): void {
    if (this.#done) return;
    this.#done = true;
    this.adapter.ended(this);
    this.adapter.detach(this);
  }
}

export class EventsAdapter {
  readonly #pings: Timeouts<EventStream>;
  readonly #unconfirmed: Timeouts<EventStream>;

  constructor(
    private readonly context: Context,
    private readonly connectionLimits: ConnectionLimits,
  ) {
    const { clock } = context.runtime;
    this.#pings = new Timeouts<EventStream>(clock, PING_MS, (stream) => {
      stream.ping();
      this.#pings.start(stream);
    });
    this.#unconfirmed = new Timeouts<EventStream>(clock, UNCONFIRMED_MS, (stream) => stream.renew());
  }

  get(res: HttpResponse, req: RequestHead, headers: Headers): void {
    const { origin } = headers;
    const receiving = readReceiving(this.context, req.getQuery() ?? '', origin);
    const { allow, query, domain } = receiving;
    const position = req.getHeader('last-event-id') || (query.position ?? '0');
    const receiver = readReceiver(receiving, origin, position);
    const isEventSource = isFromEventSource(req);
    const refuses = (error: ReplyError): void => {
      countRefused(this.context.runtime.metrics, error);
      this.#refuse(res, isEventSource, allow, error, this.context.comingAgain.told(error));
    };
    if (!('ticket' in receiver)) return refuses(receiver);
    const asked = receiver.asked ?? 'first';
    findReceiver(
      this.connectionLimits,
      res,
      headers,
      receiving,
      { ticket: receiver.ticket, asked },
      {
        wait: (client, admission) => {
          const limits = () => domain?.limits ?? this.context.config().limits;
          const stream = new EventStream(this, res, asked, client, limits, admission);
          this.#open(stream, allow);
        },
        refuse: refuses,
        stop: () => this.#stop(res, allow),
        coming: 'connection',
      },
    );
  }

  /** Refuses a stream that has come while the server starts. `told`: with the time when its client may come again. */
  refuseHeld(res: HttpResponse, req: RequestHead, { origin }: Headers, told: ReplyError): void {
    const { allow } = readReceiving(this.context, req.getQuery() ?? '', origin);
    this.#refuse(res, isFromEventSource(req), allow, UNAVAILABLE, told);
  }

  #refuse(res: HttpResponse, isEventSource: boolean, allow: string | null, error: ReplyError, told: ReplyError): void {
    if (isEventSource && told.saysWhen) this.#renewLater(res, allow, told);
    else refuse(res, statusText(error), error, allow, told);
  }

  #open(stream: EventStream, origin: string | null): void {
    this.context.runtime.metrics.opens('events');
    this.#pings.start(stream);
    stream.open(origin);
    const { client } = stream;
    client.endpoint.tell({ kind: 'attach', client, transport: stream });
  }

  /** The client was signed out by name a moment ago. */
  #stop(res: HttpResponse, origin: string | null): void {
    this.context.runtime.metrics.refused.ticketNotFound += 1;
    res.cork(() => {
      writeHead(res, origin);
      res.end(lastEvent('stopped'));
    });
  }

  /** A browser's EventSource never comes again after a status other than 200 (HTML standard, 9.2.3). */
  #renewLater(res: HttpResponse, origin: string | null, { retryAfterS = 1 }: ReplyError): void {
    writeHead(res, origin);
    res.end(retry(retryAfterS * 1000), this.context.isDraining());
  }

  /** For each stream, a function that ends it because the server drains. */
  farewells(): (() => void)[] {
    return [...this.#pings.items()].map((stream) => () => stream.farewell());
  }

  /** Ends every stream that is left. */
  close(): void {
    for (const end of this.farewells()) end();
    this.#pings.close();
    this.#unconfirmed.close();
  }

  /** Notes that a stream has sent packets that its client has not confirmed. */
  unconfirmed(stream: EventStream): void {
    if (!this.#unconfirmed.has(stream)) this.#unconfirmed.start(stream);
  }

  /** Notes that a stream's client has confirmed all packets. */
  confirmed(stream: EventStream): void {
    this.#unconfirmed.cancel(stream);
  }

  ended(stream: EventStream): void {
    this.#pings.cancel(stream);
    this.#unconfirmed.cancel(stream);
    this.context.runtime.metrics.connections.events -= 1;
    this.connectionLimits.release(stream.admission);
  }

  /** The endpoint is to know that it is over. */
  detach(stream: EventStream): void {
    const { client } = stream;
    client.endpoint.tell({ kind: 'detach', client, transport: stream, unsent: NONE });
  }
}
