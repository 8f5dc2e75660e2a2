import assert from 'node:assert/strict';
import type { Client } from '../support/client.js';
import type { Scenario, World } from '../support/scenario.js';
import * as wire from '../support/wire.js';

/** Filters and the topics below a scenario's own that they match, and do not. */
const matching: readonly (readonly [filter: string, matched: string[], missed: string[]])[] = [
  ['a/b', ['a/b'], ['a', 'a/b/', '/a/b', 'a/B', 'a/b/c']],
  ['a/+', ['a/b', 'a/'], ['a', 'a/b/c', 'b/a']],
  ['+', ['a', 'b c'], ['a/b', '/a', 'a/']],
  ['+/+', ['a/b', '/a', 'a/'], ['a', 'a/b/c']],
  ['+/b/+', ['a/b/c', '/b/'], ['a/b', 'a/c/b']],
  ['/+', ['/a', '/'], ['a', 'a/b']],
  ['a/#', ['a', 'a/b', 'a/b/c', 'a/'], ['ab', 'b/a', '/a']],
  ['#', ['a', 'a/b', '/', '/a/b/', '//'], []],
  ['+/#', ['a', 'a/b', '/a', '/'], []],
  ['a//b', ['a//b'], ['a/b', 'a/x/b']],
  ['a/+/b/#', ['a//b', 'a/x/b', 'a/x/b/c'], ['a/b', 'a/x/c']],
  ['a b/ c', ['a b/ c'], ['a b/c', 'ab/ c']],
  ['é', ['é'], ['e', 'É', 'e\u0301']],
  ['\uFEFFa', ['\uFEFFa'], ['a']],
  ['$a/b', ['$a/b'], ['a/b']],
];

const invalid = ['a/#/b', '#/a', 'a#', '#a', 'a/b#', '##', 'a+', '+a', 'a/+b', 'a/b+/c', '++'];

/** A filter that is refused: in the SUBACK, or with the connection. */
async function refusedFilter(client: Client, filter: string): Promise<void> {
  client.send(wire.subscribe(client.version, 5, [{ filter }]));
  if (client.version === 5) {
    const packet = await client.next();
    const allowed = packet.type === 'suback' ? [0x8f] : packet.type === 'disconnect' ? [0x81, 0x82, 0x8f] : [];
    assert.ok(allowed.includes(packet.codes?.[0] ?? 0), `${filter}: received ${packet.type} ${packet.raw}`);
    return;
  }
  const packet = await client.nextOrEnd();
  if (packet) assert.equal(packet.raw, '9003000580', filter);
}

async function refusesTopics(w: World, topics: readonly (string | Buffer)[], reasons: number[]): Promise<void> {
  for (const topic of topics) {
    for (const qos of [0, 1, 2]) {
      const client = await w.client('a');
      await client.send(wire.publish(w.version, topic, 'x', { qos })).refused(...reasons);
    }
  }
}

export const topics: readonly Scenario[] = [
  {
    title: 'Filters match the topics that section 4.7 says, and no other',
    '3.1.1': '4.5.0-1 4.7.1-2 4.7.1-3 4.7.3-4 3.8.3-2 3.3.2-3',
    '5.0': '4.5.0-1 4.7.1-1 4.7.1-2 4.7.3-4 3.3.2-3',
    async run(w) {
      const publisher = await w.client('pub');
      for (const [at, [filter, matched, missed]] of matching.entries()) {
        const base = w.topic(`${at}`);
        const client = await w.client(`sub${at}`);
        await client.subscribe(`${base}/${filter}`);
        for (const topic of [...missed, ...matched]) await publisher.publish(`${base}/${topic}`, topic);
        await publisher.quiet();
        for (const topic of matched) await client.receive({ topic: `${base}/${topic}`, payload: topic });
        await client.quiet();
      }
    },
  },
  {
    title: 'Topics are compared as they are: case, spaces, composed letters and a leading U+FEFF count',
    '3.1.1': '1.5.3-3 4.7.3-4',
    '5.0': '1.5.4-3 4.7.3-4',
    async run(w) {
      const [subscriber, publisher] = [await w.client('sub'), await w.client('pub')];
      const names = ['\uFEFFx', 'x', 'X', ' x', 'e\u0301', '\u00e9', '\uFFFF', '😀', '\uFDD0'].map(
        (name) => `${name}${w.topic()}`,
      );
      await subscriber.subscribe(names.map((filter) => ({ filter })));
      for (const topic of names) await publisher.publish(topic, topic);
      for (const topic of names) await subscriber.receive({ topic, payload: topic });
      await subscriber.quiet();
    },
    mosquitto: 'refuses the code points that Unicode keeps for itself, as the standard allows',
  },
  {
    title: 'Wildcards that do not stand alone in their level, or # before the last one, are refused',
    '3.1.1': '4.7.1-2 4.7.1-3',
    '5.0': '4.7.1-1 4.7.1-2',
    async run(w) {
      for (const filter of invalid) await refusedFilter(await w.client('a'), filter);
    },
  },
  {
    title: 'An empty filter is refused',
    '3.1.1': '4.7.3-1',
    '5.0': '4.7.3-1',
    run: async (w) => refusedFilter(await w.client('a'), ''),
  },
  {
    title: 'PUBLISH to a topic with wildcards ends the connection',
    '3.1.1': '3.3.2-2 4.7.1-1',
    '5.0': '3.3.2-2 4.7.0-1',
    run: (w) => refusesTopics(w, ['a/+', 'a/#', '+', 'a+b', '#'], [0x81, 0x82, 0x90]),
  },
  {
    title: 'PUBLISH to an empty topic ends the connection',
    '3.1.1': '4.7.3-1',
    '5.0': '4.7.3-1',
    run: (w) => refusesTopics(w, [''], [0x81, 0x82, 0x90]),
  },
  {
    title: 'PUBLISH to a topic of ill-formed UTF-8, or with U+0000, ends the connection',
    '3.1.1': '1.5.3-1 1.5.3-2 3.3.2-1 4.7.3-2',
    '5.0': '1.5.4-1 1.5.4-2 3.3.2-1 4.7.3-2',
    run: (w) => refusesTopics(w, ['61c328', 'eda080', '00', '610062', 'f5808080'].map(wire.hex), [0x81, 0x82, 0x90]),
  },
  {
    title: 'A topic of 65,535 bytes is delivered',
    '3.1.1': '4.7.3-3',
    '5.0': '4.7.3-3',
    async run(w) {
      const topic = `${w.topic()}/${'é'.repeat(40_000)}`.slice(0, 32_000 + w.topic().length) + 'x'.repeat(1000);
      const exact = `${topic}${'y'.repeat(65_535 - Buffer.byteLength(topic))}`;
      const [subscriber, publisher] = await w.pair(exact);
      await publisher.publish(exact, 'long');
      await subscriber.receive({ topic: exact });
    },
  },
  {
    title: 'A leading wildcard does not match topics that start with $',
    '3.1.1': '4.7.2-1',
    '5.0': '4.7.2-1',
    async run(w) {
      const [first, second] = ['$elsewhere', w.clientId('own')];
      const topic = `${first}/${second}`;
      const wild = await w.client('wild');
      await wild.subscribe([{ filter: `+/${second}`, qos: 1 }]);
      const exact = await w.client('exact');
      await exact.subscribe([{ filter: topic, qos: 1 }]);
      const publisher = await w.client('pub');
      await publisher.publish(topic, 'dollar', { qos: 1 });
      await publisher.publish(`plain/${second}`, 'plain', { qos: 1 });
      await exact.receive({ topic });
      while ((await wild.receive()).topic !== `plain/${second}`) assert.fail('a wildcard matched a topic with $');
    },
  },
  {
    title: 'A subscription to # is not sent $SYS, one to $SYS/# is',
    '3.1.1': '4.7.2-1',
    '5.0': '4.7.2-1',
    async run(w) {
      const wild = await w.client('wild');
      await wild.subscribe('#');
      const system = await w.client('system');
      await system.subscribe('$SYS/broker/#');
      const { topic = '' } = await system.receive({ retain: true });
      assert.match(topic, /^\$SYS\/broker\//);
      const publisher = await w.client('pub');
      await publisher.publish(w.topic('marker'), 'x');
      for (let seen = ''; seen !== w.topic('marker'); seen = (await wild.receive()).topic ?? '') {
        assert.ok(!seen.startsWith('$'), seen);
      }
    },
  },
];
