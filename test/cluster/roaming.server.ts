import t from 'tap';
import { natsServer, testCluster } from '../support/nats.js';
import { skipWithout } from '../support/programs.js';
import type { Person, Site } from '../support/site.js';
import { turnsUntil } from '../support/until.js';

const skip = skipWithout('nats-server');
const moves = 12;

/** Sends Bob numbers, one after another, until told to stop. */
class Stream {
  sent = 0;
  #isOver = false;
  readonly #sending: Promise<void>;

  constructor(private readonly from: Person) {
    this.#sending = this.#send();
  }

  async end(): Promise<void> {
    this.#isOver = true;
    await this.#sending;
  }

  async #send(): Promise<void> {
    while (!this.#isOver) {
      await this.from.site.message(this.from.ticket, 'bob', `${this.sent}`);
      this.sent += 1;
    }
  }
}

/** Notes the numbers that a client of Bob's is sent, until the client goes offline. */
async function listen(person: Person, heard: number[]): Promise<void> {
  try {
    for (;;) heard.push(Number((await person.next()).body));
  } catch {
    // The client has gone offline.
  }
}

t.test('a user who goes from node to node is sent every message once and in order', { skip }, async (t) => {
  const nodes = await testCluster(t, await natsServer(t), 3, { presence: { graceMs: 40 } });
  const sites = nodes.map((node) => node.site()) as [Site, Site, Site];
  const alice = await sites[2].arrive('alice');
  let bob = await sites[0].arrive('bob');
  const all: number[][] = [[]];
  void listen(bob, all[0] as number[]);
  const stream = new Stream(alice);
  for (let move = 1; move <= moves; move++) {
    const before = bob;
    bob = await (sites[move % 2] as Site).arrive('bob');
    const heard: number[] = [];
    all.push(heard);
    void listen(bob, heard);
    await turnsUntil('five messages', () => heard.length >= 5);
    await before.offline();
    // Until the part on the node that Bob has left has ended.
    const from = heard.length;
    await turnsUntil('60 messages more', () => heard.length >= from + 60);
  }
  await stream.end();
  const last = all.at(-1) as number[];
  await turnsUntil('the last message', () => last.at(-1) === stream.sent - 1);
  for (const [i, heard] of all.entries()) {
    const gap = heard.findIndex((number, at) => at > 0 && number !== (heard[at - 1] as number) + 1);
    t.equal(gap, -1, `client ${i}: ${heard.slice(Math.max(0, gap - 3), gap + 4)}`);
  }
  for (let i = 1; i < all.length; i++) {
    t.ok(
      (all[i]?.[0] as number) <= (all[i - 1]?.at(-1) as number) + 1,
      'and between one client and the next nothing is lost',
    );
  }
});
