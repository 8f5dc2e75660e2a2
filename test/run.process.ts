/** The life of the process, with a server in its place that does what the test wants. */
import { once } from 'node:events';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import t from 'tap';
import { drainMs } from '../src/lifecycle.js';
import { type NexTalkProcess, nextalk } from './support/process.js';

/** Puts a module with this source where src/run.ts imports ./server.js; `before` is done for each name that is imported. */
function standIn(source: string, before = ''): string[] {
  const server = `data:text/javascript,${encodeURIComponent(source)}`;
  const hooks = `export async function resolve(name, context, next) {
    ${before}
    return name === './server.js' ? { url: ${JSON.stringify(server)}, shortCircuit: true } : next(name, context);
  }`;
  const register = `import { register } from 'node:module';
    register(${JSON.stringify(`data:text/javascript,${encodeURIComponent(hooks)}`)});`;
  return ['--import', `data:text/javascript,${encodeURIComponent(register)}`];
}

const serving = (members: string): string => `
  const alive = setInterval(() => {}, 1000);
  const print = (event, more) => process.stdout.write(JSON.stringify({ event, ...more }) + '\\n');
  export async function startServer(config) {
    return { port: 1, mqttPort: null, adminPort: null, reload() {}, refuseReload() {}, async drain() {}, async close() {}, ${members} };
  }`;

/** Time by hand for a stand-in: SIGUSR2 lets a second pass, and the stand-in prints how many have passed. */
const timeByHand = `
  let now = 0;
  let due = [];
  const { setTimeout: realTimeout } = globalThis;
  performance.now = () => now;
  globalThis.setTimeout = (task, ms, ...rest) => {
    if (!(ms >= 1000)) return realTimeout(task, ms, ...rest);
    due.push({ at: now + ms, task });
  };
  process.on('SIGUSR2', () => {
    now += 1000;
    for (const { at, task } of due) if (at <= now) task();
    due = due.filter(({ at }) => at > now);
    print('passed', { seconds: now / 1000 });
  });`;

/** Waits for each second that it lets pass. */
async function pass(server: NexTalkProcess, from: number, to: number): Promise<void> {
  for (let seconds = from; seconds <= to; seconds++) {
    server.kill('SIGUSR2');
    t.match(await server.event('passed'), { seconds });
  }
}

interface Cleaner {
  teardown(fn: () => unknown): void;
}

async function started(t: Cleaner, members: string, args: readonly string[] = [], more = ''): Promise<NexTalkProcess> {
  const server = nextalk(t, args, { node: standIn(serving(members) + more) });
  await server.event('started');
  return server;
}

t.test('SIGTERM and SIGINT drain and end with 0', async (t) => {
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    const server = await started(t, "async drain() { print('drain') }");
    server.kill(signal);
    t.match(await server.event('draining'), { signal });
    await server.event('drain');
    t.match(await server.event('stopped'), { complete: true });
    t.equal(await server.ended, 0);
    t.equal(server.err, '');
  }
});

t.test('a second signal counts only after a second, and then ends at once', async (t) => {
  const answering = "process.on('SIGTERM', () => print('signal'));";
  const server = await started(t, 'drain: () => new Promise(() => {})', [], timeByHand + answering);
  // npm and a terminal send the same signal twice at once.
  for (let n = 0; n < 2; n++) {
    server.kill('SIGTERM');
    await server.event('signal');
  }
  await pass(server, 1, 1);
  server.kill('SIGTERM');
  t.equal(await server.ended, 143);
  t.notMatch(server.out, /"event":"stopped"/, 'the process ends before the drain gives up');
});

t.test('a drain that never ends is cut off within ten seconds, with 0', async (t) => {
  const server = await started(t, 'drain: () => new Promise(() => {})', [], timeByHand);
  server.kill('SIGTERM');
  await server.event('draining');
  await pass(server, 1, drainMs / 1000 - 1);
  t.notMatch(server.out, /"event":"stopped"/, 'the drain goes on until its time is over');
  server.kill('SIGUSR2');
  t.match(await server.event('stopped'), { complete: false });
  t.equal(await server.ended, 0);
  t.ok(drainMs < 10_000);
});

t.test('a drain that fails ends with 1', async (t) => {
  const server = await started(t, "drain: () => Promise.reject(new Error('disk full'))");
  server.kill('SIGTERM');
  t.match(await server.event('stopped'), { complete: false, err: { message: 'disk full' } });
  t.equal(await server.ended, 1);
});

t.test('SIGHUP reloads what may change and names what may not', async (t) => {
  const folder = t.testdir({ 'a.json': JSON.stringify({ domains: [{ domain: 'a', apikey: 'secret-1' }] }) });
  const file = join(folder, 'a.json');
  const reload = "reload({ domains, port }) { print('told', { domains: domains.map((d) => d.domain), port }) }";
  const server = await started(t, reload, ['--config', file, '--port', '5']);
  const next = { domain: 'a', apikey: 'secret-2' };
  writeFileSync(file, JSON.stringify({ domains: [next, { domain: 'b', apikey: 'k' }], poll: { timeoutMs: 1 } }));
  server.kill('SIGHUP');
  t.match(await server.event('told'), { domains: ['a', 'b'], port: 5 });
  t.match(await server.event('reloaded'), {
    changes: ['domain a: apikey', 'domain b: added'],
    needRestart: ['poll'],
  });

  writeFileSync(file, '{"domains":[{"domain":"a"}]}');
  server.kill('SIGHUP');
  t.match(await server.event('reload-refused'), { errors: ['domains[0].apikey: is missing'] });

  writeFileSync(file, JSON.stringify({ domains: [next, { domain: 'b', apikey: 'k' }], poll: { timeoutMs: 1 } }));
  server.kill('SIGHUP');
  t.match(await server.event('reloaded'), { changes: [] }, 'compared with what was last accepted');
  t.notMatch(server.out, /secret/);
});

t.test('SIGHUP without a file is refused, and the server goes on', async (t) => {
  const server = await started(t, '');
  server.kill('SIGHUP');
  t.match(await server.event('reload-refused'), { errors: ['there is no configuration file'] });
  server.kill('SIGTERM');
  t.equal(await server.ended, 0);
});

t.test('SIGHUP before the server has started is remembered, and reloads once it has', async (t) => {
  const file = join(t.testdir({ 'a.json': '{"domains":[{"domain":"a","apikey":"k"}]}' }), 'a.json');
  const slow = `${serving("reload({ domains }) { print('told', { domains: domains.length }) }")}
    const start = startServer;
    export { slowly as startServer };
    async function slowly(config) {
      print('starting');
      await new Promise((resolve) => process.once('SIGHUP', resolve));
      return start(config);
    }`.replace('export async function startServer', 'async function startServer');
  const server = nextalk(t, ['--config', file], { node: standIn(slow) });
  await server.event('starting');
  writeFileSync(file, '{"domains":[{"domain":"a","apikey":"k"},{"domain":"b","apikey":"k"}]}');
  server.kill('SIGHUP');
  t.match(await server.event('started'), { domains: 1 });
  t.match(await server.event('told'), { domains: 2 });
  await server.event('reloaded');
  server.kill('SIGTERM');
  t.equal(await server.ended, 0);
});

t.test('SIGHUP while the program is being loaded does not end it', async (t) => {
  const node = standIn(serving(''), "if (name === './run.js') process.kill(process.pid, 'SIGHUP');");
  const server = nextalk(t, [], { node });
  await server.event('started');
  await server.event('reload-refused');
});

t.test('SIGTERM before the server has started ends it with 0', async (t) => {
  const server = nextalk(t, [], {
    node: standIn(`export function startServer() {
      process.stdout.write('{"event":"starting"}\\n');
      return new Promise(() => setInterval(() => {}, 1000));
    }`),
  });
  await server.event('starting');
  server.kill('SIGTERM');
  t.equal(await server.ended, 0);
});

t.test('a reload that is refused is told to the server, one that is taken over as well', async (t) => {
  const file = join(t.testdir({ 'a.json': '{"domains":[{"domain":"a","apikey":"k"}]}' }), 'a.json');
  const members = "reload() { print('reload') }, refuseReload() { print('refused') }";
  const server = await started(t, members, ['--config', file]);
  writeFileSync(file, '{"domains":[');
  server.kill('SIGHUP');
  await server.event('refused');
  writeFileSync(file, '{"domains":[{"domain":"a","apikey":"k2"}]}');
  server.kill('SIGHUP');
  await server.event('reload');
});

t.test('an error that nobody caught is logged, and the server goes on', async (t) => {
  const members = "reload() {}, get port() { setTimeout(() => { throw new Error('a bug') }); return 1 }";
  const server = await started(t, members);
  t.match(await server.event('uncaught'), { level: 'error', err: { message: 'a bug' } });
  server.kill('SIGTERM');
  t.equal(await server.ended, 0);
});

t.test('a rejection that nobody caught is logged, and the server goes on', async (t) => {
  const members = "get port() { setTimeout(() => { Promise.reject(new Error('a bug')) }); return 1 }";
  const server = await started(t, members);
  t.match(await server.event('uncaught'), { level: 'error', err: { message: 'a bug' } });
  server.kill('SIGTERM');
  t.equal(await server.ended, 0);
});

const failing = (error: string): string => `export async function startServer() { throw ${error}; }`;

t.test('a port in use is one line and exit code 1', async (t) => {
  const error = "Object.assign(new Error('x'), { code: 'EADDRINUSE', address: 'port 8080 on 127.0.0.1' })";
  const server = nextalk(t, [], { node: standIn(failing(error)) });
  t.equal(await server.ended, 1);
  t.equal(server.err, 'nextalk: port 8080 on 127.0.0.1 is already in use\n');
  t.equal(server.out, '');
});

t.test('an error that keeps the server from starting is told, with exit code 1', async (t) => {
  const server = nextalk(t, [], { node: standIn(failing("new Error('no native build for this machine')")) });
  t.equal(await server.ended, 1);
  t.equal(server.err, 'nextalk: no native build for this machine\n');
});

t.test('a stalled reader of the log does not stop the server', async (t) => {
  const listener = createServer();
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const address = listener.address();
  t.teardown(() => listener.close());
  if (address === null || typeof address === 'string') throw new Error('no port');
  // Fills the pipe well beyond what the kernel keeps, then connects to show that the event loop still turns.
  const members = `get port() {
    setTimeout(async () => {
      const text = 'x'.repeat(1000);
      for (let n = 0; n < 2000; n++) process.emit('SIGHUP', text);
      const { connect } = await import('node:net');
      connect(${address.port}, '127.0.0.1');
    }, 100);
    return 1;
  }`;
  const server = nextalk(t, [], { node: standIn(serving(members)) });
  server.child.stdout?.pause();
  await once(listener, 'connection');
  t.equal(server.child.exitCode, null);
});

t.test(
  'passwords and keys of the command line are in no list of processes',
  { skip: !existsSync('/proc/self/cmdline') },
  async (t) => {
    const secrets = ['--domain', 'a.com:key-1', '--domain=b.com:key-2', '--nats=nats://me:key-3@127.0.0.1:1'];
    const server = await started(t, '', [...secrets, '--set', 'admin.token=key-4']);
    const listed = readFileSync(`/proc/${server.child.pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
    t.notMatch(listed, /key-\d/);
    t.match(listed, /nextalk .*a\.com:\*\*\*/);
  },
);
