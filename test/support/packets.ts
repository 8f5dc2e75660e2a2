/**
 * A packet as a client sees it, with its kind. Every value is a string: `frame` has checked that.
 */
import { HANG_MS } from './hang.js';

export interface Packet {
  readonly kind: 'message' | 'presence' | 'status';
  readonly [field: string]: string;
}

const fields = {
  message: ['from', 'to', 'nick', 'timestamp', 'type', 'body', 'style'],
  presence: ['from', 'to', 'nick', 'type', 'show', 'status'],
  status: ['from', 'to', 'nick', 'show'],
} as const;

const optional = {
  message: ['id', 'avatar', 'to_name', 'to_avatar', 'to_other', 'data'],
  presence: [] as string[],
  status: [] as string[],
};

function packet(kind: Packet['kind'], value: unknown): Packet {
  if (typeof value !== 'object' || value === null) throw new Error(`no packet: ${JSON.stringify(value)}`);
  const entries = Object.entries(value);
  const names = entries.map(([name]) => name);
  for (const [name, field] of entries) {
    const known = [...fields[kind], ...optional[kind]] as readonly string[];
    if (!known.includes(name)) throw new Error(`a ${kind} with an unknown field ${name}`);
    if (typeof field !== 'string' && name !== 'data') throw new Error(`a ${kind} whose ${name} is no string`);
  }
  for (const name of fields[kind]) if (!names.includes(name)) throw new Error(`a ${kind} without ${name}`);
  return Object.fromEntries([['kind', kind], ...entries.filter(([name]) => name !== 'id')]) as Packet;
}

/**
 * The packets of one frame of section 5, in an order that puts messages last: a marker message then stands after
 * everything that came with it. Throws where the frame is not exactly as section 5 has it.
 */
export function packetsOf(frame: unknown): Packet[] {
  const { status, messages, presences, statuses } = frame as Record<string, unknown>;
  if (status !== 'ok') throw new Error(`no frame: ${JSON.stringify(frame)}`);
  if (!Array.isArray(messages) || !Array.isArray(presences) || !Array.isArray(statuses)) {
    throw new Error(`a frame without its three arrays: ${JSON.stringify(frame)}`);
  }
  return [
    ...presences.map((value) => packet('presence', value)),
    ...statuses.map((value) => packet('status', value)),
    ...messages.map((value) => packet('message', value)),
  ];
}

export function isFrame(value: unknown): boolean {
  return typeof value === 'object' && value !== null && 'messages' in value && !('reply' in value);
}

/** Packets on their way from a transport to the test that waits for them. */
export class Inbox {
  readonly #packets: Packet[] = [];
  readonly #waiting: ((packet: Packet) => void)[] = [];
  #failure: Error | undefined;
  #fail: ((error: Error) => void) | undefined;

  put(packets: readonly Packet[]): void {
    for (const packet of packets) {
      const waiting = this.#waiting.shift();
      if (waiting) waiting(packet);
      else this.#packets.push(packet);
    }
  }

  /** Notes that no more packets come: who waits for one, now or once the rest is taken, gets this error. */
  end(error: Error): void {
    this.#failure ??= error;
    this.#fail?.(this.#failure);
  }

  next(timeoutMs = HANG_MS): Promise<Packet> {
    const packet = this.#packets.shift();
    if (packet) return Promise.resolve(packet);
    if (this.#failure) return Promise.reject(this.#failure);
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`no packet within ${timeoutMs} ms`)), timeoutMs);
      this.#waiting.push((arrived) => {
        clearTimeout(timer);
        resolve(arrived);
      });
      this.#fail = (error) => {
        clearTimeout(timer);
        reject(error);
      };
    });
  }
}
