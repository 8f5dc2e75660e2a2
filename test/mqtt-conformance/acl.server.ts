import t from 'tap';
import { ManualClock } from '../mqtt/support/clock.js';
import { expire, siteA, siteB, times } from '../support/server.js';
import { WebSocketClient } from '../support/websocket.js';
import { damaged, seeded } from './support/damage.js';
import { address, framed, login, mqttServer, open, present } from './support/login.js';
import * as wire from './support/wire.js';

const versions = [4, 5] as const;
const queue = (id: string): string => address('uid', id);

t.test('Bad credentials are refused, with the code of the version', async (t) => {
  const server = await mqttServer(t);
  const foreign = await server.site(siteB).online('eve');
  const gone = await server.site().online('gone');
  await server.site().offline(gone.ticket);
  const attempts: [what: string, password: string | undefined, domain?: string][] = [
    ['a wrong key', 'key-x'],
    ['the key of another domain', siteB.apikey],
    ['a ticket of another domain', foreign.ticket],
    ['a ticket that went offline', gone.ticket],
    ['a ticket that never was', 'uid:demo:0123456789abcdef0123456789abcdef'],
    ['half a ticket', gone.ticket.slice(0, -5)],
    ['an unknown domain', siteA.apikey, 'c.example'],
    ['no password', undefined],
    ['an empty password', ''],
    ['an empty domain', siteA.apikey, ''],
  ];
  for (const [what, password, domain = siteA.domain] of attempts) {
    for (const version of versions) {
      const codes = version === 5 ? [0x86, 0x87] : [4, 5];
      await t.resolves(present(server, password, { version, domain }).rejected(codes), `${what}, ${version}`);
    }
  }
  for (const version of versions) {
    const nobody = open(server, version).send(wire.connect(version, { clientId: 'a' }));
    await t.resolves(nobody.rejected(version === 5 ? [0x86, 0x87] : [4, 5]), `no user name, ${version}`);
  }
});

t.test('A ticket receives its packets on its queue, and room packets on the topic of the room', async (t) => {
  const server = await mqttServer(t);
  const site = server.site();
  for (const version of versions) {
    const { ticket } = await site.online('demo', { rooms: `r${version}` });
    const client = await login(server, ticket, { version });
    await site.push('7', 'demo', 'hello');
    t.match(await framed(client, queue('demo')), {
      kind: 'message',
      from: '7',
      to: 'demo',
      body: 'hello',
      type: 'chat',
    });
    const other = await site.online('other', { rooms: `r${version}` });
    const room = address('gid', `r${version}`);
    t.match(await framed(client, room), { kind: 'presence', from: 'other', type: 'grponline' });
    await site.say(other.ticket, `r${version}`, 'to all');
    t.match(await framed(client, room), { from: 'other', to: `r${version}`, body: 'to all', type: 'grpchat' });
    await site.status(other.ticket, 'demo', 'typing');
    t.match(await framed(client, queue('demo')), { kind: 'status', from: 'other', show: 'typing' });
    await site.offline(other.ticket);
    await site.offline(ticket);
  }
});

t.test('What waited while nobody was connected comes first, in its order', async (t) => {
  const server = await mqttServer(t);
  const { ticket } = await server.site().online('demo');
  for (const body of ['one', 'two', 'three']) await server.site().push('7', 'demo', body);
  const client = await login(server, ticket);
  const bodies: string[] = [];
  while (bodies.length < 3) {
    const { payload = '' } = await client.receive({ topic: queue('demo'), qos: 1 });
    bodies.push(...JSON.parse(payload).messages.map(({ body }: { body: string }) => body));
  }
  t.same(bodies, ['one', 'two', 'three']);
});

t.test('What was not acknowledged when the connection was lost comes again, to any transport', async (t) => {
  const server = await mqttServer(t);
  for (const version of versions) {
    const { ticket } = await server.site().online(`demo${version}`);
    const first = await login(server, ticket, { version });
    await server.site().push('7', `demo${version}`, 'held');
    await first.expect('publish', { qos: 1 });
    first.cut();
    const second = await login(server, ticket, { version });
    const { payload = '' } = await second.expect('publish', { qos: 1, topic: queue(`demo${version}`) });
    t.match(JSON.parse(payload), { messages: [{ body: 'held' }] });
    second.cut();
    const socket = await WebSocketClient.connect(server, ticket);
    t.match(await socket.next(), { body: 'held' });
  }
});

t.test('A ticket may subscribe to its own queue and rooms, and gets no second copy', async (t) => {
  const server = await mqttServer(t);
  const { ticket } = await server.site().online('demo', { rooms: 'r1' });
  for (const version of versions) {
    const client = await login(server, ticket, { version });
    await client.subscribe([
      { filter: queue('demo'), qos: 1 },
      { filter: address('gid', 'r1'), qos: 1 },
    ]);
    await server.site().push('7', 'demo', 'once');
    await framed(client, queue('demo'));
    await server.site().push('7', 'r1', 'once', { type: 'grpchat' });
    await framed(client, address('gid', 'r1'));
    await server.site().push('7', 'demo', 'marker');
    t.match(await framed(client, queue('demo')), { body: 'marker' });
    await client.unsubscribe(queue('demo'));
    await server.site().push('7', 'demo', 'still');
    t.match(await framed(client, queue('demo')), { body: 'still' });
  }
});

t.test('Any other filter of a ticket is refused', async (t) => {
  const server = await mqttServer(t);
  const { ticket } = await server.site().online('demo');
  const filters = [
    '#',
    '+',
    'free/topic',
    queue('other'),
    queue('+'),
    address('gid', 'r1'),
    address('gid', '#'),
    `/domain/${siteA.domain}/#`,
    queue('demo').replace(siteA.domain, siteB.domain),
    `$share/g/${queue('other')}`,
    '$SYS/#',
  ];
  for (const version of versions) {
    const client = await login(server, ticket, { version });
    for (const filter of filters) {
      client.send(wire.subscribe(version, 9, [{ filter }]));
      const suback = await client.expect('suback');
      t.same(suback.codes, [version === 5 ? 0x87 : 0x80], `${filter}, ${version}`);
    }
  }
});

t.test('A ticket publishes to users, visitors, rooms and services as itself', async (t) => {
  const server = await mqttServer(t);
  const site = server.site();
  for (const version of versions) {
    const room = `r${version}`;
    const me = await site.online('me', { rooms: room, nick: 'Mine' });
    const client = await login(server, me.ticket, { version });
    const receivers = [
      { name: `you${version}`, node: 'uid', id: `you${version}`, to: `you${version}`, type: 'chat' },
      { name: `vid:v${version}`, node: 'vid', id: `v${version}`, to: `vid:v${version}`, type: 'chat' },
      { name: `sid:s${version}`, node: 'sid', id: `s${version}`, to: `sid:s${version}`, type: 'chat' },
      { name: `member${version}`, node: 'gid', id: room, to: room, type: 'grpchat' },
    ];
    for (const { name, node, id, to, type } of receivers) {
      const them = await site.arrive(name, node === 'gid' ? { rooms: room } : {});
      if (node === 'gid') await framed(client, address('gid', room));
      const json = JSON.stringify({ body: 'json', from: 'forged', nick: 'N', style: 's', timestamp: '12' });
      await client.publish(address(node, id), json, { qos: 1 });
      await client.publish(address(node, id), 'plain {text', { qos: 2 });
      const from = { kind: 'message', from: 'me', to, type };
      t.match(await them.next(), { ...from, body: 'json', nick: 'N', style: 's', timestamp: '12' });
      t.match(await them.next(), { ...from, body: 'plain {text', nick: 'Mine', style: '' });
    }
    await site.offline(me.ticket);
  }
});

t.test('What a ticket may not publish is refused: acknowledged and dropped, or with its reason code', async (t) => {
  const server = await mqttServer(t);
  const site = server.site();
  const you = await site.arrive('you');
  const { ticket } = await site.online('me');
  const rows: [what: string, topic: string, payload: string | Buffer, code: number][] = [
    ['no body', queue('you'), '{"nick":"a"}', 0x99],
    ['an empty body', queue('you'), '{"body":""}', 0x99],
    ['bytes that are no text', queue('you'), wire.hex('61c328'), 0x99],
    ['a body over its limit', queue('you'), 'x'.repeat(8193), 0x97],
    ['a body over its limit in JSON', queue('you'), JSON.stringify({ body: 'x'.repeat(8193) }), 0x97],
    ['a room it is not in', address('gid', 'elsewhere'), 'x', 0x87],
    ['a free topic', 'free/topic', 'x', 0x87],
    ['another domain', queue('you').replace(siteA.domain, siteB.domain), 'x', 0x87],
  ];
  for (const version of versions) {
    const client = await login(server, ticket, { version });
    for (const [what, topic, payload, code] of rows) {
      for (const qos of [1, 2]) {
        client.send(wire.publish(version, topic, payload, { qos, id: 5 }));
        const answer = await client.expect(qos === 1 ? 'puback' : 'pubrec', { id: 5 });
        if (version === 5) t.same(answer.codes, [code], `${what}, QoS ${qos}`);
        if (version === 4 && qos === 2) await client.send(wire.pubrel(5)).expect('pubcomp', { id: 5 });
      }
    }
    client.send(wire.publish(version, queue('you'), '{"body":"all","type":"broadcast"}', { qos: 1, id: 6 }));
    const broadcast = await client.expect('puback', { id: 6 });
    if (version === 5) t.ok((broadcast.codes?.[0] ?? 0) >= 0x80, 'a broadcast');
    await client.publish(queue('you'), 'good', { qos: 2, id: 5 });
    t.match(await you.next(), { body: 'good', from: 'me' });
  }
});

t.test('The will of a ticket is a message of its own, under the same rules', async (t) => {
  const server = await mqttServer(t);
  const you = await server.site().arrive('you');
  const { ticket } = await server.site().online('me');
  for (const version of versions) {
    const wills = [
      { topic: address('gid', 'elsewhere'), payload: 'not in the room' },
      { topic: 'free/topic', payload: 'free' },
      { topic: queue('you'), payload: '{"body":"gone","from":"forged"}' },
    ];
    for (const will of wills) (await login(server, ticket, { version, will: { ...will, retain: true } })).cut();
    t.match(await you.next(), { kind: 'message', from: 'me', to: 'you', body: 'gone' });
  }
  t.same(await you.before(), []);
});

t.test('Retain on an address is ignored', async (t) => {
  const server = await mqttServer(t);
  const you = await server.site().arrive('you');
  const { ticket } = await server.site().online('me');
  await (await login(server, ticket)).publish(queue('you'), 'kept?', { qos: 1, retain: true });
  await you.next();
  const backend = await login(server, siteA.apikey);
  await backend.publish(queue('you'), '{"from":"7","body":"pushed"}', { qos: 1, retain: true });
  await you.next();
  await backend.subscribe({ filter: queue('you'), qos: 1 });
  await backend.quiet();
});

t.test('A connection takes the place of the older transport, of whatever kind', async (t) => {
  const server = await mqttServer(t);
  const { ticket } = await server.site().online('me');
  const older = await login(server, ticket, { clientId: 'one' });
  const newer = await login(server, ticket, { clientId: 'two' });
  await older.refused(0x8e);
  const socket = await WebSocketClient.connect(server, ticket);
  await newer.refused(0x8e);
  const last = await login(server, ticket, { version: 4 });
  t.equal((await socket.closed).code, 4409);
  await server.site().push('7', 'me', 'here');
  t.match(await framed(last, queue('me')), { body: 'here' });
});

t.test('OFFLINE ends the connection of its ticket, with 0x98 in 5.0', async (t) => {
  const server = await mqttServer(t);
  for (const version of versions) {
    const { ticket } = await server.site().online('me');
    const client = await login(server, ticket, { version });
    await server.site().offline(ticket);
    await client.refused(0x98);
    await present(server, ticket, { version }).rejected(version === 5 ? [0x86, 0x87] : [4, 5]);
  }
});

t.test('A draining server tells 5.0 so with 0x8B, and closes', async (t) => {
  const server = await mqttServer(t);
  const { ticket } = await server.site().online('me');
  const clients = [
    await login(server, ticket),
    await login(server, siteA.apikey),
    await login(server, siteA.apikey, { version: 4 }),
  ];
  const drained = server.drain();
  for (const client of clients) await client.refused(0x8b);
  await drained;
});

t.test('A connection keeps its client online; DISCONNECT and a lost connection start the idle time', async (t) => {
  const clock = new ManualClock();
  const server = await mqttServer(t, { presence: times }, clock);
  for (const [at, end] of (['disconnect', 'cut'] as const).entries()) {
    const watcher = await server.site().arrive(`watcher${at}`, { buddies: `me${at}` });
    const { ticket } = await server.site().online(`me${at}`);
    const client = await login(server, ticket);
    t.match(await watcher.next(), { type: 'online', from: `me${at}` });
    const other = await server.site().online(`other${at}`, { buddies: `watcher${at}` });
    t.match(await watcher.next(), { type: 'online', from: `other${at}` });
    await expire(server, clock);
    t.match(await watcher.next(), { type: 'offline', from: `other${at}` });
    t.ok(other.success);
    await client.quiet();
    if (end === 'cut') client.cut();
    else await client.disconnect();
    await server.settledWhile(() => server.metrics.connections.mqtt > 0);
    await expire(server, clock);
    t.match(await watcher.next(), { type: 'offline', from: `me${at}` });
  }
});

t.test('Damaged packets of a ticket end its connection, and disturb nobody else', async (t) => {
  const server = await mqttServer(t);
  const [you, me] = [await server.site().arrive('you'), await server.site().online('me')];
  const random = seeded(31);
  const stream = Buffer.concat([
    wire.subscribe(5, 1, [{ filter: queue('me'), qos: 1 }]),
    wire.publish(5, queue('me'), '{"body":"to myself"}', { qos: 1, id: 2 }),
    wire.publish(5, queue('me'), 'and again', { qos: 2, id: 3, properties: { contentType: 't' } }),
    wire.pubrel(3),
    wire.puback(1),
    wire.unsubscribe(5, 4, queue('me')),
    wire.disconnect(),
  ]);
  for (let round = 0; round < 300; round++) {
    const client = await login(server, me.ticket);
    const bytes = damaged(stream, random);
    client.finish(bytes);
    await client.rest().catch((error: Error) => t.fail(`${bytes.toString('hex')}: ${error.message}`));
  }
  const other = await server.site().online('other');
  await (await login(server, other.ticket)).publish(queue('you'), 'still here', { qos: 1 });
  t.match(await you.next(), { from: 'other', body: 'still here' });
});

t.test('A domain without clientSend refuses what its tickets publish', async (t) => {
  const server = await mqttServer(t, { domains: [{ ...siteA, clientSend: [] }] });
  const you = await server.site().arrive('you');
  const { ticket } = await server.site().online('me');
  for (const version of versions) {
    const client = await login(server, ticket, { version });
    client.send(wire.publish(version, queue('you'), 'x', { qos: 1, id: 4 }));
    const puback = await client.expect('puback', { id: 4 });
    if (version === 5) t.same(puback.codes, [0x87]);
  }
  t.same(await you.before(), []);
});
