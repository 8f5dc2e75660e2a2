/**
 * The configuration file as a JSON schema: every key with its meaning, unit, default and what 0 means. The reference in
 * the documentation is made from the descriptions, the defaults are taken from here, and config.ts gives it a type.
 */

import { limits, ownLimits } from './config-limits.js';
import { flag, group, longestMs, port, type Schema, text, whole } from './config-parts.js';
import { EVENT_KINDS } from './event-kinds.js';

export type ConfigSchema = Schema;

const webhook: Schema = {
  type: ['string', 'null'],
  format: 'webhook-url',
  default: null,
  description: 'URL of the site to which messages to the service are POSTed, signed. null: none.',
};

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
    events: {
      type: ['object', 'null'],
      default: null,
      additionalProperties: false,
      description: 'What happens to the domain, told to the site as it happens. null: nothing is told.',
      properties: {
        url: {
          ...webhook,
          description: 'URL of the site to which events are POSTed, signed. null: MQTT backends alone have them.',
        },
        kinds: {
          type: 'array',
          default: ['online', 'offline', 'undelivered'],
          minItems: 1,
          uniqueItems: true,
          items: { type: 'string', enum: EVENT_KINDS },
          description: 'Which kinds of events are told.',
        },
      },
    },
    webhookSecret: {
      type: ['string', 'array', 'null'],
      format: 'webhook-secret',
      default: null,
      minItems: 1,
      items: { type: 'string', format: 'webhook-secret' },
      description:
        'The key that signs webhooks (HMAC-SHA256), or several for rotation, each of which gives a signature. null: the first API key.',
    },
    webhookPrivate: flag(
      'Webhooks may lead to addresses inside: loopback, private, link-local. Only for sites that may reach what the server can.',
    ),
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
      metricsDomains: whole(
        0,
        100_000,
        50,
        'Domains with series of their own in `/metrics`, the busiest of the last hour; all others are added up as `domain="other"`. With workers each has its own series of a domain, so there are as many fewer. 0: no limit.',
      ),
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
      ...text(
        'Folder of what must survive a restart, of this server alone; `none` keeps nothing, and is the default in a cluster with `cluster.nats`.',
      ),
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
      store: {
        type: 'string',
        enum: ['none', 'jetstream'],
        default: 'none',
        description:
          'Where a cluster keeps what must survive its nodes: `jetstream`, in the JetStream of its NATS servers, or nowhere. With workers that get a `nats-server` of their own the default is `jetstream` where there is a `data` folder.',
      },
      replicas: whole(1, 5, 1, 'How many NATS servers keep what is in JetStream: 3 outlive the loss of one, 5 of two.'),
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
