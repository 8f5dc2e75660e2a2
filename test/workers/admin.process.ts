/** The admin port of a server with workers answers as that of a single server does. */
import t from 'tap';
import { exchange } from '../support/http.js';
import { skipWithout } from '../support/programs.js';
import { online, portsOf, started, workersOf } from './support/workers.js';

const skip = skipWithout('nats-server');
const token = 'open sesame';
const locked = ['--set', `admin.token=${token}`, '--set', 'cluster.node=im'];

t.test('a server with workers and a token', { skip }, async (t) => {
  const { server, admin } = await started(t, locked);

  await t.test('wrong tokens at a worker’s own admin port do not lock the parent out', async (t) => {
    let tried = 0;
    for (const port of workersOf(server).flatMap(portsOf)) {
      const authorization = 'Bearer guess';
      const ask = () => exchange(port, { path: '/api/stats', headers: { authorization } }).answer;
      for (let attempt = 0; attempt < 6 && (await ask()).status === 401; attempt += 1) tried += 1;
    }
    t.ok(tried >= 12, `${tried} tokens tried`);
    const stats = await fetch(`${admin}/api/stats`, { headers: { authorization: `Bearer ${token}` } });
    t.match(await stats.json(), { notCounted: [], node: { ready: true } });
  });

  await t.test('the right token is let in and wrong ones have to wait, as on a single server', async (t) => {
    const port = Number(new URL(admin).port);
    const ask = (path: string, headers = {}) => exchange(port, { path, headers }).answer;
    const login = (given: string, headers = {}) =>
      exchange(port, { method: 'POST', path: '/login', form: { token: given }, headers }).answer;
    t.equal((await ask('/healthz')).status, 200);
    t.equal((await ask('/readyz')).status, 200);
    t.match(await ask('/'), { status: 303, headers: { location: 'login' } });
    t.match((await ask('/login')).text, '<form');
    t.equal((await ask('/assets/dashboard.js')).status, 200);
    for (const path of ['/metrics', '/api/stats', '/api/stream', '/api/rooms', '/nothing']) {
      t.equal((await ask(path)).status, 401, path);
    }
    t.equal((await login(token, { origin: 'https://evil.example' })).status, 403);
    const right = await login(token);
    t.match(right, { status: 303, headers: { location: './' } });
    const cookie = right.headers['set-cookie']?.[0]?.split(';')[0] ?? '';
    t.equal((await ask('/api/stats', { cookie })).status, 200);
    for (let attempt = 0; attempt < 5; attempt += 1) {
      t.match((await login('wrong')).headers, { location: 'login?wrong=1' });
    }
    t.match((await login('wrong')).headers, { location: /^login\?wait=\d+$/ });
    t.equal((await ask('/metrics', { authorization: `Bearer ${token}` })).status, 200, 'the right token never waits');
    for (let attempt = 0; attempt < 5; attempt += 1) await login('wrong');
    t.match(await ask('/metrics', { authorization: 'Bearer wrong' }), {
      status: 429,
      headers: { 'retry-after': /\d/ },
    });
    t.equal((await ask('/api/stats', { cookie })).status, 200, 'a session that has logged in goes on');
  });
});

t.test('a server with workers and no token', { skip }, async (t) => {
  const { server, url, admin } = await started(t, ['--set', 'cluster.node=im']);

  await t.test('without a token, a request must name loopback as its host', async (t) => {
    const port = Number(new URL(admin).port);
    const ask = (host: string) => exchange(port, { path: '/api/stats', headers: { host } }).answer;
    t.equal((await ask('localhost')).status, 200);
    t.equal((await ask('evil.example')).status, 403);
  });

  await t.test('a worker that hangs is named and not counted until it goes on', async (t) => {
    t.equal(await online(url), 200);
    const [victim = 0] = workersOf(server);
    process.kill(victim, 'SIGSTOP');
    t.teardown(() => process.kill(victim, 'SIGCONT'));
    const stats = JSON.parse(await (await fetch(`${admin}/api/stats`)).text());
    t.match(stats, { node: { ready: false }, notCounted: [/^im-[12]$/] });
    const { notCounted } = stats;
    const text = await (await fetch(`${admin}/metrics`)).text();
    t.match(text, `nextalk_worker_counted{worker="${notCounted}"} 0`);
    t.notMatch(text, `nextalk_rooms{worker="${notCounted}"}`);
    const readiness = await fetch(`${admin}/readyz`);
    t.equal(readiness.status, 503);
    t.match(await readiness.text(), `not ready\n${notCounted} does not answer`);
    process.kill(victim, 'SIGCONT');
    t.match(await (await fetch(`${admin}/api/stats`)).json(), { notCounted: [] });
  });
});
