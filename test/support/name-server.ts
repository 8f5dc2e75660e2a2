/** A name server of the test's own, over UDP: it answers for the names that it knows, and of some says nothing. RFC 1035. */
import dgram from 'node:dgram';
import { isIPv4 } from 'node:net';
import type { Cleaner } from './server.js';

const NO_SUCH_NAME = 3;
const TYPES: Readonly<Record<number, 'A' | 'AAAA'>> = { 1: 'A', 28: 'AAAA' };

export class NameServer {
  /** What was asked: `A name`. */
  readonly asked: string[] = [];
  readonly #socket = dgram.createSocket('udp4');
  #waiting: (() => void)[] = [];

  private constructor(
    /** Addresses by name; null: it is silent. */
    private readonly known: Readonly<Record<string, readonly string[] | null>>,
  ) {
    this.#socket.on('message', (query, { port, address }) => {
      const answer = this.#answer(query);
      if (answer) this.#socket.send(answer, port, address);
      for (const wake of this.#waiting.splice(0)) wake();
    });
  }

  static async start(t: Cleaner, known: Readonly<Record<string, readonly string[] | null>>): Promise<NameServer> {
    const server = new NameServer(known);
    await new Promise<void>((resolve) => server.#socket.bind(0, '127.0.0.1', resolve));
    t.teardown(() => server.#socket.close());
    return server;
  }

  get address(): string {
    return `127.0.0.1:${this.#socket.address().port}`;
  }

  async hasAsked(isSo: (asked: readonly string[]) => boolean): Promise<void> {
    while (!isSo(this.asked)) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  #answer(query: Buffer): Buffer | null {
    const labels: string[] = [];
    let at = 12;
    for (let length = query[at] as number; length > 0; length = query[at] as number) {
      labels.push(query.toString('latin1', at + 1, at + 1 + length));
      at += 1 + length;
    }
    const name = labels.join('.').toLowerCase();
    const type = TYPES[query.readUInt16BE(at + 1)];
    this.asked.push(`${type} ${name}`);
    const found = this.known[name];
    if (found === null) return null;
    const addresses = (found ?? []).filter((address) => isIPv4(address) === (type === 'A'));
    const head = Buffer.from(query.subarray(0, at + 5));
    head.writeUInt16BE(0x8180 | (found === undefined ? NO_SUCH_NAME : 0), 2);
    head.writeUInt16BE(addresses.length, 6);
    head.writeUInt32BE(0, 8);
    return Buffer.concat([head, ...addresses.map((address) => recordOf(address))]);
  }
}

/** One address as a resource record; its name is that of the question. */
function recordOf(address: string): Buffer {
  const data = isIPv4(address)
    ? Buffer.from(address.split('.').map(Number))
    : Buffer.from(
        address.split(':').flatMap((group) => [Number.parseInt(group, 16) >> 8, Number.parseInt(group, 16) & 255]),
      );
  const head = Buffer.alloc(12);
  head.writeUInt16BE(0xc00c, 0);
  head.writeUInt16BE(isIPv4(address) ? 1 : 28, 2);
  head.writeUInt16BE(1, 4);
  head.writeUInt32BE(60, 6);
  head.writeUInt16BE(data.length, 10);
  return Buffer.concat([head, data]);
}
