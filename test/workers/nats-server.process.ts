/** `--workers` without `--nats`: the nats-server that the workers get. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { findNatsServer } from '../../src/nats-program.js';
import { type NexTalkProcess, nextalk } from '../support/process.js';
import { skipWithout } from '../support/programs.js';
import { workersServer } from './support/server.js';
import { childrenOf, gone, portsOf, started, workersOf } from './support/workers.js';

const skip = skipWithout('nats-server');
const own: readonly string[] = [];

/** The nats-server below a server, behind its shell; 0: none at the moment. */
function natsOf(server: NexTalkProcess): number {
  const below = workersOf(server).flatMap(childrenOf);
  return below.find((pid) => readFileSync(`/proc/${pid}/comm`, 'utf8').startsWith('nats-server')) ?? 0;
}

t.test('workers get a nats-server of their own, on loopback, which ends with them', { skip }, async (t) => {
  const { server } = await started(t, [], 2, own);
  t.match((await server.event('keeps')).msg, /^nothing is kept: .*\(--data DIR keeps them\)$/);
  const nats = natsOf(server);
  t.equal(portsOf(nats).length, 1);
  t.match(readFileSync(`/proc/${nats}/net/tcp`, 'utf8'), /0100007F:/);
  t.notMatch(
    readFileSync(`/proc/${nats}/cmdline`, 'utf8'),
    /password|nats:/,
    'a command line may be read by every user',
  );
  t.notMatch(server.out, /nats:\/\//, 'nor does the log have its password');
  t.notMatch(server.out, /Plaintext/, 'nor a warning about a password that nobody has to care for');
  server.kill('SIGTERM');
  t.equal(await server.ended, 0);
  await gone(nats);
});

t.test('a server that is killed leaves no nats-server behind', { skip }, async (t) => {
  const { server } = await started(t, [], 2, own);
  const nats = natsOf(server);
  server.kill('SIGKILL');
  t.equal(await server.ended, 'SIGKILL');
  await gone(nats);
});

t.test('people on two workers write to each other, also after their nats-server was killed', { skip }, async (t) => {
  const server = await workersServer(t, [], own);
  const site = server.site();
  const jack = await server.arriveAt('im-1', 'jack');
  const rose = await server.arriveAt('im-2', 'rose');
  await site.message(rose.ticket, 'jack', 'before');
  t.match(await jack.next(), { body: 'before' });
  const first = natsOf(server.process);
  const ports = portsOf(first);
  process.kill(first, 'SIGKILL');
  await server.process.event('nats-server-ended');
  await site.message(rose.ticket, 'jack', 'after');
  t.match(await jack.next(), { body: 'after' });
  t.strictSame(portsOf(natsOf(server.process)), ports, 'the workers find it where it was');
});

t.test('--workers auto starts as many as there are cores', { skip }, async (t) => {
  const { server } = await started(t, [], 'auto', own);
  const shells = natsOf(server) === 0 ? 0 : 1;
  t.equal(workersOf(server).length - shells, availableParallelism() === 1 ? 0 : availableParallelism());
});

t.test('a nats-server that is not there, or cannot start, ends the start with one line', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'nextalk-no-nats-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const broken = join(folder, 'nats');
  writeFileSync(broken, '#!/bin/sh\necho "[1] 2026/01/01 00:00:00 [FTL] no room for me" >&2\nexit 1\n', {
    mode: 0o755,
  });
  const attempts = [
    [join(folder, 'none'), /^nextalk: cluster.server: .*none is no program that can be run\n$/],
    [broken, /^nextalk: .*nats ended while it started: no room for me\n$/],
  ] as const;
  for (const [path, err] of attempts) {
    const ports = ['--port', '0', '--mqtt-port', '0', '--admin-port', '0'];
    const server = nextalk(t, [...ports, '--workers', '2', '--set', `cluster.server=${path}`]);
    t.equal(await server.ended, 1);
    t.match(server.err, err);
  }
  t.throws(() => findNatsServer(null, folder, []), {
    message: /^--workers: needs nats-server, .*apt-get install nats-server/,
  });
  t.throws(() => findNatsServer('nats-server-of-nobody', folder), {
    message: 'cluster.server: nats-server-of-nobody is no program that can be run',
  });
});
