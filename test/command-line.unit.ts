import t from 'tap';
import { parseArguments, readConfig } from '../src/command-line.js';
import type { Config } from '../src/config.js';
import { packageVersion } from '../src/version.js';

type Environment = Record<string, string>;

function parse(args: readonly string[]) {
  let out = '';
  let err = '';
  const result = parseArguments(
    args,
    (text) => {
      out += text;
    },
    (text) => {
      err += text;
    },
  );
  return { result, out, err };
}

function read(args: readonly string[], environment: Environment = {}) {
  const { result, err } = parse(args);
  if ('exitCode' in result) throw new Error(err);
  return readConfig(result.flags, environment);
}

function config(args: readonly string[], environment: Environment = {}): Config {
  const answer = read(args, environment);
  if ('errors' in answer) throw new Error(answer.errors.join('\n'));
  return answer.config;
}

function errors(args: readonly string[], environment: Environment = {}): readonly string[] {
  const answer = read(args, environment);
  return 'errors' in answer ? answer.errors : [];
}

const allFlags = [
  'config',
  'host',
  'port',
  'domain',
  'mqtt-port',
  'admin-port',
  'public-url',
  'data',
  'nats',
  'workers',
];

t.test('--help lists every flag with its default and its environment name', async (t) => {
  const { result, out } = parse(['--help']);
  t.strictSame(result, { exitCode: 0 });
  for (const flag of [...allFlags, 'set']) {
    const variable = flag === 'domain' ? 'DOMAINS' : flag.replace('-', '_').toUpperCase();
    t.match(out, new RegExp(`--${flag} [^]*?\\(default:\\s[^]*?env:\\s+NEXTALK_${variable}\\)`), flag);
  }
  t.match(out, /default: 8080/);
  t.match(out, /localhost:public only while none is configured/);
  t.match(out, /check +validate/);
});

t.test('--version answers the version of the package', async (t) => {
  const { result, out } = parse(['--version']);
  t.strictSame([result, out], [{ exitCode: 0 }, `${packageVersion()}\n`]);
  t.match(packageVersion(), /^\d+\.\d+\.\d+/);
});

t.test('unknown flags and words are refused with exit code 2', async (t) => {
  for (const args of [['--prot', '1'], ['serve'], ['check', 'x'], ['doctor', 'x'], ['--port']]) {
    const { result, err } = parse(args);
    t.strictSame(result, { exitCode: 2 }, args.join(' '));
    t.match(err, /^error: /);
  }
});

t.test('check is a command, with flags on either side', async (t) => {
  for (const args of [
    ['check', '--port', '1'],
    ['--port', '1', 'check'],
  ]) {
    t.match(parse(args).result, { command: 'check', flags: { port: '1' } });
  }
  t.match(parse([]).result, { command: 'serve' });
});

t.test('token is a command, whose --domain is a name without a key', async (t) => {
  const { result } = parse(['token', '--domain', 'a.com', '--sub', 'jack', '--set', 'port=1']);
  t.match(result, {
    command: 'token',
    token: { domain: 'a.com', sub: 'jack', ttl: '3600' },
    flags: { set: ['port=1'] },
  });
  t.notOk('domain' in ('flags' in result ? result.flags : {}));
  t.match(parse(['token', '--domain', 'a.com']), { result: { exitCode: 2 }, err: /--sub/ });
});

const token = { NEXTALK_SET: 'admin.token=t' };
const placed: readonly (readonly [args: readonly string[], environment: Environment, expected: unknown])[] = [
  [['--port', '1'], {}, { port: 1 }],
  [[], { NEXTALK_PORT: '2' }, { port: 2 }],
  [[], { NEXTALK_PORT: '' }, { port: 8080 }],
  [['--port', '1'], { NEXTALK_PORT: '2' }, { port: 1 }],
  [['--host', '127.0.0.2'], {}, { host: '127.0.0.2' }],
  [[], { NEXTALK_HOST: '127.0.0.3' }, { host: '127.0.0.3' }],
  [['--mqtt-port', '0', '--admin-port', '0'], {}, { mqtt: { port: 0 }, admin: { port: 0 } }],
  [[], { NEXTALK_MQTT_PORT: '5', NEXTALK_ADMIN_PORT: '6' }, { mqtt: { port: 5 }, admin: { port: 6 } }],
  [['--public-url', 'https://a.com'], {}, { publicUrl: 'https://a.com' }],
  [[], { NEXTALK_PUBLIC_URL: 'https://b.com' }, { publicUrl: 'https://b.com' }],
  [[], { NEXTALK_DATA: './x' }, { data: './x' }],
  // Workers that get a nats-server of their own keep in it what must survive.
  [['--workers', '2'], {}, { data: './data', cluster: { nats: [], store: 'jetstream' } }],
  [['--workers', '2', '--data', './x'], {}, { data: './x', cluster: { store: 'jetstream' } }],
  [['--workers', '2', '--data', 'none'], {}, { data: 'none', cluster: { store: 'none' } }],
  [['--workers', '2', '--set', 'cluster.store=none'], {}, { data: 'none', cluster: { store: 'none' } }],
  [['--workers', '2', '--nats', 'nats://a'], {}, { data: 'none', cluster: { store: 'none' } }],
  [['--workers', '1'], {}, { data: './data', cluster: { store: 'none' } }],
  [['--data', 'none', '--workers', '1'], { NEXTALK_DATA: './x', NEXTALK_WORKERS: '1' }, { data: 'none' }],
  [
    ['--domain', 'a:k', '--domain', 'b:k:2'],
    {},
    {
      domains: [
        { domain: 'a', apikey: 'k' },
        { domain: 'b', apikey: 'k:2' },
      ],
    },
  ],
  [
    [],
    { NEXTALK_DOMAINS: 'a:k1, b:k2,' },
    {
      domains: [
        { domain: 'a', apikey: 'k1' },
        { domain: 'b', apikey: 'k2' },
      ],
    },
  ],
  [['--domain', 'a:k'], { NEXTALK_DOMAINS: 'b:k' }, { domains: [{ domain: 'a' }] }],
  [['--set', 'presence.graceMs=1000'], {}, { presence: { graceMs: 1000, clientIdleMs: 10000 } }],
  [['--set', 'publicUrl=https://a.com'], {}, { publicUrl: 'https://a.com' }],
  [['--set', 'tls={"cert":"a","key":"b"}', '--set', 'tls.key=c=d'], {}, { tls: { cert: 'a', key: 'c=d' } }],
  [
    ['--set', 'domains[0].domain=a', '--set', 'domains[0].apikey="12"'],
    {},
    { domains: [{ domain: 'a', apikey: '12' }] },
  ],
  [['--domain', 'a:k', '--set', 'domains[0].carbons=true'], {}, { domains: [{ domain: 'a', carbons: true }] }],
  [
    [],
    { NEXTALK_SET: 'presence.graceMs=1;limits.roomMembers=2' },
    { presence: { graceMs: 1 }, limits: { roomMembers: 2 } },
  ],
  [['--set', 'port=3'], { NEXTALK_PORT: '2', NEXTALK_SET: 'port=4' }, { port: 3 }],
  [['--port', '1'], { NEXTALK_SET: 'port=4' }, { port: 1 }],
  [['--set', 'admin.host=0.0.0.0'], token, { admin: { host: '0.0.0.0', token: 't' } }],
];

for (const [args, environment, expected] of placed) {
  t.test(`takes ${args.join(' ')} ${JSON.stringify(environment)}`, async (t) =>
    t.match(config(args, environment), expected),
  );
}

t.test('a service may be set under a name that means something to JavaScript', async (t) => {
  const { domains } = config(['--domain', 'a:k', '--set', 'domains[0].services.__proto__.delivery=turns']);
  t.strictSame([...(domains[0]?.services ?? [])], [['__proto__', { delivery: 'turns', webhook: null }]]);
  t.notOk('delivery' in {});
});

const refused: readonly (readonly [args: readonly string[], environment: Environment, expected: readonly string[]])[] =
  [
    [['--port', 'x'], {}, ['port: must be a whole number']],
    [[], { NEXTALK_PORT: '70000' }, ['port: must be at most 65535']],
    [['--domain', 'a'], {}, ['--domain: must be NAME:APIKEY']],
    [['--domain', ':k'], {}, ['--domain: must be NAME:APIKEY']],
    [[], { NEXTALK_DOMAINS: 'secret' }, ['NEXTALK_DOMAINS: must be NAME:APIKEY']],
    [['--set', 'presence'], {}, ['--set: must be PATH=VALUE']],
    [['--set', 'presence.gracems=1'], {}, ['--set: presence.gracems is not a known key']],
    [['--set', 'presence..graceMs=1'], {}, ['--set: presence..graceMs is not a known key']],
    [['--set', 'port[0]=1'], {}, ['--set: port[0] is not a known key']],
    [['--set', 'toString=1'], {}, ['--set: toString is not a known key']],
    [['--set', '__proto__.x=1'], {}, ['--set: __proto__.x is not a known key']],
    [[], { NEXTALK_SET: 'a=1' }, ['NEXTALK_SET: a is not a known key']],
    [['--set', 'domains[2].domain=a'], {}, ['--set: domains[2].domain leaves a gap in the list']],
    [['--set', 'presence.graceMs=soon'], {}, ['presence.graceMs: must be a whole number']],
    [
      ['--workers', '2', '--data', './x', '--set', 'cluster.store=none'],
      {},
      ['data: must be "none" in a cluster, unless cluster.store is "jetstream", which then keeps what must survive'],
    ],
    [
      ['--set', 'cluster.store=jetstream'],
      {},
      ['cluster.store: is for a cluster; one node keeps what must survive in data'],
    ],
    [['--nats', 'nats://127.0.0.1:4222', '--set', 'cluster.replicas=7'], {}, ['cluster.replicas: must be at most 5']],
    [['--workers', '0'], {}, ['--workers: must be a whole number, 1 to 999, or auto']],
    [[], { NEXTALK_WORKERS: 'many' }, ['NEXTALK_WORKERS: must be a whole number, 1 to 999, or auto']],
    [
      ['--nats', 'http://127.0.0.1:4222'],
      {},
      ['cluster.nats[0]: must be a nats or tls URL, such as nats://10.0.0.1:4222'],
    ],
    [
      ['--port', 'x', '--workers', 'x'],
      {},
      ['--workers: must be a whole number, 1 to 999, or auto', 'port: must be a whole number'],
    ],
  ];

for (const [args, environment, expected] of refused) {
  t.test(`refuses ${args.join(' ')} ${JSON.stringify(environment)}`, async (t) => {
    t.strictSame(errors(args, environment), expected);
  });
}

t.test('a file is below environment and flags', async (t) => {
  const folder = t.testdir({
    'a.json': '\ufeff{"port":1,"host":"127.0.0.4","presence":{"graceMs":5,"clientIdleMs":6}}',
  });
  const file = `${folder}/a.json`;
  const merged = config(['--config', file, '--set', 'presence.graceMs=7'], { NEXTALK_PORT: '2' });
  t.match(merged, { port: 2, host: '127.0.0.4', presence: { graceMs: 7, clientIdleMs: 6 } });
  t.match(read([], { NEXTALK_CONFIG: file }), { file, config: { port: 1 } });
  t.equal('file' in read([]), true);
});

const files: readonly (readonly [text: string, problem: string])[] = [
  ['', 'is not valid JSON (line 1, column 1)'],
  ['[]', 'must hold one JSON object'],
  ['"x"', 'must hold one JSON object'],
  ['{"port":1', 'is not valid JSON (line 1, column 10)'],
  ['{"a":1,\n "apikey": secret}', 'is not valid JSON (line 2, column 12)'],
  ['{"a":1\n "b":2}', 'is not valid JSON (line 2, column 2)'],
];

for (const [text, problem] of files) {
  t.test(`a file holding ${JSON.stringify(text)} ${problem}`, async (t) => {
    const file = `${t.testdir({ 'a.json': text })}/a.json`;
    t.strictSame(errors(['--config', file]), [`${file}: ${problem}`]);
  });
}

t.test('a file that is not there is named', async (t) => {
  t.strictSame(errors(['--config', '/nowhere/a.json']), ['/nowhere/a.json: cannot be read (ENOENT)']);
});

t.test('a file that names keys of the reader is only a file', async (t) => {
  const file = `${t.testdir({ 'a.json': '{"errors":[]}' })}/a.json`;
  t.strictSame(errors(['--config', file]), ['errors: is not a known key']);
});
