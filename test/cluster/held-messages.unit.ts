/** Messages that clients have not confirmed, while JetStream does not take them. */
import t from 'tap';
import type { Address } from '../../src/actors/address.js';
import { Packet } from '../../src/actors/packet.js';
import { HeldMessages } from '../../src/cluster/held-messages.js';
import { JetStreamError } from '../../src/cluster/jetstream-port.js';
import type { KeptStream } from '../../src/cluster/kept-stream.js';

const domain = 'a.example';
const address = '/domain/a.example/uid/jack' as Address;
const node = { name: 'n1', mesh: { incarnation: 7 } };

function packet(body: string): Packet {
  return new Packet(
    'message',
    { from: 'anna', to: 'jack', nick: 'anna', timestamp: '1', type: 'chat', body, style: '', id: body } as never,
    address,
    null,
  );
}

t.test(
  'many messages that JetStream does not take are tried again by one timer, and read in their order',
  async (t) => {
    const records = new Map<string, { readonly key: string; readonly revision: number; readonly data: string }>();
    let isLost = true;
    let revision = 0;
    const stream = {
      write: (key: string, data: string, done: (answer: number | JetStreamError) => void) => {
        if (isLost) return done(new JetStreamError('unavailable', 'lost'));
        revision += 1;
        records.set(key, { key, revision, data });
        done(revision);
      },
      remove: () => undefined,
      readAll: async (prefix: string) => [...records.values()].filter(({ key }) => key.startsWith(prefix)),
    } as unknown as KeptStream;
    const timers: (() => void)[] = [];
    const { setTimeout: real } = globalThis;
    const counting = (task: () => void) => ({ unref: () => ({ at: timers.push(task) }) });
    globalThis.setTimeout = counting as never;
    t.teardown(() => {
      globalThis.setTimeout = real;
    });
    const messages = new HeldMessages(stream, node);
    const wireOf = (body: string): string =>
      `[["message",${JSON.stringify(address)},null,${JSON.stringify({ from: 'anna', to: 'jack', nick: 'anna', timestamp: '1', type: 'chat', body, style: '', id: body })}],0,0]`;
    const packets = Array.from({ length: 1000 }, (_, n) => packet(`m${n}`));
    for (const [n, one] of packets.entries()) messages.hold(domain, address, one, () => wireOf(`m${n}`));
    let isCommitted = false;
    messages.committed(() => {
      isCommitted = true;
    });
    t.equal(timers.length, 1);
    messages.release(address, packets[3] as Packet);
    isLost = false;
    messages.hold(domain, address, packet('later'), () => wireOf('later'));
    for (const task of timers.splice(0)) task();
    t.equal(timers.length, 0);
    t.ok(isCommitted, 'nothing waits for the message that was confirmed meanwhile');
    globalThis.setTimeout = real;
    const { packets: found } = await messages.read(domain, address, [['n1', 7]]);
    const bodies = found.map(({ fields }) => (fields as { readonly body: string }).body);
    t.equal(bodies.length, 1000);
    t.strictSame([bodies[0], bodies[3], bodies.at(-1)], ['m0', 'm4', 'later'], 'the message of later is the last one');
  },
);
