/** The ports are open at once at the start; who comes before all has been read waits, and is served then: PROTOCOL.md section 20. */
import { once } from 'node:events';
import t from 'tap';
import { WebSocket } from 'ws';
import { type Clock, systemClock } from '../src/clock.js';
import { startServer } from '../src/server.js';
import { openStore } from '../src/store/open.js';
import type { Store } from '../src/store/store.js';
import { client as mqttClient } from './mqtt/support/clients.js';
import { ManualClock } from './mqtt/support/clock.js';
import { CountingPoll } from './support/counting.js';
import { exchange } from './support/http.js';
import { freePort } from './support/ports.js';
import { type Cleaner, configOf, siteA, testServer } from './support/server.js';

/** A server that waits for the test before it reads its folder. */
async function starting(t: Cleaner, data: string, clock: Clock = systemClock) {
  const [port, mqttPort, adminPort] = [await freePort(), await freePort(), await freePort()];
  const config = configOf({ data, port, mqtt: { port: mqttPort }, admin: { port: adminPort } });
  let go = (): void => undefined;
  const asked = new Promise<void>((resolve) => {
    go = resolve;
  });
  let begun = (): void => undefined;
  const listening = new Promise<void>((resolve) => {
    begun = resolve;
  });
  const open: typeof openStore = async (...args) => {
    const store = (await openStore(...args)) as Store;
    const flush = store.flush.bind(store);
    // The server's last step before it serves anybody.
    store.flush = async () => {
      begun();
      await asked;
      return flush();
    };
    return store;
  };
  const started = startServer(config, clock, null, open);
  t.teardown(async () => (await started).close());
  await listening;
  return { port, mqttPort, adminPort, go, started };
}

t.test('clients and calls that come while the server reads what it goes on from wait for it', async (t) => {
  const data = t.testdir();
  const before = await testServer(t, { data });
  const { ticket } = await before.site().online('jack', { rooms: 'lobby' });
  await before.site().push('anna', 'jack', 'one');
  await before.close();
  const server = await starting(t, data);
  const readyz = () => exchange(server.adminPort, { path: '/readyz' }).answer;
  const refused = await readyz();
  t.equal(refused.status, 503);
  t.match(refused.text, 'reads what it goes on from');
  const query = { domain: siteA.domain, ticket };
  const answers = [
    exchange(server.port, { path: '/v5/presences', query: { ids: 'jack' }, auth: siteA }).answer,
    exchange(server.port, {
      method: 'POST',
      path: '/v5/messages',
      form: { from: 'anna', to: 'jack', body: 'two' },
      auth: siteA,
    }).answer,
    exchange(server.port, { method: 'POST', path: '/v5/packets', query, json: { call: 'received', position: '0' } })
      .answer,
  ];
  const aborted = exchange(server.port, { path: '/v5/packets', query });
  await aborted.sent;
  const socket = new WebSocket(`ws://127.0.0.1:${server.port}/v5/wsocket`);
  t.teardown(() => socket.terminate());
  const texts: string[] = [];
  const heard = new Promise<void>((resolve) => {
    socket.on('message', (data) => {
      texts.push(data.toString());
      if (texts.join('').includes('two')) resolve();
    });
  });
  await new Promise((resolve) => socket.once('open', resolve));
  socket.send(`resume ${siteA.domain} 0 ${ticket}`);
  const backend = mqttClient(t, `mqtt://127.0.0.1:${server.mqttPort}`, {
    username: siteA.domain,
    password: siteA.apikey,
  });
  const events = exchange(server.port, { path: '/v5/events', query: { ...query, ticket: 'uid:jack:00' } }).answer;
  for (let i = 0; i < 3; i++) t.equal((await readyz()).status, 503);
  aborted.abort();
  t.strictSame(texts, []);
  server.go();
  await server.started;
  const [presences, message, received] = await Promise.all(answers);
  t.match(presences?.body, { jack: 'available' });
  t.match([message?.status, received?.status], [200, 200]);
  t.equal((await events).status, 404, 'an unknown ticket is known to be unknown only now');
  t.equal((await backend).connack?.returnCode ?? 0, 0);
  await heard;
  t.match(texts[0], /"status":"ok","position":/);
  t.match(texts.join(''), /one.*two/s);
  t.equal((await readyz()).status, 200);
});

t.test('a socket that has named its ticket is not late, however long the server reads', async (t) => {
  const data = t.testdir();
  const before = await testServer(t, { data });
  const { ticket } = await before.site().online('jack');
  await before.close();
  const clock = new ManualClock();
  const server = await starting(t, data, clock);
  const open = async (): Promise<WebSocket> => {
    const socket = new WebSocket(`ws://127.0.0.1:${server.port}/v5/wsocket`);
    t.teardown(() => socket.terminate());
    await once(socket, 'open');
    return socket;
  };
  const [named, silent] = [await open(), await open()];
  const answer = Promise.race([once(named, 'message'), once(named, 'close')]);
  named.send(`resume ${siteA.domain} 0 ${ticket}`);
  for (let i = 0; i < 3; i++) await exchange(server.adminPort, { path: '/readyz' }).answer;
  const closed = once(silent, 'close');
  clock.advance(10_000);
  t.equal((await closed)[0], 4408);
  server.go();
  await server.started;
  t.match(String((await answer)[0]), /"status":"ok","position":/);
});

t.test('a server that cannot start leaves what it goes on from as it was', async (t) => {
  const data = t.testdir();
  const before = await testServer(t, { data });
  const { ticket } = await before.site().online('jack');
  await before.site().push('anna', 'jack', 'one');
  const { port } = await testServer(t);
  await before.close();
  await t.rejects(startServer(configOf({ data, port })), { code: 'EADDRINUSE' });
  const after = await testServer(t, { data });
  const client = after.own(new CountingPoll(after.port, ticket));
  await client.connect();
  await client.has(1);
  t.strictSame(client.bodies, ['one']);
});
