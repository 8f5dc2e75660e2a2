/** The configuration of one domain: its type, and the rules for it that no schema can say. */
import { createHash } from 'node:crypto';
import { validatorOf } from './config-errors.js';
import { domainSchema } from './config-schema.js';
import type { EventKind } from './event-kinds.js';
import { leadsInside } from './inside.js';

/** What a domain may set for itself. 0 is no limit in each of them but `bytesPerDomain`. */
export interface DomainLimits {
  /** Body of one message, in bytes of UTF-8. */
  readonly messageBytes: number;
  /** Packets queued for one client. */
  readonly queuePackets: number;
  /** Bytes of packets queued for one client. */
  readonly queueBytes: number;
  readonly clientsPerEndpoint: number;
  /** Rooms that an endpoint is in. */
  readonly roomsPerEndpoint: number;
  /** Whom an endpoint has listed since it came online. */
  readonly buddiesPerEndpoint: number;
  readonly roomMembers: number;
  /** Bytes that a domain's queues, sessions, retained publications and rooms take on a node; 0: a quarter of the heap. */
  readonly bytesPerDomain: number;
  /** Endpoints of one domain online at the same time. */
  readonly endpointsPerDomain: number;
  /** Clients of one domain whose ticket is kept while they are away. */
  readonly awayPerDomain: number;
  /** Connections of clients and backends at the same time, polls too. */
  readonly connectionsPerDomain: number;
  /** How often a client may come in a minute: ONLINE of an endpoint, connections of a ticket. */
  readonly comingsPerMinute: number;
  /** Rooms with members. */
  readonly roomsPerDomain: number;
  /** MQTT sessions of backends, connected or kept. */
  readonly sessionsPerDomain: number;
  /** Subscriptions of one MQTT session. */
  readonly subscriptionsPerSession: number;
  /** Subscriptions of all MQTT sessions. */
  readonly subscriptionsPerDomain: number;
  /** Retained MQTT publications. */
  readonly retainedPerDomain: number;
  /** Bytes of retained MQTT publications. */
  readonly retainedBytes: number;
  /** Messages kept for endpoints that are offline, in bytes. */
  readonly offlineBytes: number;
  /** How long each of them is kept, in seconds. */
  readonly offlineAgeS: number;
  /** Messages kept in the history, in bytes. */
  readonly historyBytes: number;
  /** Events that wait for the site, in bytes. */
  readonly eventsBytes: number;
  /** Messages remembered by their senders' ids, one for each receiver. */
  readonly idsPerDomain: number;
  /** Messages of one batch. */
  readonly batchMessages: number;
  /** REST calls of one domain in a second. */
  readonly requestsPerSecond: number;
  /** Messages in a second that sites, backends and clients of one domain send together. */
  readonly domainMessagesPerSecond: number;
  /** Messages in a second that one client sends itself; twice as many at once. */
  readonly messagesPerSecond: number;
}

export interface DomainConfig {
  /** Compared as written. */
  readonly domain: string;
  /** One key or several valid ones; each plain, or `sha256:` and the 64 lower-case hex digits of its hash. */
  readonly apikey: string | readonly string[];
  /** Origins whose pages may connect; empty: all. */
  readonly origins: readonly string[];
  readonly carbons: boolean;
  /** Messages to an endpoint that is offline are kept; only ever true with a data folder. */
  readonly offline: boolean;
  /** What of its clients survives a restart of the server; without a data folder nothing does. */
  readonly durability: 'none' | 'restart' | 'always';
  /** What is kept of each conversation; only ever with a data folder. null: nothing. */
  readonly history: HistoryConfig | null;
  /** Secrets that sign tokens, each of at least 32 bytes. null: tokens are refused. */
  readonly tokenSecret: string | readonly string[] | null;
  /** Clients themselves may show, look, join and leave. */
  readonly clientCalls: boolean;
  /** Ways by which clients themselves may send; empty: none. */
  readonly clientSend: readonly ClientWay[];
  /** Rooms that clients themselves may join; with `*` at the end, all whose ids begin so. */
  readonly clientJoin: readonly string[];
  /** What clients send themselves may have a nick, timestamp and avatar of their own. */
  readonly clientFields: boolean;
  /** Already taken over by those services which name none. */
  readonly webhook: string | null;
  /** What happens to the domain, and where the site is told; null: it is not. */
  readonly events: EventsConfig | null;
  /** Keys that sign webhooks, each a signature; null: the first API key does. */
  readonly webhookSecret: string | readonly string[] | null;
  /** Webhooks may lead to addresses inside. */
  readonly webhookPrivate: boolean;
  /** By id: `help` is the endpoint `sid:help`. A service that is not here delivers to `all`. */
  readonly services: ReadonlyMap<string, ServiceConfig>;
  /** Over the limits of the server; see limitsOf. */
  readonly limits: Partial<DomainLimits>;
}

export interface HistoryConfig {
  /** The latest so many messages of a conversation, 1 to 1,000. */
  readonly messages: number;
  /** Messages that are not older. */
  readonly days: number;
}

export interface EventsConfig {
  /** null: MQTT backends alone are told. */
  readonly url: string | null;
  readonly kinds: readonly EventKind[];
}

/** How a client's own message reaches the server. */
export type ClientWay = 'mqtt' | 'websocket' | 'http';

export interface ServiceConfig {
  readonly delivery: 'all' | 'turns';
  /** Its own, else the domain's, else null. */
  readonly webhook: string | null;
}

/** A domain as the file has it, the defaults in. */
export interface FileDomain extends Omit<DomainConfig, 'services'> {
  readonly services: Readonly<Record<string, ServiceConfig>>;
}

/** Whether an address is reachable from this machine only. */
export function isLoopback(host: string): boolean {
  const bare = host.replace(/^\[|\]$/g, '').replace(/^::ffff:/i, '');
  return bare === 'localhost' || bare === '::1' || /^127(\.\d{1,3}){3}$/.test(bare);
}

/** For trying things: everything is allowed to clients. Never served on an address other than loopback. */
export const builtIn = {
  domain: 'localhost',
  apikey: 'public',
  tokenSecret: 'development-only-secret-of-localhost',
  clientCalls: true,
  clientSend: ['mqtt', 'websocket', 'http'],
  clientJoin: ['*'],
  clientFields: true,
  webhookPrivate: true,
};

export const BUILT_IN_ON_LOOPBACK = 'localhost with the key "public" is served on loopback only';

function keysOf(domain: FileDomain): readonly string[] {
  return typeof domain.apikey === 'string' ? [domain.apikey] : domain.apikey;
}

/** The secrets that sign a domain's tokens. */
export function secretsOf({ tokenSecret }: Pick<DomainConfig, 'tokenSecret'>): readonly string[] {
  if (tokenSecret === null) return [];
  return typeof tokenSecret === 'string' ? [tokenSecret] : tokenSecret;
}

function secretErrors(domain: FileDomain, path: string, host: string): string[] {
  const secrets = secretsOf(domain);
  const errors: string[] = [];
  // Whoever has a token can guess at its secret for as long as it takes, without asking the server.
  if (secrets.some((secret) => isKey(domain, secret))) errors.push(`${path}: must not be an API key`);
  if (!isLoopback(host) && secrets.includes(builtIn.tokenSecret)) {
    errors.push(`${path}: the development secret is served on loopback only, not on ${host}`);
  }
  return errors;
}

function isKey(domain: FileDomain, text: string): boolean {
  const hash = `sha256:${createHash('sha256').update(text).digest('hex')}`;
  return keysOf(domain).some((key) => key === text || key === hash);
}

/** Where a domain is served, as far as its rules ask. */
export interface Surroundings {
  readonly host: string;
  readonly data: string;
  readonly cluster: { readonly store: 'none' | 'jetstream' };
}

/** What is wrong with a domain whose shape is right: a line each, which begins with its path within the domain. */
export function domainErrors(domain: FileDomain, { host, data, cluster }: Surroundings): string[] {
  const errors: string[] = [];
  if (domain.offline && data === 'none' && cluster.store === 'none') {
    errors.push('offline: keeping messages needs a data folder, and data is "none"');
  }
  if (domain.history !== null && data === 'none' && cluster.store === 'none') {
    errors.push('history: keeping messages needs a data folder, and data is "none"');
  }
  errors.push(...secretErrors(domain, 'tokenSecret', host), ...webhookErrors(domain));
  if (!isLoopback(host) && domain.domain === builtIn.domain && keysOf(domain).includes(builtIn.apikey)) {
    errors.push(`: ${BUILT_IN_ON_LOOPBACK}, not on ${host}`);
  }
  return errors;
}

/** Names are looked at when they are called, whatever they resolve to then. */
function webhookErrors({ webhook, events, services, webhookPrivate }: FileDomain): string[] {
  if (webhookPrivate) return [];
  const urls = [
    ['webhook', webhook],
    ['events.url', events?.url ?? null],
    ...Object.entries(services).map(([id, service]) => [`services.${id}.webhook`, service.webhook] as const),
  ] as const;
  return urls
    .filter(([, url]) => url !== null && leadsInside(url))
    .map(([path]) => `${path}: leads to an address inside, which needs "webhookPrivate": true`);
}

/** What the server uses of a domain that is valid. */
export function domainOf(domain: FileDomain): DomainConfig {
  const services = Object.entries(domain.services).map(
    ([id, service]) => [id, freeze({ ...service, webhook: service.webhook ?? domain.webhook })] as const,
  );
  return { ...domain, services: new Map(services) };
}

export function freeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null) return value;
  for (const child of Object.values(value)) freeze(child);
  return Object.freeze(value);
}

const validate = validatorOf<FileDomain>(domainSchema);

/**
 * Completes and validates one domain by itself, plain JSON in the shape of the file. Answers it frozen, or one line for each
 * mistake that begins with its path within the domain: `apikey: must be a string`.
 */
export function loadDomain(
  input: object,
  surroundings: Surroundings,
): { readonly domain: DomainConfig } | { readonly errors: readonly string[] } {
  const validated = validate(structuredClone(input));
  if ('errors' in validated) return validated;
  const errors = domainErrors(validated.valid, surroundings);
  return errors.length > 0 ? { errors } : { domain: freeze(domainOf(validated.valid)) };
}
