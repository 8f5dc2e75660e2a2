import t from 'tap';
import { siteA, siteB } from '../support/server.js';
import { address, framed, login, mqttServer, open } from './support/login.js';
import * as wire from './support/wire.js';

const versions = [4, 5] as const;
const queue = (id: string): string => address('uid', id);

t.test('An API key publishes to an address as a push, with the sender in its JSON', async (t) => {
  const server = await mqttServer(t);
  const you = await server.site().arrive('you', { rooms: 'r1' });
  for (const version of versions) {
    const backend = await login(server, siteA.apikey, { version });
    await backend.publish(queue('you'), '{"from":"7","body":"pushed","nick":"Seven"}', { qos: 1 });
    t.match(await you.next(), { from: '7', to: 'you', body: 'pushed', nick: 'Seven', type: 'chat' });
    await backend.publish(address('gid', 'r1'), '{"from":"7","body":"to the room"}', { qos: 2 });
    t.match(await you.next(), { from: '7', to: 'r1', body: 'to the room', type: 'grpchat' });
  }
});

t.test('A push without a sender, a body or a text is refused', async (t) => {
  const server = await mqttServer(t);
  const you = await server.site().arrive('you');
  const rows: [payload: string | Buffer, code: number][] = [
    ['{"body":"no sender"}', 0x99],
    ['{"from":"7"}', 0x99],
    ['plain text', 0x99],
    ['', 0x99],
    [wire.hex('ff00'), 0x99],
    [JSON.stringify({ from: '7', body: 'x'.repeat(8193) }), 0x97],
  ];
  for (const version of versions) {
    const backend = await login(server, siteA.apikey, { version });
    for (const [payload, code] of rows) {
      backend.send(wire.publish(version, queue('you'), payload, { qos: 1, id: 3 }));
      const puback = await backend.expect('puback', { id: 3 });
      if (version === 5) t.same(puback.codes, [code], `${payload}`.slice(0, 40));
    }
  }
  t.same(await you.before(), []);
});

t.test(
  'A watcher sees one frame for each packet to an endpoint or a room, however many clients receive it',
  async (t) => {
    const server = await mqttServer(t);
    const site = server.site();
    for (const version of versions) {
      const watcher = await login(server, siteA.apikey, { version });
      await watcher.subscribe({ filter: `/domain/${siteA.domain}/+/#`, qos: 2 });
      const people = [
        await site.arrive('you', { rooms: `r${version}` }),
        await site.arrive('you', { rooms: `r${version}` }),
        await site.arrive('them', { rooms: `r${version}` }),
      ];
      t.match(await framed(watcher, address('gid', `r${version}`)), {
        kind: 'presence',
        from: 'you',
        type: 'grponline',
      });
      t.match(await framed(watcher, address('gid', `r${version}`)), {
        kind: 'presence',
        from: 'them',
        type: 'grponline',
      });
      await site.push('7', 'you', 'once');
      t.match(await framed(watcher, queue('you')), { kind: 'message', from: '7', to: 'you', body: 'once' });
      await site.push('7', `r${version}`, 'to all', { type: 'grpchat' });
      t.match(await framed(watcher, address('gid', `r${version}`)), { to: `r${version}`, body: 'to all' });
      await watcher.quiet();
      await watcher.disconnect();
      for (const person of people) await person.offline();
    }
  },
);

t.test('A watcher of one room sees that room alone', async (t) => {
  const server = await mqttServer(t);
  const site = server.site();
  await site.arrive('you', { rooms: 'r1,r2' });
  const watcher = await login(server, siteA.apikey);
  await watcher.subscribe({ filter: address('gid', 'r2'), qos: 1 });
  for (const room of ['r1', 'r2']) await site.push('7', room, `in ${room}`, { type: 'grpchat' });
  t.match(await framed(watcher, address('gid', 'r2')), { body: 'in r2' });
  await watcher.quiet();
});

t.test('An API key may not reach into another domain', async (t) => {
  const server = await mqttServer(t);
  const stranger = await server.site(siteB).arrive('eve');
  const foreign = `/domain/${siteB.domain}`;
  for (const version of versions) {
    const backend = await login(server, siteA.apikey, { version });
    backend.send(wire.publish(version, `${foreign}/uid/eve`, '{"from":"7","body":"x"}', { qos: 1, id: 3 }));
    const puback = await backend.expect('puback', { id: 3 });
    if (version === 5) t.same(puback.codes, [0x87]);
    for (const filter of [`${foreign}/#`, `${foreign}/uid/+`, `${foreign}/uid/eve`]) {
      backend.send(wire.subscribe(version, 4, [{ filter }]));
      t.same((await backend.expect('suback')).codes, [version === 5 ? 0x87 : 0x80], filter);
    }
  }
  t.same(await stranger.before(), []);
});

t.test('Free topics, retained messages and wildcards stay within their domain', async (t) => {
  const server = await mqttServer(t);
  const other = await login(server, siteB.apikey, { domain: siteB.domain });
  await other.publish('sensors/1/temp', 'foreign kept', { qos: 1, retain: true });
  const own = await login(server, siteA.apikey);
  const filters = ['#', 'sensors/+/temp', '+/+/+', '/domain/#', '/+/+/+/+', '$share/g/sensors/#'];
  for (const filter of filters) own.send(wire.subscribe(5, 1, [{ filter, qos: 1 }]));
  for (const filter of filters) t.same((await own.expect('suback')).codes, [1], filter);
  await own.quiet();
  await other.publish('sensors/1/temp', 'foreign', { qos: 1 });
  await server.site(siteB).arrive('eve', { rooms: 'r1' });
  await server.site(siteB).push('7', 'eve', 'foreign');
  await own.quiet();
  const mine = await login(server, siteA.apikey);
  await mine.publish('sensors/1/temp', 'mine', { qos: 1 });
  await own.receive({ payload: 'mine' });
});

t.test('Sessions belong to domain, identity and client identifier together', async (t) => {
  const server = await mqttServer(t);
  const { ticket } = await server.site().online('demo');
  const properties = { sessionExpiry: 1000 };
  const kept = { clientId: 'same', clean: false, properties };
  const backend = await login(server, siteA.apikey, kept);
  await backend.subscribe({ filter: 'free', qos: 1 });
  const logins: [password: string, domain: string][] = [
    [siteB.apikey, siteB.domain],
    [ticket, siteA.domain],
  ];
  for (const [password, domain] of logins) {
    const client = await login(server, password, { ...kept, domain });
    await client.quiet();
  }
  await backend.quiet();
  await (await login(server, siteA.apikey)).publish('free', 'x', { qos: 1 });
  await backend.receive({ topic: 'free', payload: 'x' });
});

t.test('Tickets of two endpoints with one client identifier do not disturb each other', async (t) => {
  const server = await mqttServer(t);
  const first = await login(server, (await server.site().online('one')).ticket, { clientId: 'phone' });
  const second = await login(server, (await server.site().online('two')).ticket, { clientId: 'phone' });
  await first.publish(queue('two'), 'hi', { qos: 1 });
  t.match(await framed(second, queue('two')), { from: 'one', body: 'hi' });
  await first.quiet();
});

t.test('The will of an API key is a push, or a message on a free topic', async (t) => {
  const server = await mqttServer(t);
  const you = await server.site().arrive('you');
  const reader = await login(server, siteA.apikey);
  await reader.subscribe({ filter: 'last/words', qos: 1 });
  const push = { topic: queue('you'), payload: '{"from":"7","body":"gone"}' };
  (await login(server, siteA.apikey, { will: push })).cut();
  t.match(await you.next(), { from: '7', body: 'gone' });
  (await login(server, siteA.apikey, { will: { topic: 'last/words', payload: 'bye', qos: 1 } })).cut();
  await reader.receive({ payload: 'bye' });
});

t.test('Without an anonymous domain nobody connects without credentials, with one they are its backend', async (t) => {
  const strict = open(await mqttServer(t), 4);
  await strict.send(wire.connect(4, { clientId: 'a' })).rejected([4, 5]);
  const server = await mqttServer(t, { mqtt: { port: -1, anonymousDomain: siteB.domain } });
  const you = await server.site(siteB).arrive('you');
  const nobody = open(server, 4);
  await nobody.connect({ clientId: 'a' });
  await nobody.publish(address('uid', 'you', siteB.domain), '{"from":"7","body":"hi"}', { qos: 1 });
  t.match(await you.next(), { from: '7', body: 'hi' });
});
