/** Server-sent events, read with fetch: PROTOCOL section 13. */
import { endOf, HttpLink, type Network } from './http.js';
import { type Ear, type End, type Frame, frameOf, type Link, parse, type Session } from './wire.js';

/** A stream without a byte for so long is dead: the server sends an event every 15 s. */
const SILENT_MS = 25_000;
/** How long after its end a stream is opened again, unless the server has said. */
const RETRY_MS = 500;
/** A `retry:` above this means that the client is not wanted again; below, the server spreads clients that come back. */
const LONGEST_RETRY_MS = 60_000;
/** The longest event that is read, which holds the longest queue: a text without end is no event. */
const LONGEST_EVENT = 16 * 1024 * 1024;

export interface ServerEvent {
  readonly type: string;
  readonly data: string;
  /** The event's id; null: the event has none. */
  readonly id: string | null;
}

/** The text of an event stream, taken apart: fields to events, as EventSource does. */
export class EventParser {
  /** The latest `retry:`; null: none yet. */
  retryMs: number | null = null;
  /** Pieces of a line whose end has not come yet. */
  #rest: string[] = [];
  #restLength = 0;
  #type = '';
  #data: string[] = [];
  #id: string | null = null;

  /** The events that a piece of text completes. Throws when an event has no end. */
  push(text: string): ServerEvent[] {
    this.#rest.push(text);
    this.#restLength += text.length;
    if (this.#restLength > LONGEST_EVENT) throw new Error('an event has no end');
    if (!text.includes('\n')) return [];
    const lines = this.#rest.join('').split('\n');
    const rest = lines.pop() ?? '';
    this.#rest = [rest];
    this.#restLength = rest.length;
    return lines.map((line) => this.#line(line.replace(/\r$/, ''))).filter((event) => event !== null);
  }

  #line(line: string): ServerEvent | null {
    if (line === '') return this.#complete();
    const colon = line.indexOf(':');
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? '' : line.slice(line[colon + 1] === ' ' ? colon + 2 : colon + 1);
    if (field === 'data') this.#data.push(value);
    else if (field === 'event') this.#type = value;
    else if (field === 'id') this.#id = value;
    else if (field === 'retry' && /^\d+$/.test(value)) this.retryMs = Number(value);
    return null;
  }

  #complete(): ServerEvent | null {
    const event = { type: this.#type || 'message', data: this.#data.join('\n'), id: this.#id };
    const isEvent = this.#data.length > 0;
    this.#type = '';
    this.#data = [];
    this.#id = null;
    return isEvent ? event : null;
  }
}

class EventsLink extends HttpLink {
  #cancelSilence: (() => void) | null = null;

  /** Reads one stream; the server ends it in order from time to time, and then another one follows. */
  async run(): Promise<void> {
    const end = await this.#stream().catch((): End => ({ kind: 'lost', reason: 'no network' }));
    this.#cancelSilence?.();
    if (this.isClosed) return;
    if (typeof end === 'number') this.after(end, () => void this.run());
    else this.end(end);
  }

  /** Why a stream has ended for good, or after how many milliseconds the next one may begin. */
  async #stream(): Promise<End | number> {
    const position = this.ear.position();
    this.#hear();
    const response = await this.get(this.session.addresses.events, position === '0' ? null : position);
    if (!response.ok) return endOf(response);
    const isStream = response.headers.get('content-type')?.startsWith('text/event-stream') === true;
    const reader = isStream ? response.body?.getReader() : undefined;
    if (!reader) return { kind: 'unsupported', reason: 'no stream of events' };
    const decoder = new TextDecoder();
    const parser = new EventParser();
    for (;;) {
      const { done, value } = await reader.read();
      if (this.isClosed) return 0;
      if (done) break;
      this.#hear();
      for (const event of parser.push(decoder.decode(value, { stream: true }))) {
        const end = this.#take(event);
        if (end || this.isClosed) return end ?? 0;
      }
      // The first bytes show that nothing on the way holds the stream back.
      if (!this.isOpen) this.opened(this.ear.position());
    }
    const retryMs = parser.retryMs ?? RETRY_MS;
    if (!this.isOpen) return { kind: 'lost', reason: 'the stream has ended' };
    return retryMs > LONGEST_RETRY_MS ? { kind: 'lost', reason: 'the stream has ended' } : retryMs;
  }

  #take({ type, data, id }: ServerEvent): End | null {
    if (type === 'stopped') return { kind: 'stopped', reason: 'stopped' };
    if (type === 'replaced') return { kind: 'replaced' };
    const json = type === 'message' ? parse(data) : null;
    if (!json) return null;
    const frame: Frame = frameOf(json);
    this.opened(frame.position ?? this.ear.position());
    this.ear.frame(frame, id);
    return null;
  }

  #hear(): void {
    this.#cancelSilence?.();
    this.#cancelSilence = this.after(SILENT_MS, () => this.end({ kind: 'lost', reason: 'silence' }));
  }
}

export function openEvents(network: Network, session: Session, ear: Ear): Link {
  const link = new EventsLink(network, session, ear);
  void Promise.resolve().then(() => link.run());
  return link;
}
