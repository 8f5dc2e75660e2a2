/** WebSocket: PROTOCOL sections 7, 12 and 14. */
import type { Network, Socket } from './http.js';
import { reasonOf } from './http.js';
import { type Call, type Ear, type End, frameOf, isReply, type Json, type Link, parse, type Session } from './wire.js';

class SocketLink implements Link {
  #isOpen = false;
  #isClosed = false;
  /** The server answers `ping`: servers of NexTalk 5 do not. */
  #answersPings = false;
  /** Whether the first text asked for positions. */
  #resumes = false;
  #error: Json | null = null;

  constructor(
    private readonly socket: Socket,
    private readonly session: Session,
    private readonly ear: Ear,
  ) {
    socket.onopen = () => this.#introduce();
    socket.onmessage = ({ data }) => this.#read(data);
    socket.onclose = ({ code }) => this.#end(this.#endOf(code));
    socket.onerror = () => undefined;
  }

  ping(position: string | null): boolean {
    this.socket.send(position === null || position === '0' ? 'ping' : `ping ${position}`);
    return this.#answersPings || position !== null;
  }

  call(call: Call): void {
    this.socket.send(JSON.stringify(call));
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.socket.onopen = null;
    this.socket.onmessage = null;
    this.socket.onclose = null;
    try {
      this.socket.close(1000);
    } catch {
      // Some platforms throw before a socket is open.
    }
  }

  #introduce(): void {
    const { domain, ticket } = this.session;
    const position = this.ear.position();
    this.#resumes = position !== null;
    this.socket.send(position === null ? `subscribe ${domain} ${ticket}` : `resume ${domain} ${position} ${ticket}`);
  }

  #read(data: unknown): void {
    if (data === 'pong') {
      this.#answersPings = true;
      return this.ear.alive();
    }
    const json = typeof data === 'string' ? parse(data) : null;
    if (!json) return;
    if (isReply(json)) return this.ear.reply(json);
    if (json.status === 'stopped') return this.#end({ kind: 'stopped', reason: 'stopped' });
    if (json.status !== 'ok') {
      this.#error = json;
      return;
    }
    if (!this.#isOpen) {
      this.#isOpen = true;
      this.ear.opened(typeof json.position === 'string' ? json.position : null);
      if (!('messages' in json)) return;
    }
    if (!this.#isClosed) this.ear.frame(frameOf(json));
  }

  #end(end: End): void {
    if (this.#isClosed) return;
    this.close();
    this.ear.ended(end);
  }

  #endOf(code: number): End {
    if (code === 4404) return { kind: 'unknown' };
    if (code === 4409) return { kind: 'replaced' };
    if (code === 4400) {
      // 4400 to `resume` is a server without positions, unless its answer says that the origin is refused.
      if (this.#resumes && !this.#isOpen && this.#error?.detail === undefined) return { kind: 'older' };
      return { kind: 'stopped', reason: reasonOf(this.#error ?? {}, code) };
    }
    const reason = this.#error ? reasonOf(this.#error, code) : `closed with ${code}`;
    return { kind: 'lost', reason, retryAfterMs: Number(this.#error?.retryAfter) * 1000 || undefined };
  }
}

export function openWebSocket(network: Network, session: Session, ear: Ear): Link | null {
  if (!network.socket) return null;
  try {
    return new SocketLink(network.socket(session.addresses.websocket), session, ear);
  } catch {
    // The browser throws for a Content-Security-Policy that forbids the socket, and for an address that is none.
    return null;
  }
}
