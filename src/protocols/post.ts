/**
 * A POST to the site. Where it leads is checked when the connection is made, whatever a name resolves to: a name that
 * leads outside when it is looked at, and inside when it is called, reaches nothing. Redirects are not followed.
 */
import { type LookupAddress, lookup } from 'node:dns';
import http from 'node:http';
import https from 'node:https';
import { isIP, type LookupFunction } from 'node:net';
import type { Clock } from '../clock.js';
import { hostOf, isInside } from '../inside.js';

/** How long the site has to answer, the end of its answer included. */
export const ANSWER_MS = 10_000;

/** What became of a POST: a status, or why there is none. */
export type PostResult = { readonly status: number } | { readonly why: string };

export interface PostOptions {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  /** Whether addresses inside are allowed. */
  readonly mayLeadInside: boolean;
  readonly clock: Clock;
}

const REFUSED = 'the address leads inside, which webhookPrivate does not allow';

/** Resolves a name to addresses outside; fails where it has none. */
const outside: LookupFunction = (hostname, options, callback) => {
  lookup(hostname, { ...options, all: true }, (error, addresses) => {
    if (error) return callback(error, '', 0);
    const found = addresses.filter(({ address }) => !isInside(address));
    const [first] = found as [LookupAddress?];
    if (!first) return callback(new Error(REFUSED), '', 0);
    if (options.all) callback(null, found);
    else callback(null, first.address, first.family);
  });
};

const agents = {
  'http:': { module: http, inside: new http.Agent({ keepAlive: true }), outside: new http.Agent({ keepAlive: true }) },
  'https:': {
    module: https,
    inside: new https.Agent({ keepAlive: true }),
    outside: new https.Agent({ keepAlive: true }),
  },
};

/** An answer of so many bytes is read to its end, so that its connection can be used again. */
const SHORT_BYTES = 16_384;

/** POSTs once; `done` is called once and never at once, unless the answer of this function, which cancels, is called before. */
export function post(options: PostOptions, done: (result: PostResult) => void): () => void {
  const { url, mayLeadInside } = options;
  const host = hostOf(url);
  // A literal address is not looked up.
  if (mayLeadInside || isIP(host) === 0 || !isInside(host)) return send(options, done);
  const refusal = setImmediate(() => done({ why: REFUSED }));
  return () => clearImmediate(refusal);
}

function send({ url, headers, body, mayLeadInside, clock }: PostOptions, done: (result: PostResult) => void) {
  let isOver = false;
  const { module, inside, outside: agent } = agents[new URL(url).protocol as keyof typeof agents];
  const request = module.request(url, {
    method: 'POST',
    headers: { ...headers, 'content-length': String(Buffer.byteLength(body)) },
    ...(mayLeadInside ? { agent: inside } : { agent, lookup: outside }),
  });
  const cancelAnswer = clock.after(ANSWER_MS, () => {
    request.destroy(new Error(`no answer within ${ANSWER_MS} ms`));
  });
  const finish = (result: PostResult): void => {
    if (isOver) return;
    isOver = true;
    done(result);
  };
  request.on('error', (error) => finish({ why: error.message }));
  request.on('close', () => {
    cancelAnswer();
    finish({ why: 'the connection was closed without an answer' });
  });
  request.on('response', (response) => {
    finish({ status: response.statusCode ?? 0 });
    discard(response);
  });
  request.end(body);
  return () => {
    isOver = true;
    cancelAnswer();
    request.destroy();
  };
}

/** What the site says beside its status is of no use, and might be long. */
function discard(response: http.IncomingMessage): void {
  let bytes = 0;
  response.on('error', () => undefined);
  response.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes > SHORT_BYTES) response.destroy();
  });
}
