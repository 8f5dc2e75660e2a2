/** SUBACK promises a subscription: one of a session that is kept is on disk before. */
import type { ISubscribePacket } from 'mqtt-packet';
import t from 'tap';
import { systemClock } from '../../src/clock.js';
import type { Store, Table } from '../../src/store/store.js';
import { testMachine } from './support/broker.js';
import { TestDevice, turn } from './support/device.js';

/** A disk that writes when it is told to. */
class SlowDisk implements Store {
  isFull = false;
  #waiting: (() => void)[] = [];

  table<V>(): Table<V> {
    return { put: () => undefined, remove: () => undefined, get: () => undefined, entries: () => [] };
  }

  hasRoom(): boolean {
    return !this.isFull;
  }

  committed(done: () => void): void {
    this.#waiting.push(done);
  }

  commit(): void {
    for (const done of this.#waiting.splice(0)) done();
  }

  watch(): void {}

  async flush(): Promise<void> {}

  async close(): Promise<void> {}
}

const subscribe = (messageId: number, topic: string): ISubscribePacket => ({
  cmd: 'subscribe',
  messageId,
  subscriptions: [{ topic, qos: 1 }],
});

const kept = { properties: { sessionExpiryInterval: 60 } };

t.test('SUBACK of a session that is kept waits for the disk, and so does what its client sent behind', async (t) => {
  const disk = new SlowDisk();
  const { host } = testMachine(t, {}, systemClock, disk);
  const device = new TestDevice(host);
  await device.connect('kept', kept);
  device.send(subscribe(1, 'news'));
  device.send({ cmd: 'pingreq' });
  await turn();
  t.strictSame(await device.received(), []);
  disk.commit();
  const answers = await device.received();
  t.strictSame(
    answers.map(({ cmd }) => cmd),
    ['suback', 'pingresp'],
  );
});

t.test('SUBACK of a session that ends with its connection, or that grants nothing, waits for no disk', async (t) => {
  const disk = new SlowDisk();
  const { host } = testMachine(t, {}, systemClock, disk);
  const brief = new TestDevice(host);
  await brief.connect('brief');
  brief.send(subscribe(1, 'news'));
  t.match(await brief.received(), [{ cmd: 'suback' }]);
  const device = new TestDevice(host);
  await device.connect('kept', kept);
  disk.isFull = true;
  device.send(subscribe(1, 'news'));
  t.match(await device.received(), [{ cmd: 'suback', granted: [0x97] }]);
});
