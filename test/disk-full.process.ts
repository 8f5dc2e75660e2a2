/** A disk that fills up, on a real one of 1.5 MB: what was acknowledged is there, what could not be kept was refused. */
import t from 'tap';
import { client } from './mqtt/support/clients.js';
import { exchange, type Params } from './support/http.js';
import { nextalk, spawnTethered } from './support/process.js';
import { type Cleaner, siteA } from './support/server.js';

const session = { clientId: 's', clean: false, properties: { sessionExpiryInterval: 3600 } };
const reliably = { qos: 1 } as const;
const SKIPPED = 'SKIPPED: a disk of 1.5 MB cannot be mounted here: this needs to run as root on Linux';

/**
 * Makes a disk of 1.5 MB that only who enters its namespace sees, and that goes with the test. Answers the command that
 * runs another one there; null where that is not allowed.
 */
async function smallDisk(t: Cleaner, folder: string): Promise<readonly string[] | null> {
  const script = 'mount -t tmpfs -o size=1500k tmpfs "$0" && echo mounted && exec sleep infinity';
  const keeper = spawnTethered('unshare', ['--mount', 'sh', '-c', script, folder], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  t.teardown(() => keeper.kill('SIGKILL'));
  const mounted = await new Promise<boolean>((resolve) => {
    keeper.stdout?.once('data', () => resolve(true));
    keeper.once('error', () => resolve(false));
    keeper.once('close', () => resolve(false));
  });
  return mounted ? ['nsenter', '--mount', `--wd=${process.cwd()}`, '--target', String(keeper.pid), '--'] : null;
}

async function start(t: Cleaner, data: string, within: readonly string[], domain: object = { offline: true }) {
  const set = [
    '--set',
    `domains=${JSON.stringify([{ ...siteA, ...domain }])}`,
    '--set',
    'mqtt.port=-1',
    '--set',
    'limits.queuePackets=0',
    '--set',
    'limits.queueBytes=0',
  ];
  const server = nextalk(t, ['--port', '0', '--admin-port', '-1', '--data', data, ...set], { within });
  const { url, mqtt, admin } = await server.event('started');
  const ask = async (path: string): Promise<string> => (await fetch(`${admin}${path}`)).text();
  return { server, port: Number(new URL(String(url)).port), mqtt: String(mqtt).replace('tcp:', 'mqtt:'), ask };
}

t.test('a disk that fills up ends nothing and loses nothing that was acknowledged', async (t) => {
  const data = t.testdir();
  const within = await smallDisk(t, data);
  if (!within) {
    t.pass(SKIPPED);
    return;
  }
  const first = await start(t, data, within);
  const away = await client(t, first.mqtt, session);
  await away.client.subscribeAsync('jobs', reliably);
  await away.client.endAsync();
  const publisher = await client(t, first.mqtt);
  const acknowledged: string[] = [];
  let refused = 0;
  const isFull = async (): Promise<boolean> => (await first.ask('/readyz')).includes('is full');
  for (let n = 0; n < 3000 && !(await isFull()); n += 20) {
    const batch = Array.from({ length: 20 }, (_, k) => `${n + k} ${'x'.repeat(1200)}`);
    const answers = await Promise.allSettled(
      batch.map((body) => publisher.client.publishAsync('jobs', body, reliably)),
    );
    for (const [k, { status }] of answers.entries()) {
      if (status === 'fulfilled') acknowledged.push(batch[k] as string);
      else refused += 1;
    }
  }
  t.ok(acknowledged.length > 100, `${acknowledged.length} acknowledged, ${refused} refused`);
  await t.rejects(publisher.client.publishAsync('state', 'x', { qos: 1, retain: true }), { code: 0x97 });
  const toB = JSON.stringify({ from: 'a', body: 'x' });
  await t.rejects(publisher.client.publishAsync('/domain/a.example/uid/b', toB, reliably), { code: 0x97 });
  const form = { from: 'a', to: 'b', body: 'x' };
  t.strictSame(
    (await exchange(first.port, { method: 'POST', path: '/v5/messages', form, auth: siteA }).answer).body,
    { status: 'ok' },
    'a plain answer is as ever',
  );
  t.match(await first.ask('/readyz'), /the disk of the data folder is full/);
  t.match(await first.ask('/metrics'), /nextalk_condition\{name="disk"\} 1/);
  await first.server.event('disk full');
  first.server.kill('SIGKILL');
  t.equal(await first.server.ended, 'SIGKILL');

  const second = await start(t, data, within);
  const back = await client(t, second.mqtt, session);
  const had: string[] = [];
  while (had.length < acknowledged.length) had.push(await back.payload());
  t.strictSame(had, acknowledged, 'all that was acknowledged, in order');
  await second.server.event('disk has room');
  t.equal(await second.ask('/readyz'), 'ok\n');
  const again = await client(t, second.mqtt);
  await again.client.publishAsync('jobs', 'there is room again', reliably);
  t.equal(await back.payload(), 'there is room again');
});

t.test('an orderly end whose disk has no room for what waits says so, and is clean', async (t) => {
  const data = t.testdir();
  const within = await smallDisk(t, data);
  if (!within) {
    t.pass(SKIPPED);
    return;
  }
  const { server, port } = await start(t, data, within, {});
  const call = (path: string, form: Params) => exchange(port, { method: 'POST', path, form, auth: siteA }).answer;
  t.equal((await call('/v5/presences/online', { name: 'jack', nick: 'JACK' })).status, 200);
  for (let n = 0; n < 300; n++) {
    const { body } = await call('/v5/messages', { from: 'a', to: 'jack', body: `${n} ${'x'.repeat(8000)}` });
    if (n === 299) t.strictSame(body, { status: 'ok' });
  }
  server.kill('SIGTERM');
  await server.event('state not kept');
  t.equal(await server.ended, 0);
});

t.test('a message to a domain that is durable always is refused while its disk is full', async (t) => {
  const data = t.testdir();
  const within = await smallDisk(t, data);
  if (!within) {
    t.pass(SKIPPED);
    return;
  }
  const { server, port, ask } = await start(t, data, within, { durability: 'always' });
  const call = (path: string, form: Params) => exchange(port, { method: 'POST', path, form, auth: siteA }).answer;
  await call('/v5/presences/online', { name: 'jack', nick: 'JACK' });
  const push = (n: number) => call('/v5/messages', { from: 'a', to: 'jack', body: `${n} ${'x'.repeat(8000)}` });
  let answer = await push(0);
  for (let n = 1; n < 1000 && answer.status === 200; n++) answer = await push(n);
  t.equal(answer.status, 503);
  t.strictSame(answer.body, { status: 'error', message: 'unavailable' });
  t.match(await ask('/readyz'), /the disk of the data folder is full/);
  server.kill('SIGTERM');
  t.equal(await server.ended, 0);
});
