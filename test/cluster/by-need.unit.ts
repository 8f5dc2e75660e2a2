/** In which order a node that ends takes its endpoints. */
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { type Address, parseTarget, type Target } from '../../src/actors/address.js';
import { Packet } from '../../src/actors/packet.js';
import { byNeed } from '../../src/cluster/by-need.js';
import type { ClusteredDomain } from '../../src/cluster/domain.js';
import { own, TestBroker, testMachine } from '../mqtt/support/broker.js';
import { ManualClock } from '../mqtt/support/clock.js';
import { turn } from '../mqtt/support/device.js';
import type { Cleaner } from '../support/server.js';

const name = own.domain;
const targetOf = (user: string) => parseTarget(name, user) as Target;

function packet(kind: 'message' | 'presence', to: Address): Packet {
  const fields = { id: '1', from: 'bob', to: 'x', nick: 'Bob', timestamp: '1', type: 'chat', body: 'hi', style: '' };
  const presence = { from: 'bob', to: 'x', nick: 'Bob', show: 'away', status: '', type: 'show' };
  return new Packet(kind as 'message', (kind === 'message' ? fields : presence) as never, to, null);
}

/** Users whose clients are not connected; a message waits for the last one, presences for those before. */
async function setUp(t: Cleaner, presences: number) {
  const { host, domain } = testMachine(t, {}, new ManualClock());
  const broker = new TestBroker({} as never, host.context, host.context.domains as never);
  const users = [...Array.from({ length: presences }, (_, n) => `user${n}`), 'idle', 'ada'];
  for (const user of users) await broker.online(user);
  const give = (user: string, kind: 'message' | 'presence'): void => {
    const target = targetOf(user);
    domain.endpoint(target).tell({ kind: 'deliver', packet: packet(kind, target.address), only: null });
  };
  for (const user of users.slice(0, presences)) give(user, 'presence');
  give('ada', 'message');
  await turn();
  const cluster = { domain, tracker: domain.tracker } as unknown as ClusteredDomain;
  return { domain, cluster };
}

t.test('who has a message that waits comes before very many for whom only presences wait', async (t) => {
  const { cluster } = await setUp(t, 50);
  const order = (await byNeed([cluster], new Map())).map(({ address }) => address);
  t.strictSame(order.slice(0, 2), [targetOf('ada').address, targetOf('idle').address]);
  t.equal(order.length, 52);
});

t.test('who has a message that waits comes first, however late an endpoint says so on a busy machine', async (t) => {
  const { domain, cluster } = await setUp(t, 5);
  const actor = domain.tracker.actor(targetOf('ada').address);
  if (!actor) return t.fail('it is there');
  const tell = actor.tell.bind(actor);
  let ask: () => void = () => undefined;
  const asked = new Promise<void>((resolve) => {
    Object.assign(actor, {
      tell: (message: Parameters<typeof tell>[0]) => {
        ask = () => tell(message);
        resolve();
      },
    });
  });
  const found = byNeed([cluster], new Map());
  await asked;
  await sleep(300);
  ask();
  t.equal((await found)[0]?.address, targetOf('ada').address);
});

t.test('an endpoint that has ended as it is asked is not waited for', async (t) => {
  const { domain, cluster } = await setUp(t, 1);
  const found = byNeed([cluster], new Map());
  domain.tracker.actor(targetOf('user0').address)?.stop();
  t.equal((await found).length, 3);
});

t.test('an endpoint that has said what waits in it is not asked again, and one that has come since is', async (t) => {
  const { domain, cluster } = await setUp(t, 3);
  const known = new Map();
  const before = await byNeed([cluster], known);
  known.delete(targetOf('ada').address);
  const asked: Address[] = [];
  for (const { actor, address } of [...domain.tracker.here()]) {
    const tell = actor.tell.bind(actor);
    Object.assign(actor, {
      tell: (message: Parameters<typeof tell>[0]) => {
        asked.push(address);
        tell(message);
      },
    });
  }
  t.strictSame(await byNeed([cluster], known), before);
  t.strictSame(asked, [targetOf('ada').address]);
});
