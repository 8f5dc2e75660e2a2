/** Pages of a history whose messages come from several nodes. */
import t from 'tap';
import type { Address } from '../src/actors/address.js';
import { type Message, pageOf } from '../src/actors/conversation.js';
import { HistoryPart, HistoryReading } from '../src/actors/history-reading.js';
import { part } from '../src/store/keys.js';
import { openLmdb } from '../src/store/lmdb.js';

t.test('messages of two nodes that have the same sequence are all in some page, each once', async (t) => {
  const all = [1, 2, 2, 3, 4, 4, 5].map((sequence, at) => ({
    sequence,
    json: `"${at}"`,
  })) as unknown as readonly Message[];
  for (let limit = 1; limit <= all.length; limit++) {
    const seen: string[] = [];
    for (let after: number | null = 0; after !== null; ) {
      const from: number = after;
      const page = pageOf(
        all.filter(({ sequence }) => sequence > from),
        limit,
      );
      seen.push(...page.items.map(({ json }) => json));
      after = page.next;
    }
    t.strictSame(
      seen,
      all.map(({ json }) => json),
      `pages of ${limit}`,
    );
  }
});

t.test(
  'conversations on two nodes whose latest messages have the same sequence are all in some page, each once',
  async (t) => {
    const store = openLmdb(t.testdir());
    t.teardown(() => store.close());
    const parts = ['n1', 'n2'].map((node) => new HistoryPart(store, [part('site'), node], false));
    const rooms = [1, 2, 2, 3, 3, 4].map((sequence, at) => {
      const room = `/domain/site/gid/room${at}` as Address;
      const buffer = Buffer.from(`${sequence} {"from":"anna"}\n`);
      const lines = { buffer, sequences: [sequence], places: [0, buffer.indexOf('{'), buffer.length] };
      const { conversations } = parts[at % 2] as HistoryPart;
      conversations.put(part(room), conversations.append(part(room), null, [room], lines));
      return room;
    });
    const reading = new HistoryReading(store, 'site', () => parts);
    for (let limit = 1; limit <= rooms.length; limit++) {
      const seen: string[] = [];
      for (let before: number | null = 5; before !== null; ) {
        const page = reading.conversations(
          '/domain/site/uid/jack' as Address,
          rooms,
          { before, after: null, limit },
          0,
        );
        seen.push(...page.items.map(({ other }) => other));
        before = page.next;
      }
      t.strictSame(seen.sort(), rooms, `pages of ${limit}`);
    }
  },
);
