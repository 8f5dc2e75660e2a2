import http from 'node:http';

export type Value = string | number | undefined;
export type Params = Readonly<Record<string, Value>>;

export interface HttpRequest {
  readonly method?: string;
  readonly path: string;
  readonly query?: Params;
  readonly form?: Params;
  readonly json?: unknown;
  readonly body?: string | Buffer;
  /** The Content-Type to claim; null sends none. */
  readonly type?: string | null;
  readonly headers?: http.OutgoingHttpHeaders;
  readonly auth?: { domain: string; apikey: string } | undefined;
  readonly agent?: http.Agent | false;
}

export interface Answer {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly text: string;
  /** The text parsed, or undefined where it is no JSON. */
  readonly body: unknown;
}

export interface Exchange {
  readonly answer: Promise<Answer>;
  /** The request is wholly handed to the kernel. */
  readonly sent: Promise<void>;
  abort(): void;
}

/** Form encoding as browsers and PHP do it; undefined values are left out. */
export function encode(params: Params): string {
  const form = new URLSearchParams();
  for (const [key, value] of Object.entries(params)) if (value !== undefined) form.append(key, String(value));
  return form.toString();
}

export function basic(domain: string, apikey: string): string {
  return `Basic ${Buffer.from(`${domain}:${apikey}`).toString('base64')}`;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function payload(request: HttpRequest): { body: string | Buffer | undefined; type: string | undefined } {
  if (request.form) return { body: encode(request.form), type: 'application/x-www-form-urlencoded' };
  if (request.json !== undefined) return { body: JSON.stringify(request.json), type: 'application/json' };
  return { body: request.body, type: undefined };
}

function headersOf(request: HttpRequest): http.OutgoingHttpHeaders {
  const headers: http.OutgoingHttpHeaders = { ...request.headers };
  const { body, type } = payload(request);
  const claimed = request.type === undefined ? type : request.type;
  if (claimed) headers['content-type'] = claimed;
  if (body !== undefined) headers['content-length'] = Buffer.byteLength(body);
  if (request.auth) headers.authorization = basic(request.auth.domain, request.auth.apikey);
  return headers;
}

function read(response: http.IncomingMessage): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    response.on('data', (chunk: Buffer) => chunks.push(chunk));
    response.on('error', reject);
    response.on('aborted', () => reject(new Error('the answer broke off')));
    response.on('end', () => {
      const text = Buffer.concat(chunks).toString('utf8');
      resolve({ status: response.statusCode ?? 0, headers: response.headers, text, body: parsed(text) });
    });
  });
}

/** The server closes a connection that has carried nothing for 10 seconds: one that has rested for half as long is not used again. */
const REST_MS = 5000;

/** Keeps connections for further requests, but none that the server may be about to close: a request on such a one fails. */
export function keepAliveAgent(): http.Agent {
  return new http.Agent({ keepAlive: true, timeout: REST_MS });
}

/** One request and its answer, with no opinion on what either should be. */
export function exchange(port: number, request: HttpRequest): Exchange {
  const query = request.query ? encode(request.query) : '';
  const sending = http.request({
    host: '127.0.0.1',
    port,
    method: request.method ?? 'GET',
    path: query ? `${request.path}?${query}` : request.path,
    headers: headersOf(request),
    agent: request.agent ?? false,
  });
  const answer = new Promise<Answer>((resolve, reject) => {
    sending.on('error', reject);
    sending.on('response', (response) => read(response).then(resolve, reject));
  });
  answer.catch(() => undefined);
  const sent = new Promise<void>((resolve) => sending.on('finish', () => resolve()));
  sending.end(payload(request).body);
  return { answer, sent, abort: () => sending.destroy() };
}
