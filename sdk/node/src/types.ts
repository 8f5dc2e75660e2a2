/** An id as the site has it: a user (`1`, `jack`), `vid:…` a visitor, `sid:…` a service, `gid:…` a room. */
export type Id = string | number;

export type Show = 'available' | 'away' | 'chat' | 'dnd' | 'busy' | 'invisible' | 'unavailable';

/** Whom a call is for: one client by its ticket, or by name everybody who holds a ticket of that name. */
export type Who = { readonly ticket: string } | { readonly name: Id };

export interface Options {
  /** Where the server is: `https://im.example.com`. */
  readonly server: string;
  readonly domain: string;
  readonly apiKey: string;
  /** The secrets of the domain's tokens, each of at least 32 bytes; the first one signs. */
  readonly tokenSecret?: string | readonly string[];
  /** The secrets of the domain's webhooks; the API key unless given, with which the server signs then. */
  readonly webhookSecret?: string | readonly string[];
  /** For each attempt, from connecting to the end of the answer: 5,000 ms unless given. */
  readonly timeoutMs?: number;
  /** How many more attempts a call has: 2 unless given. */
  readonly retries?: number;
  /** Time and chance, for tests. */
  readonly clock?: Clock;
}

export interface Clock {
  /** Milliseconds since 1970. */
  now(): number;
  sleep(ms: number): Promise<void>;
  /** From 0 to 1. */
  random(): number;
}

export interface OnlineOptions {
  /** The name that others see; the id unless given. */
  readonly nick?: string;
  readonly show?: Show;
  readonly status?: string;
  readonly buddies?: readonly Id[];
  readonly rooms?: readonly Id[];
  /** Names this terminal (`phone`); another client of this name is ended. */
  readonly client?: string;
}

export interface Online {
  readonly ticket: string;
  readonly server: string;
  readonly jsonp: string;
  readonly websocket: string;
  /** Undefined while the server has no MQTT. */
  readonly mqtt: string | undefined;
  /** The buddies that are online, with their show. */
  readonly presences: ReadonlyMap<string, string>;
}

export interface Claims {
  readonly nick?: string;
  readonly show?: Show;
  readonly status?: string;
  readonly buddies?: readonly Id[];
  readonly rooms?: readonly Id[];
  readonly [claim: string]: unknown;
}

export type Message = {
  /** One receiver or several, at most 1,000; of a `broadcast` none. */
  readonly to?: Id | readonly Id[];
  readonly body: string;
  readonly type?: 'chat' | 'grpchat' | 'broadcast';
  readonly nick?: string;
  readonly style?: string;
  /** Milliseconds since 1970; the server's unless given. */
  readonly timestamp?: string | number;
  /** Any JSON, for what `body` alone cannot show. */
  readonly data?: unknown;
  /** The id of this message, 1 to 64 of `A-Za-z0-9._~-`; made unless given. Empty: none, and no attempt whose end is unknown is repeated. */
  readonly id?: string;
  /** Asks what became of it. */
  readonly receipt?: boolean;
  readonly avatar?: string;
  readonly to_name?: string;
  readonly to_avatar?: string;
  readonly to_other?: string;
} & ({ readonly from: Id } | { readonly ticket: string });

export type Outcome = 'delivered' | 'queued' | 'stored' | 'dropped' | 'unknown';

export interface Sent {
  /** Empty where the message was sent without one and the server names none. */
  readonly id: string;
  /** With `receipt`, for one receiver or a room. */
  readonly outcome: Outcome | undefined;
  /** With `receipt`, for several receivers, by their ids. */
  readonly outcomes: ReadonlyMap<string, Outcome> | undefined;
  /** With `receipt`, for a room: its members that are online and visible. */
  readonly members: number | undefined;
}

export interface Presence {
  readonly show: string;
  readonly nick: string;
  readonly status: string;
}

/** A message as clients receive it. */
export interface Packet {
  readonly from: string;
  readonly to: string;
  readonly nick: string;
  readonly timestamp: string;
  readonly type: string;
  readonly body: string;
  readonly style: string;
  readonly id?: string;
  readonly data?: unknown;
  readonly avatar?: string;
  readonly to_name?: string;
  readonly to_avatar?: string;
  readonly to_other?: string;
}

export interface Range {
  /** `next` of a page: what comes before it, or after it. */
  readonly before?: string;
  readonly after?: string;
  /** At most 200. */
  readonly limit?: number;
}

export interface History {
  /** Oldest first. */
  readonly messages: readonly Packet[];
  readonly next: string | undefined;
}

export interface Conversation {
  readonly with: string;
  readonly last: Packet;
  readonly unread: number;
}

export interface Conversations {
  /** Newest first. */
  readonly conversations: readonly Conversation[];
  readonly next: string | undefined;
}
