/** Requests of the transports: what an answer that is no frame means, and calls over HTTP (section 14). */
import {
  type Addresses,
  type Call,
  type Clock,
  type Ear,
  type End,
  isObject,
  isReply,
  type Json,
  type Link,
  parse,
  type Reply,
  type Session,
} from './wire.js';

/** What a socket of the platform must be able to do; WebSocket is one. */
export interface Socket {
  onopen: (() => void) | null;
  onmessage: ((event: { readonly data: unknown }) => void) | null;
  onclose: ((event: { readonly code: number }) => void) | null;
  onerror: (() => void) | null;
  send(text: string): void;
  close(code?: number): void;
}

/** What the transports have of the platform. */
export interface Network {
  readonly fetch: typeof fetch;
  /** The class of WebSockets; null: the platform has none. */
  readonly socket: ((url: string) => Socket) | null;
  readonly clock: Clock;
}

const ANSWER_MS = 10_000;

/** Absolute addresses below a server's. */
export function addressesOf(server: string): Addresses {
  const base = server.replace(/\/+$/, '');
  return {
    websocket: `${base.replace(/^http/, 'ws')}/v5/wsocket`,
    events: `${base}/v5/events`,
    packets: `${base}/v5/packets`,
  };
}

export function withTicket(url: string, { domain, ticket }: Session, position: string | null = null): string {
  const query = `domain=${encodeURIComponent(domain)}&ticket=${encodeURIComponent(ticket)}`;
  return `${url}?${query}${position === null ? '' : `&position=${encodeURIComponent(position)}`}`;
}

/** Milliseconds of a Retry-After in seconds; a page of another origin sees it only where the server exposes it. */
export function retryAfterMs(response: Response): number {
  const seconds = Number(response.headers.get('retry-after') ?? '');
  return Number.isFinite(seconds) && seconds > 0 ? seconds * 1000 : 0;
}

/** The words of an error: its detail, its message, or the status. */
export function reasonOf(error: Json, status: number): string {
  for (const text of [error.detail, error.message]) if (typeof text === 'string') return text;
  return `status ${status}`;
}

/** Why an answer other than 200 ends the connection. */
export async function endOf(response: Response): Promise<End> {
  const error = parse(await response.text().catch(() => '')) ?? {};
  const reason = reasonOf(error, response.status);
  const waitMs = retryAfterMs(response);
  if (response.status === 404 && error.message === 'ticket not found') return { kind: 'unknown' };
  if (response.status === 404 || response.status === 405) return { kind: 'unsupported', reason };
  if (response.status === 400) return { kind: 'stopped', reason };
  const isBusy = response.status === 429 || response.status === 503;
  return { kind: 'lost', reason, retryAfterMs: isBusy || waitMs > 0 ? waitMs : undefined };
}

/** Fetches an answer and its body; gives up after `limitMs`. */
export async function within<T>(
  { fetch, clock }: Network,
  limitMs: number,
  url: string,
  init: RequestInit,
  read: (response: Response) => Promise<T>,
): Promise<T> {
  const abort = new AbortController();
  const cancel = clock.after(limitMs, () => abort.abort());
  try {
    return await read(await fetch(url, { ...init, signal: abort.signal }));
  } finally {
    cancel();
  }
}

/** The content type of calls: a request with text/plain needs no preflight. */
export function callInit(call: Json): RequestInit {
  return { method: 'POST', headers: { 'content-type': 'text/plain' }, body: JSON.stringify(call), credentials: 'omit' };
}

/** A connection that only receives: its calls go by requests of their own. */
export abstract class HttpLink implements Link {
  protected isClosed = false;
  protected isOpen = false;
  protected abort: AbortController | null = null;
  readonly #timers = new Set<() => void>();

  constructor(
    protected readonly network: Network,
    protected readonly session: Session,
    protected readonly ear: Ear,
  ) {}

  /** Receives until the connection ends or is closed. */
  abstract run(): Promise<void>;

  close(): void {
    this.isClosed = true;
    for (const cancel of this.#timers) cancel();
    this.#timers.clear();
    this.abort?.abort();
  }

  /** A timer that ends with the connection. */
  protected after(delayMs: number, task: () => void): () => void {
    const cancel = this.network.clock.after(delayMs, () => {
      stop();
      task();
    });
    const stop = (): void => {
      cancel();
      this.#timers.delete(stop);
    };
    this.#timers.add(stop);
    return stop;
  }

  /** A GET whose answer is not kept anywhere, and which ends with the connection. */
  protected get(url: string, position: string | null): Promise<Response> {
    this.abort = new AbortController();
    const init = { signal: this.abort.signal, credentials: 'omit', cache: 'no-store' } as const;
    return this.network.fetch(withTicket(url, this.session, position), init);
  }

  protected opened(position: string | null): void {
    if (this.isOpen || this.isClosed) return;
    this.isOpen = true;
    this.ear.opened(position);
  }

  protected end(end: End): void {
    if (this.isClosed) return;
    this.close();
    this.ear.ended(end);
  }

  /** Confirms the position; that there is an answer, whatever it says, shows that the server can be reached. */
  ping(position: string | null): boolean {
    if (position === null || position === '0') return false;
    void this.#post({ call: 'received', ref: 'ping', position }).catch(() => undefined);
    return true;
  }

  call(call: Call): void {
    this.#post(call).then(
      (replies) => {
        if (this.isClosed) return;
        for (const reply of replies) this.ear.reply(reply);
        if (!replies.some(({ reply }) => reply === call.ref)) this.ear.failed(call.ref);
      },
      () => {
        if (!this.isClosed) this.ear.failed(call.ref);
      },
    );
  }

  #post(call: Call): Promise<readonly Reply[]> {
    const url = withTicket(this.session.addresses.packets, this.session);
    return within(this.network, ANSWER_MS, url, callInit(call), async (response) => {
      const end = response.ok ? null : await endOf(response);
      const json: unknown = end ? null : await response.json();
      if (this.isClosed) return [];
      this.ear.alive();
      if (end?.kind === 'unknown') this.ear.ended(end);
      if (end) return refusal(call, response.status, end);
      return (Array.isArray(json) ? json : [json]).filter((reply) => isObject(reply) && isReply(reply));
    });
  }
}

/** What a status says of a call: nothing where it is to be tried again on another connection. */
function refusal({ ref }: Call, code: number, end: End): readonly Reply[] {
  if (end.kind === 'unknown' || (code >= 500 && code !== 503)) return [];
  const retryAfter = end.kind === 'lost' && end.retryAfterMs ? end.retryAfterMs / 1000 : undefined;
  const message = 'reason' in end ? end.reason : 'refused';
  return [{ reply: ref, status: 'error', code, message, retryAfter }];
}
