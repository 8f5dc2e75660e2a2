import t from 'tap';
import { exchange } from './support/http.js';
import { type TestServer, testServer } from './support/server.js';

const admin = { admin: { port: -1 } };

function ask(server: TestServer, path: string, method = 'GET') {
  return exchange(server.adminPort, { path, method }).answer;
}

t.test('a server that runs is healthy and ready', async (t) => {
  const server = await testServer(t, admin);
  t.equal((await ask(server, '/healthz')).status, 200);
  t.equal((await ask(server, '/readyz')).status, 200);
});

t.test('a server that drains is healthy and not ready', async (t) => {
  const server = await testServer(t, admin);
  await server.site().arrive('1');
  const draining = server.drain();
  t.equal((await ask(server, '/readyz')).status, 503);
  t.equal((await ask(server, '/healthz')).status, 200);
  await draining;
});

t.test('the admin port knows no path of the public one, nor the other way round', async (t) => {
  const server = await testServer(t, admin);
  for (const path of ['/v5/presences', '/v5/packets', '/nothing']) t.equal((await ask(server, path)).status, 404);
  for (const path of ['/healthz', '/readyz', '/metrics']) t.equal((await server.request({ path })).status, 404);
});

t.test('without an admin port the server runs as well', async (t) => {
  const server = await testServer(t, { admin: { port: 0 } });
  t.strictSame(await server.site().presences('1'), {});
});
