/**
 * The configuration: its type, and the way from a plain object (a file, flags and environment merged) to a complete,
 * validated and frozen Config. Meaning, unit, default and bounds of each key are in config-schema.ts.
 */
import { Ajv, type ErrorObject, type ValidateFunction } from 'ajv';
import { formats } from './config-formats.js';
import { configSchema } from './config-schema.js';

export interface Config {
  /** Address of every public port. */
  readonly host: string;
  /** HTTP, long polls, WebSocket, MQTT over WebSocket; 0 is any free port. */
  readonly port: number;
  /** What ONLINE hands out, without a trailing slash; may have a path. null: made from the request. */
  readonly publicUrl: string | null;
  /** Proxies in front whose X-Forwarded-For, -Proto and -Host are believed; 0: none. */
  readonly trustProxy: number;
  /** PEM files, by their paths. null: no TLS. */
  readonly tls: TlsConfig | null;
  readonly mqtt: MqttConfig;
  readonly admin: AdminConfig;
  /** Never empty: without any in the file it is the built-in `localhost` with the key `public`. Names are unique. */
  readonly domains: readonly DomainConfig[];
  readonly presence: {
    /** A client without connection or poll is removed after this, in ms; at least 1. */
    readonly clientIdleMs: number;
    /** An endpoint without clients stays online this long, in ms; 0: not at all. */
    readonly graceMs: number;
  };
  readonly poll: {
    /** A poll is answered empty after this, in ms; at least 1. */
    readonly timeoutMs: number;
  };
  readonly socket: {
    /** Time between pings, in ms; 1 to 60,000. */
    readonly pingMs: number;
    /** Time for the first text of a WebSocket, in ms; at least 1. */
    readonly subscribeMs: number;
    /** A peer that has been silent this long is gone, in ms; 1 to 120,000. */
    readonly silenceMs: number;
  };
  readonly limits: Limits;
  readonly lockout: LockoutConfig;
  /** Folder of durable state, or `none`. */
  readonly data: string;
  readonly cluster: {
    /** URLs of NATS servers; empty: one node. */
    readonly nats: readonly string[];
    /** Name of this node; null: made up at start. */
    readonly node: string | null;
    /** Nodes of one name are one server. */
    readonly name: string;
    /** A node that ends sends its clients elsewhere over at most this time, in ms. */
    readonly leaveMs: number;
    /** A node that is not heard of for this long counts as gone, in ms. */
    readonly leaseMs: number;
  };
}

/** For wrong API keys of one network address, for each domain. */
export interface LockoutConfig {
  /** Wrong keys before it is to wait; 0: never. */
  readonly failures: number;
  readonly firstMs: number;
  /** The wait doubles up to this. */
  readonly longestMs: number;
  /** Without another wrong key they are forgotten after this. */
  readonly forgetMs: number;
  /** Addresses remembered. */
  readonly entries: number;
}

export interface TlsConfig {
  readonly cert: string;
  readonly key: string;
}

export interface MqttConfig {
  /** MQTT over TCP; 0: off, -1: any free port. */
  readonly port: number;
  /** MQTT over TLS; 0: off, -1: any free port. */
  readonly tlsPort: number;
  /** Clients without credentials are a backend of this domain; only ever set on loopback. null: refused. */
  readonly anonymousDomain: string | null;
  /** QoS 1 and 2 in flight in each direction, 1 to 65,535. */
  readonly receiveMaximum: number;
  /** Longest keep alive of a 5.0 client, in seconds; 0: as it asks. */
  readonly maxKeepAlive: number;
  /** Topic aliases a client may use; 0: none. */
  readonly topicAliasMaximum: number;
  /** Longest packet accepted, in bytes; 0: what the protocol allows. */
  readonly maxPacketBytes: number;
}

export interface AdminConfig {
  readonly host: string;
  /** 0: off, -1: any free port. */
  readonly port: number;
  /** Never null on an address other than loopback. */
  readonly token: string | null;
}

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
  /** REST calls of one domain in a second. */
  readonly requestsPerSecond: number;
  /** Messages in a second that one client sends itself; twice as many at once. */
  readonly messagesPerSecond: number;
}

/** 0 is no limit in each of them. */
export interface Limits extends DomainLimits {
  /** Request body, in bytes. */
  readonly bodyBytes: number;
  /** Parameters of a query, or of a body with all that is nested in it. */
  readonly parameters: number;
  /** Long connections and polls of one network address. */
  readonly connectionsPerAddress: number;
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
  /** By id: `help` is the endpoint `sid:help`. A service that is not here delivers to `all`. */
  readonly services: ReadonlyMap<string, ServiceConfig>;
  /** Over the limits of the server; see limitsOf. */
  readonly limits: Partial<DomainLimits>;
}

/** How a client's own message reaches the server. */
export type ClientWay = 'mqtt' | 'websocket' | 'http';

export interface ServiceConfig {
  readonly delivery: 'all' | 'turns';
  /** Its own, else the domain's, else null. */
  readonly webhook: string | null;
}

/** The limits that hold for a domain: its own, over those of the server. */
export function limitsOf(config: Config, domain: DomainConfig): Limits {
  return { ...config.limits, ...domain.limits };
}

/** Whether an address is reachable from this machine only. */
export function isLoopback(host: string): boolean {
  const bare = host.replace(/^\[|\]$/g, '').replace(/^::ffff:/i, '');
  return bare === 'localhost' || bare === '::1' || /^127(\.\d{1,3}){3}$/.test(bare);
}

/** For trying things: everything is allowed to clients. Never served on an address other than loopback. */
const builtIn = {
  domain: 'localhost',
  apikey: 'public',
  tokenSecret: 'development-only-secret-of-localhost',
  clientCalls: true,
  clientSend: ['mqtt', 'websocket', 'http'],
  clientJoin: ['*'],
  clientFields: true,
};

const ajv = new Ajv({
  allErrors: true,
  useDefaults: true,
  allowUnionTypes: true,
  verbose: true,
  strictRequired: false,
});
for (const [name, { check }] of formats) ajv.addFormat(name, check);

/** The file's shape once the schema holds and the defaults are in. */
interface Complete extends Omit<Config, 'domains' | 'trustProxy'> {
  readonly trustProxy: boolean | number;
  readonly domains: readonly FileDomain[];
}

interface FileDomain extends Omit<DomainConfig, 'services'> {
  readonly services: Readonly<Record<string, ServiceConfig>>;
}

const validate: ValidateFunction<Complete> = ajv.compile(configSchema);

/**
 * Completes and validates a configuration. `input` is plain JSON in the shape of the file; it is not changed. Answers
 * the frozen Config, or one line for each mistake that begins with its path: `domains[1].apikey: must be a string`.
 */
export function loadConfig(input: unknown): { config: Config } | { errors: string[] } {
  const data: unknown = structuredClone(input);
  const isDataNamed = typeof input === 'object' && input !== null && 'data' in input;
  if (!validate(data)) return { errors: [...new Set((validate.errors ?? []).map(explain))] };
  // A folder belongs to one process: the default one is only that of a server on its own.
  const own: Complete = data.cluster.nats.length > 0 && !isDataNamed ? { ...data, data: 'none' } : data;
  const isBuiltIn = own.domains.length === 0;
  const complete = isBuiltIn ? withBuiltIn(own) : own;
  const errors = contradictions(complete, isBuiltIn);
  return errors.length > 0 ? { errors } : { config: freeze(toConfig(complete)) };
}

/** The built-in domain, with the defaults that one in the file gets. */
function withBuiltIn(complete: Complete): Complete {
  const data: unknown = { ...complete, domains: [{ ...builtIn }] };
  if (!validate(data)) throw new Error('the built-in domain does not fit the schema');
  return data;
}

/** What no schema can say: rules between keys, and what this version cannot do yet. */
function contradictions(config: Complete, isBuiltIn: boolean): string[] {
  const errors: string[] = [];
  const names = new Map<string, number>();
  for (const [i, domain] of config.domains.entries()) {
    const earlier = names.get(domain.domain);
    if (earlier !== undefined) errors.push(`domains[${i}].domain: is already that of domains[${earlier}]`);
    else names.set(domain.domain, i);
    if (domain.offline && config.data === 'none') {
      errors.push(`domains[${i}].offline: keeping messages needs a data folder, and data is "none"`);
    }
    if (!isBuiltIn) errors.push(...secretErrors(domain, `domains[${i}].tokenSecret`, config.host));
    if (!isLoopback(config.host) && domain.domain === builtIn.domain && keysOf(domain).includes(builtIn.apikey)) {
      const what = 'localhost with the key "public" is served on loopback only';
      errors.push(
        isBuiltIn
          ? `domains: none is configured, and the built-in ${what}, not on ${config.host}: configure a domain`
          : `domains[${i}]: ${what}, not on ${config.host}`,
      );
    }
  }
  const { anonymousDomain, tlsPort } = config.mqtt;
  if (anonymousDomain !== null && !isLoopback(config.host)) {
    errors.push(`mqtt.anonymousDomain: is allowed on loopback only, not on ${config.host}`);
  }
  if (anonymousDomain !== null && !names.has(anonymousDomain)) {
    errors.push(`mqtt.anonymousDomain: ${anonymousDomain} is not among the domains`);
  }
  if (tlsPort !== 0 && config.tls === null) errors.push('mqtt.tlsPort: needs a certificate in tls');
  if (config.admin.port !== 0 && config.admin.token === null && !isLoopback(config.admin.host)) {
    errors.push(`admin.token: is needed on an address other than loopback (admin.host is ${config.admin.host})`);
  }
  if (config.cluster.nats.length > 0 && config.data !== 'none') {
    errors.push('data: must be "none" in a cluster, where keeping state is not supported yet');
  }
  return errors;
}

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
  if (secrets.some((secret) => keysOf(domain).includes(secret))) errors.push(`${path}: must not be an API key`);
  if (!isLoopback(host) && secrets.includes(builtIn.tokenSecret)) {
    errors.push(`${path}: the development secret is served on loopback only, not on ${host}`);
  }
  return errors;
}

function toConfig(complete: Complete): Config {
  return {
    ...complete,
    trustProxy: Number(complete.trustProxy),
    publicUrl: complete.publicUrl?.replace(/\/+$/, '') ?? null,
    domains: complete.domains.map((domain) => ({
      ...domain,
      services: new Map(
        Object.entries(domain.services).map(([id, service]) => [
          id,
          freeze({ ...service, webhook: service.webhook ?? domain.webhook }),
        ]),
      ),
    })),
  };
}

function freeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null) return value;
  for (const child of Object.values(value)) freeze(child);
  return Object.freeze(value);
}

/** One line for a schema error: where, and what is wrong with it. Never the value, which may be a secret. */
function explain(error: ErrorObject): string {
  const path = error.instancePath
    .split('/')
    .slice(1)
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'));
  if (error.keyword === 'required') return `${pathText([...path, String(error.params.missingProperty)])}: is missing`;
  if (error.keyword === 'additionalProperties') {
    return `${pathText([...path, String(error.params.additionalProperty)])}: is not a known key`;
  }
  if (error.propertyName !== undefined) return `${pathText([...path, error.propertyName])}: ${complaint(error)}`;
  if (error.keyword === 'propertyNames')
    return `${pathText([...path, String(error.params.propertyName)])}: ${nameRule}`;
  return `${pathText(path)}: ${complaint(error)}`;
}

const nameRule = formats.get('id')?.message ?? 'is no valid name';

function pathText(parts: readonly string[]): string {
  const text = parts.map((part) => (/^\d+$/.test(part) ? `[${part}]` : `.${part}`)).join('');
  return text === '' ? 'configuration' : text.replace(/^\./, '');
}

const typeNames: ReadonlyMap<string, string> = new Map([
  ['string', 'a string'],
  ['integer', 'a whole number'],
  ['boolean', 'true or false'],
  ['array', 'a list'],
  ['object', 'an object'],
  ['null', 'null'],
]);

function complaint(error: ErrorObject): string {
  const { keyword, params } = error;
  if (keyword === 'type') {
    const types: readonly string[] = Array.isArray(params.type) ? params.type : [String(params.type)];
    return `must be ${types.map((type) => typeNames.get(type) ?? type).join(' or ')}`;
  }
  if (keyword === 'format') return formats.get(String(params.format))?.message ?? 'is malformed';
  if (keyword === 'minimum') return `must be at least ${params.limit}`;
  if (keyword === 'maximum') return `must be at most ${params.limit}`;
  if (keyword === 'minLength' || keyword === 'minItems') return 'must not be empty';
  if (keyword === 'uniqueItems') return 'must not name the same thing twice';
  if (keyword === 'enum') return `must be ${params.allowedValues.map((v: string) => JSON.stringify(v)).join(' or ')}`;
  return error.message ?? 'is not valid';
}
