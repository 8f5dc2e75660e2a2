/** What tests start ends with them, also when tap kills them and no teardown runs. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import t from 'tap';
import { freePort } from './support/ports.js';
import { nextalk } from './support/process.js';
import { skipWithout } from './support/programs.js';

const support = join(import.meta.dirname, 'support');

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

t.test('nats-server, servers and terminals end with a test that is killed', { skip, timeout: 300_000 }, async (t) => {
  const ports = [await freePort(), await freePort(), await freePort()] as const;
  const test = nextalk(t, [], { program: ['--input-type=module', '-e', source(...ports)], node: ['--import', 'tsx'] });
  await test.line(/all are there/);
  const sockets = await Promise.all(ports.map(connected));
  const closed = sockets.map((socket) => new Promise((resolve) => socket.once('close', resolve)));
  test.kill('SIGKILL');
  await Promise.all(closed);
  for (const port of ports) t.match(await refusal(port), { code: 'ECONNREFUSED' });
});
