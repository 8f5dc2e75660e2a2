/** Who is in a room, on which nodes, and how many of them count. */
import t from 'tap';
import type { Address } from '../src/actors/address.js';
import type { RemoteNode } from '../src/actors/cluster.js';
import { Memory } from '../src/actors/memory.js';
import { sizeOf } from '../src/actors/small-set.js';
import { Tracker } from '../src/actors/tracker.js';
import { Metrics } from '../src/metrics.js';
import { atOnce } from '../src/slices.js';
import { Hearers } from './support/hearers.js';

const names = ['ada', 'bob'].map((id) => `/domain/a.example/uid/${id}` as Address);
const rooms = ['red', 'blue'].map((id) => `/domain/a.example/gid/${id}` as Address);
const join = { type: 'join' } as const;
const machine: RemoteNode = { name: 'n2', up: true, isWorker: false, lostAt: 0 };

function world() {
  const hearers = new Hearers();
  const metrics = new Metrics().domain('a.example');
  const memory = new Memory(metrics, () => ({ bytesPerDomain: 0 }));
  return { hearers, metrics, tracker: new Tracker(hearers, hearers, memory, metrics) };
}

t.test('the tracker knows of each room which members are here and which nodes have members', async (t) => {
  const { tracker, hearers } = world();
  const [ada, bob] = names as [Address, Address];
  const [red] = rooms as [Address];
  const profile = { nick: 'X', show: 'available', status: '' } as const;
  tracker.update(tracker.record(ada), profile, [red], [], join);
  tracker.up(bob, machine, hearers.stamp(), { ...profile, stamp: 1, shown: 1 }, [[red, 1]]);
  const room = tracker.rooms.get(red);
  t.same([sizeOf(room?.here ?? []), sizeOf(room?.elsewhere ?? []), room?.nodes?.get(machine)], [1, 1, 1]);
  atOnce(tracker.hide(machine));
  t.equal(tracker.rooms.size(red), 1, 'a node that is not heard of has no members');
  tracker.goOffline(tracker.record(ada));
  atOnce(tracker.drop(machine));
  t.equal(
    tracker.rooms.get(red),
    undefined,
    'a room without members is forgotten, also when its last ones were hidden',
  );
});

t.test('a room whose members are all away is no room to others, and has what is said there kept', async (t) => {
  const { tracker, metrics } = world();
  const [ada] = names as [Address];
  const [red] = rooms as [Address];
  const record = tracker.record(ada);
  tracker.update(record, { nick: 'Ada', show: 'available', status: '' }, [red], [], join);
  t.equal(metrics.rooms, 1);
  tracker.setAway(record, true);
  t.strictSame([metrics.rooms, tracker.rooms.size(red), [...tracker.rooms.members(red)]], [0, 0, []]);
  t.equal(sizeOf(tracker.rooms.get(red)?.here ?? []), 1);
  tracker.setAway(record, false);
  t.strictSame([metrics.rooms, tracker.rooms.size(red), [...tracker.rooms.members(red)]], [1, 1, [record]]);
  tracker.setAway(record, true);
  tracker.goOffline(record);
  t.equal(tracker.rooms.get(red), undefined);
});
