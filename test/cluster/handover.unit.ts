/** Which packets wait while the part of an endpoint that they go through moves from node to node, and for what. */
import t from 'tap';
import type { Address } from '../../src/actors/address.js';
import {
  Handover,
  MANY_WAYS,
  MAX_ASKING,
  MAX_WAITING,
  MAX_WAITING_BYTES,
  ON_ITS_WAY_MS,
} from '../../src/cluster/handover.js';
import { Peer } from '../../src/cluster/peer.js';

/** Longer than the lease by which a silent node is lost. */
const LEASE_MS = 5000;

const address = '/domain/a.example/uid/ada' as Address;

type Done = (answer: unknown) => void;

/** A handover whose calls the test answers. */
function single() {
  const calls: {
    readonly to: string;
    readonly kind: string;
    readonly fields: readonly unknown[];
    readonly ms: number;
    done: Done;
  }[] = [];
  const peers = new Map(['n2', 'n3'].map((name) => [name, new Peer(name, 1, 0, false)]));
  const state: { now: number; movesTo: Peer | null } = { now: 0, movesTo: null };
  const call = ({ name: to }: Peer, kind: string, fields: readonly unknown[], ms: number, done: Done) =>
    void calls.push({ to, kind, fields, ms, done });
  const handover = new Handover({
    domain: 'a.example',
    node: {
      name: 'n1',
      rpc: { call },
      mesh: { peers },
      leaving: { movesTo: () => state.movesTo, whenPassedOn: (_address, done) => done() },
    },
    now: () => state.now,
    actor: () => null,
    peersOf: () => [],
  });
  const [second, third] = [...peers.values()] as [Peer, Peer];
  return { handover, calls, state, second, third };
}

const never = (): void => undefined;

t.test('the node of the old way is asked to pass everything on to the new one', async (t) => {
  const { handover, calls, second, third } = single();
  t.equal(handover.mustWait(address, second, 1, never), false);
  let released = 0;
  t.equal(
    handover.mustWait(address, third, 1, () => (released += 1)),
    true,
  );
  t.match(calls, [{ to: 'n2', kind: 'pass', fields: ['a.example', address, 'n3'] }]);
  t.equal(released, 0);
  calls[0]?.done(null);
  t.equal(released, 1, 'also where nobody has answered');
  t.equal(handover.mustWait(address, third, 1, never), false);
});

t.test(
  'a node that forwards what it has for an endpoint has passed it on when the node that it goes to has',
  async (t) => {
    const { handover, calls, state, second } = single();
    state.movesTo = second;
    let isDone = false;
    handover.pass(address, 'n3', () => {
      isDone = true;
    });
    const sent = calls.map(({ to, kind, fields }) => [to, kind, ...fields]);
    t.strictSame(sent, [
      ['n3', 'arrived'],
      ['n2', 'pass', 'a.example', address, 'n3'],
    ]);
    calls[0]?.done(true);
    t.notOk(isDone);
    calls[1]?.done(true);
    t.ok(isDone);
  },
);

t.test('a node that is slow, and not lost, is waited for', async (t) => {
  const { handover, calls, second, third } = single();
  handover.mustWait(address, second, 1, never);
  handover.mustWait(address, third, 1, never);
  t.ok(Number(calls[0]?.ms) > LEASE_MS, 'until it is lost, which ends all calls to it');
});

t.test('where the oldest part has moved, the first packet of a node that has sent nothing there waits', async (t) => {
  const { handover, calls, second, third } = single();
  handover.moved(address, second);
  let released = 0;
  const again = () => {
    released += 1;
  };
  t.equal(handover.mustWait(address, third, 1, again), true);
  t.match(calls, [{ to: 'n2', kind: 'pass', fields: ['a.example', address, 'n3'] }]);
  calls[0]?.done(true);
  t.equal(released, 1);
  t.equal(handover.mustWait(address, third, 1, again), false);
});

t.test('where it has moved twice, both nodes pass on what they had', async (t) => {
  const { handover, calls, second, third } = single();
  handover.moved(address, second);
  handover.moved(address, third);
  let released = 0;
  const again = () => {
    released += 1;
  };
  t.equal(handover.mustWait(address, null, 1, again), true);
  const asked: string[] = [];
  for (let call = calls.shift(); call; call = calls.shift()) {
    t.equal(released, 0);
    asked.push(call.to);
    call.done(true);
  }
  t.strictSame(asked, ['n3', 'n2', 'n3', 'n2'], 'packets may have gone from each of them to the other');
  t.equal(released, 1);
});

t.test('a move of long ago, or from a node that is lost, lets nothing wait', async (t) => {
  const { handover, calls, state, second, third } = single();
  handover.moved(address, second);
  state.now += ON_ITS_WAY_MS;
  t.equal(handover.mustWait(address, third, 1, never), false);
  handover.moved(address, second);
  second.up = false;
  t.equal(handover.mustWait(address, third, 1, never), false);
  t.equal(calls.length, 0);
});

t.test('nothing waits where nothing can be on its way by the old one', async (t) => {
  const { handover, calls, state, second, third } = single();
  t.equal(handover.mustWait(address, second, 1, never), false);
  state.now += ON_ITS_WAY_MS;
  t.equal(handover.mustWait(address, third, 1, never), false, 'the last packet is long ago');
  third.up = false;
  t.equal(handover.mustWait(address, second, 1, never), false, 'the node has gone');
  t.equal(calls.length, 0);
});

t.test('packets beyond the bound go at once instead of waiting', async (t) => {
  const { handover, second, third } = single();
  handover.mustWait(address, second, 1, never);
  for (let waiting = 0; waiting < MAX_WAITING; waiting += 1) handover.mustWait(address, third, 1, never);
  t.equal(handover.mustWait(address, third, 1, never), false);
});

t.test('so do those beyond the bound of bytes, however few they are', async (t) => {
  const { handover, second, third } = single();
  handover.mustWait(address, second, 1, never);
  t.equal(handover.mustWait(address, third, MAX_WAITING_BYTES - 1, never), true);
  t.equal(handover.mustWait(address, third, 1, never), true);
  t.equal(handover.mustWait(address, third, 1, never), false);
});

t.test('packets that wait are not lost where there are too many of them and the oldest part moves again', async (t) => {
  const { handover, calls, second, third } = single();
  let released = 0;
  const again = () => {
    released += 1;
  };
  handover.mustWait(address, second, 1, never);
  for (let waiting = 0; waiting < MAX_WAITING; waiting += 1) handover.mustWait(address, third, 1, again);
  t.equal(handover.mustWait(address, null, 1, again), false, 'goes at once');
  for (const { done } of calls) done(null);
  t.equal(released, MAX_WAITING);
});

t.test('ways of long ago are forgotten when there are many', async (t) => {
  const { handover, state, second } = single();
  const way = (n: number) => handover.mustWait(`/domain/a.example/uid/u${n}` as Address, second, 1, never);
  for (let n = 1; n < MANY_WAYS; n += 1) way(n);
  state.now += ON_ITS_WAY_MS + 1;
  way(0);
  t.equal(handover.size, 1);
});

t.test('a way of long ago is remembered where the endpoint has moved since', async (t) => {
  const { handover, state, second, third } = single();
  const way = (n: number) => handover.mustWait(`/domain/a.example/uid/u${n}` as Address, second, 1, never);
  handover.mustWait(address, second, 1, never);
  state.now += ON_ITS_WAY_MS + 1;
  handover.moved(address, third);
  for (let n = 1; n < MANY_WAYS; n += 1) way(n);
  t.equal(handover.mustWait(address, second, 1, never), true);
});

t.test(
  'who asks whether packets wait is answered when they have gone, also where they have to wait again',
  async (t) => {
    const { handover, calls, second, third } = single();
    const told: string[] = [];
    const ask = (name: string) => handover.whenNoneWaits([`${address}2` as Address, address], () => told.push(name));
    ask('nothing was sent');
    handover.mustWait(address, second, 1, never);
    ask('nothing waits');
    t.strictSame(told, ['nothing was sent', 'nothing waits']);
    const again = () => void handover.mustWait(address, second, 1, () => told.push('packet'));
    handover.mustWait(address, third, 1, again);
    ask('one waits');
    calls[0]?.done(null);
    t.equal(told.length, 2, 'the endpoint has moved once more');
    calls[1]?.done(null);
    t.strictSame(told.slice(2), ['packet', 'one waits']);
  },
);

t.test(
  'who asks whether packets wait takes no room from packets, and of too many the last are answered at once',
  async (t) => {
    const { handover, calls, second, third } = single();
    let told = 0;
    const ask = () =>
      handover.whenNoneWaits([address], () => {
        told += 1;
      });
    handover.mustWait(address, second, 1, never);
    handover.mustWait(address, third, 1, () => undefined);
    for (let asked = 0; asked < MAX_ASKING; asked += 1) ask();
    t.equal(told, 0);
    ask();
    t.equal(told, 1, 'one too many');
    t.equal(
      handover.mustWait(address, third, 1, () => undefined),
      true,
      'a packet has room',
    );
    for (const { done } of calls) done(null);
    t.equal(told, MAX_ASKING + 1);
  },
);
