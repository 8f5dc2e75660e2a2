/**
 * A POST to the site. Where it leads is checked when the connection is made, whatever a name resolves to: a name that
 * leads outside when it is looked at, and inside when it is called, reaches nothing. Redirects are not followed.
 */
import http from 'node:http';
import https from 'node:https';
import { isIP, type LookupFunction } from 'node:net';
import type { Clock } from '../clock.js';
import { hostOf, isInside } from '../inside.js';
import { Names } from './names.js';

/** How long the site has to answer, the end of its answer included. */
export const ANSWER_MS = 10_000;

/** What became of a POST: a status, or why there is none. */
export type PostResult = { readonly status: number } | { readonly why: string };

export interface PostOptions {
  /** The name of the domain whose site is called: the look-ups of host names are bounded for each domain. */
  readonly domain: string;
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  /** Whether addresses inside are allowed. */
  readonly mayLeadInside: boolean;
  readonly clock: Clock;
  /** Resolves the host name; absent: one for the whole process, with the system's settings. */
  readonly names?: Names;
}

const REFUSED = 'the address leads inside, which webhookPrivate does not allow';
const NO_ADDRESS = 'the name has no address of the kind that is called';

/** Resolves the host names of all webhooks of this process. */
const shared = new Names();

/** Answers a function that resolves a host name. Addresses inside count only if `mayLeadInside`; fails where no address is left. */
function lookupFor({ domain, mayLeadInside, clock, names = shared }: PostOptions): LookupFunction {
  return (hostname, options, callback) => {
    names.find(domain, hostname, clock, (error, addresses) => {
      if (error) return callback(error, '', 0);
      const allowed = addresses.filter(({ address }) => mayLeadInside || !isInside(address));
      const found = allowed.filter(({ family }) => !options.family || family === familyOf(options.family));
      const [first] = found;
      if (!first) return callback(new Error(allowed.length < addresses.length ? REFUSED : NO_ADDRESS), '', 0);
      if (options.all) callback(null, found);
      else callback(null, first.address, first.family);
    });
  };
}

function familyOf(family: number | string): number {
  return Number(String(family).replace('IPv', ''));
}

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

function send(options: PostOptions, done: (result: PostResult) => void) {
  const { url, headers, body, mayLeadInside, clock } = options;
  let isOver = false;
  const { module, inside, outside } = agents[new URL(url).protocol as keyof typeof agents];
  const request = module.request(url, {
    method: 'POST',
    headers: { ...headers, 'content-length': String(Buffer.byteLength(body)) },
    agent: mayLeadInside ? inside : outside,
    lookup: lookupFor(options),
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

/** Throws the body of a site's answer away: only the status is used, and the body might be long. */
function discard(response: http.IncomingMessage): void {
  let bytes = 0;
  response.on('error', () => undefined);
  response.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes > SHORT_BYTES) response.destroy();
  });
}
