/** `--workers`: several processes that an operator sees as one server. */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import t from 'tap';
import type { Statistics } from '../../src/workers/merge-metrics.js';
import { nextalk } from '../support/process.js';
import { skipWithout } from '../support/programs.js';
import { online, started, workersOf } from './support/workers.js';

const skip = skipWithout('nats-server');

t.test('--workers takes a number above zero, or auto', async (t) => {
  for (const [args, err] of [
    [['--workers', '0'], /^nextalk: --workers: must be a whole number, 1 to 999, or auto\n$/],
    [['--workers', 'two'], /--workers: must be a whole number/],
    [['--workers', '2', '--nats', 'nats://127.0.0.1:1', '--data', 'x'], /^nextalk: data: must be "none" in a cluster/],
  ] as const) {
    const server = nextalk(t, args);
    t.equal(await server.ended, 2);
    t.match(server.err, err);
  }
});

t.test('workers of one server', { skip }, async (t) => {
  const { server, url, admin } = await started(t, ['--set', 'cluster.node=im']);

  await t.test('one admin port answers for all workers', async (t) => {
    const calls = 24;
    for (let call = 0; call < calls; call += 1) t.equal(await online(url), 200);
    const text = await (await fetch(`${admin}/metrics`)).text();
    const answered = [...text.matchAll(/^nextalk_http_requests_total{worker="(im-[12])",route="online",.*} (\d+)$/gm)];
    t.equal(answered.length, 2, 'the kernel has given calls to both workers');
    t.equal(
      answered.map(([, , count]) => Number(count)).reduce((sum, count) => sum + count, 0),
      calls,
    );
    const stats: Statistics = JSON.parse(await (await fetch(`${admin}/api/stats`)).text());
    const workers = [{ name: 'im-1' }, { name: 'im-2' }];
    t.match(stats, { node: { ready: true, pid: server.child.pid, workers }, notCounted: [] });
    t.match(stats.metrics.nextalk_http_requests_total, [{ labels: { route: 'online', status: '200' }, value: calls }]);
    t.equal((await fetch(`${admin}/nothing`)).status, 404);
  });

  await t.test('worker processes are started with the smaller young generation', async (t) => {
    const workers = workersOf(server);
    t.equal(workers.length, 2);
    for (const pid of workers)
      t.ok(readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').includes('--max-semi-space-size=8'));
  });

  await t.test(
    'a port in use, whichever it is and whichever program has it, ends the start with one line and exit code 1',
    async (t) => {
      const listener = createServer().listen(0, '127.0.0.1');
      t.teardown(() => listener.close());
      await once(listener, 'listening');
      const address = listener.address();
      const taken = typeof address === 'object' && address ? String(address.port) : '';
      const nats = ['--nats', 'nats://127.0.0.1:1', '--workers', '2'];
      const attempts = [
        [[...nats, '--port', taken, '--mqtt-port', '0', '--admin-port', '0'], taken],
        [[...nats, '--port', '0', '--mqtt-port', taken, '--admin-port', '0'], taken],
        [[...nats, '--port', '0', '--mqtt-port', '0', '--admin-port', taken], taken],
        [[...nats, '--port', new URL(url).port, '--mqtt-port', '0', '--admin-port', '0'], new URL(url).port],
        [['--port', new URL(url).port, '--mqtt-port', '0', '--admin-port', '0'], new URL(url).port],
      ] as const;
      await Promise.all(
        attempts.map(async ([flags, port]) => {
          const second = nextalk(t, flags);
          t.equal(await second.ended, 1, flags.join(' '));
          t.match(second.err, new RegExp(`^nextalk: .*\\b${port}\\b.* in use\n$`));
        }),
      );
      t.equal(server.child.exitCode, null);
    },
  );

  await t.test('a worker that dies is replaced, and the others go on', async (t) => {
    const before = workersOf(server);
    t.equal(before.length, 2);
    t.equal((await fetch(`${admin}/readyz`)).status, 200);
    const [victim = 0, other = 0] = before;
    process.kill(victim, 'SIGKILL');
    const { worker } = await server.event('worker-ended');
    t.match(await server.event('worker-started'), { worker });
    const after = workersOf(server);
    t.equal(after.length, 2);
    t.ok(after.includes(other) && !after.includes(victim));
    t.equal(await online(url), 200);
    t.equal((await fetch(`${admin}/readyz`)).status, 200);
    t.equal((await fetch(`${admin}/healthz`)).status, 200);
    t.match(await (await fetch(`${admin}/metrics`)).text(), new RegExp(`restarts_total{worker="${worker}"} 1`));
  });
});
