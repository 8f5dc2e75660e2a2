/** The program as an operator runs it: the real process with the real server. */
import { once } from 'node:events';
import { cpSync, existsSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { WebSocket } from 'ws';
import { type NexTalkProcess, nextalk } from './support/process.js';

const freePorts = ['--port', '0', '--mqtt-port', '0', '--admin-port', '0'];

interface Cleaner {
  teardown(fn: () => unknown): void;
}

/** Starts on a free port; answers the process and its URL. */
async function started(t: Cleaner, args: readonly string[] = [], env: Readonly<Record<string, string>> = {}) {
  const server = nextalk(t, [...freePorts, ...args], { env });
  const { url } = await server.event('started');
  return { server, url: String(url) };
}

async function online(url: string, domain: string, apikey: string): Promise<{ status: number; body: string }> {
  const answer = await fetch(`${url}/v5/presences/online`, {
    method: 'POST',
    headers: { authorization: `Basic ${Buffer.from(`${domain}:${apikey}`).toString('base64')}` },
    body: new URLSearchParams({ domain, name: 'jack', nick: 'Jack', buddies: '', rooms: '' }),
  });
  return { status: answer.status, body: await answer.text() };
}

/** A port that somebody else listens on. */
async function takenPort(t: Cleaner): Promise<number> {
  const listener = createServer().listen(0, '127.0.0.1');
  await once(listener, 'listening');
  t.teardown(() => listener.close());
  const address = listener.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

async function ended(server: NexTalkProcess) {
  return { code: await server.ended, out: server.out, err: server.err };
}

t.test('--help ends without an error when its reader closes the pipe early', async (t) => {
  const asked = nextalk(t, ['--help']);
  asked.child.stdout?.destroy();
  t.equal(await asked.ended, 0);
  t.equal(asked.err, '');
});

t.test('--version and --help answer on stdout', async (t) => {
  t.match(await ended(nextalk(t, ['--version'])), { code: 0, out: /^\d+\.\d+\.\d+\n$/, err: '' });
  t.match(await ended(nextalk(t, ['--help'])), { code: 0, out: /--mqtt-port/, err: '' });
});

t.test('check says that a configuration is valid, or one line for each mistake', async (t) => {
  const folder = t.testdir({
    'good.json': '{"domains":[{"domain":"a.com","apikey":"k"}]}',
    'bad.json': '{"port":"x","domains":[{"domain":"a.com","apikey":"k"},{"domain":"b.com","apikey":5}]}',
  });
  const good = await ended(nextalk(t, ['check', '--config', join(folder, 'good.json')]));
  t.strictSame(good, { code: 0, out: `${join(folder, 'good.json')}: valid, 1 domain\n`, err: '' });
  const bad = await ended(nextalk(t, ['check', '--config', join(folder, 'bad.json')]));
  t.strictSame(bad, {
    code: 2,
    out: '',
    err: 'nextalk: port: must be a whole number\nnextalk: domains[1].apikey: must be a string or a list\n',
  });
});

const refusals: readonly (readonly [args: readonly string[], err: RegExp])[] = [
  [['--host', '0.0.0.0'], /built-in localhost .* is served on loopback only, not on 0\.0\.0\.0/],
  [['--domain', 'localhost:public', '--host', '::'], /localhost with the key "public" is served on loopback only/],
  [['--set', 'admin.host=0.0.0.0'], /admin\.token: is needed/],
  [
    ['--set', 'mqtt.anonymousDomain=a', '--domain', 'a:k', '--host', '0.0.0.0'],
    /anonymousDomain: is allowed on loopback/,
  ],
  [['--workers', 'all'], /--workers: must be a whole number, 1 to 999, or auto/],
  [['--prot', '1'], /unknown option '--prot'/],
  [['chek'], /unknown command 'chek'; there are check, doctor, token, domain, help/],
];

for (const [args, err] of refusals) {
  t.test(`refuses to start with ${args.join(' ')}`, async (t) => {
    t.match(await ended(nextalk(t, args)), { code: 2, out: '', err });
  });
}

t.test('starts without configuration, serves, and ends with 0 on SIGTERM', async (t) => {
  const { server, url } = await started(t);
  t.match(url, /^http:\/\/127\.0\.0\.1:\d+$/);
  t.match(await online(url, 'localhost', 'public'), { status: 200, body: /"success":true/ });
  t.match(await online(url, 'localhost', 'wrong'), { status: 401 });
  server.kill('SIGTERM');
  t.match(await server.event('stopped'), { complete: true }, 'before a drain gives up');
  t.equal(await server.ended, 0);
});

t.test('takes domains from the environment', async (t) => {
  const { url } = await started(t, [], { NEXTALK_DOMAINS: 'a.com:k1,b.com:k:2' });
  t.match(await online(url, 'b.com', 'k:2'), { status: 200 });
  t.match(await online(url, 'localhost', 'public'), { status: 401 });
});

t.test('a port in use is named in one line, with exit code 1', async (t) => {
  const port = await takenPort(t);
  for (const flag of ['--port', '--admin-port', '--mqtt-port']) {
    const { code, err } = await ended(nextalk(t, [...freePorts, flag, String(port)]));
    t.equal(code, 1, flag);
    t.match(err, new RegExp(`^nextalk: .*\\b${port}\\b.* in use\n$`), flag);
  }
});

t.test('the log is lines of JSON without keys, whole tickets or message bodies', async (t) => {
  const { server, url } = await started(t, ['--domain', 'a.com:key-0123']);
  const { body } = await online(url, 'a.com', 'key-0123');
  const { ticket } = JSON.parse(body);
  const sent = await fetch(`${url}/v5/messages`, {
    method: 'POST',
    headers: { authorization: `Basic ${Buffer.from('a.com:key-0123').toString('base64')}` },
    body: new URLSearchParams({ ticket, to: 'jack', body: 'words-of-a-message', nick: 'Jack' }),
  });
  t.equal(sent.status, 200);
  server.kill('SIGTERM');
  await server.ended;
  for (const line of server.out.trimEnd().split('\n')) t.match(JSON.parse(line), { level: String, time: String });
  const secrets = [ticket, String(ticket).split(':')[2] ?? '', 'key-0123', 'words-of-a-message'];
  for (const secret of secrets) t.notOk(server.out.includes(secret));
});

t.test('SIGHUP reloads domains and keys without dropping anyone', async (t) => {
  const file = join(t.testdir({ 'a.json': '{"domains":[{"domain":"a","apikey":"old"}]}' }), 'a.json');
  const { server, url } = await started(t, ['--config', file]);
  const { ticket } = JSON.parse((await online(url, 'a', 'old')).body);
  const socket = new WebSocket(`${url.replace('http', 'ws')}/v5/wsocket`);
  t.teardown(() => socket.terminate());
  await once(socket, 'open');
  socket.send(`subscribe a ${ticket}`);
  await once(socket, 'message');

  writeFileSync(file, '{"domains":[{"domain":"a","apikey":"new"},{"domain":"b","apikey":"k"}]}');
  server.kill('SIGHUP');
  await server.event('reloaded');
  t.match(await online(url, 'a', 'old'), { status: 401 });
  t.match(await online(url, 'a', 'new'), { status: 200 });
  const other = JSON.parse((await online(url, 'b', 'k')).body);
  const poll = fetch(`${url}/v5/packets?domain=b&ticket=${other.ticket}`);
  await fetch(`${url}/v5/nothing`);

  writeFileSync(file, '{"domains":[{"domain":"a"}]}');
  server.kill('SIGHUP');
  t.match(await server.event('reload-refused'), { errors: ['domains[0].apikey: is missing'] });
  t.match(await online(url, 'a', 'new'), { status: 200 });
  t.equal(socket.readyState, WebSocket.OPEN);

  writeFileSync(file, '{"domains":[{"domain":"a","apikey":"new"}]}');
  server.kill('SIGHUP');
  await server.event('reloaded');
  const ended = await poll;
  t.equal(ended.status, 404, 'the ticket of a domain that is served no more has ended');
  t.match(await ended.json(), { message: 'ticket not found' });
  t.equal(socket.readyState, WebSocket.OPEN);
});

t.test('SIGTERM closes sockets with 1001 and answers open polls', async (t) => {
  const { server, url } = await started(t);
  const tickets = [await online(url, 'localhost', 'public'), await online(url, 'localhost', 'public')].map(
    ({ body }): string => JSON.parse(body).ticket,
  );
  const socket = new WebSocket(`${url.replace('http', 'ws')}/v5/wsocket`);
  await once(socket, 'open');
  socket.send(`subscribe localhost ${tickets[0]}`);
  await once(socket, 'message');
  const poll = fetch(`${url}/v5/packets?domain=localhost&ticket=${tickets[1]}`);
  // The second exchange on the same server is answered after the poll was read.
  await fetch(`${url}/v5/nothing`);
  const closed = once(socket, 'close');
  server.kill('SIGTERM');
  t.equal((await closed)[0], 1001);
  t.strictSame(await (await poll).json(), { status: 'ok', messages: [], presences: [], statuses: [] });
  t.equal(await server.ended, 0);
});

const npm = process.env.npm_execpath ?? '/usr/lib/node_modules/npm/bin/npm-cli.js';

t.test('npm run demo serves the example site, and ends with its npm', async (t) => {
  const demo = nextalk(t, [], { program: [npm, 'run', 'demo'], env: { PORT: '0', SITE_PORT: '0' } });
  const [, site = ''] = await demo.line(/Example site +(\S+)/);
  t.match(await (await fetch(site)).text(), /<title>Harbour<\/title>/);
  demo.kill('SIGTERM');
  await demo.ended;
  await t.rejects(fetch(site), 'nothing is left behind');
});

t.test('npm start builds, serves with flags passed on, and hands signals on', async (t) => {
  const server = nextalk(t, freePorts, { program: [npm, 'start', '--'] });
  const { url, pid } = await server.event('started');
  t.teardown(() => {
    // If npm did not hand the signal on, the server itself is still there.
    if (server.child.exitCode === null) process.kill(Number(pid), 'SIGKILL');
  });
  t.match(await online(String(url), 'localhost', 'public'), { status: 200 });
  server.kill('SIGTERM');
  await server.event('stopped');
  await server.ended;
  t.throws(() => process.kill(Number(pid), 0), 'nothing is left behind');
});

t.test('npm start -- --help answers without compiling, in a clone that has not been built', async (t) => {
  const clone = mkdtempSync(join(tmpdir(), 'nextalk-clone-'));
  t.teardown(() => rmSync(clone, { recursive: true }));
  const root = join(import.meta.dirname, '..');
  const names = ['src', 'scripts', 'package.json', 'package-lock.json', 'tsconfig.json', 'tsconfig.build.json'];
  for (const name of names) cpSync(join(root, name), join(clone, name), { recursive: true });
  symlinkSync(join(root, 'node_modules'), join(clone, 'node_modules'));
  const help = nextalk(t, ['--help'], { program: [join(clone, 'scripts/start.mjs')], cwd: clone });
  t.equal(await help.ended, 0);
  t.match(help.out, /--config <file>/);
  t.equal(help.err, '');
  t.notOk(existsSync(join(clone, 'dist')));
});
