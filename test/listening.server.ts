/** A port that cannot be had: the operator is told why, whichever port it is. */
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import t from 'tap';
import { startProblem } from '../src/lifecycle.js';
import { listenError, listenProblem } from '../src/listening.js';
import { nextalk } from './support/process.js';
import { testServer } from './support/server.js';

/** An address that is reserved for documentation, so that no machine has it. */
const NOT_HERE = '203.0.113.1';

t.test('listenError answers the code with which listening on an address fails', async (t) => {
  const taken = createServer().listen(0, '127.0.0.1');
  t.teardown(() => taken.close());
  await once(taken, 'listening');
  t.equal(await listenError('127.0.0.1', (taken.address() as AddressInfo).port), 'EADDRINUSE');
  t.equal(await listenError(NOT_HERE, 0), 'EADDRNOTAVAIL');
  t.equal(await listenError('127.0.0.1', 0), null);
});

t.test('each reason has its own words, and an error of nothing else is left as it is', async (t) => {
  t.equal(listenProblem('h:80', 'EADDRINUSE'), 'h:80 is already in use');
  t.equal(listenProblem('h:80', 'EACCES'), 'h:80 needs a permission that this user does not have (EACCES)');
  t.equal(listenProblem('h:80', 'ENOTFOUND'), 'h:80 cannot be listened on (ENOTFOUND)');
  const denied = Object.assign(new Error('listen EACCES'), { code: 'EACCES', address: 'h:80' });
  t.equal(startProblem(denied), listenProblem('h:80', 'EACCES'));
  t.equal(startProblem(Object.assign(new Error('no disk'), { code: 'ENOSPC' })), 'no disk');
});

const off = ['--port', '0', '--mqtt-port', '0', '--admin-port', '0', '--domain', 'a.com:k'];
const host = ['--host', NOT_HERE];
const workers = ['--workers', '2', '--nats', 'nats://127.0.0.1:1'];

for (const [port, flags, address] of [
  ['HTTP', host, `${NOT_HERE}:0`],
  ['MQTT', [...host, '--mqtt-port', '18830'], `${NOT_HERE}:18830`],
  [
    'the admin',
    ['--admin-port', '18081', '--set', `admin.host=${NOT_HERE}`, '--set', 'admin.token=t'],
    `${NOT_HERE}:18081`,
  ],
  ['the workers’', [...host, ...workers], `${NOT_HERE}:0`],
] as const) {
  t.test(`${port} port on an address of another machine is one line and exit code 1`, async (t) => {
    const server = nextalk(t, [...off, ...flags]);
    t.equal(await server.ended, 1);
    t.equal(server.err, `nextalk: ${address} is not an address of this machine (EADDRNOTAVAIL)\n`);
  });
}

t.test('a server that has ended still says which port it had', async (t) => {
  const server = await testServer(t);
  const { port } = server;
  await server.close();
  t.equal(server.port, port);
});
