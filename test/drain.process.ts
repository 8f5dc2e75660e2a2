/** What becomes of calls that are written onto open connections while the server ends. */
import { EventEmitter, once } from 'node:events';
import net from 'node:net';
import t from 'tap';
import { freePort } from './support/ports.js';
import { nextalk } from './support/process.js';
import { skipWithout } from './support/programs.js';

const CONNECTIONS = 16;

/** A backend that writes calls onto one connection without waiting for answers, until one says that it is the last. */
class Pipeline {
  written = 0;
  answered = 0;
  isClosed = false;
  readonly statuses = new Set<string>();
  readonly #socket: net.Socket;
  readonly #call: string;
  #rest = '';
  #isLast = false;

  constructor(
    port: number,
    /** Calls that are under way. */
    private readonly ahead: number,
    private readonly changes: EventEmitter,
  ) {
    const body = 'from=shop&to=nobody&body=hi';
    this.#call = [
      'POST /v5/messages HTTP/1.1',
      'Host: localhost',
      `Authorization: Basic ${Buffer.from('localhost:public').toString('base64')}`,
      'Content-Type: application/x-www-form-urlencoded',
      `Content-Length: ${body.length}`,
      '',
      body,
    ].join('\r\n');
    this.#socket = net.connect(port, '127.0.0.1', () => this.#write());
    this.#socket.on('error', () => undefined);
    this.#socket.setEncoding('latin1').on('data', (text: string) => this.#read(text));
    this.#socket.on('close', () => {
      this.isClosed = true;
      this.changes.emit('change');
    });
  }

  /** Whether it knows that the connection ends, and has an answer to every call. */
  get isDone(): boolean {
    return this.#isLast && this.answered === this.written;
  }

  end(): void {
    this.#socket.destroy();
  }

  #write(): void {
    const count = this.ahead - (this.written - this.answered);
    this.written += count;
    this.#socket.write(this.#call.repeat(count));
  }

  #read(text: string): void {
    this.#rest += text;
    for (;;) {
      const head = this.#rest.indexOf('\r\n\r\n');
      const length = Number(/\r\ncontent-length: (\d+)/i.exec(this.#rest.slice(0, head))?.[1]);
      const end = head + 4 + length;
      if (head < 0 || this.#rest.length < end) break;
      const answer = this.#rest.slice(0, head);
      this.statuses.add(answer.slice(9, 12));
      this.#isLast ||= /\r\nconnection: close/i.test(answer);
      this.#rest = this.#rest.slice(end);
      this.answered += 1;
    }
    if (!this.#isLast) this.#write();
    this.changes.emit('change');
  }
}

const servers = [
  // uWebSockets.js ends a connection on which a call comes while an earlier one waits for another node.
  { workers: 2, ahead: 1, title: 'a call on a kept connection is answered while workers end' },
  {
    workers: 1,
    ahead: 8,
    title: 'every call that is written onto a connection ahead of its answers is answered while the server ends',
  },
];

for (const { workers, ahead, title } of servers) {
  t.test(title, { skip: workers > 1 && skipWithout('nats-server') }, async (t) => {
    const port = await freePort();
    const flags = ['--port', String(port), '--mqtt-port', '0', '--admin-port', '0', '--workers', String(workers)];
    const server = nextalk(t, flags);
    await server.event('started');
    const changes = new EventEmitter();
    const pipelines = Array.from({ length: CONNECTIONS }, () => new Pipeline(port, ahead, changes));
    t.teardown(() => pipelines.map((pipeline) => pipeline.end()));
    const all = async (isSo: (pipeline: Pipeline) => boolean): Promise<void> => {
      while (!pipelines.every((pipeline) => isSo(pipeline) || pipeline.isClosed)) await once(changes, 'change');
    };
    await all(({ answered }) => answered > 100);
    server.kill('SIGTERM');
    await all(({ isDone }) => isDone);
    const open = pipelines.filter(({ isDone }) => !isDone);
    t.strictSame(
      open.map(({ written, answered }) => written - answered),
      [],
      'every connection is told that it ends, and no call is without an answer',
    );
    t.comment(
      `${pipelines.filter(({ statuses }) => statuses.has('503')).length} connections were answered 503 meanwhile`,
    );
    for (const pipeline of pipelines) pipeline.end();
    t.equal(await server.ended, 0);
  });
}
