/** A message of QoS 1 or 2 of which nobody knows whether its receiver's node has it is refused, so that its client sends it again. */
import t from 'tap';
import type { Packet } from '../../src/actors/packet.js';
import { systemClock } from '../../src/clock.js';
import type { Cleaner } from '../support/server.js';
import { address, own, TestBroker, testMachine } from './support/broker.js';
import { type ConnectOptions, TestDevice, turn } from './support/device.js';
import { SlowDisk } from './support/disk.js';

type Version = 5 | 4;
type Who = 'backend' | 'ticket';

const sessions = { clean: false, properties: { sessionExpiryInterval: 60 } };

/** A client that writes to ada, whom another node has, in a domain that is durable `always`. */
async function writer(t: Cleaner, who: Who, version: Version) {
  const disk = new SlowDisk();
  const { host, domain } = testMachine(t, { domains: [{ ...own, durability: 'always' }] }, systemClock, disk);
  const sent: Packet[] = [];
  domain.cluster.toEndpoint = (packet) => sent.push(packet) > 0;
  let login: ConnectOptions = {};
  if (who === 'ticket') {
    const broker = new TestBroker({} as never, host.context, host.context.domains as never);
    login = { username: own.domain, password: Buffer.from(await broker.online('bob')) };
  }
  /** All that has been asked of the disk is done, and what follows from that. */
  const written = async () => {
    for (let n = 0; n < 8; n += 1) {
      await turn();
      disk.commit();
    }
  };
  const connected = async () => {
    const device = new TestDevice(host, version);
    await device.connect('writer', { ...sessions, ...login });
    await written();
    await device.received();
    return device;
  };
  const say = async (device: TestDevice, qos: 1 | 2, dup = false) => {
    device.publish(address('ada'), '{"from":"bob","body":"hello"}', qos, { dup });
    await written();
  };
  const report = async (at: number, outcome: 'unknown' | 'delivered') => {
    sent[at]?.receipt?.report(outcome);
    await written();
  };
  /** The session ends here, and goes on with what another node, or the next start, has of it. */
  const moves = async () => {
    const [client] = [...domain.tickets.values()];
    const kept = client && domain.sessions?.save(client, () => 0);
    if (kept) return domain.sessions?.restore(client, kept, () => null);
    const { mover } = domain.cluster.sessions;
    const moved = await new Promise((done) => mover?.handOver('writer', () => undefined, done));
    await new Promise<void>((done) => mover?.handedOver('writer', null, done));
    await new Promise((done) => mover?.adopt(moved, done));
    mover?.passed('writer');
  };
  return { connected, say, report, moves, sent, metrics: domain.metrics };
}

async function answers(device: TestDevice): Promise<(readonly [cmd: string, reason: number | undefined])[]> {
  const packets = (await device.received()) as { readonly cmd: string; readonly reasonCode?: number }[];
  return packets.map(({ cmd, reasonCode }) => [cmd, reasonCode] as const);
}

for (const who of ['backend', 'ticket'] as const) {
  for (const version of [5, 4] as const) {
    const name = `${who}, ${version === 5 ? '5.0' : '3.1.1'}`;
    for (const qos of [1, 2] as const) {
      const cmd = qos === 1 ? 'puback' : 'pubrec';
      t.test(`${name}, QoS ${qos}: a message whose receiver's node does not answer is not promised`, async (t) => {
        const { connected, say, report, sent, metrics } = await writer(t, who, version);
        let device = await connected();
        await say(device, qos);
        t.strictSame([await answers(device), sent.length], [[], 1], 'nobody has it for certain');
        await report(0, 'unknown');
        const refused = version === 5 ? [[[cmd, 0x83]], false] : [[], true];
        t.strictSame([await answers(device), device.wire.ended], refused);
        t.equal(metrics.dropped.quotaExceeded, 1);
        if (version === 4) device = await connected();
        await say(device, qos, version === 4);
        t.equal(sent.length, 2, 'sent again it is a new one');
        await report(1, 'delivered');
        t.match(await answers(device), [[cmd, version === 5 ? 0 : undefined]]);
      });
    }

    t.test(
      `${name}: a message that is sent again over a new connection waits for what becomes of the first`,
      async (t) => {
        const { connected, say, report, sent } = await writer(t, who, version);
        const first = await connected();
        await say(first, 2);
        first.connection.lost();
        const second = await connected();
        await say(second, 2, true);
        t.strictSame([await answers(second), sent.length], [[], 1], 'neither promised nor sent twice');
        await report(0, 'unknown');
        const refused = version === 5 ? [[['pubrec', 0x83]], false] : [[], true];
        t.strictSame([await answers(second), second.wire.ended], refused);
        const third = version === 5 ? second : await connected();
        await say(third, 2);
        third.connection.lost();
        const fourth = await connected();
        await say(fourth, 2, true);
        await report(1, 'delivered');
        t.match(await answers(fourth), [['pubrec', version === 5 ? 0 : undefined]]);
        t.equal(sent.length, 2);
      },
    );

    t.test(
      `${name}: what is sent again behind a move of the session is passed on where it was not acknowledged`,
      async (t) => {
        const { connected, say, report, moves, sent } = await writer(t, who, version);
        const first = await connected();
        await say(first, 2);
        first.connection.lost();
        await moves();
        const second = await connected();
        await say(second, 2, true);
        t.equal(sent.length, 2, 'nobody knows whether the first was passed on');
        await report(1, 'delivered');
        t.match(await answers(second), [['pubrec', version === 5 ? 0 : undefined]]);
        second.connection.lost();
        await moves();
        const third = await connected();
        await say(third, 2, true);
        t.match(await answers(third), [['pubrec', version === 5 ? 0 : undefined]]);
        t.equal(sent.length, 2, 'the second was');
      },
    );

    t.test(`${name}: copies over one connection wait as one, whose refusal is the only answer`, async (t) => {
      const { connected, say, report, sent } = await writer(t, who, version);
      const device = await connected();
      for (const dup of [false, true, true]) await say(device, 2, dup);
      t.strictSame([sent.length, device.connection.receipts.waiting], [1, 1]);
      await report(0, 'unknown');
      t.strictSame(await answers(device), version === 5 ? [['pubrec', 0x83]] : []);
    });

    t.test(
      `${name}: a message that is refused while its client is away is a new one when it is sent again`,
      async (t) => {
        const { connected, say, report, sent } = await writer(t, who, version);
        const first = await connected();
        await say(first, 2);
        first.connection.lost();
        await report(0, 'unknown');
        const second = await connected();
        await say(second, 2, true);
        await report(1, 'delivered');
        t.match(await answers(second), [['pubrec', version === 5 ? 0 : undefined]]);
        t.equal(sent.length, 2);
      },
    );
  }
}
