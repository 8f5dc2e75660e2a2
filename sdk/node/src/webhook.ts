import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import { NexTalkError } from './error.js';
import type { Outcome, Packet } from './types.js';

interface Happened {
  readonly id: string;
  /** Milliseconds since 1970. */
  readonly time: number;
}

interface Named extends Happened {
  readonly name: string;
  readonly nick?: string;
  readonly show?: string;
}

/** What happens to a domain, as the server tells the site. */
export type SiteEvent =
  | (Named & { readonly kind: 'online' })
  /** `since`: when it was last seen, in milliseconds since 1970. */
  | (Named & { readonly kind: 'offline'; readonly since: number })
  | (Named & { readonly kind: 'join' | 'leave'; readonly room: string })
  | (Happened & { readonly kind: 'roomEmpty'; readonly room: string })
  | (Happened & { readonly kind: 'message'; readonly packet: Packet })
  | (Happened & {
      readonly kind: 'undelivered';
      readonly packet: Packet;
      readonly name?: string;
      readonly outcome: Outcome;
    })
  /** The event of this id was refused ten times, and this stands in its place. */
  | { readonly kind: 'failed'; readonly id: string }
  /** As many events were lost. */
  | { readonly kind: 'missed'; readonly count: number }
  /** An event of a kind that this library does not know. */
  | { readonly kind: 'other'; readonly raw: Readonly<Record<string, unknown>> };

export interface Events {
  readonly domain: string;
  readonly events: readonly SiteEvent[];
}

const KINDS: ReadonlySet<unknown> = new Set<SiteEvent['kind']>([
  'online',
  'offline',
  'join',
  'leave',
  'roomEmpty',
  'message',
  'undelivered',
  'failed',
  'missed',
]);

/** The keys with which the server may have signed: an API key that its configuration has hashed is the hash's digits. */
export function webhookKeys(apiKey: string, secrets: readonly string[]): readonly string[] {
  return secrets.length > 0 ? secrets : [apiKey, createHash('sha256').update(apiKey).digest('hex')];
}

/** Whether one of the comma-separated signatures, `sha256=` and hex HMAC-SHA256, is of this body with one of the keys. */
export function isSigned(
  body: string | Uint8Array,
  signature: string | null | undefined,
  keys: readonly string[],
): boolean {
  const given = (signature ?? '').split(',').map((text) => Buffer.from(text.trim()));
  const wanted = keys.map((key) => Buffer.from(`sha256=${createHmac('sha256', key).update(body).digest('hex')}`));
  return given.some((one) => wanted.some((own) => one.length === own.length && timingSafeEqual(one, own)));
}

type Fields = Readonly<Record<string, unknown>>;

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function malformed(detail: string): NexTalkError {
  return new NexTalkError(400, 'bad request', detail);
}

function parse(body: string | Uint8Array): Fields {
  let value: unknown;
  try {
    value = JSON.parse(typeof body === 'string' ? body : Buffer.from(body).toString('utf8'));
  } catch {
    throw malformed('the body is no JSON');
  }
  if (!isFields(value)) throw malformed('the body is no object');
  return value;
}

function isKnown(value: Fields): value is Fields & SiteEvent {
  return KINDS.has(value.kind);
}

/** The body of an event webhook; throws a 400 where it is none. Verify it first. */
export function parseEvents(body: string | Uint8Array): Events {
  const { domain, events } = parse(body);
  if (typeof domain !== 'string' || !Array.isArray(events)) throw malformed('the body has no domain or no events');
  return {
    domain,
    events: events.map((event: unknown) => {
      if (!isFields(event)) throw malformed('an event is no object');
      return isKnown(event) ? event : { kind: 'other', raw: event };
    }),
  };
}

function isPacket(value: Fields): value is Fields & Packet {
  return ['from', 'to', 'body'].every((name) => typeof value[name] === 'string');
}

/** The body of a service's webhook: a message; throws a 400 where it is none. Verify it first. */
export function parseMessage(body: string | Uint8Array): Packet {
  const value = parse(body);
  if (!isPacket(value)) throw malformed('the body is no message');
  return value;
}
