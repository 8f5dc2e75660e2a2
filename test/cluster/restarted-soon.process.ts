/** A node of a cluster is killed and started again under its name within its lease: another process has the name then. PROTOCOL.md section 20. */
import t from 'tap';
import { CountingSocket } from '../support/counting.js';
import { KeptNode } from '../support/kept-node.js';
import { written } from '../support/kept-writes.js';
import { jetStreamServer, noneReads } from '../support/nats.js';
import { skipWithout } from '../support/programs.js';
import { until } from '../support/until.js';

const skip = skipWithout('nats-server');

t.test(
  'what is sent to a user of a node that is killed and started again comes once and in order, from when NATS knows of its end',
  { skip },
  async (t) => {
    const nats = await jetStreamServer(t);
    const settings = { presence: { graceMs: 60_000 }, cluster: { leaseMs: 60_000 } };
    const [n1, n2] = await Promise.all(['n1', 'n2'].map((name) => KeptNode.start(t, nats, name, settings)));
    const [dying, other] = [n1 as KeptNode, n2 as KeptNode];
    const { ticket } = await dying.site().online('alice');
    const alice = other.own(new CountingSocket(dying.port, ticket));
    await alice.connect();
    await written(nats, [dying]);
    await dying.kill();
    await noneReads(nats, 'n1');
    alice.disconnect();
    const sent: string[] = [];
    let isBack = false;
    const send = async (): Promise<void> => {
      sent.push(`message ${sent.length}`);
      await other.site().push('carl', 'alice', sent.at(-1) as string);
    };
    const starting = KeptNode.start(t, nats, 'n1', settings).then(() => {
      isBack = true;
    });
    while (!isBack) {
      await send();
      // Fewer than wait for a client at most.
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    await starting;
    await until('a client let in', async () => {
      alice.port = other.port;
      await alice.connect().catch(() => undefined);
      return alice.frames.at(-1)?.status === 'ok';
    });
    for (let n = 0; n < 3; n += 1) await send();
    await alice.until(() => alice.bodies.includes(sent.at(-1) as string), 'the last');
    t.strictSame(alice.bodies, sent);
  },
);
