/** Who waits for the ends of takeovers of endpoints. */
import t from 'tap';
import type { Address } from '../../src/actors/address.js';
import { MOST_WAITING, MOST_WAITING_IN_ALL, Takeovers } from '../../src/cluster/takeovers.js';

const addressOf = (user: number): Address => `/domain/a.example/uid/u${user}` as Address;

/** So many takeovers, with as many waiting for each as the second number says; counts those that have been told. */
function setUp(endpoints: number, waiters: number) {
  const takeovers = new Takeovers();
  const told = { later: 0, over: 0 };
  const wait = (user: number): boolean =>
    takeovers.wait(addressOf(user), (isLater) => {
      if (isLater) told.later += 1;
      else told.over += 1;
    });
  for (let user = 0; user < endpoints; user++) {
    takeovers.begin(addressOf(user));
    for (let n = 0; n < waiters; n++) wait(user);
  }
  return { takeovers, told, wait };
}

t.test('nobody waits for a takeover that is not under way', (t) => {
  const { wait } = setUp(0, 0);
  t.equal(wait(1), false);
  t.end();
});

t.test('the number of those that wait has a bound for one takeover, and one for all', (t) => {
  const endpoints = MOST_WAITING_IN_ALL / MOST_WAITING;
  const { takeovers, told, wait } = setUp(endpoints + 1, MOST_WAITING);
  t.equal(wait(0), false, 'too many for one');
  t.equal(wait(endpoints), false, 'too many for all');
  takeovers.end(addressOf(0), false);
  t.equal(told.over, MOST_WAITING);
  t.equal(wait(endpoints), true, 'there is room again');
  takeovers.end(addressOf(1), true);
  t.equal(told.later, MOST_WAITING);
  t.end();
});

t.test('where the first that waited begins the takeover anew, the others wait for its end', (t) => {
  const { takeovers, told } = setUp(0, 0);
  const address = addressOf(1);
  takeovers.begin(address);
  takeovers.wait(address, () => takeovers.begin(address));
  takeovers.wait(address, () => void told.over++);
  takeovers.end(address, false);
  t.equal(told.over, 0);
  takeovers.end(address, false);
  t.equal(told.over, 1);
  t.end();
});
