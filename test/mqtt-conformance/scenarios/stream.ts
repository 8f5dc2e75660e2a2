import assert from 'node:assert/strict';
import { setImmediate as turn } from 'node:timers/promises';
import { damaged, seeded } from '../support/damage.js';
import type { Scenario, World } from '../support/scenario.js';
import * as wire from '../support/wire.js';

/** A whole good session, from CONNECT to DISCONNECT, that talks to itself. */
function goodStream(w: World, name: string): Buffer {
  const { version } = w;
  const topic = w.topic(name);
  const user: [string, string][] = [['k', 'v']];
  return Buffer.concat([
    wire.connect(version, w.options(name, { properties: { receiveMaximum: 10, user } })),
    wire.subscribe(version, 1, [{ filter: topic, qos: 2 }]),
    wire.publish(version, topic, 'zero', { properties: { contentType: 't' } }),
    wire.publish(version, topic, 'one', { qos: 1, id: 2 }),
    wire.publish(version, topic, 'two', { qos: 2, id: 3 }),
    wire.pubrel(3),
    wire.unsubscribe(version, 4, topic),
    wire.pingreq,
    wire.disconnect(),
  ]);
}

const answers = 'connack pingresp puback pubcomp publish publish publish pubrec suback unsuback';

/** Sends the pieces in turns of their own, and compares the answers. */
async function inPieces(w: World, name: string, cuts: (length: number) => number[]): Promise<void> {
  const stream = goodStream(w, name);
  const raw = w.open();
  let from = 0;
  for (const to of [...cuts(stream.length), stream.length]) {
    raw.send(stream.subarray(from, to));
    from = to;
    await turn();
    await turn();
  }
  const packets = await raw.rest();
  assert.equal(
    packets
      .map(({ type }) => type)
      .sort()
      .join(' '),
    answers,
  );
  const payloads = packets.filter(({ type }) => type === 'publish').map(({ payload }) => payload);
  assert.deepEqual(payloads.sort(), ['one', 'two', 'zero']);
}

async function fuzz(w: World, seed: number, rounds: number): Promise<void> {
  const random = seeded(seed);
  const bystander = await w.client('bystander');
  await bystander.subscribe({ filter: w.topic('steady'), qos: 1 });
  for (let round = 0; round < rounds; round++) {
    const stream = goodStream(w, 'a');
    const bytes = damaged(round % 3 === 0 ? stream : stream.subarray(wire.lengthOf(stream)), random);
    const raw = round % 3 === 0 ? w.open() : await w.client('a');
    raw.finish(bytes);
    await raw.rest().catch((error: Error) => {
      // A damaged CONNECT may ask for another version, whose answers this connection cannot read.
      if (round % 3 === 0 && error.message.startsWith('the broker sent')) return;
      assert.fail(`round ${round}, ${bytes.toString('hex')}: ${error.message}`);
    });
    if (round % 50 !== 0) continue;
    await (await w.client('pub')).publish(w.topic('steady'), `${round}`, { qos: 1 });
    await bystander.receive({ payload: `${round}` });
  }
  await bystander.quiet();
}

/** The stream of bytes below the packets: sections 4.2 of both standards. */
export const streams: readonly Scenario[] = [
  {
    title: 'A session is the same when its bytes come in two pieces, cut at every byte',
    '3.1': '',
    '3.1.1': '4.2.0-1 7.1.1-1',
    '5.0': '4.2-1',
    async run(w) {
      const { length } = goodStream(w, 'a');
      for (let at = 1; at < length; at++) await inPieces(w, 'a', () => [at]);
    },
  },
  {
    title: 'A session is the same when its bytes come one by one, or all at once',
    '3.1': '',
    '3.1.1': '4.2.0-1 7.1.1-1',
    '5.0': '4.2-1',
    async run(w) {
      await inPieces(w, 'a', (length) => Array.from({ length: length - 1 }, (_, at) => at + 1));
      await inPieces(w, 'b', () => []);
    },
  },
  {
    title: 'A thousand damaged streams get answers that are well formed or the end, and disturb nobody else',
    '3.1.1': '4.8.0-1 7.0.0-2',
    '5.0': '4.13.1-1',
    run: (w) => fuzz(w, 20_160_407 + w.version, 1000),
  },
  {
    title: 'Noise instead of MQTT ends the connection',
    '3.1.1': '3.1.4-1',
    '5.0': '3.1.4-1',
    async run(w) {
      const random = seeded(7);
      const noises = Array.from({ length: 100 }, () => Buffer.from(Array.from({ length: 60 }, () => random(256))));
      for (const noise of [Buffer.from('GET / HTTP/1.1\r\nHost: a\r\n\r\n'), ...noises]) {
        const raw = w.open();
        raw.finish(noise);
        await raw.ended();
      }
    },
  },
];
