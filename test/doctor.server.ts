import { chmodSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import t from 'tap';
import { loadConfig } from '../src/config.js';
import { type Configured, examine } from '../src/doctor/doctor.js';
import { type Finding, reportOf } from '../src/doctor/finding.js';
import { copyFindings, jetStreamFindings } from '../src/doctor/jetstream.js';
import { filesFinding } from '../src/doctor/machine.js';
import { natsFindings } from '../src/doctor/nats.js';
import { jetStreamServer, NatsServer, natsServer } from './support/nats.js';
import { freePort } from './support/ports.js';
import { nextalk } from './support/process.js';
import { skipWithout } from './support/programs.js';
import { type Cleaner, merge, type Settings, testServer } from './support/server.js';
import { expired, first, renewed, tlsFiles } from './support/tls.js';

const key = 'a-key-of-more-than-sixteen-characters';
const quiet: Settings = {
  port: 0,
  mqtt: { port: 0 },
  admin: { port: 0 },
  domains: [{ domain: 'a.example', apikey: key }],
};

function configured(settings: Settings, file?: string): Configured & { config: object } {
  const loaded = loadConfig(merge(quiet, settings));
  if ('errors' in loaded) throw new Error(loaded.errors.join('; '));
  return { config: loaded.config, file };
}

/** What the doctor finds wrong. */
async function problems(settings: Settings, file?: string): Promise<Finding[]> {
  const found = await examine(configured(settings, file));
  return found.filter(({ level, subject }) => level !== 'ok' && subject !== 'open files' && subject !== 'backlog');
}

/** Listens on a free port and says `greeting` on each connection. */
async function listener(t: Cleaner, greeting: string): Promise<number> {
  const server: Server = createServer((socket) => socket.on('error', () => undefined).end(greeting));
  t.teardown(() => server.close());
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  return typeof address === 'object' && address ? address.port : 0;
}

t.test('the doctor finds nothing wrong with a sound configuration', async (t) => {
  t.strictSame(await problems({}), []);
  t.strictSame(await problems({ tls: tlsFiles(t) }), []);
});

t.test('a wrong configuration is reported line by line, beside the findings about the machine', async (t) => {
  const found = await examine({ errors: ['port: must be a whole number', 'host: must not be empty'] });
  t.match(
    found.filter(({ level }) => level === 'failure'),
    [
      { subject: 'configuration', text: 'port: must be a whole number' },
      { subject: 'configuration', text: 'host: must not be empty' },
    ],
  );
  t.ok(found.some(({ subject }) => subject === 'native build'));
});

t.test('certificates are judged as the server would judge them', async (t) => {
  const cases: readonly (readonly [Settings, RegExp])[] = [
    [{ cert: '/nowhere.pem', key: '/nowhere.pem' }, /ENOENT/],
    [{ ...tlsFiles(t, { cert: first.cert, key: renewed.key }) }, /is not the key/],
    [{ ...tlsFiles(t, expired) }, /expired at 2021/],
  ];
  for (const [tls, text] of cases) {
    t.match(await problems({ tls }), [{ level: 'failure', subject: 'certificate', text, advice: /\w/ }]);
  }
});

t.test('a port that another program listens on is a failure, a port of a running NexTalk is not', async (t) => {
  const port = await listener(t, 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi');
  t.match(await problems({ port }), [{ level: 'failure', subject: 'ports', text: /is in use$/, advice: /ss -ltnp/ }]);
  const server = await testServer(t, { mqtt: { port: -1 }, admin: { port: -1 } });
  const running = { port: server.port, mqtt: { port: server.mqttPort }, admin: { port: server.adminPort } };
  t.strictSame(await problems(running), []);
  t.match(await problems({ host: '192.0.2.1', port: 8080, tls: tlsFiles(t) }), [{ text: /EADDRNOTAVAIL/ }]);
});

t.test('the doctor warns of what is open to others', async (t) => {
  const open = { host: '0.0.0.0', trustProxy: true, publicUrl: 'http://im.example.com', mqtt: { port: 1 } };
  const short = { domains: [{ domain: 'a', apikey: [key, 'short'] }] };
  const texts = (await problems({ ...open, ...short })).filter(({ level }) => level === 'warning');
  t.match(texts, [
    { text: /less than 16/ },
    { text: /MQTT without TLS/ },
    { text: /not https/ },
    { text: /trustProxy/ },
  ]);
  t.notMatch(JSON.stringify(texts), /short|a-key/, 'and no key is shown');
  const hashed = { domains: [{ domain: 'a', apikey: `sha256:${'0'.repeat(64)}` }] };
  t.strictSame(await problems(hashed), []);
});

t.test('files with secrets are not for everybody', async (t) => {
  const file = join(t.testdir({ 'nextalk.json': '{}' }), 'nextalk.json');
  chmodSync(file, 0o644);
  t.match(await problems({}, file), [{ level: 'warning', subject: 'files', advice: `chmod o-r ${file}` }]);
  chmodSync(file, 0o640);
  t.strictSame(await problems({}, file), []);
  const tls = tlsFiles(t);
  chmodSync(tls.key, 0o644);
  t.match(await problems({ tls }, file), [{ level: 'warning', subject: 'files', advice: `chmod o-r ${tls.key}` }]);
});

const alone = { node: null, name: 'nextalk', leaveMs: 3000, leaseMs: 5000, store: 'none', replicas: 1 } as const;

t.test('the doctor connects to each NATS server and waits for its greeting', async (t) => {
  const [real, other, gone] = [await listener(t, 'INFO {"server_id":"x"}\r\n'), await listener(t, 'HTTP/1.1'), 1];
  const nats = [real, other, gone].map((port) => `nats://user:secret@127.0.0.1:${port}`);
  const { config } = configured({});
  const found = await natsFindings({
    ...(config as Parameters<typeof natsFindings>[0]),
    cluster: { nats, ...alone, server: null },
  });
  t.match(found, [
    { level: 'ok', text: `nats://127.0.0.1:${real} answers` },
    { level: 'failure', text: /is no NATS server/ },
    { level: 'failure', text: /ECONNREFUSED/, advice: /nats-server/ },
  ]);
  t.notMatch(JSON.stringify(found), /secret/);
});

t.test(
  'the doctor says that NATS refuses a password, and does not look for a JetStream behind it',
  { skip: skipWithout('nats-server') },
  async (t) => {
    const nats = new NatsServer(await freePort(), null, ['--user', 'nextalk', '--pass', 'right']);
    await nats.start();
    t.teardown(() => nats.stop());
    const of = (password: string) => {
      const url = nats.url.replace('//', `//nextalk:${password}@`);
      return problems({ cluster: { nats: [url], store: 'jetstream', node: 'n1' } });
    };
    const refused = {
      level: 'failure',
      subject: 'nats',
      text: /refuses the user or password/,
      advice: /cluster\.nats/,
    };
    t.match(await of('wrong'), [refused]);
    t.match(await of('right'), [{ level: 'failure', subject: 'jetstream', text: /no JetStream/ }]);
  },
);

t.test('the doctor looks for the nats-server that workers are to get', async (t) => {
  const { config } = configured({}) as { config: Parameters<typeof natsFindings>[0] };
  t.strictSame(await natsFindings(config), [], 'one process needs none');
  const named = (server: string) => natsFindings({ ...config, cluster: { ...config.cluster, server } }, 2);
  t.match(await named(process.execPath), [{ level: 'ok', text: `workers get ${process.execPath}` }]);
  t.match(await named('/nowhere/nats'), [
    { level: 'failure', text: /is no program that can be run/, advice: /install/ },
  ]);
});

t.test(
  'the doctor says what JetStream is, how often it keeps things and what a loss of power costs',
  {
    skip: skipWithout('nats-server'),
  },
  async (t) => {
    const { config } = configured({}) as { config: Parameters<typeof natsFindings>[0] };
    const of = (nats: string[], replicas = 1, data = 'none') => {
      const cluster = { ...config.cluster, nats, replicas, node: 'n1', store: 'jetstream' as const };
      return jetStreamFindings({ ...config, data, cluster }, 2);
    };
    t.strictSame(await jetStreamFindings(config), [], 'one server needs none');
    const lost = { level: 'warning', text: /a node that is killed takes its clients' tickets/ };
    t.match(await jetStreamFindings(config, 2), [{ ...lost, advice: /--data DIR/ }], 'workers that keep nothing');
    const apart = { ...config, cluster: { ...config.cluster, nats: ['nats://127.0.0.1:1'] } };
    t.match(
      await jetStreamFindings(apart),
      [{ ...lost, advice: /cluster\.store jetstream/ }],
      'nodes that keep nothing',
    );
    const { url } = await jetStreamServer(t);
    const power = { level: 'warning', text: /before it syncs/, advice: /sync_interval: always/ };
    const there = { level: 'ok', text: /^JetStream of nats-server [\d.]+ is there: 0 streams, 0 KiB$/ };
    t.match(await of([url]), [there, { level: 'warning', text: /one NATS server/, advice: /replicas 3/ }, power]);
    t.match(await of([url], 3), [there, { level: 'failure', text: /not in a cluster/ }, power]);
    const nameless = { ...config.cluster, nats: [url], store: 'jetstream' as const };
    const found = await jetStreamFindings({ ...config, cluster: nameless });
    t.match(found.at(-1), { level: 'warning', text: /no name/, advice: /cluster\.node/ }, 'the node has no name');
    const { url: without } = await natsServer(t);
    t.match(await of([without]), [{ level: 'failure', text: /no JetStream/, advice: /--jetstream/ }]);
    t.match(await of([], 1, './data'), [{ level: 'ok', text: 'workers get one, in ./data/jetstream' }]);
    t.match(await of([]), [{ level: 'warning', advice: /--data/ }]);
  },
);

t.test('the doctor names what JetStream keeps less often than it is to be kept', async (t) => {
  const stream = (name: string, copies: number, others: readonly boolean[]) => ({
    config: { name, num_replicas: copies },
    cluster: { leader: 's1', replicas: others.map((current, i) => ({ name: `s${i + 2}`, current })) },
  });
  const whole = [stream('im_tickets', 3, [true, true]), stream('other_tickets', 1, [])];
  t.strictSame(copyFindings({ streams: whole }, { name: 'im', replicas: 3 }), []);
  t.strictSame(copyFindings({ streams: null }, { name: 'im', replicas: 3 }), [], 'nothing is kept yet');
  const short = [...whole, stream('im_ids', 3, [true, false]), stream('im_queues', 1, [])];
  t.match(
    copyFindings(
      { streams: short, missing: ['im_ids', 'im_offline', 'im_test_ids', 'other_ids'] },
      { name: 'im', replicas: 3 },
    ),
    [{ level: 'warning', text: /: im_ids, im_queues, im_offline$/, advice: /NATS servers/ }],
  );
});

t.test('the doctor tells the limit of open files as a number of connections', async (t) => {
  t.match(filesFinding(1024), { level: 'warning', text: /about 924 connections/, advice: /LimitNOFILE/ });
  t.match(filesFinding(1_048_576), { level: 'ok' });
  t.match(filesFinding(null), { level: 'ok' });
});

t.test('the command ends with 1 on a failure, and is for readers and for programs', async (t) => {
  const flags = ['--port', '0', '--mqtt-port', '0', '--admin-port', '0'];
  const good = nextalk(t, ['doctor', ...flags]);
  t.equal(await good.ended, 0);
  t.match(good.out, /^ok {7}node: Node \d+[\s\S]*\n0 failures, \d warnings?\n$/);
  const bad = nextalk(t, ['doctor', '--json', '--port', 'x']);
  t.equal(await bad.ended, 1);
  const found: unknown = JSON.parse(bad.out);
  t.ok(Array.isArray(found) && found.some(({ level, text }) => level === 'failure' && /^port: /.test(text)));
  t.equal(reportOf([]), '\n0 failures, 0 warnings\n');
  t.match(reportOf([{ level: 'warning', subject: 'x', text: 'y', advice: null }]), /\n0 failures, 1 warning\n$/);
});
