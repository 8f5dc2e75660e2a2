import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { askAdmin } from '../support/admin.js';
import { exchange } from '../support/http.js';
import { nextalk } from '../support/process.js';

interface Ended {
  readonly code: number | string;
  readonly out: string;
  readonly err: string;
}

t.test('domains are added, listed, rotated and removed from a shell', async (t) => {
  const folder = t.testdir({ 'settings.json': '{"carbons":true}', 'wrong.json': '{"carbons":7}' });
  const file = join(folder, 'nextalk.json');
  const config = { port: 0, mqtt: { port: 0 }, admin: { port: -1, token: 'a token' }, data: join(folder, 'data') };
  writeFileSync(file, JSON.stringify(config));
  const server = nextalk(t, ['--config', file], { env: { NEXTALK_DATA: '' } });
  const started = await server.event('started');
  const adminPort = new URL(String(started.admin)).port;
  const run = async (...args: string[]): Promise<Ended> => {
    const command = nextalk(t, ['domain', ...args, '--config', file, '--admin-port', adminPort]);
    return { code: await command.ended, out: command.out, err: command.err };
  };
  const added = await run('add', 'shop.example', '--settings', join(folder, 'settings.json'), '--json');
  const { apikey, fingerprint } = JSON.parse(added.out) as { apikey: string; fingerprint: string };
  const statusOf = async (key: string) => {
    const call = { path: '/v5/presences', query: { ids: '1' }, auth: { domain: 'shop.example', apikey: key } };
    return (await exchange(Number(new URL(String(started.url)).port), call).answer).status;
  };
  t.equal(await statusOf(apikey), 200);
  t.match(await run('add', 'shop.example'), { code: 1, err: 'nextalk: shop.example: is there already\n' });
  const wrong = await run('add', 'b.example', '--settings', join(folder, 'wrong.json'));
  t.match(wrong, { code: 1, err: 'nextalk: carbons: must be true or false\n' });
  t.match(await run('list'), { code: 0, out: /^localhost\tfile\t.*\nshop\.example\tstore\t0 online\t0 connected\n$/ });
  t.match(await run('list', 'shop'), { out: /^shop/ });
  const rotated = await run('rotate', 'shop.example');
  t.match(rotated, { code: 0, out: /^domain: shop\.example\napikey: [\w-]{32}\nfingerprint: [0-9a-f]{16}\n/ });
  t.match(await run('rotate', 'shop.example', '--drop', fingerprint), { code: 0 });
  t.equal(await statusOf(apikey), 401);
  t.match(await run('remove', 'localhost'), { code: 1, err: /configuration file/ });
  t.match(await run('remove', 'shop.example'), { code: 0, out: 'domain: shop.example\n' });
  t.match(await run('remove', 'shop.example'), { code: 1, err: 'nextalk: not found: there is no such domain\n' });
  server.kill('SIGTERM');
  await server.ended;
  t.notOk(server.out.includes(apikey), 'the log has no key');
  t.match(await run('list'), { code: 1, err: /cannot be asked/ });
});

t.test('a reload that is asked for by the admin port answers what changed, or why nothing did', async (t) => {
  const file = join(t.testdir(), 'nextalk.json');
  const write = (more: object) =>
    writeFileSync(file, JSON.stringify({ port: 0, mqtt: { port: 0 }, admin: { port: -1 }, data: 'none', ...more }));
  write({ domains: [{ domain: 'a', apikey: 'k' }] });
  const server = nextalk(t, ['--config', file], { env: { NEXTALK_DATA: '' } });
  const adminPort = Number(new URL(String((await server.event('started')).admin)).port);
  const reload = () => askAdmin({ adminPort } as never, '/api/reload', {}, 'POST');
  write({ domains: [{ domain: 'b', apikey: 'k' }], host: '127.0.0.2' });
  t.match(await reload(), {
    status: 200,
    body: { changes: ['domain b: added', 'domain a: removed'], needRestart: ['host'] },
  });
  write({ domains: [{ domain: 'b' }] });
  t.match(await reload(), { status: 400, body: { errors: ['domains[0].apikey: is missing'] } });
  server.kill('SIGTERM');
  t.equal(await server.ended, 0);
});
