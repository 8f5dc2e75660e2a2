import t from 'tap';
import { type Config, isLoopback, limitsOf, loadConfig } from '../src/config.js';
import { validatorOf } from '../src/config-errors.js';
import { type ConfigSchema, configSchema } from '../src/config-schema.js';

function load(input: unknown): Config {
  const loaded = loadConfig(input);
  if ('errors' in loaded) throw new Error(loaded.errors.join('\n'));
  return loaded.config;
}

function errors(input: unknown): string[] {
  const loaded = loadConfig(input);
  return 'errors' in loaded ? loaded.errors : [];
}

const site = { domain: 'a.com', apikey: 'k' };

t.test('an empty configuration serves localhost on loopback with every default', async (t) => {
  t.strictSame(load({}), {
    host: '127.0.0.1',
    port: 8080,
    publicUrl: null,
    trustProxy: 0,
    tls: null,
    mqtt: {
      port: 1883,
      tlsPort: 0,
      anonymousDomain: null,
      receiveMaximum: 100,
      maxKeepAlive: 0,
      topicAliasMaximum: 100,
      maxPacketBytes: 262144,
    },
    admin: { host: '127.0.0.1', port: 8081, token: null, metricsDomains: 50 },
    domains: [
      {
        domain: 'localhost',
        apikey: 'public',
        origins: [],
        tokenSecret: 'development-only-secret-of-localhost',
        clientCalls: true,
        carbons: false,
        offline: false,
        durability: 'restart',
        history: { messages: 200, days: 30 },
        clientSend: ['mqtt', 'websocket', 'http'],
        clientJoin: ['*'],
        clientFields: true,
        webhook: null,
        events: null,
        webhookSecret: null,
        webhookPrivate: true,
        services: new Map(),
        limits: {},
      },
    ],
    presence: { clientIdleMs: 10000, graceMs: 8000 },
    resume: { keepMs: 120000 },
    poll: { timeoutMs: 25000 },
    socket: { pingMs: 30000, subscribeMs: 10000, silenceMs: 120000 },
    limits: {
      bodyBytes: 65536,
      parameters: 10000,
      messageBytes: 8192,
      queuePackets: 1000,
      queueBytes: 1048576,
      idsPerDomain: 1000000,
      batchMessages: 1000,
      clientsPerEndpoint: 64,
      roomsPerEndpoint: 1000,
      buddiesPerEndpoint: 5000,
      roomMembers: 100000,
      bytesPerDomain: 0,
      endpointsPerDomain: 1000000,
      awayPerDomain: 100000,
      connectionsPerDomain: 0,
      comingsPerMinute: 30,
      domainMessagesPerSecond: 0,
      roomsPerDomain: 1000000,
      sessionsPerDomain: 100000,
      subscriptionsPerSession: 10000,
      subscriptionsPerDomain: 1000000,
      retainedPerDomain: 100000,
      retainedBytes: 134217728,
      offlineBytes: 1073741824,
      offlineAgeS: 604800,
      historyBytes: 1073741824,
      eventsBytes: 67108864,
      requestsPerSecond: 0,
      messagesPerSecond: 20,
      connectionsPerAddress: 0,
    },
    lockout: { failures: 10, firstMs: 1000, longestMs: 300000, forgetMs: 900000, entries: 10000 },
    data: './data',
    cluster: {
      nats: [],
      node: null,
      name: 'nextalk',
      store: 'none',
      replicas: 1,
      leaveMs: 3000,
      leaseMs: 5000,
      server: null,
    },
  });
});

t.test('a full file is taken as it is', async (t) => {
  const origins = ['https://a.com', 'http://a.com:81', 'https://*.a.com', 'capacitor://localhost', 'file://', 'null'];
  const config = load({
    host: '0.0.0.0',
    port: 80,
    publicUrl: 'https://im.example.com/chat/',
    trustProxy: true,
    tls: { cert: 'a.pem', key: 'b.pem' },
    mqtt: { port: 1, tlsPort: 8883, maxKeepAlive: 600 },
    admin: { host: '::', port: 9, token: 'secret' },
    domains: [{ ...site, apikey: ['a', `sha256:${'0a'.repeat(32)}`], origins }],
    presence: { graceMs: 0 },
    cluster: { nats: ['nats://user:word@127.0.0.1:4222'], node: 'n1' },
  });
  t.equal(config.publicUrl, 'https://im.example.com/chat', 'without the trailing slash');
  t.strictSame(config.tls, { cert: 'a.pem', key: 'b.pem' });
  t.equal(config.mqtt.maxKeepAlive, 600);
  t.equal(config.presence.graceMs, 0);
  t.strictSame(config.domains[0]?.origins, origins);
});

t.test('loading changes nothing in the input, and the result is frozen', async (t) => {
  const input = { domains: [site] };
  const config = load(input);
  t.strictSame(input, { domains: [{ domain: 'a.com', apikey: 'k' }] });
  t.ok(Object.isFrozen(config));
  t.ok(Object.isFrozen(config.limits));
  t.ok(Object.isFrozen(config.domains));
  t.ok(Object.isFrozen(config.domains[0]));
  t.ok(Object.isFrozen(config.domains[0]?.limits));
});

t.test('services are a map, also under names that mean something to JavaScript', async (t) => {
  const services: unknown = JSON.parse(
    '{"__proto__":{"delivery":"turns"},"constructor":{},"a b":{"webhook":"http://s"}}',
  );
  const config = load({ domains: [{ ...site, webhook: 'https://a.com/index.php?do=hook', services }] });
  t.strictSame(
    [...(config.domains[0]?.services ?? [])],
    [
      ['__proto__', { delivery: 'turns', webhook: 'https://a.com/index.php?do=hook' }],
      ['constructor', { delivery: 'all', webhook: 'https://a.com/index.php?do=hook' }],
      ['a b', { delivery: 'all', webhook: 'http://s' }],
    ],
  );
});

t.test('a domain has the limits of the server but for its own', async (t) => {
  const config = load({ limits: { roomMembers: 7 }, domains: [{ ...site, limits: { messageBytes: 0 } }] });
  const [domain] = config.domains;
  t.match(domain && limitsOf(config, domain), { roomMembers: 7, messageBytes: 0, queuePackets: 1000 });
});

const refused: readonly (readonly [input: unknown, errors: readonly string[]])[] = [
  [[], ['configuration: must be an object']],
  [null, ['configuration: must be an object']],
  [{ prot: 1 }, ['prot: is not a known key']],
  [{ port: '80' }, ['port: must be a whole number']],
  [{ port: 80.5 }, ['port: must be a whole number']],
  [{ port: 65536 }, ['port: must be at most 65535']],
  [{ port: -1 }, ['port: must be at least 0']],
  [{ host: '' }, ['host: must not be empty']],
  [{ trustProxy: 'yes' }, ['trustProxy: must be true or false or a whole number']],
  [{ trustProxy: 11 }, ['trustProxy: must be at most 10']],
  [{ tls: { cert: 'a' } }, ['tls.key: is missing']],
  [{ tls: true }, ['tls: must be an object or null']],
  [{ publicUrl: 'im.example.com' }, ['publicUrl: must be an http or https URL without query or fragment']],
  [{ publicUrl: 'ftp://a' }, ['publicUrl: must be an http or https URL without query or fragment']],
  [{ mqtt: { receiveMaximum: 0 } }, ['mqtt.receiveMaximum: must be at least 1']],
  [{ mqtt: { tlsPort: 8883 } }, ['mqtt.tlsPort: needs a certificate in tls']],
  [{ presence: { clientIdleMs: 0 } }, ['presence.clientIdleMs: must be at least 1']],
  [{ limits: { bodyBytes: -1 } }, ['limits.bodyBytes: must be at least 0']],
  [{ domains: {} }, ['domains: must be a list']],
  [{ domains: [{ domain: 'a.com' }] }, ['domains[0].apikey: is missing']],
  [{ domains: [site, { domain: 'b', apikey: 5 }] }, ['domains[1].apikey: must be a string or a list']],
  [{ domains: [{ domain: 'b', apikey: [] }] }, ['domains[0].apikey: must not be empty']],
  [{ domains: [{ domain: 'b', apikey: ['a', 5] }] }, ['domains[0].apikey[1]: must be a string']],
  [{ domains: [site, { ...site, apikey: 'other' }] }, ['domains[1].domain: is already that of domains[0]']],
  [{ domains: [{ ...site, limits: { bodyBytes: 1 } }] }, ['domains[0].limits.bodyBytes: is not a known key']],
  [
    { domains: [{ ...site, clientSend: ['smoke'] }] },
    ['domains[0].clientSend[0]: must be "mqtt" or "websocket" or "http"'],
  ],
  [
    { domains: [{ ...site, webhook: 'x' }] },
    ['domains[0].webhook: must be an http or https URL without credentials or fragment'],
  ],
  [
    { domains: [{ ...site, webhook: 'https://jack:secret@a.com/hook' }] },
    ['domains[0].webhook: must be an http or https URL without credentials or fragment'],
  ],
  [
    { domains: [{ ...site, origins: ['https://a.com/x', 'a.com', '*', 'https://*', 'app://*.a', 'wss://a.com'] }] },
    [0, 1, 2, 3, 4, 5].map(
      (i) =>
        `domains[0].origins[${i}]: must be an origin such as https://example.com, https://*.example.com, capacitor://localhost or null, without a path`,
    ),
  ],
  [
    { domains: [{ ...site, services: { help: { delivery: 'some' } } }] },
    ['domains[0].services.help.delivery: must be "all" or "turns"'],
  ],
  [
    { domains: [{ ...site, services: { 'a/b': {} } }] },
    ['domains[0].services.a/b: must be 1 to 256 bytes without / + # , control characters or outer spaces'],
  ],
  [
    { cluster: { nats: ['http://127.0.0.1'] } },
    ['cluster.nats[0]: must be a nats or tls URL, such as nats://10.0.0.1:4222'],
  ],
  [{ cluster: { node: 'a/b' } }, ['cluster.node: must be 1 to 32 letters, digits, _ or -']],
  [{ cluster: { name: 'a.b' } }, ['cluster.name: must be 1 to 64 letters, digits, _ or -']],
  [
    { data: 'none', domains: [{ ...site, history: {} }] },
    ['domains[0].history: keeping messages needs a data folder, and data is "none"'],
  ],
  [{ domains: [{ ...site, history: { messages: 1001 } }] }, ['domains[0].history.messages: must be at most 1000']],
  [
    { data: 'none', domains: [{ ...site, offline: true }] },
    ['domains[0].offline: keeping messages needs a data folder, and data is "none"'],
  ],
  [
    { data: './state', cluster: { nats: ['nats://127.0.0.1'] } },
    ['data: must be "none" in a cluster, unless cluster.store is "jetstream", which then keeps what must survive'],
  ],
  [{ mqtt: { anonymousDomain: 'b.com' } }, ['mqtt.anonymousDomain: b.com is not among the domains']],
  [
    { host: '0.0.0.0', domains: [site], mqtt: { anonymousDomain: 'a.com' } },
    ['mqtt.anonymousDomain: is allowed on loopback only, not on 0.0.0.0'],
  ],
  [
    { admin: { host: '0.0.0.0' } },
    ['admin.token: is needed on an address other than loopback (admin.host is 0.0.0.0)'],
  ],
  [
    { host: '192.0.2.1' },
    [
      'domains: none is configured, and the built-in localhost with the key "public" is served on loopback only, ' +
        'not on 192.0.2.1: configure a domain',
    ],
  ],
  [
    { host: '::', domains: [{ domain: 'localhost', apikey: ['x', 'public'] }] },
    ['domains[0]: localhost with the key "public" is served on loopback only, not on ::'],
  ],
  [
    { port: 'x', poll: 3, limits: { a: 1 } },
    ['port: must be a whole number', 'poll: must be an object', 'limits.a: is not a known key'],
  ],
];

for (const [input, expected] of refused) {
  t.test(`refuses ${JSON.stringify(input)}`, async (t) => t.strictSame(errors(input), expected));
}

t.test('domain names are refused that no address can hold', async (t) => {
  const rule = 'must be 1 to 256 bytes without / + # , space or control characters';
  for (const domain of ['', 'a/b', 'a+', '#', 'a,b', 'a b', 'a\u00a0b', 'a\n', 'a\u0000', 'a\u0085', '张'.repeat(86)]) {
    t.strictSame(errors({ domains: [{ ...site, domain }] }), [`domains[0].domain: ${rule}`], JSON.stringify(domain));
  }
  for (const domain of ['a', '张.cn', '__proto__', 'a:8080', 'x'.repeat(256)]) {
    t.strictSame(errors({ domains: [{ ...site, domain }] }), [], domain);
  }
});

t.test('API keys are plain, or hashes that are hashes', async (t) => {
  const rule = 'domains[0].apikey: must not be empty; hashed, it is sha256: and 64 lower-case hex digits';
  for (const apikey of ['', 'sha256:', `sha256:${'0'.repeat(63)}`, `sha256:${'A'.repeat(64)}`]) {
    t.strictSame(errors({ domains: [{ ...site, apikey }] }), [rule]);
  }
  for (const apikey of ['k', 'a:b', 'sha1:x', `sha256:${'f'.repeat(64)}`]) {
    t.strictSame(errors({ domains: [{ ...site, apikey }] }), []);
  }
});

t.test('no message repeats a secret', async (t) => {
  const text = errors({
    admin: { token: 5, host: '::' },
    domains: [{ domain: 'a b', apikey: 'sha256:secret' }],
  }).join();
  t.notMatch(text, /secret/);
});

t.test('0 is accepted in every limit', async (t) => {
  const keys = Object.keys(configSchema.properties?.limits?.properties ?? {});
  t.ok(keys.length >= 17);
  t.strictSame(errors({ limits: Object.fromEntries(keys.map((key) => [key, 0])) }), []);
});

t.test('loopback is told from other addresses', async (t) => {
  for (const host of ['127.0.0.1', '127.9.9.9', '::1', '[::1]', '::ffff:127.0.0.1', 'localhost'])
    t.ok(isLoopback(host), host);
  for (const host of ['0.0.0.0', '::', '10.0.0.1', 'example.com', '127.example.com', '::ffff:10.0.0.1']) {
    t.notOk(isLoopback(host), host);
  }
});

/** Every key below a schema, with its path. */
function* keysOf(schema: ConfigSchema, path: string): Generator<readonly [string, ConfigSchema]> {
  for (const [name, below] of Object.entries(schema.properties ?? {})) {
    yield [`${path}.${name}`, below];
    yield* keysOf(below, `${path}.${name}`);
  }
  if (schema.items !== undefined) yield* keysOf(schema.items, `${path}[]`);
  if (typeof schema.additionalProperties === 'object') yield* keysOf(schema.additionalProperties, `${path}.*`);
}

t.test('every key has a description and a default, unless it must be given', async (t) => {
  const keys = [...keysOf(configSchema, '')];
  t.ok(keys.length > 50);
  for (const [path, schema] of keys) {
    t.match(schema.description, /\.$/, `${path} is described`);
    const mustBeGiven =
      /^\.(tls\.(cert|key)|domains\[\]\.(domain|apikey|limits\..+)|admin\.token\[\]\.(token|domains))$/.test(path);
    t.equal('default' in schema, !mustBeGiven, `${path} has a default`);
  }
});

t.test('a schema is not compiled before something is validated by it: workers are given what is valid', async (t) => {
  const validate = validatorOf({ type: 'no type at all' });
  t.throws(() => validate({}), /type/);
});
