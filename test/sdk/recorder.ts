/** A small HTTP server that writes down what it is asked and answers from a script. */
import { once } from 'node:events';
import http from 'node:http';
import type { Json, ScriptedAnswer } from './table.js';

export interface Recorded {
  readonly method: string;
  readonly path: string;
  readonly parameters?: Json;
  readonly json?: unknown;
  readonly authorization: string | undefined;
}

function decodedPath(path: string): string {
  return path.split('/').map(decodeURIComponent).join('/');
}

/** A parameter that comes twice is an error of the library, and seen as a list. */
function fieldsOf(form: URLSearchParams): Json {
  const fields = new Map<string, string | string[]>();
  for (const name of form.keys()) {
    const all = form.getAll(name);
    fields.set(name, all.length === 1 ? (all[0] ?? '') : all);
  }
  return Object.fromEntries(fields);
}

async function record(request: http.IncomingMessage): Promise<Recorded> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk);
  const body = Buffer.concat(chunks).toString('utf8');
  const url = new URL(request.url ?? '/', 'http://recorder');
  const { method = '', headers } = request;
  // Taken from the request itself: URL would resolve the steps of a path.
  const path = decodedPath((request.url ?? '/').split('?')[0] ?? '/');
  const seen = { method, path, authorization: headers.authorization };
  if (headers['content-type'] === 'application/json') return { ...seen, json: JSON.parse(body) };
  if (method === 'POST' && headers['content-type']?.split(';')[0] !== 'application/x-www-form-urlencoded') {
    throw new Error(`a body of type ${headers['content-type']}`);
  }
  return { ...seen, parameters: fieldsOf(method === 'POST' ? new URLSearchParams(body) : url.searchParams) };
}

function reply(response: http.ServerResponse, answer: ScriptedAnswer | undefined): void {
  if (answer === undefined) response.writeHead(500).end('more requests than the case has answers');
  else if (answer.fault === 'reset') response.destroy();
  else if (answer.fault === 'half' || answer.fault === 'cut') {
    response.writeHead(200, { 'content-length': 100 }).write('{"status"', () => {
      if (answer.fault === 'cut') response.destroy();
    });
  } else if (answer.fault !== 'silence') {
    const text = answer.text ?? JSON.stringify(answer.body);
    const isChunked = answer.headers?.['transfer-encoding'] !== undefined;
    const length = isChunked ? {} : { 'content-length': Buffer.byteLength(text) };
    const headers = { 'content-type': 'application/json', ...length, ...answer.headers };
    response.writeHead(answer.status ?? 200, headers).end(text);
  }
}

export class Recorder {
  readonly #server = http.createServer((request, response) => void this.#answer(request, response));
  #requests: Recorded[] = [];
  #answers: ScriptedAnswer[] = [];
  /** How many connections were opened since the script began. */
  connections = 0;

  async listen(): Promise<void> {
    this.#server.on('connection', () => {
      this.connections += 1;
    });
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
  }

  get url(): string {
    const address = this.#server.address();
    if (address === null || typeof address === 'string') throw new Error('the recorder does not listen');
    return `http://127.0.0.1:${address.port}`;
  }

  script(answers: readonly ScriptedAnswer[]): void {
    this.#requests = [];
    this.connections = 0;
    this.#answers = [...answers];
  }

  get requests(): readonly Recorded[] {
    return this.#requests;
  }

  /** Resolves when so many requests have come; a client that gave up may be ahead of this server. */
  async seen(count: number): Promise<void> {
    while (this.#requests.length < count) await once(this.#server, 'recorded');
  }

  async #answer(request: http.IncomingMessage, response: http.ServerResponse): Promise<void> {
    try {
      this.#requests.push(await record(request));
      this.#server.emit('recorded');
      reply(response, this.#answers.shift());
    } catch (error) {
      response.writeHead(500).end(String(error));
    }
  }

  /** Ends all connections, those that wait for ever among them. */
  async close(): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }
}
