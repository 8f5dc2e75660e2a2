/** Pages of a history whose messages come from several nodes. */
import t from 'tap';
import { type Message, pageOf } from '../src/actors/conversation.js';

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
