/** Durable state as an operator sees it: a server that is killed, ended or damaged, and started again on its folder. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { open } from 'lmdb';
import t from 'tap';
import { client } from './mqtt/support/clients.js';
import { exchange } from './support/http.js';
import { nextalk } from './support/process.js';
import { records, written } from './support/restarting.js';
import { type Cleaner, siteA } from './support/server.js';
import { until } from './support/until.js';

const domains = JSON.stringify([{ ...siteA, offline: true }]);

/** Starts the server's program on a folder, on free ports. */
async function start(t: Cleaner, data: string) {
  const set = [
    '--set',
    `domains=${domains}`,
    '--set',
    'mqtt.port=-1',
    '--set',
    'presence.graceMs=100',
    '--set',
    'limits.messagesPerSecond=0',
    '--set',
    'limits.queuePackets=0',
  ];
  const server = nextalk(t, ['--port', '0', '--admin-port', '0', '--data', data, ...set]);
  const { url, mqtt } = await server.event('started');
  return { server, port: Number(new URL(String(url)).port), mqtt: String(mqtt).replace('tcp:', 'mqtt:') };
}

async function call(port: number, path: string, form: Record<string, string>): Promise<unknown> {
  const { status, text, body } = await exchange(port, { method: 'POST', path, form, auth: siteA }).answer;
  if (status !== 200) throw new Error(`${path} answered ${status} ${text}`);
  return body;
}

async function packets(port: number): Promise<unknown> {
  const { ticket } = (await call(port, '/v5/presences/online', { name: 'b', nick: 'B' })) as { ticket: string };
  const query = { domain: siteA.domain, ticket };
  return (await exchange(port, { path: '/v5/packets', query }).answer).body;
}

/** The fields of records of several tables. */
interface Kept {
  readonly publication?: number;
  readonly topic?: string;
  readonly payload?: Buffer;
  readonly to?: string;
  readonly fields?: { readonly body: string };
}

/** Offline messages, a retained publication and a session with something in it. */
async function fill(t: Cleaner, port: number, mqtt: string): Promise<void> {
  const session = await client(t, mqtt, { clientId: 's', clean: false, properties: { sessionExpiryInterval: 3600 } });
  await session.client.subscribeAsync('jobs/#', { qos: 1 });
  await session.client.endAsync();
  const publisher = await client(t, mqtt);
  await publisher.client.publishAsync('jobs/1', 'waiting', { qos: 1 });
  await publisher.client.publishAsync('state', 'retained', { qos: 1, retain: true });
  for (const body of ['one', 'two']) await call(port, '/v5/messages', { from: 'a', to: 'b', body });
  await publisher.client.endAsync();
}

async function check(t: Cleaner & typeof import('tap').default, port: number, mqtt: string): Promise<void> {
  const session = await client(t, mqtt, { clientId: 's', clean: false, properties: { sessionExpiryInterval: 3600 } });
  t.equal(session.connack?.sessionPresent, true);
  t.equal(await session.payload(), 'waiting');
  await session.client.subscribeAsync('state', { qos: 1 });
  t.equal(await session.payload(), 'retained');
  t.match(await packets(port), { messages: [{ body: 'one' }, { body: 'two' }] });
}

const tables = [
  ['offline', 2],
  ['outbound', 1],
  ['retained', 1],
] as const;

for (const signal of ['SIGKILL', 'SIGTERM'] as const) {
  t.test(`offline messages, retained publications and sessions survive ${signal}`, async (t) => {
    const data = join(t.testdir(), 'data');
    const first = await start(t, data);
    await fill(t, first.port, first.mqtt);
    if (signal === 'SIGKILL') for (const [table, count] of tables) await written(data, table, count);
    first.server.kill(signal);
    t.equal(await first.server.ended, signal === 'SIGKILL' ? signal : 0);
    const second = await start(t, data);
    await check(t as never, second.port, second.mqtt);
    if (signal === 'SIGTERM') return;
    await written(data, 'offline', 0);
    second.server.kill(signal);
    await second.server.ended;
    const third = await start(t, data);
    await call(third.port, '/v5/messages', { from: 'a', to: 'b', body: 'three' });
    const { messages } = (await packets(third.port)) as { messages: { body: string }[] };
    t.strictSame(
      messages.map(({ body }) => body),
      ['three'],
      'a message that was received before does not come again',
    );
  });
}

/** Sends, many at a time, until sending fails; `acknowledged` is told the number of each that was. */
function keepSending(send: (n: number) => Promise<unknown>, acknowledged: (n: number) => void): void {
  let next = 0;
  const one = async (): Promise<void> => {
    for (;;) {
      const n = next++;
      await send(n);
      acknowledged(n);
    }
  };
  for (let k = 0; k < 25; k++) void one().catch(() => undefined);
}

t.test('nothing that was acknowledged is lost by kill -9 in the middle of everything', async (t) => {
  const data = join(t.testdir(), 'data');
  const first = await start(t, data);
  const kept = { clientId: 's', clean: false, properties: { sessionExpiryInterval: 3600 } };
  const away = await client(t, first.mqtt, kept);
  await away.client.subscribeAsync('jobs', { qos: 2 });
  await away.client.subscribeAsync('$share/group/shared', { qos: 1 });
  await away.client.endAsync();
  await until('two subscriptions on disk', async () => (await records(data, 'subscriptions')) >= 2);
  const publisher = await client(t, first.mqtt, { reconnectPeriod: 0 });
  // What clients send themselves is kept for those only who were online once.
  const d = await call(first.port, '/v5/presences/online', { name: 'd', nick: 'D' });
  await call(first.port, '/v5/presences/offline', d as { ticket: string });
  await until('d offline', async () => {
    const { text } = await exchange(first.port, { path: '/v5/presences', query: { ids: 'd' }, auth: siteA }).answer;
    return !text.includes('"d"');
  });
  const ticket = await call(first.port, '/v5/presences/online', { name: 'c', nick: 'C' });
  const phone = await client(t, first.mqtt, {
    username: siteA.domain,
    password: (ticket as { ticket: string }).ticket,
    reconnectPeriod: 0,
  });
  const padding = ' '.repeat(2000);
  const publish = (topic: string, n: number, options: { qos: 1 | 2; retain?: boolean }) =>
    publisher.client.publishAsync(topic, n + padding, options);
  const toD = `/domain/${siteA.domain}/uid/d`;
  const kinds: Record<string, (n: number) => Promise<unknown>> = {
    jobs: (n) => publish('jobs', n, { qos: n % 2 === 0 ? 1 : 2 }),
    retained: (n) => publish(`state/${n}`, n, { qos: 1, retain: true }),
    shared: (n) => publish('shared', n, { qos: 1 }),
    offline: (n) => call(first.port, '/v5/messages', { from: 'a', to: 'b', body: n + padding }),
    'by ticket': (n) => phone.client.publishAsync(toD, n + padding, { qos: 1 }),
  };
  const sent = new Map<string, number[]>();
  for (const [what, send] of Object.entries(kinds)) {
    const numbers: number[] = [];
    sent.set(what, numbers);
    keepSending(send, (n) => {
      numbers.push(n);
      // The server is killed at once: a publication that has just been acknowledged may not be on disk yet.
      if ([...sent.values()].every(({ length }) => length >= 100)) first.server.kill('SIGKILL');
    });
  }
  await first.server.ended;

  const root = open({ path: data, noSubdir: false, readOnly: true, maxDbs: 32 });
  const values = (table: string) =>
    [...root.openDB<Kept, (string | number)[]>(table, {}).getRange({})].map(({ value }) => value);
  const publications = new Map(
    [...root.openDB<Kept, (string | number)[]>('publications', {}).getRange({})].map(({ key, value }) => [
      key[1],
      value,
    ]),
  );
  const found = new Set<string>();
  for (const { publication } of values('outbound')) {
    const { topic, payload } = publications.get(publication) as Kept;
    found.add(`${topic === 'jobs' ? 'jobs' : 'shared'} ${String(payload).trim()}`);
  }
  for (const { payload } of values('retained')) found.add(`retained ${String(payload).trim()}`);
  for (const { to, fields } of values('offline'))
    found.add(`${to?.endsWith('/b') ? 'offline' : 'by ticket'} ${fields?.body.trim()}`);
  await root.close();
  for (const [what, numbers] of sent) {
    t.ok(numbers.length >= 100, `${numbers.length} of ${what} were acknowledged`);
    t.strictSame(
      numbers.filter((n) => !found.has(`${what} ${n}`)),
      [],
      `all of ${what} that were acknowledged are on disk`,
    );
  }
});

t.test('a subscription that SUBACK has granted survives kill -9', async (t) => {
  const data = join(t.testdir(), 'data');
  const first = await start(t, data);
  const kept = { clientId: 's', clean: false, properties: { sessionExpiryInterval: 3600 } };
  const before = await client(t, first.mqtt, { ...kept, reconnectPeriod: 0 });
  before.client.on('error', () => undefined);
  await before.client.subscribeAsync('jobs/#', { qos: 1 });
  first.server.kill('SIGKILL');
  await first.server.ended;
  const second = await start(t, data);
  const publisher = await client(t, second.mqtt);
  await publisher.client.publishAsync('jobs/1', 'waiting', { qos: 1 });
  const after = await client(t, second.mqtt, kept);
  t.equal(after.connack?.sessionPresent, true);
  t.equal(await after.payload(), 'waiting');
});

t.test('a folder in use is refused with one line and exit code 1', async (t) => {
  const data = join(t.testdir(), 'data');
  const first = await start(t, data);
  const second = nextalk(t, ['--port', '0', '--mqtt-port', '0', '--admin-port', '0', '--data', data]);
  t.equal(await second.ended, 1);
  t.match(second.err, new RegExp(`^nextalk: data: ${data} is in use by process ${first.server.child.pid}\n$`));
});

t.test('a damaged file is set aside with one line and exit code 1', async (t) => {
  const data = t.testdir({ 'data.mdb': 'no database' });
  const server = nextalk(t, ['--port', '0', '--mqtt-port', '0', '--admin-port', '0', '--data', data]);
  t.equal(await server.ended, 1);
  t.match(server.err, /^nextalk: data: .*data\.mdb is damaged \(.+\) and was set aside as \S+: restore a copy, .*\n$/);
  const aside = / as (\S+):/.exec(server.err)?.[1] ?? '';
  t.equal(readFileSync(aside, 'utf8'), 'no database');
});

t.test('the folder is ./data unless something else is said, and a file in its place is refused', async (t) => {
  const folder = t.testdir();
  const ports = ['--port', '0', '--mqtt-port', '0', '--admin-port', '0'];
  const server = nextalk(t, ports, { env: { NEXTALK_DATA: '' }, cwd: folder });
  await server.event('started');
  t.ok(existsSync(join(folder, 'data/data.mdb')));
  server.kill('SIGTERM');
  t.equal(await server.ended, 0);
  const file = join(folder, 'file');
  writeFileSync(file, '');
  const refused = nextalk(t, [...ports, '--data', file]);
  t.equal(await refused.ended, 1);
  t.match(refused.err, /^nextalk: data: .* cannot be written \(E\w+\): name a folder with --data DIR.*\n$/);
  const none = nextalk(t, [...ports, '--data', 'none']);
  await none.event('started');
});
