/** What tests and benchmarks start ends with them, also when they are killed and no teardown runs. */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { freePort } from './support/ports.js';
import { nextalk } from './support/process.js';
import { skipWithout } from './support/programs.js';
import type { Cleaner } from './support/server.js';

const support = join(import.meta.dirname, 'support');
const bench = join(import.meta.dirname, '../bench');

/** A test that starts a program of each kind, and says when all are there. */
function source(nats: number, node: number, window: number): string {
  const listen = `net.createServer().listen(${window}, '127.0.0.1', () => console.log('listening'))`;
  return `
    import { NatsServer } from '${support}/nats.ts';
    import { nextalk } from '${support}/process.ts';
    import { Terminal } from '${support}/terminal.ts';
    await new NatsServer(${nats}).start();
    const flags = ['--port', '${node}', '--mqtt-port', '0', '--admin-port', '0'];
    await nextalk({ teardown() {} }, flags).event('started');
    const terminal = new Terminal('${support}');
    terminal.start(${JSON.stringify(`node -e "${listen}"`)});
    await terminal.take((out) => (out === '' ? null : { length: out.length, value: out }));
    console.log('all are there');`;
}

async function connected(port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1').on('error', () => undefined);
  await once(socket, 'connect');
  return socket.resume();
}

/** Why nobody is connected there any more. The kernel may close what listened after its connections: a new one is reset then. */
async function refusal(port: number): Promise<unknown> {
  for (;;) {
    try {
      (await connected(port)).destroy();
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ECONNRESET') return error;
    }
  }
}

const skip = skipWithout('nats-server', 'setpriv');
const run = (t: Cleaner, text: string) =>
  nextalk(t, [], { program: ['--input-type=module', '-e', text], node: ['--import', 'tsx'] });

/** Ends a process, and resolves when nobody listens on these ports any more, to which it has connections. */
async function endAll(
  t: Test,
  { child }: { readonly child: ChildProcess },
  ports: readonly number[],
  signal: NodeJS.Signals,
) {
  const sockets = await Promise.all(ports.map(connected));
  const closed = sockets.map((socket) => new Promise((resolve) => socket.once('close', resolve)));
  child.kill(signal);
  await Promise.all(closed);
  for (const port of ports) t.match(await refusal(port), { code: 'ECONNREFUSED' });
}

t.test('nats-server, servers and terminals end with a test that is killed', { skip, timeout: 300_000 }, async (t) => {
  const ports = [await freePort(), await freePort(), await freePort()] as const;
  const test = run(t, source(...ports));
  await test.line(/all are there/);
  await endAll(t, test, ports, 'SIGKILL');
});

for (const signal of ['SIGINT', 'SIGTERM', 'SIGKILL'] as const) {
  t.test(`what a benchmark has started ends with it, when it gets ${signal}`, { skip, timeout: 300_000 }, async (t) => {
    const benchmark = run(
      t,
      `
        import { startNats } from '${join(bench, 'connections/servers.ts')}';
        import { BenchNode } from '${join(bench, 'reliability/node.ts')}';
        const port = ${await freePort()};
        const listen = "net.createServer().listen(" + port + ", '127.0.0.1')";
        await new BenchNode({ name: 'n', port, mqttPort: 0, command: ['-e', listen], log: '/dev/null' }).start();
        console.log('ports', JSON.stringify([(await startNats()).port, port]));`,
    );
    const [, ports = ''] = await benchmark.line(/ports (.*)/);
    await endAll(t, benchmark, JSON.parse(ports) as number[], signal);
  });
}

t.test('a test that leaves something open does not outlive an exception that nobody has caught', async (t) => {
  const node = ['--import', './test/support/uncaught.mjs'];
  // As tap does, which goes on to report it.
  const text = `
    process.on('uncaughtException', () => console.log('reported'));
    require('net').createServer().listen(0, '127.0.0.1', () => { throw new Error('boom'); });`;
  const test = nextalk(t, [], { program: ['-e', text], node });
  await test.line(/reported/);
  t.equal(await test.ended, 1);
  t.match(test.err, /uncaught in .*boom/);
});
