/** A session that another node hands over: publications that are deleted while they wait for their forwarded copies. */
import t from 'tap';
import { parseTarget, type Target } from '../../src/actors/address.js';
import type { ClusterSessions } from '../../src/actors/cluster.js';
import { type Deletion, deleteWaiting } from '../../src/actors/deletions.js';
import { dispatch } from '../../src/actors/dispatch.js';
import type { Domain } from '../../src/actors/domain.js';
import { answerForget } from '../../src/actors/forgetting.js';
import { complete, type Outgoing } from '../../src/actors/packet.js';
import { seldom } from '../../src/seldom.js';
import type { Cleaner } from '../support/server.js';
import { own, testMachine } from './support/broker.js';
import { payloads, TestDevice, turn } from './support/device.js';

const jack = parseTarget(own.domain, 'jack') as Target;
const anna = parseTarget(own.domain, 'anna') as Target;
const subscription = { qos: 1, noLocal: false, retainAsPublished: false, identifier: 0, owed: false };

/** A session that watches Jack's address and has just come here, and what its client is sent when the move is over. */
async function setUp(t: Parameters<typeof testMachine>[0]) {
  const { host, domain } = testMachine(t);
  await new TestDevice(host).connect('another');
  const { mover } = domain.cluster.sessions;
  const subscriptions = [{ ...subscription, filter: jack.address }];
  const adopt = async (clientId: string): Promise<void> => {
    const moved = { clientId, expiryS: 60, received: [], items: [], subscriptions };
    await new Promise((done) => mover?.adopt(moved, done));
    await turn();
  };
  await adopt('backend');
  const say = (fields: object, kind: 'message' | 'status'): void => {
    const outgoing = { target: jack, acceptedAt: 0, kind, fields: { from: '', to: 'jack', nick: '', ...fields } };
    const packet = complete(outgoing as unknown as Outgoing, 'anna', 'anna', jack.address, anna.address);
    dispatch(domain, packet, jack);
  };
  const write = (id: string): void => say({ type: 'chat', timestamp: '1', body: id, style: '', id }, 'message');
  const remove = (id: string): void => say({ show: `deleted ${id}`, status: '' }, 'status');
  const end = async (): Promise<readonly string[]> => {
    mover?.passed('backend');
    const device = new TestDevice(host);
    const options = { clean: false, properties: { sessionExpiryInterval: 60, receiveMaximum: 100 } };
    return payloads([...(await device.connect('backend', options)), ...(await device.received())]);
  };
  return { host, domain, mover, adopt, write, remove, end };
}

/** Has lost nodes' sessions as a test says, where there may be some. Domains of a single node share what stands in for them. */
function withLost(t: Cleaner, { cluster }: Domain, more: Partial<ClusterSessions>): void {
  const { sessions } = cluster;
  const before = { ...sessions };
  t.teardown(() => Object.assign(sessions, before));
  Object.assign(sessions, { mayBeLeft: true, ...more });
}

t.test('a message that is deleted by its sender meanwhile is not sent to the client', async (t) => {
  const { write, remove, end } = await setUp(t);
  for (const id of ['one', 'two']) write(id);
  await turn();
  remove('one');
  await turn();
  const texts = await end();
  t.match(texts, [/"body":"two"/]);
  t.equal(texts.length, 1, 'neither the message nor word of its end');
});

t.test('nor one of a conversation that is deleted as a whole, also when its forwarded copy comes', async (t) => {
  const { domain, mover, adopt, write, end } = await setUp(t);
  await adopt('second');
  const forwarded: unknown[] = [];
  mover?.handOver(
    'second',
    (item) => void forwarded.push(item),
    () => undefined,
  );
  for (const id of ['one', 'two']) write(id);
  await turn();
  t.equal(forwarded.length, 2);
  const deletion = { user: 'anna', other: 'jack', isOfRoom: false, id: null, bySite: true };
  await new Promise<boolean>((done) => deleteWaiting(domain, deletion, done));
  t.equal(domain.metrics.dropped.deleted, 2);
  for (const item of forwarded) mover?.forwarded('backend', item);
  write('three');
  await turn();
  const texts = await end();
  t.match(texts, [/"body":"three"/]);
  t.equal(texts.length, 1);
});

t.test(
  'nor one that is deleted before this node has taken the session over, when the status that tells of it cannot come',
  async (t) => {
    const { domain, write, end } = await setUp(t);
    for (const id of ['one', 'two', 'three']) write(id);
    await turn();
    const forget = (id: string, isLate: boolean): Promise<unknown> =>
      new Promise((done) => answerForget(domain, [null, anna.address, jack.address, id, false, isLate], done));
    await forget('one', true);
    await forget('two', false);
    await turn();
    t.equal(domain.metrics.dropped.deleted, 1, 'the second is left to the status');
    t.match(await end(), [/"body":"two"/, /"body":"three"/]);
  },
);

t.test(
  'a message that is deleted is looked for in sessions of lost nodes, and then in those that are here',
  async (t) => {
    const { domain, write, remove } = await setUp(t);
    const calls: string[] = [];
    withLost(t, domain, {
      deleteLeft: ({ id }, done) => {
        calls.push(`left ${id}`);
        done(true);
      },
      whenTaken: (done) => {
        calls.push('taken over');
        done(true);
      },
    });
    domain.onDeleted.add(({ id, isLate }) => void calls.push(`here ${id} ${isLate}`));
    write('one');
    remove('one');
    await turn();
    t.strictSame(calls, ['left one', 'taken over', 'here one true']);
  },
);

t.test(
  'a deletion that sessions of lost nodes may not have had, as JetStream does not answer, is logged',
  async (t) => {
    const { domain, write, remove } = await setUp(t);
    withLost(t, domain, {
      deleteLeft: (_deletion, done) => done(false),
    });
    const warned = t.capture(seldom, 'warn');
    write('one');
    remove('one');
    await turn();
    const given = warned().filter(({ args: [key] }) => key === `deletion given up ${domain.name}`);
    t.match(
      given.map(({ args }) => args[1]),
      [{ event: 'deletion given up', domain: domain.name }],
    );
  },
);

t.test('a deletion that cannot wait for sessions which are being taken over, as too many do, is counted', async (t) => {
  const { domain, write, remove } = await setUp(t);
  withLost(t, domain, {
    deleteLeft: (_deletion, done) => done(true),
    whenTaken: (done) => done(false),
  });
  t.capture(seldom, 'warn');
  write('one');
  remove('one');
  await turn();
  t.equal(domain.runtime.metrics.cluster.deletionsGivenUp, 1);
  const answers: boolean[] = [];
  const deletion = { user: 'anna', other: 'jack', isOfRoom: false, id: null, bySite: true };
  deleteWaiting(domain, deletion, (isDone) => void answers.push(isDone));
  t.strictSame(answers, [false], 'and one of a conversation is refused');
});

t.test('what waits for the site is looked through once for a deletion, whatever lost nodes have left', async (t) => {
  const { domain, write, remove } = await setUp(t);
  withLost(t, domain, {
    deleteLeft: (_deletion, done) => done(true),
  });
  const looked: string[] = [];
  domain.webhooks.add({ delete: ({ id }: Deletion) => void looked.push(String(id)) } as never);
  write('one');
  remove('one');
  await turn();
  t.strictSame(looked, ['one']);
});

t.test('of a session that is taken over from a lost node a damaged publication costs itself alone', async (t) => {
  const { mover, host } = await setUp(t);
  const state = JSON.stringify({ expiryS: 60, lostAt: null, received: [], inFlight: [] });
  const item = (body: string): string => {
    const payload = Buffer.from(body).toString('base64');
    return JSON.stringify([['news', 1, 0, null, payload, ''], 1, false, [], 0]);
  };
  const fresh = [item('one'), '{"no": "JSON', 'null', '[["news",1],1,false,[],0]', item('two')].map(
    (text, at) => [at + 1, text] as const,
  );
  const restore = (kept: object): Promise<unknown> =>
    new Promise((done) => mover?.restore('lost', { state, subscriptions: null, fresh, ...kept }, done));
  for (const damage of [{ state: '{"no": "JSON' }, { state: 'null' }, { subscriptions: '[7]' }]) {
    t.equal(await restore(damage), null, 'and what is damaged of the session itself costs that');
  }
  t.equal(await restore({}), true);
  const device = new TestDevice(host);
  const options = { clean: false, properties: { sessionExpiryInterval: 60, receiveMaximum: 100 } };
  const packets = [...(await device.connect('lost', options)), ...(await device.received())];
  t.strictSame(payloads(packets), ['one', 'two']);
});
