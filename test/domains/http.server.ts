import t from 'tap';
import { client } from '../mqtt/support/clients.js';
import { HANG_MS } from '../support/hang.js';
import { siteA, type TestServer, testServer } from '../support/server.js';
import type { WebSocketClient } from '../support/websocket.js';
import { Admin, type Made } from './support.js';

const settings = (data: string) => ({ admin: { port: -1 }, data });

async function statusOf(server: TestServer, domain: string, apikey: string): Promise<number> {
  const call = { path: '/v5/presences', query: { ids: '1' }, auth: { domain, apikey } };
  return (await server.request(call)).status;
}

t.test('a domain that is made at run time is served at once, with a key that is shown once', async (t) => {
  const server = await testServer(t, settings(t.testdir()));
  const admin = new Admin(server);
  const answer = await admin.put('new.example', { origins: ['https://new.example'] });
  t.equal(answer.status, 201);
  const made = answer.body as Made;
  t.match(made, {
    domain: 'new.example',
    apikey: /^[\w-]{32}$/,
    fingerprint: /^[0-9a-f]{16}$/,
    tokenSecret: /^.{32,}$/,
  });
  t.equal(await statusOf(server, 'new.example', made.apikey), 200);
  const shown = await admin.get('new.example');
  t.match(shown.body, {
    domain: 'new.example',
    source: 'store',
    origins: ['https://new.example'],
    keys: [{ fingerprint: made.fingerprint, added: Number }],
    secrets: ['tokenSecret'],
  });
  t.notOk(shown.text.includes(made.apikey) || shown.text.includes(made.tokenSecret), 'secrets are not shown again');
  const arrived = await server.site(made).arrive('1');
  t.ok(arrived);
});

t.test('the calls about domains answer as their table says', async (t) => {
  const server = await testServer(t, settings(t.testdir()));
  const admin = new Admin(server);
  const { apikey, fingerprint, tokenSecret } = await admin.make('a.store', { limits: { messageBytes: 100 } });
  const same = (body: object) => ({ status: 'error', ...body });
  const table: readonly (readonly [string, string, unknown, number, object])[] = [
    ['GET', '/api/domains/nowhere', undefined, 404, same({ message: 'not found' })],
    ['PATCH', '/api/domains/nowhere', {}, 404, same({ message: 'not found' })],
    ['DELETE', '/api/domains/nowhere', undefined, 404, same({ message: 'not found' })],
    ['POST', '/api/domains/nowhere/keys', undefined, 404, same({ message: 'not found' })],
    ['PUT', `/api/domains/${siteA.domain}`, {}, 409, same({ detail: /configuration file/ })],
    ['PATCH', `/api/domains/${siteA.domain}`, {}, 409, same({ message: 'conflict' })],
    ['DELETE', `/api/domains/${siteA.domain}`, undefined, 409, same({ message: 'conflict' })],
    ['POST', `/api/domains/${siteA.domain}/keys`, undefined, 409, same({ message: 'conflict' })],
    ['PUT', '/api/domains/a%2Fb', {}, 400, same({ detail: /^domain: must be 1 to 256 bytes/ })],
    [
      'PUT',
      '/api/domains/b.store',
      { carbons: 1, limits: { x: 1 } },
      400,
      {
        errors: ['carbons: must be true or false', 'limits.x: is not a known key'],
      },
    ],
    ['PUT', '/api/domains/b.store', [], 400, same({ detail: 'the body must be a JSON object' })],
    ['PUT', '/api/domains/b.store', { domain: 'c.store' }, 400, { errors: ['domain: must be the one of the path'] }],
    ['PUT', '/api/domains/b.store', { apikey: '' }, 400, { detail: /^apikey: must not be empty/ }],
    [
      'PATCH',
      '/api/domains/a.store',
      { tokenSecret: 'short' },
      400,
      { detail: 'tokenSecret: must be at least 32 bytes' },
    ],
    ['PATCH', '/api/domains/a.store', { carbons: true }, 200, { domain: 'a.store' }],
    ['GET', '/api/domains/a.store', undefined, 200, { carbons: true, limits: { messageBytes: 100 } }],
    ['PATCH', '/api/domains/a.store', { limits: { queuePackets: 7 } }, 200, {}],
    ['GET', '/api/domains/a.store', undefined, 200, { limits: { messageBytes: 100, queuePackets: 7 } }],
    ['PATCH', '/api/domains/a.store', { limits: { messageBytes: null } }, 200, {}],
    ['GET', '/api/domains/a.store', undefined, 200, { limits: { queuePackets: 7 } }],
    ['DELETE', `/api/domains/a.store/keys/${fingerprint}`, undefined, 409, same({ detail: /last key/ })],
    ['DELETE', '/api/domains/a.store/keys/0000000000000000', undefined, 404, same({ detail: /no such key/ })],
    ['PUT', '/api/domains/a.store', { origins: ['https://a.store'] }, 200, { domain: 'a.store' }],
    ['GET', '/api/domains/a.store', undefined, 200, { carbons: false, limits: {}, secrets: ['tokenSecret'] }],
    ['DELETE', '/api/domains', undefined, 404, same({ message: 'not found' })],
  ];
  for (const [method, path, body, status, expected] of table) {
    const answer = await admin.ask(method, path, body);
    t.equal(answer.status, status, `${method} ${path} ${answer.text}`);
    t.match(answer.body, expected, `${method} ${path}`);
    t.notOk(answer.text.includes(apikey) || answer.text.includes(tokenSecret), 'no secret is shown');
  }
  t.equal(await statusOf(server, 'a.store', apikey), 200, 'its keys are kept where none are named');
  const plain = await admin.get('a.store');
  t.equal((await admin.put('a.store', plain.body)).status, 200, 'what is shown can be put back');
  t.strictSame((await admin.get('a.store')).body, plain.body);
  await admin.patch('a.store', { webhook: 'https://a.store/hook', services: { help: {} } });
  t.match((await admin.get('a.store')).body, { services: { help: {} } });
  t.notMatch(
    (await admin.get('a.store')).text,
    '"help":{"delivery',
    'a service shows nothing that it has from its domain',
  );
});

t.test('keys are rotated: a further one, then the old one goes and opens nothing any more', async (t) => {
  const server = await testServer(t, settings(t.testdir()));
  const admin = new Admin(server);
  const { apikey: old, fingerprint } = await admin.make('a.store');
  const added = await admin.addKey('a.store');
  t.equal(added.status, 201);
  const { apikey } = added.body as Made;
  for (const key of [old, apikey]) t.equal(await statusOf(server, 'a.store', key), 200);
  t.equal((await admin.removeKey('a.store', fingerprint)).status, 200);
  t.equal(await statusOf(server, 'a.store', old), 401);
  t.equal(await statusOf(server, 'a.store', apikey), 200);
  t.equal((await admin.patch('a.store', { apikey: ['first-key', 'second-key'] })).status, 200);
  t.equal(await statusOf(server, 'a.store', apikey), 401, 'named keys replace the others');
  for (const key of ['first-key', 'second-key']) t.equal(await statusOf(server, 'a.store', key), 200);
});

t.test('a backend that is connected by MQTT with a key that is taken away is ended, and no other', async (t) => {
  const server = await testServer(t, { ...settings(t.testdir()), mqtt: { port: -1 } });
  const admin = new Admin(server);
  const { domain, apikey: old, fingerprint } = await admin.make('a.store');
  const { apikey } = (await admin.addKey('a.store')).body as Made;
  const url = `mqtt://127.0.0.1:${server.mqttPort}`;
  const connect = (clientId: string, password: string) => {
    return client(t, url, {
      username: domain,
      password,
      clientId,
      clean: false,
      properties: { sessionExpiryInterval: 60 },
    });
  };
  const person = await server.site({ domain, apikey }).arrive('jack');
  const [taken, stays, ticket] = [
    await connect('taken', old),
    await connect('stays', apikey),
    await connect('phone', person.ticket),
  ];
  await taken.client.subscribeAsync('orders', { qos: 1 });
  const ended = new Promise<{ reasonCode?: number }>((resolve) => taken.client.once('disconnect', resolve));
  t.equal((await admin.removeKey('a.store', fingerprint)).status, 200);
  t.equal((await ended).reasonCode, 0x87);
  t.ok(stays.client.connected && ticket.client.connected);
  await stays.client.publishAsync('orders', 'one', { qos: 1 });
  t.equal(await (await connect('taken', apikey)).payload(), 'one', 'its session waits for who has another key');
});

t.test('domains are listed by name, page after page, and searched', async (t) => {
  const server = await testServer(t, { ...settings(t.testdir()), domains: [siteA] });
  const admin = new Admin(server);
  for (const name of ['c.store', 'b.store', 'd.other']) await admin.make(name);
  t.strictSame(await admin.names(), [siteA.domain, 'b.store', 'c.store', 'd.other']);
  t.strictSame(await admin.names('?search=STORE'), ['b.store', 'c.store']);
  const first = (await admin.ask('GET', '/api/domains?limit=2')).body as { next: string };
  t.equal(first.next, 'b.store');
  t.strictSame(await admin.names(`?limit=2&after=${first.next}`), ['c.store', 'd.other']);
  t.match((await admin.ask('GET', '/api/domains?after=c.store')).body, {
    domains: [{ domain: 'd.other', source: 'store', endpoints: 0, connections: 0, messagesPerSecond: 0, refused: 0 }],
    next: null,
  });
});

t.test(
  'who is connected to a domain that is removed is told that the ticket is unknown',
  { timeout: HANG_MS },
  async (t) => {
    const server = await testServer(t, settings(t.testdir()));
    const admin = new Admin(server);
    const made = await admin.make('a.store');
    const person = await server.site(made).arrive('1');
    const other = await server.site().arrive('1');
    t.equal((await admin.remove('a.store')).status, 200);
    t.match(await (person.client as WebSocketClient).closed, { code: 4404 });
    t.equal(await statusOf(server, 'a.store', made.apikey), 401);
    t.equal((await admin.get('a.store')).status, 404);
    t.notOk((await admin.names()).includes('a.store'));
    t.strictSame(await other.before(), [], 'another domain goes on');
  },
);

t.test('without a data folder no domain is made, and the answer says why', async (t) => {
  const server = await testServer(t, settings('none'));
  const answer = await new Admin(server).put('a.store');
  t.equal(answer.status, 409);
  t.match(answer.body, { detail: /data is "none"/ });
});

t.test('domains, their keys and what was removed are as they were after a restart', async (t) => {
  const data = t.testdir();
  const first = await testServer(t, settings(data));
  const admin = new Admin(first);
  const kept = await admin.make('kept.store', { origins: ['https://kept.store'] });
  const gone = await admin.make('gone.store');
  const added = (await admin.addKey('kept.store')).body as Made;
  await admin.removeKey('kept.store', kept.fingerprint);
  await admin.remove('gone.store');
  await first.close();
  const second = await testServer(t, settings(data));
  t.equal(await statusOf(second, 'kept.store', added.apikey), 200);
  t.equal(await statusOf(second, 'kept.store', kept.apikey), 401);
  t.equal(await statusOf(second, 'gone.store', gone.apikey), 401);
  t.match((await new Admin(second).get('kept.store')).body, { origins: ['https://kept.store'], keys: { length: 1 } });
  const entries = (await new Admin(second).ask('GET', '/api/audit')).body as { audit: { what: string }[] };
  t.strictSame(
    entries.audit.map(({ what }) => what),
    ['domain removed', 'key removed', 'key added', 'domain added', 'domain added'],
  );
});

t.test('a file that names a domain of the directory takes its place, until the file names it no more', async (t) => {
  const server = await testServer(t, settings(t.testdir()));
  const admin = new Admin(server);
  const { apikey } = await admin.make('a.store');
  server.reload({ domains: [siteA, { domain: 'a.store', apikey: 'of-the-file' }] });
  t.equal(await statusOf(server, 'a.store', 'of-the-file'), 200);
  t.equal(await statusOf(server, 'a.store', apikey), 401);
  t.equal((await admin.patch('a.store', {})).status, 409);
  server.reload({ domains: [siteA] });
  t.equal(await statusOf(server, 'a.store', apikey), 200);
});

t.test('what a removed domain kept is not there when a domain of its name is made again', async (t) => {
  const data = t.testdir();
  const server = await testServer(t, settings(data));
  const admin = new Admin(server);
  const offline = { offline: true };
  const first = await admin.make('a.store', offline);
  const person = await server.site(first).arrive('1');
  await person.offline();
  await server.site(first).push('2', '1', 'for nobody');
  await admin.remove('a.store');
  for (;;) {
    const answer = await admin.put('a.store', offline);
    if (answer.status === 409) continue;
    t.equal(answer.status, 201);
    const back = await server.site(answer.body as Made).arrive('1');
    t.strictSame(await back.before(), []);
    break;
  }
});

t.test('users and MQTT sessions of a domain that was made at run time are there again after a restart', async (t) => {
  const data = t.testdir();
  const all = { ...settings(data), mqtt: { port: -1 } };
  const first = await testServer(t, all);
  const made = await new Admin(first).make('a.store');
  await first.site(made).arrive('jack');
  const backend = {
    username: made.domain,
    password: made.apikey,
    clientId: 'backend',
    clean: false,
    protocolVersion: 4 as const,
  };
  const session = await client(t, `mqtt://127.0.0.1:${first.mqttPort}`, backend);
  await session.client.subscribeAsync('orders', { qos: 1 });
  await session.client.endAsync();
  await first.close();
  const second = await testServer(t, all);
  t.match(await second.site(made).presences('jack'), { jack: 'available' });
  const other = await client(t, `mqtt://127.0.0.1:${second.mqttPort}`, { ...backend, clientId: 'other' });
  await other.client.publishAsync('orders', 'one', { qos: 1 });
  const again = await client(t, `mqtt://127.0.0.1:${second.mqttPort}`, backend);
  t.equal(await again.payload(), 'one');
});
