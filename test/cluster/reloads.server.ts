/** Users whose page loads anew as their node ends in order, and who come online by name on another node in that moment. */
import t from 'tap';
import { natsServer, testCluster } from '../support/nats.js';
import { skipWithout } from '../support/programs.js';
import type { TestServer } from '../support/server.js';
import type { Person } from '../support/site.js';
import type { WebSocketClient } from '../support/websocket.js';

const skip = skipWithout('nats-server');
const USERS = 24;
const settings = { cluster: { leaveMs: 300 }, presence: { graceMs: 60_000, clientIdleMs: 60_000 } };

/** A user to whom somebody writes numbers through one node, one when the call before has been answered. */
class Reader {
  readonly bodies: number[] = [];
  sent = 0;
  #isOver = false;
  #writing: Promise<void> = Promise.resolve();
  #back: Promise<void> = Promise.resolve();

  constructor(
    readonly name: string,
    private readonly through: TestServer,
  ) {}

  async come(node: TestServer, next: TestServer): Promise<void> {
    const person = await node.site().arrive(this.name);
    void this.#read(person);
    this.#back = (person.client as WebSocketClient).closed.then(async () => {
      void this.#read(await next.site().arrive(this.name));
    });
    this.#writing = this.#write();
  }

  async #read({ client }: Person): Promise<void> {
    try {
      for (;;) this.bodies.push(Number((await client.next()).body));
    } catch {
      // The connection has ended.
    }
  }

  async #write(): Promise<void> {
    while (!this.#isOver) {
      await this.through.site().push('carl', this.name, String(this.sent));
      this.sent += 1;
    }
  }

  /** Resolves when the user is back and nothing more is written. */
  async end(): Promise<void> {
    await this.#back;
    this.#isOver = true;
    await this.#writing;
  }
}

t.test('users whose page loads anew as their node ends have all that is written to them, once', { skip }, async (t) => {
  const [n1, n2, n3] = await testCluster(t, await natsServer(t), 3, settings);
  const others = [n2, n3] as const;
  const readers = Array.from({ length: USERS }, (_, n) => new Reader(`user${n}`, others[n % 2] as TestServer));
  await Promise.all(readers.map((reader, n) => reader.come(n1, others[(n >> 1) % 2] as TestServer)));
  await n1.drain();
  await Promise.all(readers.map((reader) => reader.end()));
  for (const { name, bodies, sent } of readers) {
    await n2.settledWhile(() => bodies.length < sent);
    t.strictSame(
      bodies,
      Array.from({ length: sent }, (_, number) => number),
      name,
    );
  }
});
