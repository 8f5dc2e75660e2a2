/** MQTT over WebSocket, section 6 of MQTT 5: binary messages, packets cut as they come, subprotocol `mqtt`. */

import { badRequest } from '../../errors.js';
import type { WebSocket, WebSocketBehavior } from '../../uws.js';
import type { Admission, ConnectionLimits } from '../connection-limits.js';
import { whenSoundUpgrade } from '../headers.js';
import { Liveness } from '../liveness.js';
import { refuse } from '../refusal.js';
import { Connection } from './connection.js';
import type { MqttHost } from './host.js';
import type { Wire } from './wire.js';

/**
 * One message may hold many packets; a longer one ends the connection. The library gathers a message whole before it
 * shows anything of it, from strangers as well: the longer it may be, the fewer strangers may be connected.
 */
const MESSAGE_BYTES = 1024 * 1024;
/** Bytes that a message may have besides the longest packet. */
const SLACK_BYTES = 64 * 1024;
/** Bytes that are held while reading is paused, before the connection ends. */
const PAUSED_BYTES = 8 * 1024 * 1024;
/** A message is no longer than this, whatever a packet may be: a longer packet comes in several messages [MQTT-6.0.0-2]. */
const MOST_MESSAGE_BYTES = PAUSED_BYTES;
/** Memory that a message takes besides its bytes. */
const OVERHEAD_BYTES = 256;
const BACKPRESSURE_BYTES = 64 * 1024 * 1024;
/** Seconds of silence after which uWebSockets.js itself ends a connection; `silenceMs` is never longer. */
const IDLE_S = 120;
/** Close codes of RFC 6455 section 7.4: data of a kind that is not accepted, and a violated policy. */
const CODE = Object.freeze({ unacceptable: 1003, policy: 1008 });
const SUBPROTOCOLS: ReadonlySet<string> = new Set(['mqtt', 'mqttv3.1']);

/** uWebSockets.js copies the own properties of user data and drops its class, so the socket is wrapped. */
export interface MqttHolder {
  readonly socket: MqttSocket;
}

/** One WebSocket that carries MQTT; `ws` is null when it is closed. */
export class MqttSocket implements Wire {
  readonly kind = 'mqttws';
  ws: WebSocket<MqttHolder> | null = null;
  connection: Connection | null = null;
  #isPaused = false;
  /** Messages that came while reading was paused. */
  #held: Buffer[] = [];
  #heldBytes = 0;

  constructor(
    readonly origin: string,
    readonly address: string,
    readonly admission: Admission,
    readonly unseenBytes: number,
  ) {}

  get buffered(): number {
    return this.ws?.getBufferedAmount() ?? 0;
  }

  write(chunks: readonly Buffer[]): void {
    const [first] = chunks;
    this.ws?.send(chunks.length === 1 && first ? first : Buffer.concat(chunks), true);
  }

  /** The library goes on reading all the same: what comes is held, as far as the bound. */
  pause(): void {
    this.#isPaused = true;
  }

  resume(): void {
    this.#isPaused = false;
    this.#giveHeld();
  }

  /** Takes bytes that may change once this has returned. */
  received(bytes: Buffer): void {
    if (!this.#isPaused) return this.connection?.receive(bytes);
    this.#held.push(Buffer.from(bytes));
    this.#heldBytes += bytes.length + OVERHEAD_BYTES;
    if (this.#heldBytes > PAUSED_BYTES) this.ws?.end(CODE.policy);
  }

  /** The client has gone; what it had sent before is handled first. */
  lost(): void {
    this.#giveHeld(true);
    this.connection?.lost();
  }

  /** Hands on what was held, until reading is paused again. */
  #giveHeld(isLast = false): void {
    const held = this.#held;
    this.#held = [];
    this.#heldBytes = 0;
    let given = 0;
    while (given < held.length && (isLast || !this.#isPaused)) {
      given += 1;
      this.connection?.receive(held[given - 1] as Buffer);
    }
    for (const bytes of held.slice(given)) this.received(bytes);
  }

  end(code: number): void {
    this.#held = [];
    this.ws?.end(code);
  }

  drop(): void {
    this.ws?.close();
  }
}

/** The first subprotocol offered that is MQTT [MQTT-6.0.0-3]. */
export function chosen(offered: string): string | null {
  return (
    offered
      .split(',')
      .map((name) => name.trim())
      .find((name) => SUBPROTOCOLS.has(name)) ?? null
  );
}

function messageBytes({ maxPacketBytes }: MqttHost): number {
  if (maxPacketBytes === 0) return MOST_MESSAGE_BYTES;
  return Math.min(MOST_MESSAGE_BYTES, Math.max(MESSAGE_BYTES, maxPacketBytes + SLACK_BYTES));
}

export function webSocketBehaviour(host: MqttHost, connectionLimits: ConnectionLimits): WebSocketBehavior<MqttHolder> {
  const { metrics, clock } = host.context.runtime;
  const alive = new Liveness<MqttSocket>(
    clock,
    host.context.config().socket,
    ({ ws }) => ws?.ping(),
    ({ ws }) => ws?.close(),
  );
  host.onClose.push(() => alive.close());
  return {
    maxPayloadLength: messageBytes(host),
    maxBackpressure: BACKPRESSURE_BYTES,
    idleTimeout: IDLE_S,
    sendPingsAutomatically: false,
    upgrade: whenSoundUpgrade(metrics, (res, req, headers, socketContext) => {
      const protocol = chosen(req.getHeader('sec-websocket-protocol'));
      if (protocol === null) {
        metrics.refused.badRequest += 1;
        refuse(res, '400 Bad Request', badRequest('the subprotocol mqtt is required'));
        return;
      }
      const admission = connectionLimits.admitSocket(res, headers);
      if (admission === null) return;
      const socket = new MqttSocket(
        headers.origin,
        admission.address ?? connectionLimits.addressOf(res, headers),
        admission,
        messageBytes(host),
      );
      res.upgrade(
        { socket },
        req.getHeader('sec-websocket-key'),
        protocol,
        req.getHeader('sec-websocket-extensions'),
        socketContext,
      );
    }),
    open(ws) {
      const { socket } = ws.getUserData();
      socket.ws = ws;
      metrics.opens('mqttws');
      alive.open(socket);
      socket.connection = new Connection(host, socket);
    },
    message(ws, message, isBinary) {
      const { socket } = ws.getUserData();
      alive.heard(socket);
      if (!isBinary) {
        metrics.refused.malformed += 1;
        ws.end(CODE.unacceptable); // [MQTT-6.0.0-1]
        return;
      }
      // The library takes its bytes back when this returns.
      socket.received(Buffer.from(message));
    },
    ping: (ws) => alive.heard(ws.getUserData().socket),
    pong: (ws) => alive.heard(ws.getUserData().socket),
    drain(ws) {
      if (ws.getBufferedAmount() === 0) ws.getUserData().socket.connection?.drained();
    },
    close(ws) {
      const { socket } = ws.getUserData();
      socket.ws = null;
      alive.closed(socket);
      metrics.connections.mqttws -= 1;
      connectionLimits.release(socket.admission);
      socket.lost();
    },
  };
}
