/** What travels between the library and the server: PROTOCOL sections 5, 12 and 14. */

/** A message, as every listener of `message` has it. */
export interface Message {
  /** Unique for its `from`; absent only where the server is older than message ids. */
  readonly id?: string;
  readonly from: string;
  readonly to: string;
  readonly nick: string;
  /** `chat`, `grpchat` (then `to` is the room) or `broadcast`. */
  readonly type: string;
  readonly body: string;
  /** When the message was sent: milliseconds since the epoch, as text. */
  readonly timestamp: string;
  readonly style?: string;
  /** Any JSON that the sender put beside the body. */
  readonly data?: unknown;
  readonly [field: string]: unknown;
}

/** Somebody has come, gone or changed: a buddy, or a member of `room`. */
export interface Presence {
  readonly from: string;
  readonly to: string;
  readonly nick: string;
  /** `online offline show` of buddies; `join leave grponline grpoffline` of members of a room. */
  readonly type: string;
  readonly show: string;
  readonly status: string;
  /** The room, of members of a room only. */
  readonly room?: string;
}

/** `show` is `typing`, `paused`, `read {id}`, `deleted {id}`, or whatever a site agrees on. */
export interface Status {
  readonly from: string;
  readonly to: string;
  readonly nick: string;
  readonly show: string;
}

export interface Frame {
  readonly messages: readonly Message[];
  readonly presences: readonly Presence[];
  readonly statuses: readonly Status[];
  readonly position?: string;
  /** How many numbers are gone; true: nobody knows how many. */
  readonly missed?: number | boolean;
  /** How many of the missed numbers were messages. */
  readonly lost?: number;
}

/** An object of any names, as JSON brings it. */
export type Json = Readonly<Record<string, unknown>>;

/** What the client asks of the server (section 14); `ref` is what the reply carries. */
export interface Call extends Json {
  readonly call: string;
  readonly ref: string;
}

/** The reply to a call: `reply` is the call's `ref`. */
export interface Reply extends Json {
  readonly reply: string;
  readonly status: string;
}

export function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The object that a text of JSON is; null for any other text. */
export function parse(text: string): Json | null {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : null;
  } catch {
    return null;
  }
}

export function sizeOf({ messages, presences, statuses }: Frame): number {
  return messages.length + presences.length + statuses.length;
}

function list<T>(value: unknown): readonly T[] {
  return Array.isArray(value) ? value : [];
}

/** A frame as the server has sent it; what has none of the three arrays is an empty one. */
export function frameOf(json: Json): Frame {
  return {
    ...json,
    messages: list<Message>(json.messages),
    presences: list<Presence>(json.presences),
    statuses: list<Status>(json.statuses),
  };
}

export function isReply(json: Json): json is Reply {
  return typeof json.reply === 'string' && typeof json.status === 'string';
}

/**
 * The position after a frame (section 12): an opaque era and a number, to which every packet and every missed number adds
 * one. null: the server keeps no positions for this client.
 */
export function positionAfter(before: string | null, frame: Frame): string | null {
  const position = frame.position ?? before;
  // The first frame that a server counts says where it stands.
  if (position === null || position === '0') return null;
  const more = sizeOf(frame) + (typeof frame.missed === 'number' ? frame.missed : 0);
  if (more === 0) return position;
  const dot = position.lastIndexOf('.');
  return position.slice(0, dot + 1) + (Number(position.slice(dot + 1)) + more);
}

/** Why a connection has ended, or has not come about. */
export type End =
  /** The network, the server or something between them. `retryAfterMs`: not before. */
  | { readonly kind: 'lost'; readonly reason: string; readonly retryAfterMs?: number | undefined }
  /** This browser or this server has no such transport. */
  | { readonly kind: 'unsupported'; readonly reason: string }
  /** The server knows no positions: it wants to be asked as before there were any. */
  | { readonly kind: 'older' }
  /** The ticket is unknown. */
  | { readonly kind: 'unknown' }
  /** Another connection uses the ticket: the page of a duplicated tab. */
  | { readonly kind: 'replaced' }
  /** Signed out, or refused for good. */
  | { readonly kind: 'stopped'; readonly reason: string };

/** What a transport tells the machine that opened it. */
export interface Ear {
  /** The client's position at the moment at which the transport tells it to the server. */
  position(): string | null;
  /** The server has taken the connection; `position` is what it answered, null where it keeps none. */
  opened(position: string | null): void;
  /** `position`: where the transport itself says where the client is after this frame. */
  frame(frame: Frame, position?: string | null): void;
  /** The server has answered a call or a ping. */
  alive(): void;
  reply(reply: Reply): void;
  /** A call will have no reply any more. */
  failed(ref: string): void;
  ended(end: End): void;
}

export type Kind = 'websocket' | 'events' | 'poll';

/** One connection, however it is made. After `close` it tells nothing more. */
export interface Link {
  /** Tells the server the client's position. False: the server will not answer. */
  ping(position: string | null): boolean;
  call(call: Call): void;
  close(): void;
}

/** One client of the user at the server, and where it is. */
export interface Session {
  readonly domain: string;
  readonly ticket: string;
  readonly addresses: Addresses;
}

/** The addresses of a server. */
export interface Addresses {
  readonly websocket: string;
  readonly events: string;
  readonly packets: string;
}

/** Time and chance; tests have their own. */
export interface Clock {
  /** Milliseconds since the epoch. */
  now(): number;
  /** Calls `task` once after `delayMs`; the answer cancels it. */
  after(delayMs: number, task: () => void): () => void;
  /** From 0 up to, not including, 1. */
  random(): number;
}
