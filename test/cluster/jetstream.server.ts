/** Streams of JetStream, on a real nats-server that is killed and started again meanwhile. */
import t from 'tap';
import { JetStream } from '../../src/cluster/jetstream.js';
import { JetStreamError } from '../../src/cluster/jetstream-port.js';
import type { KeptStream } from '../../src/cluster/kept-stream.js';
import { Conditions } from '../../src/conditions.js';
import { JetStreamMetrics } from '../../src/metrics.js';
import { jetStreamServer, NatsServer, natsServer } from '../support/nats.js';
import { freePort } from '../support/ports.js';
import { skipWithout } from '../support/programs.js';
import type { Cleaner } from '../support/server.js';

const skip = skipWithout('nats-server');

interface Opened {
  readonly jetstream: JetStream;
  readonly stream: KeptStream;
  readonly conditions: Conditions;
  readonly metrics: JetStreamMetrics;
}

async function open(t: Cleaner, nats: Pick<NatsServer, 'url'>, node = 'n1', replicas = 1): Promise<Opened> {
  const conditions = new Conditions();
  const metrics = new JetStreamMetrics();
  const options = { urls: [nats.url], cluster: 'test', node, replicas, keeps: 'things', conditions, metrics };
  const jetstream = new JetStream(options);
  const stream = jetstream.stream('things');
  t.teardown(() => jetstream.close());
  await jetstream.start();
  return { jetstream, stream, conditions, metrics };
}

/** Resolves when JetStream can be used, or cannot be. */
function until(jetstream: JetStream, wanted: boolean): Promise<void> {
  return new Promise((resolve) => {
    if (jetstream.available === wanted) return resolve();
    const watcher = (available: boolean): void => {
      if (available !== wanted) return;
      jetstream.watchers.delete(watcher);
      resolve();
    };
    jetstream.watchers.add(watcher);
  });
}

/** All that a stream has told from a sequence on: keys and their latest values, and what waits for them. */
class Heard {
  readonly values = new Map<string, string>();
  readonly sequences: number[] = [];
  caughtUp = 0;
  #waiting: (() => void)[] = [];

  constructor(stream: KeptStream, after = 0) {
    stream.follow(after, {
      message: (sequence, key, data) => {
        this.sequences.push(sequence);
        if (data === '') this.values.delete(key);
        else this.values.set(key, data);
        this.#wake();
      },
      caughtUp: () => {
        this.caughtUp += 1;
        this.#wake();
      },
    });
  }

  async until(condition: (heard: Heard) => boolean): Promise<void> {
    while (!condition(this)) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  #wake(): void {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
}

function reasonOf(error: unknown): string {
  return error instanceof JetStreamError ? error.reason : String(error);
}

t.test('a record is read as it was written, by another node too', { skip }, async (t) => {
  const nats = await jetStreamServer(t);
  const { stream: one } = await open(t, nats);
  const { stream: two } = await open(t, nats, 'n2');
  t.equal(await two.read('a.b'), null, 'nothing is there');
  const first = await one.compareAndSet('a.b', 'first', 0);
  t.strictSame(await two.read('a.b'), { revision: first, data: 'first' });
  const second = await two.compareAndSet('a.b', 'zweite ✓', first);
  t.ok(second > first);
  t.strictSame(await one.read('a.b'), { revision: second, data: 'zweite ✓' });
  await one.purge('a.>');
  t.equal(await two.read('a.b'), null, 'it is gone');
});

t.test('of two nodes that change a record at once one is told of a conflict', { skip }, async (t) => {
  const nats = await jetStreamServer(t);
  const nodes = await Promise.all(['n1', 'n2', 'n3', 'n4'].map((node) => open(t, nats, node)));
  const changes = await Promise.allSettled(nodes.map(({ stream }, n) => stream.compareAndSet('key', `of ${n}`, 0)));
  const done = changes.flatMap((change, n) => (change.status === 'fulfilled' ? [`of ${n}`] : []));
  t.equal(done.length, 1);
  for (const change of changes) if (change.status === 'rejected') t.equal(reasonOf(change.reason), 'conflict');
  t.equal((await nodes[0]?.stream.read('key'))?.data, done[0]);
  t.equal(
    nodes.reduce((sum, { metrics }) => sum + metrics.conflicts, 0),
    3,
  );
});

t.test('what follows a stream has all of it, the latest of each key, and what comes', { skip }, async (t) => {
  const nats = await jetStreamServer(t);
  const { stream: one } = await open(t, nats);
  const { stream: two } = await open(t, nats, 'n2');
  const empty = new Heard(two);
  await empty.until(({ caughtUp }) => caughtUp === 1);
  for (const [key, value] of Object.entries({ a: '1', b: '1', c: '1' })) await one.compareAndSet(key, value, 0);
  await new Promise((resolve) => one.write('b', '2', resolve));
  await new Promise((resolve) => one.write('c', '', resolve));
  await empty.until(({ sequences }) => sequences.length === 5);
  const late = new Heard(two);
  await late.until(({ caughtUp }) => caughtUp === 1);
  t.strictSame(late.sequences, [1, 4, 5], 'what was written over is not in the stream any more');
  for (const { values } of [empty, late])
    t.strictSame(
      [...values],
      [
        ['a', '1'],
        ['b', '2'],
      ],
    );
  const after = new Heard(two, 4);
  await after.until(({ caughtUp }) => caughtUp === 1);
  t.strictSame(after.sequences, [5]);
});

t.test('a JetStream that was killed has what it acknowledged, and who follows goes on', { skip }, async (t) => {
  const nats = await jetStreamServer(t);
  const { jetstream, stream, conditions } = await open(t, nats);
  const heard = new Heard(stream);
  const acknowledged: string[] = [];
  let unanswered = 0;
  let n = 0;
  /** Writes one record after another for as long as JetStream takes them. */
  const writeOn = () =>
    new Promise<void>((resolve) => {
      const next = (): void => {
        n += 1;
        const value = String(n);
        stream.write(`k${n}`, value, (revision) => {
          if (revision instanceof JetStreamError) {
            unanswered += 1;
            return resolve();
          }
          acknowledged.push(value);
          next();
        });
      };
      for (let many = 0; many < 50; many++) next();
    });
  for (let round = 0; round < 3; round++) {
    const ended = writeOn();
    const before = acknowledged.length;
    await heard.until(({ values }) => values.size > before + 200);
    await nats.stop();
    await ended;
    await until(jetstream, false);
    t.match(conditions.list(), [{ name: 'store', ready: true }], 'the node says what is the matter');
    await nats.start();
    await until(jetstream, true);
    t.strictSame(conditions.list(), []);
  }
  t.ok(unanswered > 0);
  const all = new Heard(stream);
  await all.until(({ caughtUp }) => caughtUp > 0);
  const kept = new Set(all.values.values());
  t.strictSame(
    acknowledged.filter((value) => !kept.has(value)),
    [],
  );
  await heard.until(({ values }) => values.size >= kept.size);
  t.strictSame(new Set(heard.values.values()), kept, 'what followed through all of this has heard each record');
  t.equal(heard.sequences.length, new Set(heard.sequences).size, 'and each once');
});

t.test(
  'three copies are not taken for kept by one NATS server, whose streams are there with one',
  { skip },
  async (t) => {
    const nats = await jetStreamServer(t);
    const { stream } = await open(t, nats);
    await stream.compareAndSet('a', 'kept', 0);
    const { jetstream, conditions } = await open(t, nats, 'n2', 3);
    t.equal(jetstream.available, false);
    t.match(conditions.list(), [{ detail: /cluster\.replicas is 3, and the NATS server is not in a cluster/ }]);
  },
);

t.test('a password that NATS refuses is said to be that', { skip }, async (t) => {
  const nats = new NatsServer(await freePort(), null, ['--user', 'nextalk', '--pass', 'right']);
  await nats.start();
  t.teardown(() => nats.stop());
  const url = nats.url.replace('//', '//nextalk:wrong@');
  const { conditions } = await open(t, { url });
  t.match(conditions.list(), [{ detail: /NATS refuses the user or password of cluster\.nats/ }]);
});

t.test('NATS without JetStream is said to be that, and refuses at once', { skip }, async (t) => {
  const { jetstream, stream, conditions } = await open(t, await natsServer(t));
  t.notOk(jetstream.available);
  t.match(conditions.list(), [{ detail: /without JetStream/ }]);
  t.equal(await stream.read('a').catch(reasonOf), 'unavailable');
  t.equal(await stream.compareAndSet('a', 'b', 0).catch(reasonOf), 'unavailable');
});

t.test('a record that is longer than NATS takes is refused, and the next one is written', { skip }, async (t) => {
  const { stream } = await open(t, await jetStreamServer(t));
  t.equal(await stream.compareAndSet('long', 'x'.repeat(2_000_000), 0).catch(reasonOf), 'refused');
  t.ok(await stream.compareAndSet('short', 'x', 0));
});

t.test('more copies than there are servers cannot be had, which is said', { skip }, async (t) => {
  const nats = await jetStreamServer(t);
  const conditions = new Conditions();
  const metrics = new JetStreamMetrics();
  const options = { urls: [nats.url], cluster: 'test', node: 'n1', replicas: 3, keeps: 'things', conditions, metrics };
  const jetstream = new JetStream(options);
  jetstream.stream('things');
  t.teardown(() => jetstream.close());
  await jetstream.start();
  t.notOk(jetstream.available);
  t.match(conditions.list(), [{ detail: /replicas/ }]);
});
