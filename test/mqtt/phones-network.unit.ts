/**
 * Phones on a network that cuts connections anywhere, also within a packet: a phone has by MQTT what was accepted, in order;
 * what comes again has an id that it knows.
 */
import { parser } from 'mqtt-packet';
import t from 'tap';
import { dice } from '../support/dice.js';
import { type FakeNetwork, type Frame, fakeNetwork, HOUR } from '../support/fake-network.js';
import { own } from './support/broker.js';
import { TestDevice, turn } from './support/device.js';

const RUNS = 250;
const STEPS = 60;

/** A phone whose session outlives its connections. */
class Phone {
  readonly bodies: number[] = [];
  readonly #ids = new Set<string>();
  again = 0;
  device: TestDevice | null = null;
  #parser = parser({ protocolVersion: 5 });
  /** What it has not acknowledged yet, in order. */
  #owed: number[] = [];
  #taken = 0;

  constructor(
    private readonly world: FakeNetwork,
    private readonly ticket: string,
  ) {}

  connect(): void {
    const device = new TestDevice(this.world.host);
    this.device = device;
    this.#taken = 0;
    this.#owed = [];
    this.#parser = parser({ protocolVersion: 5 });
    this.#parser.on('packet', (packet) => {
      if (packet.cmd !== 'publish') return;
      this.#owed.push(packet.messageId ?? 0);
      const frame = JSON.parse(packet.payload.toString()) as Frame;
      for (const { body, id } of frame.messages ?? []) {
        if (this.#ids.has(id)) {
          this.again += 1;
          if (!packet.dup) throw new Error(`${body} comes again and does not say so`);
        } else this.bodies.push(Number(body));
        this.#ids.add(id);
      }
    });
    const login = { username: own.domain, password: Buffer.from(this.ticket) };
    device.send({
      ...{ cmd: 'connect', protocolId: 'MQTT', protocolVersion: 5, clientId: 'phone', clean: false, keepalive: 0 },
      ...{ properties: { sessionExpiryInterval: 600, receiveMaximum: 4 }, ...login },
    });
  }

  /** So many more bytes reach it; null: all. */
  read(roll: ((sides: number) => number) | null): void {
    const { device } = this;
    if (!device) return;
    const written = Buffer.concat(device.wire.written);
    const rest = written.subarray(this.#taken);
    const part = roll ? rest.subarray(0, roll(rest.length + 1)) : rest;
    this.#taken += part.length;
    if (part.length > 0) this.#parser.parse(part);
  }

  acknowledge(count: number): void {
    for (const messageId of this.#owed.splice(0, count)) this.device?.send({ cmd: 'puback', messageId });
  }

  lose(): void {
    this.device?.connection.lost();
    this.device = null;
  }

  step(roll: (sides: number) => number): void {
    switch (roll(7)) {
      case 0:
        return this.connect();
      case 1:
        return this.device ? this.lose() : this.connect();
      case 2:
      case 3:
        return this.read(roll);
      case 4:
        return this.read(null);
      default:
        return this.acknowledge(1 + roll(3));
    }
  }
}

async function phoneRun(world: FakeNetwork, seed: number) {
  const { broker, domain } = world;
  const roll = dice(seed);
  const name = `phone-${seed}`;
  const ticket = await broker.online(name);
  const phone = new Phone(world, ticket);
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
