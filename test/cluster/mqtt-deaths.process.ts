/** A node of a cluster is killed: MQTT sessions go on at other nodes, those of tickets and those of a site's backends. PROTOCOL.md section 20. */
import type { IPublishPacket, IPubrelPacket } from 'mqtt-packet';
import t from 'tap';
import { client } from '../mqtt/support/clients.js';
import type { ConnectOptions } from '../mqtt/support/device.js';
import { WireClient } from '../mqtt/support/wire.js';
import { askAdmin, clusterMetric } from '../support/admin.js';
import { KeptNode } from '../support/kept-node.js';
import { written } from '../support/kept-writes.js';
import { jetStreamServer } from '../support/nats.js';
import { skipWithout } from '../support/programs.js';
import { type Cleaner, siteA } from '../support/server.js';
import { until } from '../support/until.js';

const skip = skipWithout('nats-server');
const settings = { domains: [{ ...siteA, durability: 'always' }], presence: { graceMs: 60_000, clientIdleMs: 60_000 } };

/** Connects as often as the node says that it comes too early. */
async function comeBack(
  t: Cleaner,
  node: KeptNode,
  id: string,
  more: ConnectOptions = {},
): Promise<[WireClient, boolean]> {
  return until(`${id} let in`, async () => {
    try {
      const [found, { reasonCode, sessionPresent }] = await WireClient.connect(node.mqttPort, id, more);
      t.teardown(() => found.close());
      return reasonCode === 0 && ([found, sessionPresent] as [WireClient, boolean]);
    } catch {
      return false;
    }
  });
}

const ack = { reasonCode: 0 } as const;

t.test(
  'a ticket’s session goes on where its client comes to: no publication of QoS 2 goes out twice, what was not acknowledged comes again, and there is no will',
  { skip },
  async (t) => {
    const nats = await jetStreamServer(t);
    const [n1, n2] = await Promise.all([
      KeptNode.start(t, nats, 'n1', settings),
      KeptNode.start(t, nats, 'n2', settings),
    ]);
    const anna = await n2.site().arrive('anna');
    const { ticket } = await n1.site().online('jack');
    const address = (id: string) => `/domain/${siteA.domain}/uid/${id}`;
    const will = { topic: address('anna'), payload: Buffer.from('jack is gone'), qos: 1, retain: false } as const;
    const login = { password: Buffer.from(ticket), will };
    const [before] = await comeBack(t, n1, 'phone', login);
    before.send({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic: address('jack'), qos: 1 }] });
    await before.next('suback');
    const question = { qos: 2, messageId: 7 } as const;
    before.publish(address('anna'), 'once', question);
    await before.next('pubrec');
    t.hasStrict(await anna.next(), { body: 'once' });
    await n2.site().push('carl', 'jack', 'in flight');
    t.match(((await before.next('publish')) as IPublishPacket).payload.toString(), 'in flight');
    await written(nats, [n1]);
    await n1.kill();
    const [after, isPresent] = await comeBack(t, n2, 'phone', login);
    t.ok(isPresent, 'the session is there');
    t.match((await after.take()).text, 'in flight');
    after.publish(address('anna'), 'once', { ...question, dup: true });
    await after.next('pubrec');
    after.send({ cmd: 'pubrel', messageId: 7, ...ack });
    await after.next('pubcomp');
    await n2.site().push('carl', 'jack', 'after');
    t.match((await after.take()).text, 'after', 'without another SUBSCRIBE');
    t.strictSame(await anna.before(), [], 'nothing came twice, and no will');
    after.close();
    t.hasStrict(await anna.next(), { body: 'jack is gone' }, 'the will of the connection that is lost now');
  },
);

t.test(
  'a backend’s session that outlives its connection outlives its node: what was in flight, what waited, its subscriptions, shared ones too',
  { skip },
  async (t) => {
    const nats = await jetStreamServer(t);
    const start = (name: string) => KeptNode.start(t, nats, name, settings);
    const [n1, n2, n3] = await Promise.all([start('n1'), start('n2'), start('n3')]);
    const { client: publisher } = await client(t, `mqtt://127.0.0.1:${n2.mqttPort}`, { clientId: 'publisher' });
    const say = (topic: string, text: string, qos: 1 | 2 = 1) => publisher.publishAsync(topic, text, { qos });
    const other = await client(t, `mqtt://127.0.0.1:${n2.mqttPort}`, { clientId: 'other' });
    await other.client.subscribeAsync(['up/#', '$share/group/work'], { qos: 1 });
    const [before, wasPresent] = await comeBack(t, n1, 'backend');
    t.notOk(wasPresent);
    const subscriptions = [
      { topic: 'jobs/#', qos: 2 },
      { topic: '$share/group/work', qos: 1 },
    ] as const;
    before.send({ cmd: 'subscribe', messageId: 1, subscriptions: [...subscriptions] });
    await before.next('suback');
    before.publish('up/one', 'up once', { qos: 2, messageId: 9 });
    await before.next('pubrec');
    t.equal(await other.payload(), 'up once');
    await say('jobs/a', 'released', 2);
    const released = (await before.next('publish')) as IPublishPacket;
    before.send({ cmd: 'pubrec', messageId: released.messageId ?? 0, ...ack });
    await before.next('pubrel');
    await say('jobs/b', 'sent');
    const sent = (await before.next('publish')) as IPublishPacket;
    before.close();
    for (const text of ['waits 1', 'waits 2']) await say('jobs/c', text);
    await written(nats, [n1]);
    await n1.kill();
    const adopted = async (): Promise<number> =>
      (await clusterMetric(n2, 'sessions_adopted_total')) + (await clusterMetric(n3, 'sessions_adopted_total'));
    await until('a node that has the session', async () => (await adopted()) === 1);
    await say('jobs/d', 'while nobody came');
    await say('work', 'for who is there');
    t.equal(await other.payload(), 'for who is there');
    // Two of its processes come to two nodes at once: one of them has the session.
    const both = await Promise.all([comeBack(t, n2, 'backend'), comeBack(t, n3, 'backend')]);
    t.strictSame(
      both.map(([, isPresent]) => isPresent),
      [true, true],
    );
    const ended = await until('one that had to go', () => both.find(([one]) => one.isEnded));
    const [after] = both.find((one) => one !== ended) as [WireClient, boolean];
    t.equal(((await after.next('pubrel')) as IPubrelPacket).messageId, released.messageId);
    t.strictSame(await after.take(), { text: 'sent', id: sent.messageId, dup: true });
    const texts: string[] = [];
    while (texts.at(-1) !== 'while nobody came') texts.push((await after.take()).text);
    t.strictSame(texts, ['waits 1', 'waits 2', 'while nobody came']);
    after.publish('up/one', 'up once', { qos: 2, messageId: 9, dup: true });
    await after.next('pubrec');
    after.send({ cmd: 'pubrel', messageId: 9, ...ack });
    await after.next('pubcomp');
    const shared: string[] = [];
    for (const text of ['work 1', 'work 2', 'work 3', 'work 4']) await say('work', text);
    while (shared.length < 2) shared.push((await after.take()).text);
    t.strictSame([...shared, await other.payload(), await other.payload()].sort(), [
      'work 1',
      'work 2',
      'work 3',
      'work 4',
    ]);
    t.strictSame(other.rest, [], 'what was sent twice with QoS 2 went on once');
    after.send({ cmd: 'pubcomp', messageId: released.messageId ?? 0, ...ack });
    after.send({ cmd: 'pingreq' });
    await after.next('pingresp');
    after.close();
    await say('jobs/e', 'over all');
    await written(nats, [n2, n3]);
    await Promise.all([n2.kill(), n3.kill()]);
    const [last, isPresent] = await comeBack(t, await start('n4'), 'backend');
    t.ok(isPresent, 'also when all nodes were killed');
    t.equal((await last.take()).text, 'over all');
    last.send({ cmd: 'disconnect', reasonCode: 0, properties: { sessionExpiryInterval: 0 } });
  },
);

t.test(
  'what is deleted before a node has taken over a backend’s session of a killed node does not come to the backend',
  { skip },
  async (t) => {
    const nats = await jetStreamServer(t);
    const keeping = { ...settings, domains: [{ ...siteA, durability: 'always', history: {} }] };
    const n1 = await KeptNode.start(t, nats, 'n1', keeping);
    const [before] = await comeBack(t, n1, 'watcher');
    const topic = `/domain/${siteA.domain}/uid/+`;
    before.send({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic, qos: 1 }] });
    await before.next('suback');
    before.close();
    const site = n1.site();
    for (const id of ['one', 'two']) await site.push('bob', 'anna', id, { id });
    await site.push('jack', 'anna', 'of a conversation');
    await written(nats, [n1]);
    await n1.kill();
    // It looks for what other nodes have left only after two leases.
    const n2 = await KeptNode.start(t, nats, 'n2', keeping);
    const query = { domain: siteA.domain, name: 'jack', with: 'anna' };
    t.match(await n2.site().send({ method: 'DELETE', path: '/v5/history', query }), { status: 200 });
    t.match(await n2.site().post('/v5/statuses', { name: 'bob', to: 'anna', show: 'deleted one' }), { status: 200 });
    await until('both taken out', async () => {
      const { text } = await askAdmin(n2, '/metrics');
      return text.includes('\nnextalk_packets_dropped_total{reason="deleted"} 2\n');
    });
    const [after, isPresent] = await comeBack(t, n2, 'watcher');
    t.ok(isPresent);
    await n2.site().push('bob', 'anna', 'last');
    const bodies: string[] = [];
    while (bodies.at(-1) !== 'last') bodies.push(JSON.parse((await after.take()).text).messages?.[0]?.body);
    t.strictSame(bodies, ['two', 'last']);
    after.send({ cmd: 'disconnect', reasonCode: 0, properties: { sessionExpiryInterval: 0 } });
  },
);
