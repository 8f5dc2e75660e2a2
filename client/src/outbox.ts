/** Calls on their way to the server: a bounded queue that outlives connections. A message goes again with its own id. */
import type { Clock, Json, Link, Reply } from './wire.js';

/** What a call or `send` rejects with. `code` is an HTTP status, also where no HTTP was spoken. */
export class ChatError extends Error {
  override readonly name = 'ChatError';

  constructor(
    readonly code: number,
    message: string,
    readonly detail?: string,
  ) {
    super(message);
  }
}

const CODES: ReadonlyMap<unknown, number> = new Map([
  ['bad request', 400],
  ['authentication failed', 401],
  ['forbidden', 403],
  ['ticket not found', 404],
  ['not found', 404],
  ['payload too large', 413],
  ['too many requests', 429],
  ['unavailable', 503],
]);

const CAPACITY = 200;
const ANSWER_MS = 10_000;
/** How long a message may wait to be sent; the server remembers its id for longer. */
const MESSAGE_MS = 300_000;
const QUESTION_MS = 30_000;
const BUSY_MS = 1_000;

interface Entry {
  readonly name: string;
  readonly params: Json;
  readonly resolve: (reply: Reply) => void;
  readonly reject: (error: ChatError) => void;
  /** The connection that carries the call; null: the call waits. */
  link: Link | null;
  notBefore: number;
  cancelLife: () => void;
  cancelAnswer: () => void;
}

const nothing = (): void => undefined;

export class Outbox {
  readonly #entries = new Map<string, Entry>();
  #refs = 0;
  #ended: ChatError | null = null;

  constructor(
    private readonly clock: Clock,
    /** The connection that is open, if there is one. */
    private readonly link: () => Link | null,
  ) {}

  /** Sends a call, now or when there is a connection; the answer is the server's reply. Rejects with ChatError. */
  ask(name: string, params: Json): Promise<Reply> {
    if (this.#ended) return Promise.reject(this.#ended);
    if (this.#entries.size >= CAPACITY) {
      return Promise.reject(new ChatError(429, 'too many requests', 'the queue of calls is full'));
    }
    return new Promise((resolve, reject) => {
      this.#refs += 1;
      const ref = String(this.#refs);
      const lifeMs = name === 'message' ? MESSAGE_MS : QUESTION_MS;
      const cancelLife = this.clock.after(lifeMs, () => this.#fail(ref, new ChatError(408, 'not sent in time')));
      const entry = { name, params, resolve, reject, link: null, notBefore: 0, cancelLife, cancelAnswer: nothing };
      this.#entries.set(ref, entry);
      this.pump();
    });
  }

  /** Sends what may be sent now. Of messages only one at a time is on its way, so that their order holds. */
  pump(): void {
    const link = this.link();
    if (!link) return;
    let isBehind = false;
    for (const [ref, entry] of this.#entries) {
      if (entry.name === 'message') {
        if (isBehind) continue;
        isBehind = true;
      }
      if (entry.link === link || entry.notBefore > this.clock.now()) continue;
      entry.link = link;
      entry.cancelAnswer();
      entry.cancelAnswer = this.clock.after(ANSWER_MS, () => this.#fail(ref, new ChatError(408, 'no answer')));
      link.call({ ...entry.params, call: entry.name, ref });
    }
  }

  reply(reply: Reply): void {
    const entry = this.#entries.get(reply.reply);
    if (!entry) return;
    if (reply.status === 'ok') {
      this.#forget(reply.reply, entry);
      entry.resolve(reply);
      return this.pump();
    }
    const message = typeof reply.message === 'string' ? reply.message : 'refused';
    const code = typeof reply.code === 'number' ? reply.code : (CODES.get(message) ?? 400);
    const detail = typeof reply.detail === 'string' ? reply.detail : undefined;
    if (code !== 429 && code !== 503) return this.#fail(reply.reply, new ChatError(code, message, detail));
    this.#later(entry, Number(reply.retryAfter) * 1000 || BUSY_MS);
  }

  /** The connection has lost this call; another one may carry it. */
  failed(ref: string): void {
    const entry = this.#entries.get(ref);
    if (entry) this.#later(entry, BUSY_MS);
  }

  /** There is no connection any more: what has no reply waits for the next one. */
  lost(): void {
    for (const entry of this.#entries.values()) this.#recall(entry);
  }

  /** Rejects every call that waits: nothing is sent any more. */
  close(error: ChatError): void {
    this.#ended = error;
    for (const ref of [...this.#entries.keys()]) this.#fail(ref, error);
  }

  #recall(entry: Entry): void {
    entry.link = null;
    entry.cancelAnswer();
    entry.cancelAnswer = nothing;
  }

  #later(entry: Entry, delayMs: number): void {
    this.#recall(entry);
    entry.notBefore = this.clock.now() + delayMs;
    entry.cancelAnswer = this.clock.after(delayMs, () => this.pump());
  }

  #forget(ref: string, entry: Entry): void {
    this.#entries.delete(ref);
    entry.cancelLife();
    entry.cancelAnswer();
  }

  #fail(ref: string, error: ChatError): void {
    const entry = this.#entries.get(ref);
    if (!entry) return;
    this.#forget(ref, entry);
    entry.reject(error);
    this.pump();
  }
}
