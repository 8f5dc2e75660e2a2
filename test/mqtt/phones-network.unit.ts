/**
 * Phones on a network that cuts connections anywhere, also within a packet: a phone has by MQTT what was accepted, in order;
 * what comes again has an id that it knows.
 */
import t from 'tap';
import { dice } from '../support/dice.js';
import { type FakeNetwork, fakeNetwork, HOUR } from '../support/fake-network.js';
import { turn } from './support/device.js';
import { Phone } from './support/phone.js';

const RUNS = 250;
const STEPS = 60;

async function phoneRun(world: FakeNetwork, seed: number) {
  const { broker, domain } = world;
  const roll = dice(seed);
  const name = `phone-${seed}`;
  const ticket = await broker.online(name);
  const phone = new Phone(world.host, ticket);
  const droppedBefore = domain.metrics.dropped.queueOverflow;
  let accepted = 0;
  phone.connect();
  for (let step = 0; step < STEPS; step++) {
    if (roll(3) === 0) {
      accepted += 1;
      broker.push('tom', name, String(accepted));
    } else phone.step(roll);
    if (roll(2) === 0) await turn();
  }
  phone.connect();
  for (let turns = 0; turns < 12; turns++) {
    await turn();
    phone.read(null);
    phone.acknowledge(100);
  }
  const dropped = domain.metrics.dropped.queueOverflow - droppedBefore;
  const gone = accepted - phone.bodies.length;
  if (phone.bodies.some((body, i) => body <= (phone.bodies[i - 1] ?? 0))) throw new Error(`has had ${phone.bodies}`);
  if (gone > dropped) throw new Error(`${gone} of ${accepted} are gone, and ${dropped} were dropped`);
  await turn();
  phone.lose();
  await broker.offline(ticket);
  await turn();
  return { bodies: phone.bodies.length, again: phone.again, gone };
}

for (const queuePackets of [0, 5]) {
  const what =
    queuePackets === 0 ? 'have every message in order' : 'with queues that overflow lose no more than is counted';
  t.test(`${RUNS} phones whose connections are cut anywhere ${what}`, async (t) => {
    const world = fakeNetwork(t, queuePackets);
    const sum = { bodies: 0, again: 0, gone: 0 };
    for (let seed = 1; seed <= RUNS; seed++) {
      try {
        const { bodies, again, gone } = await phoneRun(world, seed);
        sum.bodies += bodies;
        sum.again += again;
        sum.gone += gone;
      } catch (error) {
        t.equal(`seed ${seed}: ${(error as Error).message}`, '');
        return;
      }
    }
    t.ok(sum.bodies > 5 * RUNS && sum.again > RUNS, JSON.stringify(sum));
    t.equal(sum.gone > 0, queuePackets > 0, JSON.stringify(sum));
    // What overflowed in a client's queue waits for the endpoint's next client, and for the grace at most.
    world.clock.advance(2 * HOUR);
    await turn();
    const { queuedPackets, queuedBytes, unconfirmedPackets } = world.domain.metrics;
    t.strictSame([queuedPackets, queuedBytes, unconfirmedPackets], [0, 0, 0]);
  });
}
