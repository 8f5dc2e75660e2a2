/** Publications that reach a session in two ways while it moves to another node. */
import t from 'tap';
import type { Item } from '../src/protocols/mqtt/outbound.js';
import type { SessionState } from '../src/protocols/mqtt/session.js';
import { Held, move, whileMoving } from '../src/protocols/mqtt/session-moving.js';

const item = (n: number): Item => {
  const publication = { topic: 'news', payload: Buffer.from(`${n}`), properties: Buffer.alloc(0) };
  return { publication, qos: 1, retain: false, identifiers: [], group: null } as unknown as Item;
};

t.test(
  'a session that waits long for its old node holds 10,000 publications, and gets the others at once',
  async (t) => {
    const got: string[] = [];
    const outbound = { push: ({ publication }: Item) => got.push(publication.payload.toString()) };
    const moving = { forward: null, held: new Held(), copies: new Map() };
    const broker = { domain: { limits: {} } };
    const state = { moving, outbound, broker, connection: null } as unknown as SessionState;
    const kept = Array.from({ length: 10_050 }, (_, n) => whileMoving(state, item(n)));
    t.equal(kept.filter((isHeld) => isHeld).length, 10_000);
    t.ok(kept[9999]);
    move(state, { kind: 'adopted' });
    t.strictSame(
      got,
      Array.from({ length: 10_000 }, (_, n) => `${n}`),
      'those that were held come in their order',
    );
  },
);
