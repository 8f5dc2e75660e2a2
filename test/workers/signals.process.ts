/** Signals to a server with workers reach all of them. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { nextalk } from '../support/process.js';
import { skipWithout } from '../support/programs.js';
import { until } from '../support/until.js';
import { gone, natsUrl, online, started, workersOf } from './support/workers.js';

const skip = skipWithout('nats-server');

const good = '{"domains":[{"domain":"a.com","apikey":"k"}]}';

t.test('a server with workers and a configuration file', { skip }, async (t) => {
  const file = join(t.testdir({ 'a.json': good }), 'a.json');
  const { server, url, admin } = await started(t, ['--config', file, '--set', 'cluster.node=im']);

  await t.test('a worker that gets SIGTERM drains, and is replaced', async (t) => {
    const [victim = 0] = workersOf(server);
    process.kill(victim, 'SIGTERM');
    t.match(await server.event('worker-ended'), { level: 'info', end: 0 });
    await server.event('worker-started');
    t.equal(workersOf(server).length, 2);
  });

  await t.test('SIGHUP to the parent reloads all workers, and those that start later', async (t) => {
    t.equal(await online(url, 'k', 'a.com'), 200);
    writeFileSync(file, '{"domains":[{"domain":"a.com","apikey":"k"},{"domain":"b.com","apikey":"k"}]}');
    server.kill('SIGHUP');
    t.match(await server.event('reloaded'), { changes: ['domain b.com: added'] });
    const [victim = 0] = workersOf(server);
    process.kill(victim, 'SIGKILL');
    await server.event('worker-started');
    const answers = new Set<number>();
    for (let call = 0; call < 16; call += 1) answers.add(await online(url, 'k', 'b.com'));
    t.strictSame(answers, new Set([200]));
  });

  await t.test(
    'all workers, also those that start later, say that a reload was refused, until one is accepted',
    async (t) => {
      const states = async (): Promise<string[]> => {
        const text = await (await fetch(`${admin}/metrics`)).text();
        return [...text.matchAll(/^nextalk_config_last_reload_successful\{worker="[^"]+"\} (\d)$/gm)].map(
          ([, n = '']) => n,
        );
      };
      const have = (expected: string): Promise<true> =>
        until(`reloads of the workers: ${expected}`, async () => (await states()).join() === expected);
      await have('1,1');
      writeFileSync(file, '{"domains":[');
      server.kill('SIGHUP');
      await server.event('reload-refused');
      await have('0,0');
      const readiness = await fetch(`${admin}/readyz`);
      t.equal(readiness.status, 200);
      t.match(await readiness.text(), /^ok\nthe last reload was refused/);
      const [victim = 0] = workersOf(server);
      process.kill(victim, 'SIGKILL');
      await server.event('worker-started');
      await have('0,0');
      writeFileSync(file, good);
      server.kill('SIGHUP');
      await server.event('reloaded');
      await have('1,1');
      t.equal(await (await fetch(`${admin}/readyz`)).text(), 'ok\n');
    },
  );

  await t.test('SIGTERM to the parent drains all workers, and each logs that under its name', async (t) => {
    const workers = workersOf(server);
    const before = server.out.length;
    server.kill('SIGTERM');
    t.equal(await server.ended, 0);
    for (const pid of workers) await gone(pid);
    const lines = server.out.slice(before).trimEnd().split('\n');
    const stopped = lines.map((line) => JSON.parse(line)).filter(({ event }) => event === 'stopped');
    t.strictSame(new Set(stopped.map(({ worker }) => worker)), new Set(['im-1', 'im-2', undefined]));
  });
});

t.test('no worker outlives a parent that is killed', { skip }, async (t) => {
  const { server } = await started(t, []);
  const workers = workersOf(server);
  server.kill('SIGKILL');
  await server.ended;
  for (const pid of workers) await gone(pid);
  t.equal(workers.length, 2);
});

t.test(
  'a server that is ended before its workers serve takes them along, without a word of theirs',
  { skip },
  async (t) => {
    const ports = ['--port', '0', '--mqtt-port', '0', '--admin-port', '0'];
    const server = nextalk(t, [...ports, '--nats', await natsUrl(t), '--workers', '2']);
    const workers = await until('two workers', () => {
      const found = workersOf(server);
      return found.length === 2 && found;
    });
    server.kill('SIGTERM');
    t.equal(await server.ended, 0);
    for (const pid of workers) await gone(pid);
    t.equal(server.err, '');
  },
);
