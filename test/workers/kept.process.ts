/** What a server with workers and a data folder keeps when it is ended in order and started again, and when all of it is killed. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { client } from '../mqtt/support/clients.js';
import { CountingSocket } from '../support/counting.js';
import { freePort } from '../support/ports.js';
import { nextalk } from '../support/process.js';
import { skipWithout } from '../support/programs.js';
import { siteA, siteB } from '../support/server.js';
import type { Site } from '../support/site.js';
import { until } from '../support/until.js';
import { WebhookServer } from '../support/webhook.js';
import { WorkersServer } from './support/server.js';
import { type Cleaner, gone, workersOf } from './support/workers.js';

const skip = skipWithout('nats-server');

/** Starts two workers on a data folder as an operator does who names nothing else; `domains` as in the file. */
async function start(t: Cleaner, folder: string, domains: readonly object[]) {
  const file = join(folder, 'nextalk.json');
  const own = { port: await freePort(), mqtt: { port: await freePort() }, admin: { port: -1 } };
  const presence = { clientIdleMs: 600_000, graceMs: 600_000 };
  const cluster = { leaveMs: 0, leaseMs: 2000 };
  writeFileSync(file, JSON.stringify({ ...own, presence, cluster, domains, limits: { comingsPerMinute: 0 } }));
  const process = nextalk(t, ['--config', file, '--data', join(folder, 'data'), '--workers', '2']);
  const { url, admin } = await process.event('started');
  const server = new WorkersServer(process, {
    http: Number(new URL(`${url}`).port),
    admin: Number(new URL(`${admin}`).port),
  });
  t.teardown(() => server.close());
  return { server, mqtt: `mqtt://127.0.0.1:${own.mqtt.port}` };
}

/** Connects where a client is told to come again until it is let in. */
async function comeBack(client: CountingSocket, port: number): Promise<void> {
  client.port = port;
  await until(`${client.ticket} let in`, () =>
    client.connect().then(
      () => true,
      () => false,
    ),
  );
}

async function history(site: Site, name: string): Promise<readonly string[]> {
  const { body } = await site.get('/v5/history', { name, with: 'anna' });
  return ((body as { messages?: readonly { body: string }[] }).messages ?? []).map((message) => message.body);
}

t.test(
  'a server with workers that is ended in order and started again has lost nothing; killed, it tells so, or has lost nothing where it is durable',
  { skip, timeout: 600_000 },
  async (t) => {
    const folder = t.testdir({});
    let isUp = false;
    const hook = await WebhookServer.start(t, () => (isUp ? 200 : 503));
    const kept = { offline: true, history: { messages: 100, days: 30 } };
    const events = { url: hook.url, kinds: ['online'] };
    const domains = [
      { ...siteA, ...kept, events, webhookPrivate: true },
      { ...siteB, durability: 'always' },
    ];
    const first = await start(t, folder, domains);
    const site = first.server.site();
    const jack = new CountingSocket(first.server.port, (await site.online('jack', { buddies: 'anna' })).ticket);
    const bob = new CountingSocket(
      first.server.port,
      (await first.server.site(siteB).online('bob')).ticket,
      siteB.domain,
    );
    t.teardown(() => [jack, bob].map((one) => one.close()));
    await jack.connect();
    await bob.connect();
    await site.push('anna', 'jack', 'one');
    await first.server.site(siteB).push('anna', 'bob', 'one');
    await jack.has(1);
    await bob.has(1);
    const backend = { username: siteA.domain, password: siteA.apikey, properties: { sessionExpiryInterval: 600 } };
    const reader = await client(t, first.mqtt, { ...backend, clientId: 'reader', clean: false });
    const writer = await client(t, first.mqtt, { ...backend, clientId: 'writer' });
    await reader.client.subscribeAsync('news/#', { qos: 1 });
    await reader.client.endAsync();
    await writer.client.publishAsync('news/1', 'first', { qos: 1, retain: true });
    jack.disconnect();
    bob.disconnect();
    await site.push('anna', 'jack', 'two');
    await site.push('anna', 'rose', 'to rose');
    await first.server.site(siteB).push('anna', 'bob', 'two');
    first.server.process.kill('SIGTERM');
    t.equal(await first.server.process.ended, 0);

    isUp = true;
    const refused = hook.calls.length;
    writeFileSync(join(folder, 'data', 'data.mdb'), '');
    const second = await start(t, folder, domains);
    const again = second.server.site();
    t.match(
      (await second.server.process.event('keeps')).msg,
      /are kept in .*data: a worker that ends costs its clients a reconnect/,
    );
    const connected = second.server.process.out.split('\n').filter((line) => line.includes('"store connected"'));
    const said = connected.map((line) => JSON.parse(line)).map(({ worker, msg }) => `${worker}: ${msg}`);
    t.equal(new Set(said).size, said.length, 'no line of the start is there twice');
    t.match(
      (await second.server.process.event('data not read')).msg,
      /what a server without workers has kept in .* is not read/,
    );
    await until('the event that waited', () => hook.calls.slice(refused).some(({ text }) => text.includes('"jack"')));
    await again.push('anna', 'jack', 'three');
    await second.server.site(siteB).push('anna', 'bob', 'three');
    await comeBack(jack, second.server.port);
    await comeBack(bob, second.server.port);
    await Promise.all([jack.has(3), bob.has(3)]);
    t.strictSame([jack.bodies, jack.missed, jack.lost], [['one', 'two', 'three'], 0, 0]);
    t.strictSame([bob.bodies, bob.missed, bob.lost], [['one', 'two', 'three'], 0, 0]);
    t.ok([...jack.frames, ...bob.frames].every(({ missed, presences = [] }) => !missed && presences.length === 0));
    t.match(await (await again.arrive('rose')).next(), { body: 'to rose' });
    const reading = await client(t, second.mqtt, { ...backend, clientId: 'reader', clean: false });
    t.equal(reading.connack?.sessionPresent, true);
    t.equal(await reading.payload(), 'first');
    const late = await client(t, second.mqtt, { ...backend, clientId: 'late' });
    await late.client.subscribeAsync('news/#', { qos: 1 });
    t.match(await late.next(), { retain: true, payload: Buffer.from('first') });
    // Another worker than the one that took a message has it in its history a tenth of a second later.
    await until('the history', async () => (await history(again, 'jack')).length === 3);
    t.strictSame(await history(again, 'jack'), ['one', 'two', 'three']);

    for (const one of [jack, bob]) one.say('received');
    await second.server.settled();
    jack.disconnect();
    bob.disconnect();
    await again.push('anna', 'jack', 'lost');
    await second.server.site(siteB).push('anna', 'bob', 'four');
    const processes = workersOf(second.server.process);
    second.server.process.kill('SIGKILL');
    await second.server.process.ended;
    await Promise.all(processes.map(gone));
    const third = await start(t, folder, domains);
    await comeBack(jack, third.server.port);
    await comeBack(bob, third.server.port);
    await bob.has(4);
    t.equal(bob.bodies.at(-1), 'four');
    await jack.until(() => jack.frames.at(-1)?.missed === true, 'missed');
    await third.server.site().push('anna', 'jack', 'five');
    await jack.until(() => jack.bodies.at(-1) === 'five', 'a message');
  },
);
