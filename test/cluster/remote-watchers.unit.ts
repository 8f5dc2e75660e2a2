/** Whom endpoints of other nodes list here, and who hears of them. */
import t from 'tap';
import type { Address } from '../../src/actors/address.js';
import { Memory } from '../../src/actors/memory.js';
import { Tracker } from '../../src/actors/tracker.js';
import { RemoteWatchers } from '../../src/cluster/remote-watchers.js';
import { Metrics } from '../../src/metrics.js';
import { Hearers } from '../support/hearers.js';

const address = (id: string): Address => `/domain/a.example/uid/${id}` as Address;
const [ada, bob, cyd, dan] = [address('ada'), address('bob'), address('cyd'), address('dan')];
const profile = { nick: '', show: 'available', status: '' } as const;

function nodeOfThis() {
  const hearers = new Hearers();
  const metrics = new Metrics().domain('a.example');
  const tracker = new Tracker(hearers, hearers, new Memory(metrics, () => ({ bytesPerDomain: 0 })), metrics);
  const comes = (who: Address, buddies: readonly Address[]): void => {
    const record = tracker.record(who);
    tracker.watch(record, buddies);
    tracker.update(record, profile, [], [], { type: 'grponline' });
  };
  return { tracker, comes, watchers: new RemoteWatchers({ tracker }) };
}

t.test('who lists an endpoint elsewhere is not kept a second time where that one lists it too', async (t) => {
  const { tracker, comes, watchers } = nodeOfThis();
  comes(bob, [ada]);
  comes(cyd, [dan]);
  watchers.told(ada, [bob]);
  t.same([...watchers.by(ada)], []);
  watchers.told(ada, [bob, cyd]);
  t.same([...watchers.by(ada)], [cyd], 'one that does not list it');
  t.same(
    [...tracker.watchers(ada)].map((record) => record.address),
    [bob],
  );
  watchers.told(ada, [dan]);
  t.same([...watchers.by(ada)], [cyd, dan], 'one that is not there yet');
  watchers.forget(ada);
  t.same([...watchers.by(ada)], []);
});

t.test('who comes online again and lists nobody any more is kept as soon as it is told of anew', async (t) => {
  const { tracker, comes, watchers } = nodeOfThis();
  comes(bob, [ada]);
  watchers.told(ada, [bob]);
  tracker.goOffline(tracker.record(bob));
  comes(bob, []);
  watchers.told(ada, [bob]);
  t.same([...watchers.by(ada)], [bob]);
});

t.test('who lists an endpoint hears of it before and after the endpoint is known here', async (t) => {
  const { tracker, comes } = nodeOfThis();
  const listing = (): Address[] => [...tracker.watchers(ada)].map((record) => record.address);
  comes(bob, [ada]);
  t.same(listing(), [bob], 'nobody has told anything of the listed one');
  comes(ada, []);
  comes(cyd, [ada]);
  t.same(listing(), [bob, cyd]);
  tracker.goOffline(tracker.record(ada));
  t.notOk(tracker.records.has(ada), 'its record is forgotten');
  t.same(listing(), [bob, cyd], 'and who lists it is not');
  tracker.goOffline(tracker.record(bob));
  comes(ada, []);
  tracker.goOffline(tracker.record(cyd));
  t.same(listing(), []);
});

t.test('what endpoints list that never come is bounded', async (t) => {
  const { watchers } = nodeOfThis();
  watchers.told(ada, [bob]);
  for (let n = 0; n < 10_000; n += 1) watchers.told(address(`never${n}`), [bob]);
  t.same(watchers.takeListed(ada), [], 'forgotten');
  t.same(watchers.takeListed(address('never9999')), [bob]);
});
