/**
 * The configuration file as a JSON schema: every key with its meaning, unit, default and what 0 means. The reference in
 * the documentation is made from the descriptions, the defaults are taken from here, and config.ts gives it a type.
 */

interface Schema {
  readonly description?: string;
  readonly default?: unknown;
  readonly type?: string | readonly string[];
  readonly format?: string;
  readonly enum?: readonly string[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minLength?: number;
  readonly minItems?: number;
  readonly uniqueItems?: boolean;
  readonly required?: readonly string[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly additionalProperties?: boolean | Schema;
  readonly propertyNames?: Schema;
  readonly items?: Schema;
}

export type ConfigSchema = Schema;

const whole = (minimum: number, maximum: number, byDefault: number, description: string): Schema => ({
  type: 'integer',
  minimum,
  maximum,
  default: byDefault,
  description,
});

const flag = (description: string): Schema => ({ type: 'boolean', default: false, description });

const text = (description: string): Schema => ({ type: 'string', minLength: 1, description });

const group = (description: string, properties: Readonly<Record<string, Schema>>): Schema => ({
  type: 'object',
  default: {},
  additionalProperties: false,
  description,
  properties,
});

const port = (byDefault: number, description: string): Schema => whole(-1, 65535, byDefault, description);

const most = Number.MAX_SAFE_INTEGER;
const longestMs = 24 * 60 * 60 * 1000;

const webhook: Schema = {
  type: ['string', 'null'],
  format: 'webhook-url',
  default: null,
  description: 'URL of the site to which messages to the service are POSTed, signed. null: none.',
};

const domainLimits: Readonly<Record<string, Schema>> = {
  messageBytes: whole(0, most, 8192, 'Longest body of one message, in bytes of UTF-8. 0: no limit.'),
  queuePackets: whole(0, most, 1000, 'Packets kept for one client that is not reading. 0: no limit.'),
  queueBytes: whole(0, most, 1_048_576, 'Bytes of packets kept for one client that is not reading. 0: no limit.'),
  clientsPerEndpoint: whole(0, most, 64, 'Clients (tabs, phones) one endpoint may have. 0: no limit.'),
  roomsPerEndpoint: whole(0, most, 1000, 'Rooms one endpoint may be in; more are answered 400. 0: no limit.'),
  buddiesPerEndpoint: whole(
    0,
    most,
    5000,
    'Buddies one endpoint may have listed since it came online, over all its clients; more are answered 400. 0: no limit.',
  ),
  roomMembers: whole(0, most, 100_000, 'Endpoints in one room. 0: no limit.'),
  bytesPerDomain: whole(
    0,
    most,
    0,
    'Memory that queues, sessions, retained publications and rooms of one domain may take on a node, in bytes. 0: a quarter of the heap.',
  ),
  endpointsPerDomain: whole(0, most, 1_000_000, 'Endpoints of one domain online at the same time. 0: no limit.'),
  awayPerDomain: whole(
    0,
    most,
    100_000,
    'Clients of one domain that are away, see `resume.keepMs`; beyond it the one that has been away longest ends. 0: no limit.',
  ),
  roomsPerDomain: whole(0, most, 1_000_000, 'Rooms of one domain with members. 0: no limit.'),
  sessionsPerDomain: whole(0, most, 100_000, 'MQTT sessions of backends, connected or kept. 0: no limit.'),
  subscriptionsPerSession: whole(0, most, 10_000, 'Subscriptions of one MQTT session. 0: no limit.'),
  subscriptionsPerDomain: whole(0, most, 1_000_000, 'Subscriptions of all MQTT sessions. 0: no limit.'),
  retainedPerDomain: whole(0, most, 100_000, 'Retained MQTT publications. 0: no limit.'),
  retainedBytes: whole(0, most, 134_217_728, 'Bytes of retained MQTT publications of one domain. 0: no limit.'),
  offlineBytes: whole(
    0,
    most,
    1_073_741_824,
    'Bytes of messages kept for endpoints that are offline, of which what clients send takes at most half and one of them a hundredth; each endpoint is bounded by queuePackets and queueBytes. 0: no limit.',
  ),
  offlineAgeS: whole(0, most, 604_800, 'A message to an offline endpoint is kept this long, in seconds. 0: for ever.'),
  historyBytes: whole(
    0,
    most,
    1_073_741_824,
    'Bytes of messages kept in the `history` of a domain; beyond, the oldest go. 0: no limit.',
  ),
  requestsPerSecond: whole(
    0,
    most,
    0,
    'REST calls of one domain in a second, and as many at once after a quiet one; more are answered 429. 0: no limit.',
  ),
  messagesPerSecond: whole(
    0,
    most,
    20,
    'Messages in a second that one client may send itself, and twice as many at once after a quiet time. 0: no limit.',
  ),
};

const limits = group('Bounds of what clients and sites may cause. 0 in a limit is no limit, but in bytesPerDomain.', {
  bodyBytes: whole(0, most, 65_536, 'Longest request body, in bytes; longer is 413. 0: no limit.'),
  parameters: whole(
    0,
    most,
    10_000,
    'Parameters of a query or body, values inside of JSON lists and objects counted; more are answered 400. 0: no limit.',
  ),
  ...domainLimits,
  connectionsPerAddress: whole(
    0,
    most,
    0,
    'Long connections and polls of one network address, or /64 of IPv6, over all protocols together. 0: no limit.',
  ),
});

/** The same keys without defaults: what a domain does not name is taken from the limits of the server. */
const ownLimits = group(
  'Limits of this domain, over those of the server: the same keys but bodyBytes, parameters and connectionsPerAddress.',
  Object.fromEntries(Object.entries(domainLimits).map(([key, { default: _, ...schema }]) => [key, schema] as const)),
);

const service: Schema = {
  type: 'object',
  additionalProperties: false,
  description: 'One service, by its id (`help` is the endpoint `sid:help`).',
  properties: {
    delivery: {
      type: 'string',
      enum: ['all', 'turns'],
      default: 'all',
      description:
        'all: every client gets each message. turns: one client after another; a sender stays with its client.',
    },
    webhook: { ...webhook, description: `${webhook.description} Without one, the domain's webhook is taken.` },
  },
};

/** One domain. */
export const domainSchema: ConfigSchema = {
  type: 'object',
  additionalProperties: false,
  required: ['domain', 'apikey'],
  description: 'One site (tenant). Nothing crosses from one domain to another.',
  properties: {
    domain: {
      type: 'string',
      format: 'domain-name',
      description: 'The name, 1 to 256 bytes without / + # , space or control characters. Compared as written.',
    },
    apikey: {
      type: ['string', 'array'],
      format: 'api-key',
      minItems: 1,
      items: { type: 'string', format: 'api-key' },
      description:
        'The secret of the site, or several valid ones for rotation; each plain or `sha256:` and 64 hex digits.',
    },
    origins: {
      type: 'array',
      default: [],
      items: { type: 'string', format: 'origin' },
      description:
        'Origins whose pages may connect: `https://example.com`, `https://*.example.com` (every host below it), of apps ' +
        '`capacitor://localhost`, `file://` or `null` (also sandboxed frames of any site). Empty: all.',
    },
    tokenSecret: {
      type: ['string', 'array', 'null'],
      format: 'token-secret',
      default: null,
      minItems: 1,
      items: { type: 'string', format: 'token-secret' },
      description:
        'The secret that signs the tokens with which pages come online by themselves (HS256), or several valid ones for rotation; never an API key. null: tokens are refused.',
    },
    clientCalls: flag(
      'Clients themselves may change their show, ask who is online and in their rooms, join (see `clientJoin`) and leave.',
    ),
    carbons: flag("A sender's other clients get its messages too."),
    offline: flag('Messages to an endpoint that is offline are kept for its next client. Needs a `data` folder.'),
    durability: {
      type: 'string',
      enum: ['none', 'restart', 'always'],
      default: 'restart',
      description:
        'What survives a restart of the server, with a `data` folder: `none` of its tickets, presence and queues; `restart`: all of them an orderly end, tickets and presence a kill; `always`: messages a kill too, and each is answered when it is on disk.',
    },
    history: {
      type: ['object', 'null'],
      default: null,
      additionalProperties: false,
      description:
        'The last messages of each conversation are kept, and read by GET /v5/history and by clients. Needs a `data` folder. null: none are.',
      properties: {
        messages: whole(1, 1000, 200, 'How many messages of a conversation; beyond, the oldest go.'),
        days: whole(1, 3650, 30, 'How many days a message is kept at most.'),
      },
    },
    clientSend: {
      type: 'array',
      default: ['mqtt'],
      uniqueItems: true,
      items: { type: 'string', enum: ['mqtt', 'websocket', 'http'] },
      description: 'Ways by which clients themselves may send. Empty: only the site sends, over REST.',
    },
    clientJoin: {
      type: 'array',
      default: [],
      items: { type: 'string', format: 'room-pattern' },
      description:
        'Rooms that clients themselves may join, where `clientCalls` lets them: ids, or how ids begin and `*` (`public-*`). Empty: none.',
    },
    clientFields: flag(
      'What clients send themselves may carry a nick, timestamp and avatar of their own, and `show` a new nick. `from` is always their own.',
    ),
    webhook: { ...webhook, description: 'The webhook of those configured services which name none. null: none.' },
    services: {
      type: 'object',
      default: {},
      propertyNames: { type: 'string', format: 'id' },
      additionalProperties: service,
      description: 'Services with settings of their own, by id.',
    },
    limits: ownLimits,
  },
};

export const configSchema: ConfigSchema = {
  type: 'object',
  additionalProperties: false,
  description: 'The configuration file of NexTalk.',
  properties: {
    host: {
      ...text('Address to listen on, for every public port. Anything but loopback needs a domain configured.'),
      default: '127.0.0.1',
    },
    port: whole(0, 65535, 8080, 'Port of HTTP, long polls, WebSocket and MQTT over WebSocket. 0: any free one.'),
    publicUrl: {
      type: ['string', 'null'],
      format: 'web-url',
      default: null,
      description: 'The URL under which clients reach the server, as ONLINE hands it out. null: from the request.',
    },
    trustProxy: {
      type: ['boolean', 'integer'],
      minimum: 0,
      maximum: 10,
      default: false,
      description:
        'How many proxies in front to believe (true: one) in X-Forwarded-For, -Proto and -Host: only where all requests come through them.',
    },
    tls: {
      type: ['object', 'null'],
      default: null,
      additionalProperties: false,
      required: ['cert', 'key'],
      description:
        'Certificate for HTTPS, secure WebSocket and MQTT over TLS; the files are read again on SIGHUP. null: no TLS.',
      properties: {
        cert: text('PEM file of the certificate and its chain.'),
        key: text('PEM file of the private key.'),
      },
    },
    mqtt: group('MQTT.', {
      port: port(1883, 'Port of MQTT over TCP. 0: off, -1: any free one.'),
      tlsPort: port(0, 'Port of MQTT over TLS, with the certificate of `tls`. 0: off, -1: any free one.'),
      anonymousDomain: {
        type: ['string', 'null'],
        format: 'domain-name',
        default: null,
        description: 'Domain of which clients without credentials are a backend, on loopback only. null: none.',
      },
      receiveMaximum: whole(1, 65535, 100, 'QoS 1 and 2 messages in flight in each direction, not yet acknowledged.'),
      maxKeepAlive: whole(0, 65535, 0, 'Longest keep alive of an MQTT 5.0 client, in seconds. 0: as the client asks.'),
      topicAliasMaximum: whole(0, 65535, 100, 'Topic aliases a client may use. 0: none.'),
      maxPacketBytes: whole(0, 268_435_460, 262_144, 'Longest packet accepted, in bytes. 0: what the protocol allows.'),
    }),
    admin: group('Metrics, health and the dashboard, on a port of their own.', {
      host: { ...text('Address to listen on. Anything but loopback needs a token.'), default: '127.0.0.1' },
      port: port(8081, 'Port. 0: off, -1: any free one.'),
      token: {
        type: ['string', 'array', 'null'],
        minLength: 1,
        minItems: 1,
        default: null,
        items: {
          type: ['string', 'object'],
          minLength: 1,
          required: ['token', 'domains'],
          additionalProperties: false,
          description: 'A further token.',
          properties: {
            token: text('The secret of an owner, who sees some domains alone and never changes limits.'),
            domains: {
              type: 'array',
              items: { type: 'string', format: 'domain-name' },
              description: 'The domains of the owner, those of the file and those made at run time.',
            },
          },
        },
        description:
          'The secret that opens the dashboard and metrics, or several of them, of which some may be for the owners of some domains alone. null: none is asked for.',
      },
    }),
    domains: {
      type: 'array',
      default: [],
      items: domainSchema,
      description: 'The sites served. Empty: `localhost` with the API key `public`, on loopback only.',
    },
    presence: group('When an endpoint counts as gone.', {
      clientIdleMs: whole(1, longestMs, 10_000, 'A client without connection or poll is removed after this, in ms.'),
      graceMs: whole(
        0,
        longestMs,
        8000,
        'An endpoint without clients stays online this long, in ms, so that a page reload does not flicker. 0: not at all.',
      ),
    }),
    resume: group('Clients that keep a position and lose their connection.', {
      keepMs: whole(
        0,
        longestMs,
        120_000,
        'The ticket of such a client is kept this long from when its connection is lost, in ms, where it was connected for 5 s in all. No more than `presence.clientIdleMs`: not kept.',
      ),
    }),
    poll: group('Long polls.', {
      timeoutMs: whole(1, 600_000, 25_000, 'A poll is answered empty after this, in ms.'),
    }),
    socket: group('WebSockets.', {
      pingMs: whole(1, 60_000, 30_000, 'Silence after which a peer is pinged, in ms; at most a quarter of silenceMs.'),
      subscribeMs: whole(1, 600_000, 10_000, 'Time for the first text, in ms; later the socket is closed with 4408.'),
      silenceMs: whole(
        1,
        120_000,
        120_000,
        'A peer from which nothing comes, no pong either, is gone after this, in ms.',
      ),
    }),
    limits,
    lockout: group('Who offers wrong API keys of a domain too often waits, twice as long each time.', {
      failures: whole(0, 1000, 10, 'Wrong keys of one address for one domain before it is to wait. 0: never.'),
      firstMs: whole(1, longestMs, 1000, 'The first wait, in ms.'),
      longestMs: whole(1, longestMs, 300_000, 'The longest wait, in ms.'),
      forgetMs: whole(1, longestMs, 900_000, 'Wrong keys are forgotten after this without another, in ms.'),
      entries: whole(1, 1_000_000, 10_000, 'Addresses remembered; the one that was silent longest is forgotten first.'),
    }),
    data: {
      ...text('Folder of what must survive a restart, of this server alone; `none` keeps nothing.'),
      default: './data',
    },
    cluster: group('Several nodes as one server.', {
      nats: {
        type: 'array',
        default: [],
        items: { type: 'string', format: 'nats-url' },
        description: 'URLs of NATS servers, with user and password where they ask for them. Empty: one node.',
      },
      node: {
        type: ['string', 'null'],
        format: 'node-name',
        default: null,
        description: 'Name of this node, no other has it; tickets carry it. null: made up at start.',
      },
      name: {
        type: 'string',
        format: 'subject',
        default: 'nextalk',
        description: 'Name of the cluster: nodes of one name on one NATS are one server.',
      },
      leaveMs: whole(
        0,
        5000,
        3000,
        'A node that ends sends its clients elsewhere over at most this time, in ms. 0: at once.',
      ),
      leaseMs: whole(200, 600_000, 5000, 'A node that is not heard of for this long counts as gone, in ms.'),
      server: {
        type: ['string', 'null'],
        minLength: 1,
        default: null,
        description:
          'The `nats-server` that `--workers` starts where `nats` is empty: a path or a name. null: that of the PATH or of Debian.',
      },
    }),
  },
};
