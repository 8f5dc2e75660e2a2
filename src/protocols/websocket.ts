/**
 * WebSocket, PROTOCOL.md section 7: the first text subscribes a ticket, or resumes it from a position (section 12), then
 * frames go out. Owns the sockets and nothing else; what a client is entitled to is its endpoint's business.
 */
import type { NamedClient } from '../actors/client.js';
import type { Domain } from '../actors/domain.js';
import { Timeouts } from '../clock.js';
import {
  BANNED,
  badRequest,
  CLOSE,
  type CloseReason,
  comeLater,
  type ReplyError,
  TICKET_NOT_FOUND,
  UNAVAILABLE,
} from '../errors.js';
import type { HttpRequest, HttpResponse, us_socket_context_t, WebSocket, WebSocketBehavior } from '../uws.js';
import { clientText } from './client-calls.js';
import type { ConnectionLimits } from './connection-limits.js';
import type { Context } from './context.js';
import { isSignedOut, locateTicket } from './credentials.js';
import { SUBSCRIBED_FRAME } from './frame.js';
import { type Headers, whenSoundUpgrade } from './headers.js';
import { Liveness } from './liveness.js';
import { isAllowedOrigin } from './origin.js';
import { type Holder, Socket } from './socket.js';
import { parseSubscribe } from './subscribe.js';
import { connectionRefusal } from './unwelcome.js';

/**
 * A longer text closes the socket with 1009 (section 10). Beyond the second bound the connection is cut off without a
 * close code.
 */
const TEXT_BYTES = 64 * 1024;
const RECEIVE_BYTES = 2 * TEXT_BYTES;
/** After how long a silence uWebSockets.js itself closes a socket; `silenceMs` is never longer. */
const IDLE_S = 120;
/** Bytes that wait for a client before its pings are not answered any more: it has enough to read. */
const PONG_BACKLOG_BYTES = 256 * 1024;
/** More than one batch of a queue's bytes is never handed over before the socket drains. */
const BACKPRESSURE_BYTES = 64 * 1024 * 1024;

/** A page cannot see the protocol's own pings: this is how it finds out that its connection is dead. */
const PING = 'ping';
/** The payload of a pong is a position. */
const SHORT_BYTES = 64;

export class WebSocketAdapter {
  readonly behaviour: WebSocketBehavior<Holder>;
  readonly #alive: Liveness<Socket>;
  /** Sockets that have not subscribed yet. */
  readonly #silent: Timeouts<Socket>;

  constructor(
    private readonly context: Context,
    private readonly connectionLimits: ConnectionLimits,
  ) {
    const { clock, metrics } = context.runtime;
    const { socket: times } = context.config();
    this.#alive = new Liveness<Socket>(
      clock,
      times,
      (socket) => socket.ping(),
      ({ ws }) => ws?.close(),
    );
    this.#silent = new Timeouts<Socket>(clock, times.subscribeMs, (socket) => {
      metrics.refused.subscribeTimeout += 1;
      socket.ws?.end(CLOSE.subscribeTimeout.webSocketCode, CLOSE.subscribeTimeout.name);
    });
    this.behaviour = {
      maxPayloadLength: RECEIVE_BYTES,
      maxBackpressure: BACKPRESSURE_BYTES,
      idleTimeout: IDLE_S,
      sendPingsAutomatically: false,
      upgrade: whenSoundUpgrade(metrics, this.#upgrade.bind(this)),
      open: (ws) => this.#open(ws),
      message: (ws, message, isBinary) => this.#receive(ws, message, isBinary),
      ping: (ws) => this.#alive.heard(ws.getUserData().socket),
      pong: (ws, payload) => this.#pong(ws.getUserData().socket, payload),
      drain: (ws) => this.#drain(ws),
      close: (ws) => this.#ended(ws),
    };
  }

  /** For each socket, a function that ends it because the server drains. */
  farewells(): (() => void)[] {
    const { webSocketCode, name } = CLOSE.shutdown;
    return [...this.#alive.sockets()].map((socket) => () => socket.ws?.end(webSocketCode, name));
  }

  /** Ends every socket that is left. */
  close(): void {
    for (const end of this.farewells()) end();
    this.#alive.close();
    this.#silent.close();
  }

  #upgrade(res: HttpResponse, req: HttpRequest, headers: Headers, socketContext: us_socket_context_t): void {
    const admission = this.connectionLimits.admitSocket(res, headers);
    if (admission === null) return;
    const key = req.getHeader('sec-websocket-key');
    const extensions = req.getHeader('sec-websocket-extensions');
    const holder: Holder = { socket: new Socket(headers.origin, admission, this) };
    res.upgrade(holder, key, '', extensions, socketContext);
  }

  countDropped(): void {
    this.context.runtime.metrics.refused.unavailable += 1;
  }

  heardAt(socket: Socket): number | null {
    return this.#alive.heardAt(socket);
  }

  #open(ws: WebSocket<Holder>): void {
    const { socket } = ws.getUserData();
    socket.ws = ws;
    this.context.runtime.metrics.opens('websocket');
    this.#silent.start(socket);
    // uWebSockets.js gathers up to RECEIVE_BYTES of a text before it passes any of it on.
    this.context.strangers.hold(socket, RECEIVE_BYTES);
    this.#alive.open(socket);
  }

  #receive(ws: WebSocket<Holder>, message: ArrayBuffer, isBinary: boolean): void {
    const { socket } = ws.getUserData();
    this.#alive.heard(socket);
    if (isBinary || message.byteLength > TEXT_BYTES) {
      this.context.runtime.metrics.refused.malformed += 1;
      const reason = isBinary ? CLOSE.binary : CLOSE.tooLarge;
      ws.end(reason.webSocketCode, reason.name);
    } else if (!socket.client && !socket.locating) {
      this.#subscribe(socket, Buffer.from(message).toString('utf8'));
    } else if (socket.client && socket.saysByPing(message)) {
      this.#answer(ws);
    } else if (socket.client && socket.domain) {
      this.#hear(ws, socket, socket.client, socket.domain, Buffer.from(message).toString('utf8'));
      socket.ask();
    }
  }

  /** `ping` and, of a client that counts, `ping {position}` and `received {position}`; a call; other texts are ignored. */
  #hear(ws: WebSocket<Holder>, socket: Socket, client: NamedClient, domain: Domain, text: string): void {
    const [, word, position] = /^(ping|received)(?: ([^ ]{1,64}))?$/.exec(text) ?? [];
    if (word === undefined) {
      const reply = (json: string): void => void socket.ws?.send(json);
      const confirms = (): void => socket.confirms();
      const call = (): void => {
        if (!socket.ws || socket.client !== client) return;
        clientText(domain, client, text, { backlogBytes: socket.ws.getBufferedAmount(), reply, confirms });
      };
      // Where too many tasks of the domain wait already, the call cannot wait too: the socket is closed, and the client comes later.
      if (this.context.fair.isFull(domain)) return this.#refuseBusy(socket);
      return void this.context.fair.pass(domain, call, text.length);
    }
    if (position !== undefined) socket.says(position);
    if (word === PING) this.#answer(ws);
  }

  /** Answers a ping. */
  #answer(ws: WebSocket<Holder>): void {
    if (ws.getBufferedAmount() < PONG_BACKLOG_BYTES) ws.send('pong');
  }

  #pong(socket: Socket, payload: ArrayBuffer): void {
    this.#alive.heard(socket);
    if (payload.byteLength <= SHORT_BYTES) socket.pong(Buffer.from(payload).toString('latin1'));
  }

  #subscribe(socket: Socket, text: string): void {
    socket.locating = true;
    this.#silent.cancel(socket);
    const go = (): void => (socket.ws ? this.#find(socket, text) : undefined);
    this.context.gate.pass(go, () => this.#refuseBusy(socket), text.length);
  }

  #find(socket: Socket, text: string): void {
    const { domains, runtime } = this.context;
    const { refused } = runtime.metrics;
    const wanted = parseSubscribe(text);
    const domain = wanted && domains.get(wanted.domain);
    if (!wanted || (domain && !isAllowedOrigin(domain, socket.origin))) {
      refused.badRequest += 1;
      const error = wanted ? badRequest('origin is not allowed') : { status: 400, message: 'bad request' };
      return this.#refuse(socket, error, CLOSE.badRequest);
    }
    if (!domain) return this.#attach(socket, null);
    if (wanted.asked) socket.resume(wanted.asked);
    socket.domain = domain;
    if (wanted.asked && isSignedOut(domain, wanted.ticket)) {
      refused.ticketNotFound += 1;
      return void socket.close(CLOSE.stopped);
    }
    locateTicket(domain, wanted.ticket, wanted.asked !== null, (client, laterS) =>
      this.#attach(socket, client, laterS),
    );
  }

  #attach(socket: Socket, client: NamedClient | null, laterS?: number): void {
    const { runtime } = this.context;
    socket.locating = false;
    if (!socket.ws) return;
    if (!client) {
      runtime.metrics.refused[laterS === undefined ? 'ticketNotFound' : 'unavailable'] += 1;
      if (laterS !== undefined) return this.#refuse(socket, comeLater(laterS), CLOSE.tryAgainLater);
      return this.#refuse(socket, TICKET_NOT_FOUND, CLOSE.ticketNotFound);
    }
    const refused = socket.domain && connectionRefusal(socket.domain, client, () => socket.address, 'connection');
    if (refused) return this.#refuse(socket, refused, refused === BANNED ? CLOSE.banned : CLOSE.tryAgainLater);
    this.context.strangers.release(socket);
    socket.client = client;
    if (!socket.counting) socket.ws.send(SUBSCRIBED_FRAME);
    client.endpoint.tell({ kind: 'attach', client, transport: socket });
  }

  /** What a socket has sent cannot wait with so much else that does. */
  #refuseBusy(socket: Socket): void {
    this.context.runtime.metrics.refused.unavailable += 1;
    this.#refuse(socket, UNAVAILABLE, CLOSE.tryAgainLater);
  }

  #refuse(socket: Socket, error: ReplyError, reason: CloseReason): void {
    socket.refuse(this.context.comingAgain.told(error), reason);
  }

  #drain(ws: WebSocket<Holder>): void {
    const { socket } = ws.getUserData();
    if (ws.getBufferedAmount() > 0) return;
    socket.drained();
    const { client } = socket;
    if (client) client.endpoint.tell({ kind: 'drained', client, transport: socket });
  }

  #ended(ws: WebSocket<Holder>): void {
    const { metrics } = this.context.runtime;
    const { socket } = ws.getUserData();
    const { client, unsent } = socket;
    socket.ws = null;
    socket.client = null;
    this.#silent.cancel(socket);
    this.context.strangers.release(socket);
    this.#alive.closed(socket);
    metrics.connections.websocket -= 1;
    this.connectionLimits.release(socket.admission);
    if (client) client.endpoint.tell({ kind: 'detach', client, transport: socket, unsent });
  }
}
