import type { Check } from './check.js';
import { type RawAnswer, RawSocket } from './raw.js';
import type { TestServer } from './server.js';
import type { Person } from './site.js';

/** Two people who chat while others attack. */
export class Bystanders {
  readonly #alice: Person;
  readonly #bob: Person;
  #said = 0;

  private constructor(alice: Person, bob: Person) {
    this.#alice = alice;
    this.#bob = bob;
  }

  static async meet(server: TestServer): Promise<Bystanders> {
    const site = server.site();
    return new Bystanders(await site.arrive('alice'), await site.arrive('bob'));
  }

  /** Shows that a word still passes each way, with nothing else arriving. */
  async chat(t: Check): Promise<void> {
    const body = `word ${++this.#said}`;
    for (const [from, to] of [
      [this.#alice, this.#bob],
      [this.#bob, this.#alice],
    ] as const) {
      await from.site.message(from.ticket, to.name, body);
      t.hasStrict(await to.next(), { from: from.name, body });
    }
  }
}

/** Sends bytes, ends the sending side and takes what comes until an answer is whole or the server closes. */
export async function attack(server: TestServer, bytes: string | Buffer): Promise<RawAnswer> {
  const raw = await RawSocket.open(server);
  raw.write(bytes);
  raw.socket.end();
  const answer = await raw.answer();
  raw.close();
  return answer;
}

/** An attack may be answered as the client's mistake, or with a closed connection: nothing else. */
export function isRefusal({ status }: RawAnswer): boolean {
  return status === 0 || (status >= 400 && status < 500) || status === 501 || status === 505;
}

export const upgradeHeaders = [
  'Upgrade: websocket',
  'Connection: Upgrade',
  'Sec-WebSocket-Version: 13',
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
];
