/**
 * The configuration: its type, and the way from a plain object (a file, flags and environment merged) to a complete,
 * validated and frozen Config. Meaning, unit, default and bounds of each key are in config-schema.ts.
 */
import {
  BUILT_IN_ON_LOOPBACK,
  builtIn,
  type DomainConfig,
  type DomainLimits,
  domainErrors,
  domainOf,
  type FileDomain,
  freeze,
  isLoopback,
} from './config-domain.js';
import { validatorOf } from './config-errors.js';
import { configSchema } from './config-schema.js';

export type { ClientWay, DomainConfig, DomainLimits, HistoryConfig, ServiceConfig } from './config-domain.js';
export { isLoopback, secretsOf } from './config-domain.js';

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
  readonly resume: {
    /** How long a ticket is kept from when the connection of a client that keeps a position is lost, in ms; 0: not. */
    readonly keepMs: number;
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
    /** Where the cluster keeps the data that must survive its nodes: nowhere, or in the JetStream of its NATS servers. */
    readonly store: 'none' | 'jetstream';
    /** How many NATS servers each keep all data of JetStream. */
    readonly replicas: number;
    /** The nats-server that `--workers` starts where `nats` is empty: a path or a name. null: that of the system's package. */
    readonly server: string | null;
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
  readonly token: string | readonly (string | OwnerToken)[] | null;
  /** How many domains have series of their own in `/metrics`; 0: all. */
  readonly metricsDomains: number;
}

/** Opens the admin port to the owner of some domains. */
export interface OwnerToken {
  readonly token: string;
  readonly domains: readonly string[];
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

/** The limits that hold for a domain: its own, over those of the server. */
export function limitsOf(config: Config, domain: DomainConfig): Limits {
  return { ...config.limits, ...domain.limits };
}

/** The file's shape once the schema holds and the defaults are in. */
interface Complete extends Omit<Config, 'domains' | 'trustProxy'> {
  readonly trustProxy: boolean | number;
  readonly domains: readonly FileDomain[];
}

const validate = validatorOf<Complete>(configSchema);

/**
 * Completes and validates a configuration. `input` is plain JSON in the shape of the file; it is not changed. Answers
 * the frozen Config, or one line for each mistake that begins with its path: `domains[1].apikey: must be a string`.
 * `processes`: how many are to serve by it; several are a cluster, whoever starts their NATS.
 */
export function loadConfig(input: unknown, processes = 1): { config: Config } | { errors: string[] } {
  const validated = validate(structuredClone(input));
  if ('errors' in validated) return validated;
  const { valid: data } = validated;
  const isCluster = data.cluster.nats.length > 0 || processes > 1;
  const own = isCluster ? inCluster(data, input as Named) : data;
  const isBuiltIn = own.domains.length === 0;
  const complete = isBuiltIn ? withBuiltIn(own) : own;
  const errors = contradictions(complete, isBuiltIn);
  const isKept = own.cluster.store === 'jetstream';
  if (isCluster && own.data !== 'none' && !isKept) {
    errors.push(
      'data: must be "none" in a cluster, unless cluster.store is "jetstream", which then keeps what must survive',
    );
  }
  if (isKept && !isCluster) errors.push('cluster.store: is for a cluster; one node keeps what must survive in data');
  return errors.length > 0 ? { errors } : { config: freeze(toConfig(complete)) };
}

/** What the input names of the keys whose defaults are others in a cluster. */
interface Named {
  readonly data?: unknown;
  readonly cluster?: { readonly store?: unknown };
}

/**
 * The defaults of a cluster. Workers that get a nats-server of their own keep what must survive in its JetStream, in the data folder; any
 * other cluster keeps it in the JetStream of its NATS servers where it is told to, and needs no folder.
 */
function inCluster(complete: Complete, named: Named): Complete {
  const { data, cluster } = complete;
  const hasOwnNats = cluster.nats.length === 0;
  const isKept = hasOwnNats && data !== 'none' && named.cluster?.store === undefined;
  const store = isKept ? 'jetstream' : cluster.store;
  const hasFolder = named.data !== undefined || (hasOwnNats && store === 'jetstream');
  return { ...complete, data: hasFolder ? data : 'none', cluster: { ...cluster, store } };
}

/** The built-in domain, with the defaults that one in the file gets. */
function withBuiltIn(complete: Complete): Complete {
  const domain = { ...builtIn, ...(complete.data !== 'none' && { history: {} }) };
  const validated = validate({ ...complete, domains: [domain] });
  if ('errors' in validated) throw new Error('the built-in domain does not fit the schema');
  return validated.valid;
}

/** What no schema can say: rules between keys, and what this version cannot do yet. */
function contradictions(config: Complete, isBuiltIn: boolean): string[] {
  const errors: string[] = [];
  const names = new Map<string, number>();
  for (const [i, domain] of config.domains.entries()) {
    const earlier = names.get(domain.domain);
    if (earlier !== undefined) errors.push(`domains[${i}].domain: is already that of domains[${earlier}]`);
    else names.set(domain.domain, i);
    const wrong = domainErrors(domain, config);
    if (!isBuiltIn) errors.push(...wrong.map((error) => `domains[${i}]${error.startsWith(':') ? '' : '.'}${error}`));
  }
  if (isBuiltIn && !isLoopback(config.host)) {
    const what = `the built-in ${BUILT_IN_ON_LOOPBACK}, not on ${config.host}`;
    errors.push(`domains: none is configured, and ${what}: configure a domain`);
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
  return errors;
}

function toConfig(complete: Complete): Config {
  return {
    ...complete,
    trustProxy: Number(complete.trustProxy),
    publicUrl: complete.publicUrl?.replace(/\/+$/, '') ?? null,
    domains: complete.domains.map(domainOf),
  };
}
