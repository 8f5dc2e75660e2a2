import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import t from 'tap';
import { Requests, type WorkerPort } from '../../src/workers/requests.js';
import type { Cleaner } from './support/workers.js';

const token = 'for the parent alone';

async function worker(t: Cleaner, name: string, respond: RequestListener | null): Promise<WorkerPort> {
  if (respond === null) return { name, url: null, token, restarts: 0 };
  const server = createServer(respond).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => server.closeAllConnections());
  t.teardown(() => server.close());
  return { name, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, token, restarts: 0 };
}

function says(status: number, body: string): RequestListener {
  return (_request, response) => response.writeHead(status).end(body);
}

t.test('only readable answers of status 200 count, and the other workers are named', async (t) => {
  const ports = await Promise.all([
    worker(t, 'well', (request, response) => response.end(JSON.stringify([request.headers.authorization]))),
    worker(t, 'starting', null),
    worker(t, 'failing', says(500, '{"rooms":[]}')),
    worker(t, 'draining', says(503, 'not ready')),
    worker(t, 'locked', says(429, '{}')),
    worker(t, 'cut', says(200, '{"rooms":')),
    worker(t, 'gone', (request) => request.socket.destroy()),
    worker(t, 'breaking off', (_request, response) => {
      response.write('{');
      response.destroy();
    }),
  ]);
  t.strictSame(await new Requests(() => ports).sendJson('/api/rooms'), {
    counted: new Map([['well', [`Bearer ${token}`]]]),
    notCounted: ports.map(({ name }) => name).filter((name) => name !== 'well'),
    refused: null,
  });
});

t.test('a worker that hangs is waited for two seconds', async (t) => {
  const ports = [await worker(t, 'hung', () => undefined), await worker(t, 'well', says(200, '1'))];
  const { counted, notCounted } = await new Requests(() => ports).sendJson('/');
  t.strictSame([counted, notCounted], [new Map([['well', 1]]), ['hung']]);
});

t.test('a request that workers refuse is refused with the first reason that one of them gives', async (t) => {
  const ports = await Promise.all([
    worker(t, 'a', says(400, '{"message":"domain is not served here"}')),
    worker(t, 'b', says(400, 'no JSON')),
  ]);
  t.strictSame(await new Requests(() => ports).sendJson('/'), {
    counted: new Map(),
    notCounted: [],
    refused: 'domain is not served here',
  });
});
